"""Arrays: items and slices, `tl.any_`, `tl.all_`, `tl.contains_all`, `tl.overlaps`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from typing import Any, NoReturn, TypeVar, cast

import msgspec

from tierline.entity.types import BOOL, ColumnType
from tierline.query.calls import ArrayAll, ArrayAny, Call
from tierline.query.expressions import ComparisonOperator, Expr, Value
from tierline.query.members import OPERATIONS
from tierline.query.operands import comparable
from tierline.query.text import is_slice, position, sliced
from tierline.query.tracing import Traced, to_expr

T = TypeVar("T")


def _item(operand: Traced, key: object) -> Traced:
    type_ = operand.expr.type
    if type_.container not in (list, tuple):
        raise TypeError("a set has no positions; ask `tl.is_in(x, field)` or `tl.any_(field)`")
    if is_slice(key):
        return sliced("array", operand, key)
    index = position(key, "a position in an array")
    return Traced(Call("array_at", (operand.expr, index), element_of(type_)))


OPERATIONS["array", "[]"] = _item


def element_of(type_: ColumnType) -> ColumnType:
    """The type of an array's elements."""
    return cast("ColumnType", type_.element)


_COMPARE: dict[ComparisonOperator, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class _Elements:
    """Some or all elements of an array: all it can do is be compared."""

    __slots__ = ()

    def _compared(self, name: ComparisonOperator, other: object) -> Any:
        raise NotImplementedError

    def __eq__(self, other: object) -> Any:
        return self._compared("=", other)

    def __ne__(self, other: object) -> Any:
        return self._compared("<>", other)

    def __lt__(self, other: object) -> Any:
        return self._compared("<", other)

    def __le__(self, other: object) -> Any:
        return self._compared("<=", other)

    def __gt__(self, other: object) -> Any:
        return self._compared(">", other)

    def __ge__(self, other: object) -> Any:
        return self._compared(">=", other)

    def __hash__(self) -> int:
        raise TypeError(_ONLY_COMPARED)

    def __bool__(self) -> NoReturn:
        raise TypeError(_ONLY_COMPARED)


_ONLY_COMPARED = "any_ and all_ can only be compared: `tl.any_(f.tags) == x`"


class _PlainElements(_Elements):
    """Elements of a plain collection."""

    __slots__ = ("_items", "_node")

    def __init__(self, node: type[ArrayAny | ArrayAll], items: Collection[object]) -> None:
        self._node = node
        self._items = items

    def _compared(self, name: ComparisonOperator, other: object) -> Any:
        if isinstance(other, Traced):
            raise TypeError(
                "any_ and all_ of plain values cannot be compared with a field; use "
                "`tl.is_in(field, values)`"
            )
        judge = any if self._node is ArrayAny else all
        return judge(_COMPARE[name](item, other) for item in self._items)


class _TracedElements(_Elements, Traced):
    """Elements of a field: a Traced, so that Python asks it first when it stands on the right.

    Everything but a comparison asks for `expr`, and is refused.
    """

    __slots__ = ("_array", "_node")

    def __init__(self, node: type[ArrayAny | ArrayAll], array: Expr) -> None:
        self._node = node
        self._array = array

    def _compared(self, name: ComparisonOperator, other: object) -> Any:
        return _quantified(self._node, name, self._array, other)

    @property
    def expr(self) -> Expr:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        raise TypeError(_ONLY_COMPARED)


def _quantified(
    node: type[ArrayAny | ArrayAll], name: ComparisonOperator, array: Expr, other: object
) -> Traced:
    element = element_of(array.type)
    operand = to_expr(other, element)
    if not comparable(element, operand.type):
        raise TypeError(f"elements of {array.type.sql} cannot be compared with {operand.type.sql}")
    return Traced(node(name, array, operand))


def any_(array: Collection[T] | None) -> T:
    """Some element of an array, for comparing: ``tl.any_(f.tags) == "new"``.

    Args:
        array: A list, tuple or set field whose elements are no JSON; of NULL nothing is known.

    Raises:
        TypeError: It is no array, or is used for anything but a comparison.
    """
    return cast("T", _elements(ArrayAny, array, "any_"))


def all_(array: Collection[T] | None) -> T:
    """Every element of an array, for comparing: ``tl.all_(f.marks) > 3``.

    Args:
        array: A list, tuple or set field whose elements are no JSON; of NULL nothing is known,
            and of an empty one every comparison is true.

    Raises:
        TypeError: It is no array, or is used for anything but a comparison.
    """
    return cast("T", _elements(ArrayAll, array, "all_"))


def _elements(node: type[ArrayAny | ArrayAll], array: Any, function: str) -> _Elements:
    if not isinstance(array, Traced):
        return _PlainElements(node, () if array is None else array)
    _check_array(array.expr, function)
    return _TracedElements(node, array.expr)


def _check_array(expr: Expr, function: str) -> None:
    if expr.type.wire != "array":
        raise TypeError(f"{function} needs an array, not {expr.type.sql}")


def is_element(value: object, array: Traced) -> Traced:
    """Whether a value is an element of an array field: `tl.is_in(x, f.tags)`."""
    _check_array(array.expr, "is_in")
    return _quantified(ArrayAny, "=", array.expr, value)


def contains_all(array: Collection[T] | None, values: Collection[T]) -> bool:
    """Whether an array, or a JSON list of scalars, has every one of some values.

    Args:
        array: A field; of NULL nothing is known.
        values: Plain values, or another array field. Of none it has all.

    Raises:
        TypeError: The field is no array or list, or a value does not fit its elements.

    Example:
        ``tl.contains_all(f.tags, ["new", "red"])``
    """
    if isinstance(array, Traced) and array.expr.type.wire == "jsonb":
        return cast("bool", _json_contains(array, values))
    if isinstance(array, Traced) or isinstance(values, Traced):
        return cast("bool", _both("array_contains", "contains_all", array, values))
    return all(value in (array or ()) for value in values)


def overlaps(array: Collection[T] | None, values: Collection[T]) -> bool:
    """Whether an array has at least one of some values.

    Args:
        array: A field; of NULL nothing is known.
        values: Plain values, or another array field.

    Raises:
        TypeError: The field is no array, or a value does not fit its elements.

    Example:
        ``tl.overlaps(f.tags, ["new", "red"])``
    """
    if isinstance(array, Traced) or isinstance(values, Traced):
        return cast("bool", _both("array_overlaps", "overlaps", array, values))
    return any(value in (array or ()) for value in values)


def _both(call: str, function: str, left: object, right: object) -> Traced:
    known = left if isinstance(left, Traced) else cast("Traced", right)
    _check_array(known.expr, function)
    element = msgspec.structs.replace(known.expr.type, container=list)
    operands = (to_expr(left, element), to_expr(right, element))
    if operands[0].type.oid != operands[1].type.oid:
        raise TypeError(
            f"{function} needs arrays of one type, not {operands[0].type.sql} and "
            f"{operands[1].type.sql}"
        )
    return Traced(Call(call, operands, BOOL))


def _json_contains(array: Traced, values: object) -> Traced:
    items = cast("Collection[Any]", values)
    if isinstance(values, (str, bytes, Traced)) or not isinstance(values, Collection):
        raise TypeError("contains_all of a JSON list takes a list of plain values")
    if any(isinstance(item, (list, tuple, dict, set, msgspec.Struct, Traced)) for item in items):
        raise TypeError("contains_all of a JSON list takes texts, numbers and bools only")
    type_ = array.expr.type
    return Traced(Call("json_contains", (array.expr, _json_list(items, type_)), BOOL))


def _json_list(items: Collection[Any], type_: ColumnType) -> Value:
    expr = to_expr(list(items), type_)
    return cast("Value", expr)
