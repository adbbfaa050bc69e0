"""A cell as JSON, and quickly only those fields of it that a mask names."""

from __future__ import annotations

from collections.abc import Callable

from tierline.testing.sheets.cell import Cell, CellError, Effective, number
from tierline.testing.sheets.errors import Json
from tierline.testing.sheets.masks import Mask, project
from tierline.testing.sheets.shown import formatted


def extended(value: Effective) -> Json:
    """An ExtendedValue."""
    if isinstance(value, CellError):
        return {"errorValue": {"type": value.type, "message": value.message}}
    if isinstance(value, bool):
        return {"boolValue": value}
    return {"stringValue": value} if isinstance(value, str) else {"numberValue": number(value or 0)}


def cell_json(cell: Cell, value: Effective) -> Json:
    """A cell with everything that is known of it."""
    found: Json = {}
    if cell.formula is not None:
        found["userEnteredValue"] = {"formulaValue": cell.formula}
    elif cell.value is not None:
        found["userEnteredValue"] = extended(cell.value)
    if value is not None:
        found["effectiveValue"] = extended(value)
        found["formattedValue"] = formatted(value, cell.number_format)
    if cell.format:
        found["userEnteredFormat"] = cell.format
        found["effectiveFormat"] = cell.format
    if cell.note is not None:
        found["note"] = cell.note
    if cell.validation is not None:
        found["dataValidation"] = cell.validation
    return found


def cell_writer(mask: Mask) -> Callable[[Cell, Effective], Json]:
    """What writes cells as a mask keeps them: equal to projecting the whole, but in less time.

    A grid has many cells, so nothing is made of them that the mask does not name.
    """
    if not mask or "*" in mask:
        return cell_json
    with_effective = "effectiveValue" in mask
    effective = mask.get("effectiveValue", {})
    entered = mask.get("userEnteredValue")
    formula_only = entered is not None and set(entered) == {"formulaValue"}
    # What is cheap was written by hand; the rest is projected, where a cell has it.
    rest = {name: below for name, below in mask.items() if name != "effectiveValue"}
    if formula_only:
        del rest["userEnteredValue"]
    plain = not ({"userEnteredValue", "formattedValue"} & rest.keys())

    def write(cell: Cell, value: Effective) -> Json:
        found: Json = {}
        if with_effective and value is not None:
            made = extended(value)
            found["effectiveValue"] = project(made, effective) if effective else made
        if formula_only:
            if cell.formula is not None:
                found["userEnteredValue"] = {"formulaValue": cell.formula}
            elif cell.value is not None:
                found["userEnteredValue"] = {}
        if rest and not (plain and not cell.format and cell.note is None and not cell.validation):
            found |= project(cell_json(cell, value), rest)
        return found

    return write
