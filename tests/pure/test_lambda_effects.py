"""A lambda is called once, when its query is built: what it does besides happens then, and once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

import tierline as tl
from tierline.sql import compile_count, compile_query, compile_returning, compile_write


class Plane(msgspec.Struct, frozen=True):
    id: int
    model: str
    seats: int | None


PLANES = tl.table(Plane, name="planes", key=lambda p: p.id)
ALL = tl.select(PLANES)
FLEET = [Plane(1, "A320", 180), Plane(2, "B737", None), Plane(3, "A350", 300)]
Build = Callable[[Callable[[str], None]], Any]


def called(seen: Callable[[str], None], answer: Callable[..., Any]) -> Callable[..., Any]:
    """The lambda, with an effect."""

    def function(*rows: Any) -> Any:
        seen("called")
        return answer(*rows)

    return function


BUILDS: dict[str, Build] = {
    "where": lambda s: tl.select(PLANES, where=called(s, lambda p: p.id > 1)),
    "order_by": lambda s: tl.select(PLANES, order_by=called(s, lambda p: p.id)),
    "project": lambda s: tl.project(ALL, called(s, lambda p: (p.id, p.model))),
    "group_by": lambda s: tl.project(
        ALL, lambda p: tl.count(), group_by=called(s, lambda p: p.model)
    ),
    "having": lambda s: tl.project(
        ALL,
        lambda p: tl.count(),
        group_by=lambda p: p.model,
        having=called(s, lambda p: tl.count() > 1),
    ),
    "narrowing": lambda s: tl.where(ALL, called(s, lambda p: p.id > 1)),
    "ordering": lambda s: tl.order_by(ALL, called(s, lambda p: p.id)),
    "join": lambda s: tl.join(PLANES, PLANES, called(s, lambda p, q: p.id == q.id)),
    "left join": lambda s: tl.left_join(PLANES, PLANES, called(s, lambda p, q: p.id == q.id)),
    "semi join": lambda s: tl.semi_join(PLANES, PLANES, called(s, lambda p, q: p.id == q.id)),
    "anti join": lambda s: tl.anti_join(PLANES, PLANES, called(s, lambda p, q: p.id == q.id)),
    "recursion": lambda s: tl.recursive(ALL, called(s, tl.select)),
    "insert": lambda s: tl.insert(PLANES, FLEET, returning=called(s, lambda p: p.id)),
    "update": lambda s: tl.update(
        PLANES, set=called(s, lambda p: tl.set(p.model).to("x")), where=tl.everything
    ),
    "update where": lambda s: tl.update(
        PLANES, set=lambda p: tl.set(p.model).to("x"), where=called(s, lambda p: p.id > 1)
    ),
    "delete": lambda s: tl.delete(PLANES, where=called(s, lambda p: p.id > 1)),
    "merge": lambda s: tl.upsert(
        PLANES, FLEET, merge=called(s, lambda old, new: tl.set(old.model).to(new.model))
    ),
    "overwrite": lambda s: tl.upsert(PLANES, FLEET, overwrite=called(s, lambda p: p.model)),
    "target": lambda s: tl.upsert(PLANES, FLEET, target=called(s, lambda p: p.id)),
}


def _perform(built: Any) -> None:
    match built:
        case tl.Query():
            compile_query(built)
            compile_count(built)
            assert built.sql == built.sql
        case tl.Returning():
            compile_returning(built)
        case _:
            compile_write(built)


@pytest.mark.parametrize("name", BUILDS)
def test_a_lambda_is_called_once_when_its_query_is_built(name: str) -> None:
    calls: list[str] = []
    built = BUILDS[name](calls.append)
    assert calls == ["called"]
    for _ in range(3):
        _perform(built)
        repr(built)
    assert calls == ["called"]


def test_evaluation_does_not_call_it_again() -> None:
    calls: list[str] = []
    query = tl.select(PLANES, where=called(calls.append, lambda p: p.id > 1))
    for _ in range(3):
        assert tl.evaluate(query, FLEET) == tl.Success(FLEET[1:])
    keep = tl.row_filter(PLANES, called(calls.append, lambda p: p.model.startswith("A")))
    assert list(filter(keep, FLEET)) == [FLEET[0], FLEET[2]]
    assert len(calls) == 2


def test_what_is_read_outside_is_fixed_when_the_query_is_built() -> None:
    limit, models = 1, ["A320"]
    query = tl.select(PLANES, where=lambda p: (p.id > limit) & tl.is_in(p.model, models))
    limit, models[0] = 99, "B737"
    assert compile_query(query).values == (1, ["A320"])


def test_a_lambda_that_answers_differently_each_time_is_one_query_each_time() -> None:
    numbers = iter(range(3))

    def chosen(plane: Any) -> Any:
        return plane.id > next(numbers)

    queries = [tl.select(PLANES, where=chosen) for _ in range(3)]
    found = [compile_query(query) for query in queries]
    assert [values for _, values in found] == [(0,), (1,), (2,)]
    assert len({statement.name for statement, _ in found}) == 1


def test_its_own_error_is_not_hidden_and_nothing_stays_open() -> None:
    def broken(plane: Any) -> Any:
        raise KeyError(plane.model.expr.name)

    for _ in range(3):
        with pytest.raises(KeyError, match="model"):
            tl.select(PLANES, where=broken)
    # A query that is built afterwards is of the first level again.
    assert tl.select(PLANES, where=lambda p: p.id > 1).level == 0


def test_a_row_that_is_kept_beyond_its_lambda_is_refused() -> None:
    kept: list[Any] = []
    tl.select(PLANES, where=lambda p: bool(kept.append(p)) | (p.id > 1))
    pairs = tl.join(PLANES, PLANES, lambda p, q: p.id == q.id)
    nested = tl.select(
        PLANES,
        where=lambda p: tl.exists(tl.where(ALL, lambda q: bool(kept.append(q)) | (q.id > 1))),
    )
    assert len(kept) == 2
    for row in kept:
        with pytest.raises(TypeError, match="outside its own lambda"):
            tl.where(pairs, lambda p, q, row=row: p.id > row.id)
    compile_query(nested)
