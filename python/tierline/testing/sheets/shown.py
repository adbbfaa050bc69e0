"""How a value is shown: FORMATTED_VALUE, UNFORMATTED_VALUE and FORMULA."""

from __future__ import annotations

import re

from tierline.testing.sheets.cell import Cell, CellError, Effective, Scalar, number
from tierline.testing.sheets.errors import Json
from tierline.testing.sheets.serials import show

_DATE_KINDS = ("DATE", "TIME", "DATE_TIME")
_DEFAULT_PATTERN = {
    "DATE": "yyyy-mm-dd",
    "TIME": "h:mm:ss",
    "DATE_TIME": "yyyy-mm-dd h:mm:ss",
    "PERCENT": "0.00%",
    "CURRENCY": '"$"#,##0.00',
    "NUMBER": "#,##0.00",
    "SCIENTIFIC": "0.00E+00",
}
_PATTERN = re.compile(r'(?:"([^"]*)")?(#,##)?(0|#)?(?:\.([0#]+))?(E\+00)?(%?)')


def _automatic(value: float) -> str:
    """A number without a format: at most ten places, large ones with an exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 1e15 or abs(value) < 1e-9:
        digits, _, exponent = f"{value:.5E}".partition("E")
        return f"{digits.rstrip('0').rstrip('.')}E{int(exponent):+03}"
    return f"{value:.10f}".rstrip("0").rstrip(".")


def _patterned(value: float, pattern: str) -> str:
    found = _PATTERN.fullmatch(pattern)
    if found is None:
        return _automatic(value)
    prefix, thousands, _, places, exponent, percent = found.groups()
    digits = len(places or "")
    if exponent:
        mantissa, _, power = f"{value:.{digits}E}".partition("E")
        return f"{mantissa}E{int(power):+03}"
    scaled = value * 100 if percent else value
    text = f"{abs(scaled):{',' if thousands else ''}.{digits}f}"
    return f"{'-' if scaled < 0 else ''}{prefix or ''}{text}{percent}"


def formatted(value: Effective, number_format: Json | None) -> str:
    """A value as a person sees it."""
    if value is None:
        return ""
    if isinstance(value, CellError):
        return value.shown
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return value
    kind = (number_format or {}).get("type")
    pattern = (number_format or {}).get("pattern") or _DEFAULT_PATTERN.get(str(kind))
    if kind in _DATE_KINDS and pattern is not None:
        try:
            return show(value, pattern)
        except OverflowError:
            return _automatic(value)
    return _automatic(value) if pattern is None else _patterned(value, pattern)


def is_date(number_format: Json | None) -> bool:
    """Whether numbers of this format are dates or times."""
    return (number_format or {}).get("type") in _DATE_KINDS


def rendered(cell: Cell, value: Effective, *, option: str, dates_as_text: bool) -> Scalar:
    """A cell as `values.get` answers it.

    Args:
        cell: The cell.
        value: Its value, computed where it is a formula.
        option: `valueRenderOption`.
        dates_as_text: Whether `dateTimeRenderOption` is FORMATTED_STRING; formatted values are text
            in any case.
    """
    if option == "FORMULA" and cell.formula is not None:
        return cell.formula
    if value is None:
        return ""
    dates = is_date(cell.number_format)
    if option == "FORMATTED_VALUE" or isinstance(value, CellError) or (dates and dates_as_text):
        return formatted(value, cell.number_format)
    return number(value) if isinstance(value, float) else value
