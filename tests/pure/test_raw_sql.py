"""`tl.sql` without a server: what becomes text, what a parameter, and what is refused."""

from __future__ import annotations

import datetime as dt
import enum
import sys
import uuid
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tierline as tl
from tierline.sql import compile_raw
from tierline.sql.scanning import MARK, check_text


class Row(msgspec.Struct, frozen=True):
    id: int
    name: str | None


class Colour(enum.Enum):
    RED = "red"


class Pair(NamedTuple):
    a: int
    b: int


NOON = dt.datetime(2020, 1, 1, 12, tzinfo=dt.UTC)

ROWS = tl.table(Row, name="rows", key=lambda r: r.id, schema="public")


def compiled(text: Any, **values: object) -> tuple[str, tuple[Any, ...], list[str]]:
    """The text, the values and their types."""
    statement, given = compile_raw(tl.sql(text, **values), "execute")
    return statement.sql, given, [type_.sql for type_ in statement.parameters]


def test_values_become_numbered_parameters() -> None:
    text = "select * from t where a = {a} and b = {b} and c = {a}"
    assert compiled(text, a=1, b="x") == (
        "select * from t where a = $1 and b = $2 and c = $3",
        (1, "x", 1),
        ["bigint", "text", "bigint"],
    )


def test_doubled_braces_are_braces() -> None:
    assert compiled("select '{{1,2}}'::int[], {a}", a=1)[0] == "select '{1,2}'::int[], $1"


@pytest.mark.parametrize(
    ("value", "sql", "sent"),
    [
        (True, "boolean", True),
        (7, "bigint", 7),
        (2**70, "numeric", Decimal(2**70)),
        (1.5, "double precision", 1.5),
        (Decimal("1.5"), "numeric", Decimal("1.5")),
        ("x", "text", "x"),
        (b"x", "bytea", b"x"),
        (uuid.UUID(int=1), "uuid", uuid.UUID(int=1)),
        (dt.date(2020, 1, 1), "date", dt.date(2020, 1, 1)),
        (NOON, "timestamptz", NOON),
        (dt.datetime(2020, 1, 1), "timestamp", dt.datetime(2020, 1, 1)),  # noqa: DTZ001
        (dt.time(1), "time", dt.time(1)),
        (dt.timedelta(1), "interval", dt.timedelta(1)),
        (Colour.RED, "text", "red"),
        ({"a": [1]}, "jsonb", b'{"a":[1]}'),
        (Row(1, None), "jsonb", b'{"id":1,"name":null}'),
        (None, "unknown", None),
        ([1, 2], "bigint[]", [1, 2]),
        ((1, 2.5), "double precision[]", [1, 2.5]),
        ([1, Decimal("0.5")], "numeric[]", [Decimal(1), Decimal("0.5")]),
        ({"x"}, "text[]", ["x"]),
        ([Colour.RED], "text[]", ["red"]),
        ([], "unknown", "{}"),
    ],
)  # fmt: skip
def test_a_value_travels_as_what_it_is(value: object, sql: str, sent: object) -> None:
    assert compiled("select {v}", v=value) == ("select $1", (sent,), [sql])


@pytest.mark.parametrize("value", [object(), [None], [1, "x"], [[1]], {"a": object()}, lambda: 1])
def test_a_value_without_a_column_type_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="the value 'v'"):
        tl.sql("select {v}", v=value)


def test_names_tables_and_fragments_are_put_in() -> None:
    condition = tl.sql("id = {id} -- the key", id=5)
    text, values, _ = compiled(
        "select {c} from {t} where {w} and x = {x}",
        c=tl.identifier("name"),
        t=ROWS,
        w=condition,
        x=1,
    )
    # What follows a fragment is not part of its comment.
    assert text == 'select "name" from "public"."rows" where id = $1 -- the key\n and x = $2'
    assert values == (5, 1)
    assert compiled("{t}", t=tl.identifier("a", "b"))[0] == '"a"."b"'


