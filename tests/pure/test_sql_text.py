"""Compiled SQL, word for word; what nests too deeply is a QueryError."""

from __future__ import annotations

import operator
import subprocess
import sys
import textwrap
from collections.abc import Callable
from decimal import Decimal
from functools import reduce
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tierline as tl
from tierline.sql import (
    compile_count,
    compile_exists,
    compile_query,
    create_table_sql,
    table_statements,
)

ROOT = Path(__file__).resolve().parents[2]


class Row(msgspec.Struct, frozen=True):
    id: int
    name: str
    price: Decimal
    ratio: float
    delay: int | None = None


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)
ALL = tl.select(ROWS)
COLUMNS = '"id", "name", "price", "ratio", "delay"'


def where_of(where: Callable[[Any], Any]) -> tuple[str, tuple[Any, ...]]:
    """The text of a condition and its parameters."""
    compiled = compile_query(tl.select(ROWS, where=where))
    beginning = f'SELECT {COLUMNS} FROM "rows" WHERE '
    assert compiled.statement.sql.startswith(beginning)
    return compiled.statement.sql.removeprefix(beginning), compiled.values


@pytest.mark.parametrize(
    ("where", "text", "values"),
    [
        (lambda r: r.id == 3, '("id" = $1)', (3,)),
        (lambda r: 3 < r.id, '("id" > $1)', (3,)),  # noqa: SIM300
        (lambda r: r.id == r.delay, '("id" = "delay")', ()),
        (
            lambda r: (r.id > 1) & (tl.some(r.delay) <= 3) | tl.not_(tl.is_null(r.delay)),
            '((("id" > $1) AND ("delay" <= $2)) OR (NOT ("delay" IS NULL)))',
            (1, 3),
        ),
        (lambda r: tl.is_in(r.id, [1, 2]), '("id" = ANY($1))', ([1, 2],)),
        (lambda r: r.name.startswith("a"), 'starts_with("name", $1)', ("a",)),
        (lambda r: r.name.endswith("b"), '(right("name", char_length($1)) = $1)', ("b",)),
        (lambda r: tl.contains(r.name, "c"), '(strpos("name", $1) > 0)', ("c",)),
        (lambda r: r.name + "x" == "ax", '(("name" || $1) = $2)', ("x", "ax")),
        (lambda r: -r.id + 2 * r.id == 0, '(((- "id") + ($1 * "id")) = $2)', (2, 0)),
        (lambda r: r.id / 2 == 1.5, '(("id"::double precision / $1) = $2)', (2, 1.5)),
        (lambda r: r.price / 2 == 1, '(("price" / $1) = $2)', (2, 1)),
        (
            lambda r: r.id // r.delay == 1,
            (
                '(("id" / "delay" - CASE WHEN "id" % "delay" <> 0 AND ("id" % "delay" < 0) <> '
                '("delay" < 0) THEN 1 ELSE 0 END) = $1)'
            ),
            (1,),
        ),
        (
            lambda r: r.id % 3 == 1,
            (
                '(("id" % $1 + CASE WHEN "id" % $1 <> 0 AND ("id" % $1 < 0) <> ($1 < 0) '
                "THEN $1 ELSE 0 END) = $2)"
            ),
            (3, 1),
        ),
        (lambda r: r.price // 2 == 1, '(div("price", $1) = $2)', (2, 1)),
        (lambda r: r.price % 2 == 1, '(mod("price", $1) = $2)', (2, 1)),
    ],
)
def test_a_condition_has_its_text(where: Any, text: str, values: tuple[Any, ...]) -> None:
    assert where_of(where) == (text, values)


def test_clauses_stand_in_sql_order() -> None:
    query = tl.select(
        ROWS,
        where=lambda r: r.id > 1,
        order_by=lambda r: (tl.desc(r.delay, nulls="last"), r.name),
        limit=2,
        offset=5,
    )
    compiled = compile_query(query)
    assert compiled.statement.sql == (
        f'SELECT {COLUMNS} FROM "rows" WHERE ("id" > $1) '
        'ORDER BY "delay" DESC NULLS LAST, "name" COLLATE "C" LIMIT $2 OFFSET $3'
    )
    assert compiled.values == (1, 2, 5)
    assert [type_.sql for type_ in compiled.statement.parameters] == ["bigint"] * 3


def test_counting_and_asking_forget_columns_and_order() -> None:
    query = tl.select(ROWS, where=lambda r: r.id > 1, order_by=lambda r: r.id, limit=2)
    inner = 'SELECT 1 FROM "rows" WHERE ("id" > $1) LIMIT $2'
    assert compile_count(query).statement.sql == f"SELECT count(*) FROM ({inner}) AS counted"
    assert compile_exists(query).statement.sql == f"SELECT EXISTS ({inner})"
    assert compile_count(query).values == compile_exists(query).values == (1, 2)


def test_counting_an_aggregate_counts_its_rows() -> None:
    counted = compile_count(tl.project(ALL, lambda r: tl.max(r.id)))
    assert counted.statement.sql == 'SELECT count(*) FROM (SELECT max("id") FROM "rows") AS counted'


def test_a_projection_selects_what_it_makes() -> None:
    query = tl.project(
        ALL,
        lambda r: (r.name, tl.avg(r.delay), tl.count(r.delay, distinct=True), tl.sum(r.id), 7),
        group_by=lambda r: r.name,
        order_by=lambda r: tl.desc(tl.count()),
        limit=3,
    )
    compiled = compile_query(query)
    assert compiled.statement.sql == (
        'SELECT "name", avg("delay")::double precision, count(DISTINCT "delay"), sum("id")::bigint,'
        ' $1 FROM "rows" GROUP BY "name" ORDER BY count(*) DESC LIMIT $2'
    )
    assert compiled.values == (7, 3)


def test_a_group_key_reads_the_same_wherever_it_stands() -> None:
    query = tl.project(
        ALL,
        lambda r: (r.price / 2, tl.count()),
        group_by=lambda r: r.price / 2,
        order_by=lambda r: r.price / 2,
    )
    compiled = compile_query(query)
    key = '("price" / $1)'
    assert compiled.statement.sql == (
        f'SELECT {key}, count(*) FROM "rows" GROUP BY {key} ORDER BY {key}'
    )
    assert compiled.values == (2,)


class Leg(msgspec.Struct, frozen=True):
    carrier: str
    number: int
    fare: float


LEGS = tl.table(Leg, name="legs", schema="air", key=lambda leg: (leg.number, leg.carrier))


def test_statements_of_a_table_have_their_text() -> None:
    statements = table_statements(LEGS)
    table, key = '"air"."legs"', '"number" = $1 AND "carrier" = $2'
    assert statements.get.sql == f'SELECT "carrier", "number", "fare" FROM {table} WHERE {key}'
    assert statements.exists.sql == f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {key})"
    assert statements.delete.sql == f"DELETE FROM {table} WHERE {key}"
    assert statements.insert.sql == (
        f'INSERT INTO {table} ("carrier", "number", "fare") VALUES ($1, $2, $3)'
    )
    assert statements.update.sql == (
        f'UPDATE {table} SET "fare" = $3 WHERE "number" = $2 AND "carrier" = $1'
    )
    assert statements.copy_in.sql == (
        f'COPY {table} ("carrier", "number", "fare") FROM STDIN (FORMAT BINARY)'
    )
    assert [type_.sql for type_ in statements.get.parameters] == ["bigint", "text"]
    assert table_statements(LEGS) is statements


