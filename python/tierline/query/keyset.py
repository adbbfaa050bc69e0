"""What comes after a row in an ordering, said so that an index over the ordering is entered there.

PostgreSQL enters an index at `k >= v` and at `(k1, k2) > (v1, v2)`. What is true of one key *or*
another is only a filter: every row from the index's beginning would be read and thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import takewhile
from typing import Any, Literal

import msgspec

from tierline.entity.types import BOOL
from tierline.query.expressions import Comparison, Expr, IsNull, Logic, Not, Ordering, Value
from tierline.query.operands import fitted


class RowComparison(Expr, frozen=True):
    """`(left, …) operator (right, …)`: decided by the first pair that is not equal."""

    operator: Literal["<", "<=", ">", ">="]
    left: tuple[Expr, ...]
    right: tuple[Expr, ...]


def expanded(node: RowComparison) -> Expr:
    """A comparison of rows as comparisons of single values."""
    strict: Any = node.operator[0]
    pairs = list(zip(node.left, node.right, strict=True))
    found: Expr = Comparison(node.operator, *pairs[-1])
    for left, right in reversed(pairs[:-1]):
        tied = Logic("and", Comparison("=", left, right), found)
        found = Logic("or", Comparison(strict, left, right), tied)
    return found


class Bound(msgspec.Struct, frozen=True):
    """One key of an ordering, with the value that a row has in it.

    Attributes:
        key: Which way it goes.
        nullable: Whether a row may have NULL in it.
        value: The row's value.
    """

    key: Ordering
    nullable: bool
    value: Any

    @property
    def parameter(self) -> Value:
        """The value as a parameter."""
        type_ = self.key.operand.type
        return Value(fitted(self.value, type_), type_)


class Stretch(msgspec.Struct, frozen=True):
    """Some of the rows in an ordering, with none of the others between them.

    Attributes:
        condition: Holds for them only.
        is_null: Whether their first key is NULL: in all of them if so, and in none if not.
    """

    condition: Expr
    is_null: bool


def stretches(bounds: Sequence[Bound]) -> list[Stretch]:
    """The rows after a row, in their order.

    Each stretch is one piece of an index over the keys, but for rows that tie with the row where
    keys go different ways or may be NULL: those are filtered.
    """
    if not bounds:
        return []
    first, rest = bounds[0], bounds[1:]
    is_null = IsNull(first.key.operand)
    if first.value is None:
        tied = [
            Stretch(Logic("and", is_null, later.condition), is_null=True)
            for later in stretches(rest)
        ]
        return [*tied, *([Stretch(Not(is_null), is_null=False)] if nulls_first(first.key) else [])]
    after = [Stretch(_after(bounds), is_null=False)]
    if first.nullable and not nulls_first(first.key):
        after.append(Stretch(is_null, is_null=True))
    return after


def whole(keys: Sequence[Ordering]) -> list[Stretch]:
    """All rows, if their first key may be NULL and an index has those elsewhere; nothing if not.

    An index has NULL as if it were greater than all else, from both of its ends, and what ties in
    it goes the same way.
    """
    first, *rest = keys
    is_turned = bool(rest) and rest[0].descending != first.descending
    if nulls_first(first) == first.descending and not is_turned:
        return []
    is_null = IsNull(first.operand)
    some, none = Stretch(Not(is_null), is_null=False), Stretch(is_null, is_null=True)
    return [none, some] if nulls_first(first) else [some, none]


def any_of(found: Sequence[Stretch]) -> Expr:
    """Whether a row is in one of the stretches; false if there are none."""
    conditions = [stretch.condition for stretch in found]
    return reduce(_either, conditions) if conditions else Value(False, BOOL)


def nulls_first(key: Ordering) -> bool:
    """Whether NULL comes before every value."""
    return key.descending if key.nulls is None else key.nulls == "first"


def _after(bounds: Sequence[Bound]) -> Expr:
    """What comes after a row whose first key is no NULL, up to the rows whose first key is."""
    first = bounds[0]
    run = [first, *takewhile(lambda bound: _goes_with(first, bound), bounds[1:])]
    later = stretches(bounds[len(run) :])
    if not later:
        return _compared("<" if first.key.descending else ">", run)
    from_here = _compared("<=" if first.key.descending else ">=", run)
    # Not "beyond, or tied and after": the planner would take both bounds for independent of each
    # other, and expect a fraction of the rows.
    not_tied: list[Expr] = [Comparison("<>", bound.key.operand, bound.parameter) for bound in run]
    return Logic("and", from_here, Logic("or", reduce(_either, not_tied), any_of(later)))


def _goes_with(first: Bound, other: Bound) -> bool:
    """Whether a later key can stand in one comparison of rows with the first.

    Such a comparison knows one direction, and nothing of NULL behind its first key. A row of two
    tables is no row of an index.
    """
    of = [getattr(bound.key.operand, "alias", None) for bound in (first, other)]
    return (
        other.key.descending == first.key.descending
        and not other.nullable
        and other.value is not None
        and of[0] == of[1]
    )


def _compared(operator: Literal["<", "<=", ">", ">="], run: Sequence[Bound]) -> Expr:
    if len(run) == 1:
        return Comparison(operator, run[0].key.operand, run[0].parameter)
    operands = tuple(bound.key.operand for bound in run)
    return RowComparison(operator, operands, tuple(bound.parameter for bound in run))


def _either(one: Expr, other: Expr) -> Expr:
    return Logic("or", one, other)
