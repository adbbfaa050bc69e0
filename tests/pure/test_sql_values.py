"""SQL text depends on a query's structure only: no value, however nasty, becomes part of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tierline as tl
from tierline.sql import Compiled, compile_query, create_table_sql, drop_table_sql, table_statements
from tierline.sql.identifiers import quote, quote_all

PYTHON = Path(tl.__file__).parents[1]  # the tree under test, for children


class Row(msgspec.Struct, frozen=True):
    id: int
    name: str
    tags: list[str]
    document: dict[str, Any]


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)
NASTY = (
    st.sampled_from(
        [
            *("'; DROP TABLE rows; --", '"; --', "$1", "%s", "%(name)s", "{}", "\\'", "E'\\x'"),
            *("/* */", "--", ";", "\x00", "\ud800", "\u202e", "\u2019", "''", "`", "?", ":name"),
        ]
    )
    | st.text()
)


def compiled(text: str, number: int, count: int) -> Compiled:
    """One query of every kind of value."""
    return compile_query(
        tl.project(
            tl.select(
                ROWS,
                where=lambda r: (
                    (r.name == text)
                    & r.name.startswith(text)
                    & r.name.endswith(text)
                    & tl.contains(r.name, text)
                    & tl.is_in(r.name, [text, text])
                    & (r.tags == [text])
                    & (r.id + number > number)
                ),
            ),
            lambda r: (r.id, text, number),
            order_by=lambda r: r.name + text,
            limit=count,
        )
    )


PLAIN = compiled("a", 1, 1)


@given(NASTY, st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**62))
@example("'; DROP TABLE rows; --", 0, 0)
def test_text_never_depends_on_values(text: str, number: int, count: int) -> None:
    nasty = compiled(text, number, count)
    assert nasty.statement.sql == PLAIN.statement.sql
    assert nasty.statement.name == PLAIN.statement.name
    assert len(nasty.values) == len(nasty.statement.parameters)
    assert nasty.values.count(text) == PLAIN.values.count("a")
    assert nasty.values[-1] == count


@given(st.dictionaries(st.text(), st.text()))
def test_a_document_travels_as_a_value(document: dict[str, str]) -> None:
    found = compile_query(tl.select(ROWS, where=lambda r: r.document == document))
    assert found.statement.sql.endswith('WHERE ("document" = $1)')
    assert msgspec.json.decode(found.values[0]) == document


def test_other_structure_is_another_statement() -> None:
    def name(where: Any, **clauses: Any) -> bytes:
        return compile_query(tl.select(ROWS, where=where, **clauses)).statement.name

    names = {
        name(lambda r: r.id > 1),
        name(lambda r: r.id >= 1),
        name(lambda r: r.id > 1, limit=1),
        # The same text with other parameter types is another prepared statement.
        name(lambda r: r.id > 1.5),
        name(lambda r: r.id > Decimal(1)),
        name(lambda r: r.name > "1"),
    }
    assert len(names) == 6


PRINT_NAMES = """
import msgspec, tierline as tl
from tierline.sql import compile_query, compile_count, table_statements
class Row(msgspec.Struct, frozen=True):
    id: int
    name: str