def test_an_entity_that_is_all_key_is_updated_to_itself() -> None:
    class Tag(msgspec.Struct, frozen=True):
        name: str

    tags = tl.table(Tag, name="tags", key=lambda t: t.name)
    assert table_statements(tags).update.sql == 'UPDATE "tags" SET "name" = $1 WHERE "name" = $1'


def test_a_table_is_created_with_its_rules_and_indexes() -> None:
    ruled = (
        LEGS.foreign_key(lambda leg: leg.number, ROWS, on_delete="set null")
        .unique(lambda leg: (leg.carrier, leg.fare))
        .index(lambda leg: leg.fare)
    )
    assert create_table_sql(ruled) == textwrap.dedent("""\
        CREATE TABLE "air"."legs" (
          "carrier" text COLLATE "C" NOT NULL,
          "number" bigint NOT NULL,
          "fare" double precision NOT NULL,
          CONSTRAINT "legs_pkey" PRIMARY KEY ("number", "carrier"),
          CONSTRAINT "legs_carrier_fare_key" UNIQUE ("carrier", "fare"),
          CONSTRAINT "legs_number_fkey" FOREIGN KEY ("number") REFERENCES "rows" ("id") \
ON DELETE SET NULL
        );
        CREATE INDEX "legs_fare_idx" ON "air"."legs" ("fare")""")
    assert create_table_sql(ruled, exist_ok=True).count("IF NOT EXISTS") == 2


STEPS: list[Callable[[Any, Any], Any]] = [
    lambda r, inner: inner | (r.id == 1),
    lambda r, inner: (r.id == 1) & inner,
    lambda r, inner: tl.not_(inner),
]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("compiler", [compile_query, compile_count, compile_exists])
def test_what_nests_too_deeply_is_a_query_error(compiler: Any, step: Any) -> None:
    def where(row: Any) -> Any:
        return reduce(lambda inner, _: step(row, inner), range(5_000), row.id == 0)

    query = tl.select(ROWS, where=where)
    with pytest.raises(tl.QueryError, match="nested too deeply to compile; use is_in"):
        compiler(query)


def test_deep_arithmetic_is_a_query_error_too() -> None:
    deep = tl.project(ALL, lambda r: reduce(operator.add, [1] * 5_000, r.id))
    with pytest.raises(tl.QueryError, match="nested too deeply"):
        compile_query(deep)


def test_a_hundred_alternatives_compile() -> None:
    query = tl.select(ROWS, where=lambda r: reduce(operator.or_, [r.id == n for n in range(100)]))
    assert compile_query(query).values == tuple(range(100))


# Integer division repeats its operands in SQL, so nesting it multiplies the text.
NESTED_DIVISION = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from tests.pure.test_sql_text import ROWS, tl, compile_query, operator, reduce
function = getattr(operator, sys.argv[1])
query = tl.select(ROWS, where=lambda r: reduce(function, [7] * int(sys.argv[2]), r.id) == 1)
try:
    print(len(compile_query(query).statement.sql))
except tl.QueryError as error:
    print("refused")
"""


@pytest.mark.parametrize("function", ["floordiv", "mod"])
def test_nested_division_is_refused_before_its_text_fills_the_memory(function: str) -> None:
    def compiled(depth: int) -> str:
        child = subprocess.run(
            [sys.executable, "-c", NESTED_DIVISION, function, str(depth)],
            cwd=ROOT,
            env={"PYTHONPATH": f"{Path(tl.__file__).parents[1]}:{ROOT}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return child.stdout.strip() or child.stderr

    assert int(compiled(3)) < 10_000
    assert compiled(40) == "refused"
