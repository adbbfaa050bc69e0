"""Queries inside expressions: whether there is a row, a query's one value, membership."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tierline.entity.types import ColumnType
from tierline.query.evaluate.contexts import Captures, Context
from tierline.query.evaluate.expressions import cast_to, common_type
from tierline.query.evaluate.faults import many_rows
from tierline.query.evaluate.registry import Scope, compiled, evaluation
from tierline.query.evaluate.scopes import RowScope
from tierline.query.evaluate.select import Plan, plan_of
from tierline.query.evaluate.values import Read, key
from tierline.query.expressions import ColumnRef
from tierline.query.query import Query
from tierline.query.subqueries import Exists, InQuery, Scalar


def _nested(
    query: Query[Any], scope: Scope, finish: Callable[[Plan], Callable[[list[Any]], Any]]
) -> Read:
    """What a query in an expression comes to, for each row of the query around it.

    Args:
        query: The query.
        scope: Of the query around it.
        finish: Makes a value of the rows.
    """
    captures = Captures(scope)
    plan = plan_of(query, captures)
    made = finish(plan)
    context_of, reads, identity = scope.context(), captures.reads, captures.identity()
    mark = object()

    def read(row: Any) -> Any:
        data = context_of(row).data
        values = tuple([read(row) for read in reads])
        # Rows that are the same in what the query takes of them have the same answer.
        inside = Context(data, values)
        return data.once((mark, identity(values)), lambda: made(plan.run(inside)))

    return read


def _any_order(query: Query[Any]) -> Query[Any]:
    """The query, in any order: where only which rows there are matters."""
    if query.limit is not None or query.offset is not None:
        return query
    return msgspec.structs.replace(query, order_by=())


@evaluation(Exists)
def _exists(node: Exists, scope: Scope) -> Read:
    return _nested(_any_order(node.query), scope, lambda _: bool)


@evaluation(Scalar)
def _scalar(node: Scalar, scope: Scope) -> Read:
    def finish(plan: Plan) -> Callable[[list[Any]], Any]:
        (output,) = plan.outputs

        def value(rows: list[Any]) -> Any:
            if len(rows) > 1:
                raise many_rows()
            return output(rows[0]) if rows else None

        return value

    return _nested(node.query, scope, finish)


class _Cast(RowScope):
    """A scope whose rows are values, of which there is one column: to cast them."""

    def __init__(self) -> None:
        pass

    def column(self, node: ColumnRef) -> Read:
        """The value itself."""
        del node
        return lambda value: value


def _key_of(type_: ColumnType, common: ColumnType) -> Read:
    """From a value that is not NULL to what it is compared by."""
    cast = cast_to(common.wire, ColumnRef("value", type_), _Cast())
    convert = key(common)
    return cast if convert is None else lambda value: convert(cast(value))


@evaluation(InQuery)
def _in_query(node: InQuery, scope: Scope) -> Read:
    (found,) = node.query.answer.outputs
    common = common_type(node.operand.type, found.type)
    own_key, found_key = _key_of(node.operand.type, common), _key_of(found.type, common)

    def finish(plan: Plan) -> Callable[[list[Any]], Any]:
        (output,) = plan.outputs

        def keys(rows: list[Any]) -> tuple[frozenset[Any], bool]:
            values = [output(row) for row in rows]
            return frozenset(found_key(v) for v in values if v is not None), None in values

        return keys

    operand = compiled(node.operand, scope)
    among = _nested(_any_order(node.query), scope, finish)

    def test(row: Any) -> bool | None:
        keys, has_null = among(row)
        value = operand(row)
        if not keys and not has_null:
            # Nothing is among no values, not even NULL.
            return False
        if value is None:
            return None
        return True if own_key(value) in keys else None if has_null else False

    return test
