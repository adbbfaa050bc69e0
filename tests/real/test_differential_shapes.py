"""PostgreSQL 18, PostgreSQL 16 and `tl.evaluate` agree on random shapes of queries.

`pytest --long` asks 20,000 queries instead of 1,000.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from tests.grammar.relations import Shape, query
from tests.grammar.shapes import cases
from tests.real.test_differential import (
    QUERIES,
    QUERIES_EACH,
    TELLING_LEAST,
    Server,
    Tally,
    ask_everywhere,
    depends_on_order,
    servers,
    spelt,
)

import tierline as tl

__all__ = ["servers"]


@given(case=cases(QUERIES_EACH))
@settings(
    max_examples=QUERIES // QUERIES_EACH,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
def differential(servers: tuple[Server, ...], tally: Tally, case: Any) -> None:
    ask_everywhere(servers, case, lambda *asked: compare(*asked, tally))


@pytest.mark.timeout(7200)
def test_servers_and_memory_agree_on_shapes(servers: tuple[Server, ...]) -> None:
    tally = Tally()
    differential(servers, tally)
    print(tally)  # noqa: T201 (the report of a long run)
    assert tally.asked >= 2 * QUERIES
    # More would mean that the test looks away.
    assert tally.open_errors <= tally.asked * 0.01
    assert tally.open_order <= tally.asked * 0.05
    assert tally.rows + tally.errors >= tally.asked * TELLING_LEAST


def compare(
    server: Server, table: tl.Table[Any, Any], entities: list[Any], shape: Shape, tally: Tally
) -> None:
    """Ask the server and the memory; the answers must be the same."""
    asked = query(table, shape)
    ours, theirs = tl.evaluate(asked, entities), server.store.fetch_all(asked)
    tally.count(ours, theirs)
    failed = [isinstance(outcome, tl.Failure) for outcome in (ours, theirs)]
    if all(failed) and type(ours.failure()) is type(theirs.failure()):
        return
    if not any(failed) and outcome(ours, shape) == outcome(theirs, shape):
        return
    note(f"{server.name}: {theirs}\nmemory: {ours}\n{shape}\n{asked.sql}")
    # Which of equal values, 1.0 and 1.00, stands for a group; in which order floats are added.
    if depends_on_order(asked, entities, ours):
        tally.open_order += 1
        return
    assert not any(failed), "only one side failed, or the errors are of different classes"
    # Of equal values on both sides of a set operation, the planner's choice is the smaller side's.
    same = [sorted(spelt(equal(row)) for row in rows.unwrap()) for rows in (ours, theirs)]
    assert same[0] == same[1], "the answers differ"
    tally.open_order += 1


def outcome(rows: Any, shape: Shape) -> list[str]:
    found = [spelt(known(row) if shape.form == "rows" else row) for row in rows.unwrap()]
    return found if shape.is_total else sorted(found)


def known(row: Any) -> Any:
    """An entity by its key: memory hands out what it was given, a server its own form of it."""
    if isinstance(row, tuple):
        return tuple(map(known, row))
    return row if row is None else (row.id, getattr(row, "hops", None))


def equal(value: Any) -> Any:
    """What equal values have in common."""
    match value:
        case float() | Decimal():
            return value.normalize() + 0 if isinstance(value, Decimal) else value + 0.0
        case list() | tuple():
            return type(value)(map(equal, value))
        case dict():
            return json.dumps(value, sort_keys=True).replace(".0", "")
        case msgspec.Struct():
            return tuple(map(equal, msgspec.structs.astuple(value)))
        case _:
            return value
