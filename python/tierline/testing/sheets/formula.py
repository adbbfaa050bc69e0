"""A small part of formulas: arithmetic, texts, comparison, cells of the sheet, a few functions.

What it does not know is `#NAME?`, a formula too: a test sees that a text was taken for one.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tierline.testing.sheets.cell import Cell, CellError, Effective, Scalar
from tierline.testing.sheets.ranges import parse_cells
from tierline.testing.sheets.shown import formatted

Lookup = Callable[[int, int], Effective]

_TOKEN = re.compile(
    r'\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|"((?:[^"]|"")*)"'
    r"|(\$?[A-Za-z]{1,3}\$?\d+(?::\$?[A-Za-z]{1,3}\$?\d+)?)(?![\w(])"
    r"|([A-Za-z_][\w.]*)|(<>|<=|>=|[-+*/^&=<>(),%]))"
)
_DEPTH_MAX = 60


class _FailedError(Exception):
    def __init__(self, error: CellError) -> None:
        self.error = error


_BROKEN = CellError("#ERROR!", "ERROR", "Formula parse error.")
_DIVISION = CellError("#DIV/0!", "DIVIDE_BY_ZERO", "Function DIVIDE parameter 2 cannot be zero.")
_CIRCLE = CellError("#REF!", "REF", "Circular dependency detected.")
_OUTSIDE = CellError("#REF!", "REF", "Reference does not exist.")


def _value_error(shown: object) -> CellError:
    return CellError("#VALUE!", "VALUE", f"expects number values, but '{shown}' is a text.")


def _unknown(name: str) -> CellError:
    return CellError("#NAME?", "NAME", f"Unknown function: '{name}'.")


def compute(cell: Cell, lookup: Lookup) -> Effective:
    """The value of a cell; `lookup` answers other cells' values."""
    if cell.formula is None:
        return cell.value
    try:
        return _Parser(cell.formula[1:], lookup).whole()
    except _FailedError as failed:
        return failed.error


def evaluator(cell_at: Callable[[int, int], Cell]) -> Lookup:
    """Values of cells, formulas computed: once each, and a circle is an error."""
    known: dict[tuple[int, int], Effective] = {}
    open_: set[tuple[int, int]] = set()

    def value(row: int, column: int) -> Effective:
        cell = cell_at(row, column)
        place = (row, column)
        if cell.formula is None:
            return cell.value
        if place in open_ or len(open_) > _DEPTH_MAX:
            return _CIRCLE
        if place not in known:
            open_.add(place)
            known[place] = compute(cell, value)
            open_.discard(place)
        return known[place]

    return value