ROWS = tl.table(Row, name="rows", key=lambda r: r.id).unique(lambda r: r.name)
query = tl.select(ROWS, where=lambda r: tl.is_in(r.name, {"a", "b", "c"}) & (r.id > 1))
print(compile_query(query).statement.name, compile_count(query).statement.name)
print(table_statements(ROWS).get.name, hash("a"))
"""


def test_the_same_query_has_the_same_statement_name_in_every_process() -> None:
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", PRINT_NAMES],
            env={**os.environ, "PYTHONPATH": str(PYTHON), "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in range(20)
    ]
    printed = [run.communicate(timeout=60)[0].rsplit(" ", 1) for run in runs]
    assert all(run.returncode == 0 for run in runs)
    names, hashes = {names for names, _ in printed}, {seeded for _, seeded in printed}
    assert len(hashes) == len(runs), "the hash seeds made no difference, so this shows nothing"
    assert len(names) == 1


@pytest.mark.parametrize(
    "name", ["a", "A b", "é" * 31, "x" * 63, "select", "a'b", "$1", "%s", "a.b"]
)
def test_a_name_is_quoted_as_it_is(name: str) -> None:
    assert quote(name) == f'"{name}"'


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "is empty; give it a name"),
        ("x" * 64, "is 64 bytes long; PostgreSQL keeps 63, so shorten it"),
        ("é" * 32, "is 64 bytes long; PostgreSQL keeps 63"),
        ("\U0001f6eb" * 16, "is 64 bytes long"),
        ('a"b', "has a quote, a NUL or an unpaired surrogate"),
        ('"', "has a quote"),
        ("a\0b", "has a quote, a NUL"),
        ("\ud800", "unpaired surrogate"),
    ],
)
def test_what_cannot_be_an_identifier_is_a_configuration_error(name: str, says: str) -> None:
    with pytest.raises(tl.ConfigurationError) as raised:
        quote(name)
    assert says in raised.value.message
    assert repr(name) in raised.value.message


@given(st.text(st.characters(exclude_categories=()), max_size=70))
def test_a_quoted_name_cannot_end_its_quotes(name: str) -> None:
    try:
        quoted = quote(name)
    except tl.ConfigurationError:
        return
    assert quoted[0] == quoted[-1] == '"'
    assert '"' not in quoted[1:-1]
    assert "\0" not in quoted
    assert 1 <= len(quoted[1:-1].encode()) <= 63


def test_every_name_in_a_list_is_quoted() -> None:
    assert quote_all(("a", "b")) == '"a", "b"'
    with pytest.raises(tl.ConfigurationError):
        quote_all(("a", ""))


class Odd(msgspec.Struct, frozen=True, rename={"name": "x" * 64}):
    id: int
    name: str


@pytest.mark.parametrize(
    "table",
    [
        tl.table(Odd, name="odd", key=lambda o: o.id),
        tl.table(Row, name='rows"; --', key=lambda r: r.id),
        tl.table(Row, name="rows", schema='s"', key=lambda r: r.id),
        tl.table(Row, name="rows", schema="", key=lambda r: r.id),
    ],
    ids=["column", "table", "schema", "empty schema"],
)
def test_a_bad_name_is_refused_before_it_is_part_of_any_text(table: tl.Table[Any, int]) -> None:
    statements = table_statements(table)
    for make in (
        lambda: create_table_sql(table),
        lambda: statements.get.sql,
        lambda: statements.insert.sql,
        lambda: statements.update.sql,
        lambda: statements.copy_in.sql,
        lambda: compile_query(tl.select(table)),
    ):
        with pytest.raises(tl.ConfigurationError):
            make()


def test_dropping_quotes_too() -> None:
    assert drop_table_sql(ROWS, missing_ok=True) == 'DROP TABLE IF EXISTS "rows"'
    with pytest.raises(tl.ConfigurationError):
        drop_table_sql(tl.table(Row, name='r"', key=lambda r: r.id))


def _check(annotation: Any) -> str:
    """The CHECK of a field of that type."""
    entity = msgspec.defstruct("One", [("id", int), ("x", annotation)], frozen=True)
    sql = create_table_sql(tl.table(entity, name="ones", key=lambda o: o.id))
    return next(line for line in sql.splitlines() if "CHECK" in line).split("CHECK ", 1)[1]


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Annotated[int, msgspec.Meta(ge=-1, lt=9)], '("x" >= -1 AND "x" < 9)'),
        (Annotated[int, msgspec.Meta(multiple_of=5)], '("x" % 5 = 0)'),
        (Annotated[float, msgspec.Meta(gt=1e-7)], '("x" > 1e-07)'),
        (Annotated[str, msgspec.Meta(min_length=2)], '(char_length("x") >= 2)'),
        (Annotated[str, msgspec.Meta(pattern=r"^a\.'$")], r"""("x" ~ E'^a\\.''\\n?$')"""),
        (Literal[1, 2], '("x" IN (1, 2))'),
        (Literal["a\\b", "it's"], r"""("x" IN (E'a\\b', E'it''s'))"""),
        (Literal["'; DROP TABLE x; --"], """("x" IN (E'''; DROP TABLE x; --'))"""),
    ],
)
def test_declared_bounds_become_quoted_literals(annotation: Any, text: str) -> None:
    assert _check(annotation) in (text, f"{text},")


@given(st.text(st.sampled_from("'\\\0\n$a") | st.characters(codec="utf-8"), min_size=1))
@example("\\'")
def test_a_literal_cannot_end_its_quotes(text: str) -> None:
    annotation: Any = Literal[text]  # type: ignore[valid-type]
    if "\0" in text:
        with pytest.raises(tl.ConfigurationError, match="cannot be part of a CHECK"):
            _check(annotation)
        return
    entity = msgspec.defstruct("One", [("id", int), ("x", annotation)], frozen=True)
    sql = create_table_sql(tl.table(entity, name="ones", key=lambda o: o.id))
    literal = sql.split("IN (E'", 1)[1].removesuffix("'))\n)")
    # Every quote and backslash is one half of a pair, so nothing ends the literal early.
    assert re.fullmatch(r"(?:[^\\']|\\\\|'')*", literal)
    assert re.sub(r"\\\\|''", lambda pair: pair[0][0], literal) == text
