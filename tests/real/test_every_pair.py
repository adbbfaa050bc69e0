"""Every operator on every pair of values, every aggregate on every few: servers and memory agree.

The random queries of the differential test reach far; these reach everything near.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator
from typing import Any

import pytest
from tests.conftest import fresh_schema
from tests.grammar.kinds import EXTREMES, KINDS, NUMBERS, UNORDERED
from tests.grammar.recipes import COMPARE, OPERATORS
from tests.grammar.tables import Spec, table_of
from tests.real.test_differential import Server, spelt, spelt_outcome

import tierline as tl
from tierline.testing import PostgresServer

# What `is_in` looks up nothing of.
NOT_LISTED = ("json", "ints", "texts", "decimals")
ARITHMETIC = ("+", "-", "*", "/", "//", "%")
PAIRS = list(itertools.product(KINDS, KINDS))


@pytest.fixture(scope="module", params=["postgres18", "postgres16"])
def server(request: pytest.FixtureRequest) -> Generator[Server]:
    running: PostgresServer = request.getfixturevalue(request.param)
    with fresh_schema(running) as url, tl.open(url, pool_size=1, timeout_s=30) as store:
        yield Server(request.param, store)


def fill(server: Server, table: tl.Table[Any, Any], rows: list[Any]) -> None:
    server.store.drop_table(table, missing_ok=True).unwrap()
    server.store.create_table(table).unwrap()
    tl.repository(server.store, table).create_many(rows).unwrap()


def agree(
    server: Server, table: tl.Table[Any, Any], rows: list[Any], into: Callable[[Any], Any], by: Any
) -> None:
    """Rows that make an answer in memory make it on the server, together; the others fail alone.

    Args:
        server: Where to ask.
        table: Holds the rows.
        rows: What it holds.
        into: What is made of a row, or of a group.
        by: The field that tells rows, or groups, apart.
    """
    grouped = by != "id"
    made: list[str] = []
    good: list[int] = []
    bad: dict[int, str] = {}
    numbers = sorted({getattr(row, by) for row in rows})
    each = asked(table, into, by, numbers, grouped=grouped)
    for number, group in itertools.groupby(rows, lambda row: getattr(row, by)):
        ours = tl.evaluate(each, list(group))
        if isinstance(ours, tl.Failure):
            bad[number] = spelt_outcome(ours)
        else:
            good.append(number)
            made += map(spelt, ours.unwrap())
    theirs = server.store.fetch_all(asked(table, into, by, good, grouped=grouped)).unwrap()
    assert list(map(spelt, theirs)) == made
    for number, error in bad.items():
        alone = server.store.fetch_all(asked(table, into, by, [number], grouped=grouped))
        about = [row for row in rows if getattr(row, by) == number]
        assert spelt_outcome(alone) == error or is_endless(about, alone), about


def is_endless(rows: list[Any], outcome: Any) -> bool:
    """PostgreSQL 17 and later make an infinite interval of one, which Python cannot hold either."""
    values = [getattr(row, name) for row in rows for name in ("v0", "v1") if hasattr(row, name)]
    endless = any(isinstance(value, float) and math.isinf(value) for value in values)
    return endless and isinstance(outcome.failure(), tl.DecodeError)


def asked(
    table: tl.Table[Any, Any],
    into: Callable[[Any], Any],
    by: str,
    numbers: list[int],
    *,
    grouped: bool,
) -> tl.Query[Any]:
    def key(row: Any) -> Any:
        return getattr(row, by)

    return tl.project(
        tl.select(table, where=lambda row: tl.is_in(key(row), numbers)),
        lambda row: (key(row), into(row)),
        group_by=key if grouped else None,
        order_by=key,
    )


def values(kind: str) -> list[Any]:
    return [None, *KINDS[kind].values, *KINDS[kind].edges]


@pytest.mark.parametrize("kinds", PAIRS, ids="-".join)
def test_every_operator_agrees_on_every_pair(server: Server, kinds: tuple[str, str]) -> None:
    table = table_of("pairs", tuple(Spec(f"v{n}", kind, True) for n, kind in enumerate(kinds)))
    pairs = itertools.product(*map(values, kinds))
    rows = [table.entity(n, left, right) for n, (left, right) in enumerate(pairs)]
    filled = False
    for symbol in (*ARITHMETIC, *COMPARE, "startswith", "endswith", "contains"):

        def into(row: Any, symbol: str = symbol) -> Any:
            return OPERATORS[symbol](row.v0, row.v1)

        if kinds[0] in UNORDERED and symbol in ("<", "<=", ">", ">="):
            continue
        try:
            asked(table, into, "id", [], grouped=False)
        except (TypeError, AttributeError):
            # It has no meaning for these types.
            continue
        if not filled:
            fill(server, table, rows)
            filled = True
        agree(server, table, rows, into, "id")


AGGREGATES: dict[str, Callable[[Any], Any]] = {
    "sum": tl.sum,
    "avg": tl.avg,
    "min": tl.min,
    "max": tl.max,
    "count": tl.count,
    "kinds": lambda value: tl.count(value, distinct=True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_aggregate_agrees_on_every_few(server: Server, kind: str) -> None:
    table = table_of("groups", (Spec("g", "int", False), Spec("v", kind, True)))
    known = values(kind)
    few = [
        *((one,) for one in known),
        *itertools.product(known, known),
        *itertools.combinations(known, 3),
    ]
    pairs = [(g, value) for g, group in enumerate(few) for value in group]
    rows = [table.entity(n, g, value) for n, (g, value) in enumerate(pairs)]
    fill(server, table, rows)
    for name, aggregate in AGGREGATES.items():
        if name in ("sum", "avg") and kind not in (*NUMBERS, "level"):
            continue
        if name in ("min", "max") and kind not in (*EXTREMES, "colour", "level", "word"):
            continue
        agree(server, table, rows, lambda row, of=aggregate: of(row.v), "g")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in UNORDERED])
@pytest.mark.parametrize("nulls", [None, "first", "last"])
@pytest.mark.parametrize("descending", [False, True])
def test_every_value_has_its_place(
    server: Server, kind: str, nulls: Any, *, descending: bool
) -> None:
    table = table_of("places", (Spec("v", kind, True),))
    rows = [table.entity(n, value) for n, value in enumerate(values(kind))]
    fill(server, table, rows)
    direction = tl.desc if descending else tl.asc
    ordered = tl.project(
        tl.select(table, order_by=lambda row: (direction(row.v, nulls=nulls), row.id)),
        lambda row: (row.id, row.v),
    )
    assert spelt_outcome(server.store.fetch_all(ordered)) == spelt_outcome(
        tl.evaluate(ordered, rows)
    )


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NOT_LISTED])
def test_every_value_is_in_lists_or_not(server: Server, kind: str) -> None:
    table = table_of("lists", (Spec("v", kind, True),))
    known = values(kind)
    rows = [table.entity(n, value) for n, value in enumerate(known)]
    fill(server, table, rows)
    for items in ([], known[1:2], known[2:], known[1:]):
        agree(server, table, rows, lambda row, items=items: tl.is_in(row.v, items), "id")