class _Parser:
    """Reads and computes in one pass; the grammar is small."""

    def __init__(self, text: str, lookup: Lookup) -> None:
        self.lookup = lookup
        self.tokens: list[tuple[str, str]] = []
        self.at = 0
        self.depth = 0
        position, text = 0, text.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None or found.lastindex is None:
                raise _FailedError(_BROKEN)
            kind = ("number", "text", "cells", "name", "sign")[found.lastindex - 1]
            self.tokens.append((kind, found[found.lastindex]))
            position = found.end()

    def whole(self) -> Scalar:
        value = self._comparison()
        if self.at < len(self.tokens):
            raise _FailedError(_BROKEN)
        return value

    def _sign(self, *wanted: str) -> str | None:
        if self.at < len(self.tokens):
            kind, text = self.tokens[self.at]
            if kind == "sign" and text in wanted:
                self.at += 1
                return text
        return None

    def _comparison(self) -> Scalar:
        self.depth += 1
        if self.depth > _DEPTH_MAX:
            raise _FailedError(_BROKEN)
        left = self._joined()
        while sign := self._sign("=", "<>", "<", ">", "<=", ">="):
            right = self._joined()
            a, b = (left, right) if type(left) is type(right) else (str(left), str(right))
            less, equal = str(a) < str(b), a == b
            if isinstance(a, float) and isinstance(b, float):
                less = a < b
            left = {
                "=": equal, "<>": not equal, "<": less, "<=": less or equal,
                ">": not less and not equal, ">=": not less,
            }[sign]  # fmt: skip
        self.depth -= 1
        return left

    def _joined(self) -> Scalar:
        left = self._sum()
        while self._sign("&"):
            left = formatted(left, None) + formatted(self._sum(), None)
        return left

    def _sum(self) -> Scalar:
        left = self._product()
        while sign := self._sign("+", "-"):
            right = _number(self._product())
            left = _number(left) + (right if sign == "+" else -right)
        return left

    def _product(self) -> Scalar:
        left = self._signed()
        while sign := self._sign("*", "/", "^"):
            right = _number(self._signed())
            if sign == "/" and right == 0:
                raise _FailedError(_DIVISION)
            try:
                left = _number(left) * right if sign == "*" else _power(_number(left), right, sign)
            except (OverflowError, ZeroDivisionError):
                raise _FailedError(CellError("#NUM!", "NUM", "Not a number.")) from None
        return left

    def _signed(self) -> Scalar:
        if self._sign("-"):
            return -_number(self._signed())
        if self._sign("+"):
            return self._signed()
        value = self._atom()
        while self._sign("%"):
            value = _number(value) / 100
        return value

    def _atom(self) -> Scalar:
        if self._sign("("):
            value = self._comparison()
            if not self._sign(")"):
                raise _FailedError(_BROKEN)
            return value
        if self.at >= len(self.tokens):
            raise _FailedError(_BROKEN)
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "number":
            return float(text)
        if kind == "text":
            return text.replace('""', '"')
        if kind == "cells" and ":" not in text:
            found = self._cells(text)[0]
            return 0.0 if found is None else _sound(found)
        if kind == "name":
            return self._called(text)
        raise _FailedError(_BROKEN)

    def _cells(self, text: str) -> list[Effective]:
        box = parse_cells(text)
        if box is None or box.bottom is None or box.right is None:
            raise _FailedError(_OUTSIDE)
        rows, columns = range(box.top, box.bottom), range(box.left, box.right)
        return [self.lookup(row, column) for row in rows for column in columns]

    def _called(self, name: str) -> Scalar:
        upper = name.upper()
        if not self._sign("("):
            if upper in ("TRUE", "FALSE"):
                return upper == "TRUE"
            raise _FailedError(CellError("#NAME?", "NAME", f"Unknown range name: '{name}'."))
        given: list[Effective] = []
        while not self._sign(")"):
            if given and not self._sign(","):
                raise _FailedError(_BROKEN)
            if self.at < len(self.tokens) and self.tokens[self.at][0] == "cells":
                text = self.tokens[self.at][1]
                if ":" in text:
                    self.at += 1
                    given += self._cells(text)
                    continue
            given.append(self._comparison())
        function = _FUNCTIONS.get(upper)
        if function is None:
            raise _FailedError(_unknown(name))
        values = [_sound(value) for value in given if value is not None]
        try:
            return function(values)
        except (IndexError, ValueError, ZeroDivisionError):
            raise _FailedError(_DIVISION) from None


def _power(base: float, exponent: float, sign: str) -> float:
    result = base / exponent if sign == "/" else base**exponent
    if isinstance(result, complex):
        raise OverflowError
    return float(result)


def _sound(value: Effective) -> Scalar:
    if isinstance(value, CellError):
        raise _FailedError(value)
    assert value is not None
    return value


def _number(value: Scalar) -> float:
    if isinstance(value, str):
        try:
            return float(value or 0)
        except ValueError:
            raise _FailedError(_value_error(value)) from None
    return float(value)


def _numbers(values: list[Scalar]) -> list[float]:
    return [value for value in values if isinstance(value, float)]


_FUNCTIONS: dict[str, Callable[[list[Scalar]], Scalar]] = {
    "SUM": lambda values: float(sum(_numbers(values))),
    "COUNT": lambda values: float(len(_numbers(values))),
    "COUNTA": lambda values: float(len(values)),
    "AVERAGE": lambda values: sum(_numbers(values)) / len(_numbers(values)),
    "MAX": lambda values: max(_numbers(values), default=0.0),
    "MIN": lambda values: min(_numbers(values), default=0.0),
    "CONCATENATE": lambda values: "".join(formatted(value, None) for value in values),
    "UPPER": lambda values: str(values[0]).upper(),
    "LOWER": lambda values: str(values[0]).lower(),
    "LEN": lambda values: float(len(formatted(values[0], None))),
    "IF": lambda values: values[1] if values[0] else values[2] if len(values) > 2 else False,
}
