"""One cell: what was entered, how it is shown, and what is pinned to it."""

from __future__ import annotations

import msgspec

from tierline.testing.sheets.errors import Json

Scalar = bool | float | str


class CellError(msgspec.Struct, frozen=True):
    """The value of a formula that failed: `#DIV/0!` and its kind."""

    shown: str
    type: str
    message: str


Effective = Scalar | CellError | None


class Cell(msgspec.Struct, frozen=True):
    """A cell; numbers are doubles, as in the spreadsheet, so 17-digit integers are rounded.

    Args:
        value: The constant entered, or None.
        formula: The text of the formula, with its `=`, instead of a value.
        format: `userEnteredFormat`.
        note: Its note.
        validation: Its data validation rule.
    """

    value: Scalar | None = None
    formula: str | None = None
    format: Json | None = None
    note: str | None = None
    validation: Json | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it has neither a value nor a formula; a format or note does not count."""
        return self.value is None and self.formula is None

    @property
    def is_blank(self) -> bool:
        """Whether nothing at all is left to keep."""
        return self == BLANK

    @property
    def number_format(self) -> Json | None:
        """The number format that was set, or None for automatic."""
        return None if self.format is None else self.format.get("numberFormat")


BLANK = Cell()


def number(value: float) -> float:
    """A number as JSON shows it: without a fraction where it has none."""
    return int(value) if value == int(value) and abs(value) < 2**63 else value
