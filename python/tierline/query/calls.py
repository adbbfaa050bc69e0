"""Nodes for functions: `Call` for the simple ones of the catalogue, others where structure counts.

Every value inside travels as a parameter: patterns, JSON keys, positions and units too.
"""

from __future__ import annotations

from tierline.entity.types import ColumnType
from tierline.query.catalogue import CATALOGUE
from tierline.query.expressions import ComparisonOperator, Expr


class Call(Expr, frozen=True):
    """A function of the catalogue, applied to operands."""

    function: str
    operands: tuple[Expr, ...]
    result_type: ColumnType

    def __post_init__(self) -> None:
        if self.function not in CATALOGUE:
            raise TypeError(f"no function {self.function!r} in the catalogue")

    @property
    def type(self) -> ColumnType:
        """The type of the result."""
        return self.result_type


class Case(Expr, frozen=True):
    """The value of the first branch whose condition is true; else `otherwise`, or NULL."""

    branches: tuple[tuple[Expr, Expr], ...]
    otherwise: Expr | None
    result_type: ColumnType

    @property
    def type(self) -> ColumnType:
        """The type that all values have in common."""
        return self.result_type


class Cast(Expr, frozen=True):
    """The operand's value as another type; `query/casts.py` says what becomes of what."""

    operand: Expr
    result_type: ColumnType

    @property
    def type(self) -> ColumnType:
        """The type it is cast to."""
        return self.result_type


class JsonPath(Expr, frozen=True):
    """What lies in a JSON document under keys and positions; NULL for what is not there.

    A step of type text is the key of an object, one of type bigint a position in a list,
    negative from its end. JSON's null is NULL. A result that is not jsonb is cast from its text.

    Attributes:
        is_cast: Whether the type is what `tl.cast` asked for, and not what the annotation says.
    """

    operand: Expr
    steps: tuple[Expr, ...]
    result_type: ColumnType
    is_cast: bool = False

    @property
    def type(self) -> ColumnType:
        """The type of what lies there."""
        return self.result_type


class ArrayAny(Expr, frozen=True):
    """Whether `element operator operand` holds for some element of the array."""

    operator: ComparisonOperator
    array: Expr
    operand: Expr


class ArrayAll(Expr, frozen=True):
    """Whether `element operator operand` holds for every element of the array."""

    operator: ComparisonOperator
    array: Expr
    operand: Expr