def test_a_fragment_of_a_fragment() -> None:
    inner = tl.sql("a = {a}", a=1)
    outer = tl.sql("({inner} or b = {b})", inner=inner, b=2)
    assert compiled("select 1 where {w}", w=outer)[0] == "select 1 where (a = $1 or b = $2)"


@pytest.mark.parametrize(
    ("text", "values", "sql"),
    [
        ("{a}5", {"a": 1}, "$1 5"),
        ("x{a}", {"a": 1}, "x $1"),
        ("{a}{a}", {"a": 1}, "$1 $2"),
        ("-{f}", {"f": tl.sql("-1")}, "- -1"),
        ("/{f}", {"f": tl.sql("* 2")}, "/ * 2"),
        ('"a"{i}', {"i": tl.identifier("b")}, '"a" "b"'),
        ("U&{i}", {"i": tl.identifier("b")}, 'U& "b"'),
        ("{i}{i}", {"i": tl.identifier("b")}, '"b" "b"'),
        ("s.{i}", {"i": tl.identifier("b")}, 's."b"'),
        ("a={a}::int", {"a": 1}, "a=$1::int"),
    ],
)
def test_what_is_put_in_does_not_run_together_with_its_neighbours(
    text: Any, values: dict[str, object], sql: str
) -> None:
    assert compiled(text, **values)[0] == sql


@pytest.mark.parametrize(
    "text",
    [
        "'{a}'", "select 'it''s {a}'", r"E'\'{a}'", r"e'\\\'{a}'", '"{a}"', '"x""{a}"', "-- {a}",
        "/* {a} */", "/* /* */ {a} */", "$${a}$$", "$x$ $$ {a} $x$", "$ü$ {a} $ü$", "U&'{a}'",
        "B'{a}'", "x'{a}'", "-- a\r-- {a}",
    ],
)  # fmt: skip
def test_a_placeholder_that_would_be_letters_is_refused(text: Any) -> None:
    with pytest.raises(TypeError, match="would be letters"):
        tl.sql(text, a=1)


@pytest.mark.parametrize(
    "text",
    [
        "select 'x' || {a}", r"select 'back\' || {a}", "select E'\\'' || {a}", "-- c\n{a}",
        "/* /* */ */ {a}", "$$ ' $$ || {a}", "select a$b$c, {a}", 'select "a""b", {a}',
        "select name'x', {a}", "select 1-{a}", "/* -- */ {a}", "-- /*\n{a}", "$a$ $b$ $a$ {a}",
    ],
)  # fmt: skip
def test_a_placeholder_beside_quotes_and_comments_is_a_parameter(text: Any) -> None:
    assert compiled(text, a=1)[0].count("$1") == 1


@pytest.mark.parametrize("text", ["'x", '"x', "/* /* */", "$$ x", "$a$ $b$", r"E'\'"])
def test_a_quote_or_comment_that_does_not_end_is_refused(text: Any) -> None:
    with pytest.raises(TypeError, match="does not end"):
        tl.sql(text)


