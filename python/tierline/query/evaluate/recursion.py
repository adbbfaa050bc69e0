"""What PostgreSQL asks of a recursion's step, so that memory performs no other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tierline.query.evaluate.faults import bad_recursion
from tierline.query.expressions import Aggregate, Expr, has_window, parts
from tierline.query.query import Compound, Cte, CteRef, Query, Relation
from tierline.query.subqueries import Exists, InQuery, Scalar


def reads_from(relation: Relation, mark: object) -> bool:
    """Whether a relation reads a recursion's rows, in whatever place."""
    return _count(relation, mark) > 0


def check_recursion(cte: Cte) -> None:
    """Refuse what PostgreSQL refuses.

    Raises:
        QueryError: The step reads the recursion's rows twice, or where they are not all known.
    """
    assert cte.step is not None
    if _count(cte.step, cte.mark) > 1:
        raise bad_recursion("read the recursion's rows more than once")
    _check(cte.step, cte.mark)


def _count(relation: Relation, mark: object) -> int:
    """How often a relation reads a recursion's rows."""
    match relation:
        case CteRef():
            return int(relation.mark is mark)
        case Query():
            inner = sum(_count(source, mark) for source in relation.sources)
            return inner + sum(_count(nested, mark) for nested in nested_queries(relation))
        case Compound():
            return _count(relation.left, mark) + _count(relation.right, mark)
        case Cte():
            step = 0 if relation.step is None else _count(relation.step, mark)
            return step + _count(relation.base, mark)
        case _:
            return 0


def _check(relation: Relation, mark: object) -> None:
    match relation:
        case Query():
            if any(reads_from(nested, mark) for nested in nested_queries(relation)):
                raise bad_recursion("read the recursion's rows in a subquery")
            for join in relation.joins:
                if join.kind == "LEFT JOIN" and reads_from(join.relation, mark):
                    raise bad_recursion("read the recursion's rows as a left join's right side")
            if _is_direct(relation, mark) and any(map(_aggregates, _expressions(relation))):
                raise bad_recursion("aggregate the recursion's rows")
            for source in relation.sources:
                _check(source, mark)
        case Compound(operator, left, right):
            is_all = operator in ("INTERSECT ALL", "EXCEPT ALL")
            if (
                (operator.startswith("EXCEPT") and reads_from(right, mark))
                or (is_all and reads_from(left, mark))
                or (operator == "INTERSECT ALL" and reads_from(right, mark))
            ):
                raise bad_recursion(f"read the recursion's rows in {operator}")
            _check(left, mark)
            _check(right, mark)
        case Cte() if reads_from(relation, mark):
            raise bad_recursion("read the recursion's rows in another common table expression")
        case _:
            pass


def _is_direct(query: Query[Any], mark: object) -> bool:
    return any(isinstance(s, CteRef) and s.mark is mark for s in query.sources)


def _aggregates(node: Expr) -> bool:
    return any(isinstance(part, Aggregate) for part in parts(node)) and not has_window(node)


def _expressions(query: Query[Any]) -> Iterator[Expr]:
    yield from (output.expr for output in query.answer.outputs)
    yield from (ordering.operand for ordering in query.order_by)
    yield from query.group_by
    yield from (join.on for join in query.joins if join.on is not None)
    yield from (node for node in (query.where, query.having) if node is not None)


def nested_queries(query: Query[Any]) -> Iterator[Query[Any]]:
    """The queries in a query's conditions and outputs."""
    for node in _expressions(query):
        for part in parts(node):
            if isinstance(part, (Exists, Scalar, InQuery)):
                yield part.query
