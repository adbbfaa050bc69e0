"""PostgreSQL 18, PostgreSQL 16 and `tl.evaluate` agree on random queries over random tables.

`pytest --long` asks 20,000 queries instead of 1,000.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import os
from collections.abc import Callable, Generator
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import HealthCheck, given, note, settings
from tests.conftest import fresh_schema
from tests.grammar.plans import Plan, query
from tests.grammar.queries import cases
from tests.grammar.recipes import AGGREGATES, CONDITIONAL, Recipe, build, parts
from tests.grammar.tables import table_of

import tierline as tl
from tierline.testing import PostgresServer

QUERIES_EACH = 5
QUERIES = 20_000 if os.environ.get("TIERLINE_LONG") == "1" else 1_000

# The share of answers with rows, or an error: those without rows are alike too easily.
TELLING_LEAST = 0.5

# Aggregates get their rows in the order of the table, so that sums of floats are the same.
_PLANNER = "%20-c%20enable_presorted_aggregate%3Doff"


class Server(NamedTuple):
    """A store and how its server is called in a failure."""

    name: str
    store: tl.Store


@pytest.fixture(scope="module")
def servers(
    postgres18: PostgresServer, postgres16: PostgresServer
) -> Generator[tuple[Server, ...]]:
    with (
        fresh_schema(postgres18) as url18,
        fresh_schema(postgres16) as url16,
        tl.open(url18 + _PLANNER, pool_size=1, timeout_s=20) as store18,
        tl.open(url16 + _PLANNER, pool_size=1, timeout_s=20) as store16,
    ):
        yield Server("PostgreSQL 18", store18), Server("PostgreSQL 16", store16)


# Of these an operand may be left out, or be looked at earlier than it is needed.
_OPEN = ("&", "|", *CONDITIONAL)


class Tally:
    """What happened to the queries, for the report of a long run."""

    def __init__(self) -> None:
        self.asked = self.rows = self.errors = self.open_errors = self.open_order = 0

    def __str__(self) -> str:
        return (
            f"{self.asked} comparisons, {self.rows} of them of rows, {self.errors} of errors; "
            f"{self.open_errors} where an error may hide, {self.open_order} where the order of "
            "rows decides"
        )

    def count(self, ours: Any, theirs: Any) -> None:
        """Count two answers."""
        self.asked += 1
        if any(isinstance(outcome, tl.Failure) for outcome in (ours, theirs)):
            self.errors += 1
        elif ours.unwrap() or theirs.unwrap():
            self.rows += 1


_numbers = itertools.count()


def ask_everywhere(
    servers: tuple[Server, ...],
    case: Any,
    ask: Callable[[Server, tl.Table[Any, Any], list[Any], Any], None],
) -> None:
    """Put one case's rows into a new table of each server, and ask each its questions."""
    specs, values, questions = case
    table = table_of(f"drawn_{next(_numbers)}", specs)
    entities = [table.entity(n, *fields) for n, fields in enumerate(values)]
    try:
        for server in servers:
            server.store.create_table(table).unwrap()
            tl.repository(server.store, table).create_many(entities).unwrap()
        for question in questions:
            for server in servers:
                ask(server, table, entities, question)
    finally:
        for server in servers:
            server.store.drop_table(table, missing_ok=True).unwrap()


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
def test_servers_and_memory_agree(servers: tuple[Server, ...]) -> None:
    tally = Tally()
    differential(servers, tally)
    print(tally)  # noqa: T201 (the report of a long run)
    # Both kinds are open by nature, and few; more would mean that the test looks away.
    assert tally.asked >= 2 * QUERIES
    assert tally.open_errors <= tally.asked * 0.05
    assert tally.open_order <= tally.asked * 0.05
    assert tally.rows + tally.errors >= tally.asked * TELLING_LEAST


@given(case=cases(QUERIES_EACH))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_count_and_exists_follow_the_rows(servers: tuple[Server, ...], case: Any) -> None:
    def ask(server: Server, table: tl.Table[Any, Any], _: list[Any], plan: Plan) -> None:
        asked = query(table, plan)
        rows = server.store.fetch_all(asked)
        if isinstance(rows, tl.Success):
            found = len(rows.unwrap())
            assert server.store.count(asked) == tl.Success(found)
            assert server.store.exists(asked) == tl.Success(found > 0)

    ask_everywhere(servers[:1], case, ask)


