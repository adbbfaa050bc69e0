"""Numbers: `abs`, `round` and the functions of `math` that Python lets a stand-in answer."""

from __future__ import annotations

from typing import Any

from tierline.entity.types import FLOAT8, INT8, ColumnType, Wire
from tierline.query.calls import Call
from tierline.query.expressions import Value
from tierline.query.members import OPERATIONS
from tierline.query.operands import INTERVAL, NUMERIC
from tierline.query.text import position
from tierline.query.tracing import Traced

# Without the choices of an IntEnum: what is computed of its members need not be one.
_PLAIN: dict[Wire, ColumnType] = {"int8": INT8, "float8": FLOAT8, "numeric": NUMERIC}


def _abs(operand: Traced) -> Traced:
    return Traced(Call("abs", (operand.expr,), _PLAIN[operand.expr.type.wire]))


def _abs_interval(operand: Traced) -> Traced:
    return Traced(Call("abs_interval", (operand.expr,), INTERVAL))


def _round(operand: Traced, digits: object = None) -> Traced:
    expr = operand.expr
    if expr.type.wire == "float8":
        if digits is not None:
            raise TypeError(
                "a float is binary, so its decimal digits cannot be rounded in SQL as Python does; "
                "use `round(tl.cast(field, Decimal), n)`"
            )
        return Traced(Call("round_float", (expr,), INT8))
    if digits is None:
        if expr.type.wire == "int8":
            return operand
        whole = Call("round_numeric", (expr, Value(0, INT8)), NUMERIC)
        return Traced(Call("truncate", (whole,), INT8))
    places = position(digits, "the number of digits")
    if expr.type.wire == "int8":
        return Traced(Call("round_integer", (expr, places), INT8))
    return Traced(Call("round_numeric", (expr, places), NUMERIC))


def _whole(function: str) -> Any:
    def make(operand: Traced) -> Traced:
        if operand.expr.type.wire == "int8":
            return operand
        return Traced(Call(function, (operand.expr,), INT8))

    return make


for _wire in _PLAIN:
    OPERATIONS[_wire, "abs"] = _abs
    OPERATIONS[_wire, "round"] = _round
    OPERATIONS[_wire, "floor"] = _whole("floor")
    OPERATIONS[_wire, "ceil"] = _whole("ceil")
    OPERATIONS[_wire, "trunc"] = _whole("truncate")
OPERATIONS["interval", "abs"] = _abs_interval