@pytest.mark.parametrize(
    ("text", "values", "says"),
    [
        ("{", {}, "write {name} for a value"),
        ("}", {}, "write {name} for a value"),
        ("{a.b}", {"a": 1}, "write {name} for a value"),
        ("{a!r}", {"a": 1}, "write {name} for a value"),
        ("{0}", {}, "write {name} for a value"),
        ("{}", {}, "write {name} for a value"),
        ("{a}", {}, "a has no value"),
        ("x", {"a": 1}, "a stands nowhere in the text"),
        ("$1", {}, "instead of \\$1"),
        ("a\0", {}, "NUL"),
        ("\ud800", {}, "surrogate"),
        (b"select 1", {}, "takes text or a template string"),
        ("{q}", {"q": tl.select(ROWS)}, "part of a traced query"),
    ],
)
def test_mistakes_are_named_when_built(text: Any, values: dict[str, object], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        tl.sql(text, **values)


@pytest.mark.parametrize("name", ['a"b', "", "a\0b", "x" * 64, "\ud800"])
def test_a_name_that_cannot_be_quoted_is_refused(name: str) -> None:
    with pytest.raises(tl.ConfigurationError):
        tl.identifier(name)


def test_identifier_takes_names() -> None:
    for wrong in ((), (1,), (None,)):
        with pytest.raises(TypeError, match="identifier takes names"):
            tl.identifier(*wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("into", [tuple, Pair, tuple[int, ...], object(), tuple[object, type]])
def test_rows_are_made_into_something_with_columns(into: Any) -> None:
    with pytest.raises(TypeError, match="into="):
        tl.sql("select 1", into=into)


def test_the_text_shows_types_and_no_value() -> None:
    query = tl.sql("select {a}, {b}", into=tuple[int, str], a=tl.param("n", int), b="secret")
    assert query.sql == "select $1, $2\n-- $1 n: bigint, $2: text"
    assert repr(query) == "<SQL into (bigint, text): select $1, $2>"
    assert repr(tl.sql("select 1", into=Row)) == "<SQL into Row: select 1>"
    assert "secret" not in repr(tl.sql("select {b}", b="secret"))
    assert tl.select(ROWS, where=lambda r: r.id == 5, limit=3).sql == (
        'SELECT "id", "name" FROM "public"."rows" WHERE ("id" = $1) LIMIT $2\n'
        "-- $1: bigint, $2: bigint"
    )
    assert tl.sql("select 1").sql == "select 1"


def test_too_many_parameters_are_one_too_many() -> None:
    marks = tl.sql("{a}", a=1)
    for _ in range(16):
        marks = tl.sql("{a}, {a}", a=marks)
    with pytest.raises(tl.QueryError, match="65,536 parameters"):
        compile_raw(marks, "execute")


def test_sql_is_the_function_although_a_package_has_its_name() -> None:
    import tierline.sql.compile  # noqa: F401, PLC0415

    assert callable(tl.sql)


class Interpolation(NamedTuple):
    """What Python 3.14 has in `string.templatelib`."""

    value: object
    expression: str
    conversion: str | None = None
    format_spec: str = ""


class Template(NamedTuple):
    strings: tuple[str, ...]
    interpolations: tuple[Interpolation, ...]


def test_a_template_string_holds_its_values() -> None:
    template = Template(
        ("select {", "} where a = ", ""), (Interpolation(1, "x"), Interpolation("b", "y"))
    )
    assert compiled(template) == ("select { $1 } where a = $2", (1, "b"), ["bigint", "text"])
    for wrong in (Interpolation(1, "x", "r"), Interpolation(1, "x", None, ">10")):
        with pytest.raises(TypeError, match="conversion or format"):
            tl.sql(Template(("", ""), (wrong,)))
    with pytest.raises(TypeError, match="holds its values itself"):
        tl.sql(template, a=1)
    with pytest.raises(TypeError, match="would be letters"):
        tl.sql(Template(("'", "'"), (Interpolation(1, "x"),)))


@pytest.mark.skipif(sys.version_info < (3, 14), reason="template strings are of Python 3.14")
def test_a_real_template_string() -> None:
    template = eval("t'select {value} where a = {other}'", {"value": 1, "other": "b"})
    assert compiled(template) == ("select $1 where a = $2", (1, "b"), ["bigint", "text"])


@given(st.text(alphabet="'\"$-/*\\ eE{}a1_\n\0ü", max_size=40))
def test_any_text_is_scanned_to_an_end(text: str) -> None:
    try:
        check_text(text)
    except TypeError:
        assert MARK in text or any(sign in text for sign in "'\"$/")


@given(st.text(), st.text())
def test_the_text_depends_on_no_value(one: str, other: str) -> None:
    text = "select {a} where b = any({b})"
    first, second = compiled(text, a=one, b=[one]), compiled(text, a=other, b=[other])
    assert first[0] == second[0]
    assert first[2] == second[2]