def compare(
    server: Server, table: tl.Table[Any, Any], entities: list[Any], plan: Plan, tally: Tally
) -> None:
    """Ask the server and the memory; the answers must be the same."""
    asked = query(table, plan)
    ours, theirs = tl.evaluate(asked, entities), server.store.fetch_all(asked)
    tally.count(ours, theirs)
    if same_outcome(ours, theirs, plan):
        return
    note(f"{server.name}: {theirs}\nmemory: {ours}\n{plan}")
    if (plan.distinct or plan.groups is not None) and depends_on_order(asked, entities, ours):
        tally.open_order += 1
        return
    failures = [isinstance(outcome, tl.Failure) for outcome in (ours, theirs)]
    assert any(failures), "the answers differ"
    assert not all(failures), "the errors are of different classes"
    assert is_conditional(plan), "only one side failed"
    # Which operand is looked at first is the planner's choice. Each alone must agree.
    tally.open_errors += 1
    for recipe in unconditional(plan):
        alone = tl.project(
            tl.select(table, order_by=lambda row: row.id),
            lambda row, recipe=recipe: build(recipe, row),  # type: ignore[misc]
        )
        mine, other = tl.evaluate(alone, entities), server.store.fetch_all(alone)
        note(f"{recipe}: {server.name} {other}, memory {mine}")
        assert same_outcome(mine, other, None), "one operand differs"


def same_outcome(ours: Any, theirs: Any, plan: Plan | None) -> bool:
    if isinstance(ours, tl.Failure) or isinstance(theirs, tl.Failure):
        return (
            isinstance(ours, tl.Failure)
            and isinstance(theirs, tl.Failure)
            and type(ours.failure()) is type(theirs.failure())
        )
    mine, other = ours.unwrap(), theirs.unwrap()
    if plan is not None and plan.form == "entity":
        # The memory hands out what it was given; the server its own form of the same values.
        mine, other = [row.id for row in mine], [row.id for row in other]
    if plan is not None and not plan.is_total:
        mine, other = sorted(mine, key=spelt), sorted(other, key=spelt)
    return spelt(mine) == spelt(other)


def spelt(value: Any) -> str:
    """A text that two values share only if they are the same, types and scales included."""
    match value:
        case float() if math.isnan(value):
            return "float nan"
        case Decimal() if value.is_nan():
            return "decimal nan"
        case dt.datetime() | dt.time():
            return f"{value.isoformat()} {value.tzinfo is not None}"
        case list() | tuple():
            return f"{type(value).__name__}({', '.join(map(spelt, value))})"
        case set() | frozenset():
            return f"{type(value).__name__}({', '.join(sorted(map(spelt, value)))})"
        case dict():
            return f"dict({sorted(value.items(), key=repr)})"
        case msgspec.Struct():
            return f"{type(value).__name__}{spelt(msgspec.structs.astuple(value))}"
        case _:
            return f"{type(value).__name__} {value!r}"


def depends_on_order(asked: tl.Query[Any], entities: list[Any], ours: Any) -> bool:
    """Whether the order of the rows, which SQL leaves open, decides: of 1.0 and 1.00, of floats."""
    orders = (entities[::-1], entities[1::2] + entities[::2], sorted(entities, key=repr))
    return any(spelt_outcome(tl.evaluate(asked, rows)) != spelt_outcome(ours) for rows in orders)


def spelt_outcome(outcome: Any) -> str:
    if isinstance(outcome, tl.Failure):
        return type(outcome.failure()).__name__
    return spelt(outcome.unwrap())


def recipes(plan: Plan) -> list[Recipe]:
    found = [*plan.outputs, *(key for key, _, _ in plan.order), *(plan.groups or ())]
    return found + [recipe for recipe in (plan.where, plan.having) if recipe is not None]


def is_conditional(plan: Plan) -> bool:
    """Whether an expression may be evaluated for fewer rows, or more, than it seems."""
    return (
        plan.limit is not None
        or plan.offset is not None
        or any(part[0] in _OPEN for recipe in recipes(plan) for part in parts(recipe))
    )


def unconditional(plan: Plan) -> list[Recipe]:
    """The largest parts that are evaluated whole, for one row each."""

    def split(recipe: Recipe) -> list[Recipe]:
        if recipe[0] in ("field", "value"):
            return []
        names = {part[0] for part in parts(recipe)}
        if names & {*_OPEN, "filtered", *AGGREGATES}:
            return [part for operand in recipe[1:] for part in split(operand)]
        return [recipe]

    return [part for recipe in recipes(plan) for part in split(recipe)]
