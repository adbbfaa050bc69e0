"""Tracing: each operator makes its node, and what cannot be traced names its replacement."""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest

import tierline as tl
from tierline.query.expressions import (
    Arithmetic,
    ColumnRef,
    Comparison,
    Expr,
    IsNull,
    Logic,
    Negative,
    Not,
    TextMatch,
    Value,
)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class Row(msgspec.Struct, frozen=True):
    id: int
    name: str
    ok: bool
    ratio: float
    price: Decimal
    at: dt.datetime
    local: Annotated[dt.datetime, msgspec.Meta(tz=False)]
    day: dt.date
    span: dt.timedelta
    token: uuid.UUID
    colour: Colour
    level: Level
    kind: Literal["a", "b"]
    tags: list[str]
    document: dict[str, int]
    raw: bytes
    delay: int | None = None


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)
NAIVE = dt.datetime(2020, 1, 2, 3)  # noqa: DTZ001 (to be refused beside a zoned field)
ZONED = NAIVE.replace(tzinfo=dt.UTC)
Where = Callable[[Any], Any]


def traced(where: Where) -> Any:
    """The expression that a condition becomes."""
    return tl.select(ROWS, where=where).where


def column(name: str) -> ColumnRef:
    found = ROWS.by_field[name]
    return ColumnRef(found.name, found.type)


@pytest.mark.parametrize(
    ("where", "operator"),
    [
        (lambda r: r.id == 3, "="),
        (lambda r: r.id != 3, "<>"),
        (lambda r: r.id < 3, "<"),
        (lambda r: r.id <= 3, "<="),
        (lambda r: r.id > 3, ">"),
        (lambda r: r.id >= 3, ">="),
        # With the field on the right, Python asks the field with the sides exchanged.
        (lambda r: 3 == r.id, "="),  # noqa: SIM300
        (lambda r: 3 < r.id, ">"),  # noqa: SIM300
        (lambda r: 3 >= r.id, "<="),  # noqa: SIM300
    ],
)
def test_a_comparison_becomes_its_node(where: Where, operator: str) -> None:
    node = traced(where)
    assert isinstance(node, Comparison)
    assert (node.operator, node.left) == (operator, column("id"))
    assert isinstance(node.right, Value)
    assert node.right.value == 3


@pytest.mark.parametrize(
    ("operand", "operator", "sql"),
    [
        (lambda r: r.id + 1, "+", "bigint"),
        (lambda r: r.id - 1, "-", "bigint"),
        (lambda r: r.id * 2, "*", "bigint"),
        (lambda r: r.id // 2, "//", "bigint"),
        (lambda r: r.id % 2, "%", "bigint"),
        (lambda r: r.id / 2, "/", "double precision"),
        (lambda r: 1 + r.id, "+", "bigint"),
        (lambda r: 1 - r.id, "-", "bigint"),
        (lambda r: 2 * r.id, "*", "bigint"),
        (lambda r: 7 // r.id, "//", "bigint"),
        (lambda r: 7 % r.id, "%", "bigint"),
        (lambda r: 7 / r.id, "/", "double precision"),
        (lambda r: r.id + 0.5, "+", "double precision"),
        (lambda r: r.ratio * r.id, "*", "double precision"),
        (lambda r: r.price / 3, "/", "numeric"),
        (lambda r: r.price // r.id, "//", "numeric"),
        (lambda r: r.price * Decimal("1.5"), "*", "numeric"),
        (lambda r: r.name + "x", "+", "text"),
        (lambda r: "x" + r.name, "+", "text"),
        (lambda r: r.at + dt.timedelta(1), "+", "timestamptz"),
        (lambda r: dt.timedelta(1) + r.at, "+", "timestamptz"),
        (lambda r: r.local - dt.timedelta(1), "-", "timestamp"),
        (lambda r: r.at - r.at, "-", "interval"),
        (lambda r: r.at - ZONED, "-", "interval"),
        (lambda r: r.span + dt.timedelta(1), "+", "interval"),
        (lambda r: r.span * 2, "*", "interval"),
        (lambda r: r.span / 2.5, "/", "interval"),
    ],
)
def test_arithmetic_becomes_its_node_with_the_type_of_the_result(
    operand: Where, operator: str, sql: str
) -> None:
    node = tl.project(tl.select(ROWS), operand).projection.outputs[0].expr  # type: ignore[union-attr]
    assert isinstance(node, Arithmetic)
    assert (node.operator, node.type.sql) == (operator, sql)


def test_sides_of_arithmetic_keep_their_order() -> None:
    node = traced(lambda r: (7 - r.id) == 0).left
    assert isinstance(node.left, Value)
    assert (node.left.value, node.right) == (7, column("id"))


def test_conditions_combine() -> None:
    first, second = traced(lambda r: r.id == 1), traced(lambda r: r.name == "a")
    assert traced(lambda r: (r.id == 1) & (r.name == "a")) == Logic("and", first, second)
    assert traced(lambda r: (r.id == 1) | (r.name == "a")) == Logic("or", first, second)
    assert traced(lambda r: tl.not_(r.id == 1)) == Not(first)
    assert traced(lambda r: r.ok) == column("ok")
    assert traced(lambda r: r.ok & True) == Logic("and", column("ok"), traced_true())
    assert traced(lambda r: True & r.ok) == Logic("and", traced_true(), column("ok"))
    assert traced(lambda r: False | r.ok).left.value is False


def traced_true() -> Expr:
    return traced(lambda r: r.ok == True).right  # noqa: E712


def test_other_tests_become_their_nodes() -> None:
    assert traced(lambda r: tl.is_null(r.delay)) == IsNull(column("delay"))
    assert traced(lambda r: -r.id == 3).left == Negative(column("id"))
    assert traced(lambda r: -r.span == dt.timedelta(1)).left == Negative(column("span"))
    assert traced(lambda r: tl.some(r.delay) > 3).left == column("delay")
    for test in ("startswith", "endswith"):
        node = traced(lambda r, test=test: getattr(r.name, test)("a%"))
        assert isinstance(node, TextMatch)
        assert (node.test, node.operand) == (test, column("name"))
        assert isinstance(node.part, Value)
        assert node.part.value == "a%"
    assert traced(lambda r: tl.contains(r.name, "a")).test == "contains"
    # The part may be the field: which texts does a given one contain?
    assert traced(lambda r: tl.contains("abc", r.name)).part == column("name")
    assert traced(lambda r: r.name.startswith(r.kind)).part == column("kind")


@pytest.mark.parametrize(
    ("where", "value", "sql"),
    [
        (lambda r: r.id == 2**63, Decimal(2**63), "numeric"),
        (lambda r: r.id == 1.5, 1.5, "double precision"),
        (lambda r: r.ratio == 1, 1, "bigint"),
        (lambda r: r.price == 1.5, 1.5, "double precision"),
        (lambda r: r.colour == Colour.RED, "red", "text"),
        (lambda r: r.colour == "red", "red", "text"),
        (lambda r: r.level == Level.LOW, 1, "bigint"),
        (lambda r: r.kind == "b", "b", "text"),
        (lambda r: r.at == ZONED, ZONED, "timestamptz"),
        (lambda r: r.local == NAIVE, NAIVE, "timestamp"),
        (lambda r: r.day < NAIVE, NAIVE, "timestamp"),
        (lambda r: r.day < NAIVE.date(), NAIVE.date(), "date"),
        (lambda r: r.token == uuid.UUID(int=1), uuid.UUID(int=1), "uuid"),
        (lambda r: r.tags == ("a", "b"), ["a", "b"], "text[]"),
        (lambda r: r.document == {"a": 1}, b'{"a":1}', "jsonb"),
        (lambda r: r.raw == b"a", b"a", "bytea"),
    ],
)
def test_a_plain_value_travels_as_the_type_beside_it(where: Where, value: Any, sql: str) -> None:
    right = traced(where).right
    assert isinstance(right, Value)
    assert (right.value, right.type.sql) == (value, sql)
    assert type(right.value) is type(value)


NOT_IN_SQL = [
    (lambda r: r.id > 1 and r.id < 5, "use `&`"),
    (lambda r: r.id > 1 or r.id < 5, "`|`"),
    (lambda r: not r.ok, "`tl.not_`"),
    (lambda r: r.id in (1, 2), "`tl.is_in`"),
    (lambda r: r.id in {1, 2}, "use `tl.is_in`"),
    (lambda r: 1 < r.id < 5, "split a chained comparison"),
    (lambda r: 1 if r.ok else 2, "no truth value"),
    (lambda r: ~r.ok, "use `tl.not_(…)`"),
    (lambda r: "x" in r.name, "`tl.contains(text, part)`"),
    (lambda r: {r.id: 1}, "use `tl.is_in`"),
    (lambda r: list(r.tags), "cannot be iterated over"),
    (lambda r: len(r.name) > 3, "len() cannot be traced"),
    (lambda r: int(r.id) > 3, "no value yet"),
    (lambda r: float(r.id) > 3, "no value yet"),
    (lambda r: "abc"[r.id], "no value yet"),
    (lambda r: f"{r.name}" == "a", "f-string"),
    (lambda r: r.delay == None, "use `tl.is_null(…)`"),  # noqa: E711
    (lambda r: r.delay != None, "use `tl.is_null(…)`"),  # noqa: E711
    (lambda r: tl.is_in(r.delay, [1, None]), "`| tl.is_null(…)`"),
    (lambda r: tl.is_in(r.id, [r.level]), "compare fields with `==` and `|`"),
    (lambda r: tl.is_in(r.name, "red"), "list"),
    (lambda r: tl.desc(r.id) == r.id, "order_by"),
    (lambda r: r.id == tl.desc(r.id), "asc and desc belong in order_by only"),
    (lambda r: r.id & r.ok, "put each comparison in parentheses"),
    (lambda r: r.ok & 1, "put each comparison in parentheses"),
    (lambda r: r.id > 3 & r.id, "parentheses"),
    (lambda r: r.name, "compare first"),
    (lambda r: True, "must return a comparison of fields"),
    (lambda r: None, "must return a comparison of fields"),
    (lambda r: r.ratio // 2 > 1, "use integers or Decimal"),
    (lambda r: r.ratio % 2 > 1, "use integers or Decimal"),
]


@pytest.mark.parametrize(("where", "advice"), NOT_IN_SQL, ids=[says for _, says in NOT_IN_SQL])
def test_what_cannot_be_traced_names_its_replacement(where: Where, advice: str) -> None:
    with pytest.raises(TypeError) as raised:
        traced(where)
    assert advice in str(raised.value)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        (lambda r: r.id == "1", "'1' does not fit beside a field of type bigint"),
        (lambda r: r.id == True, "True does not fit beside a field of type bigint"),  # noqa: E712
        (lambda r: r.name < 3, "3 does not fit beside a field of type text"),
        (lambda r: r.ok == 1, "1 does not fit beside a field of type boolean"),
        (lambda r: r.token == "x", "'x' does not fit beside a field of type uuid"),
        (lambda r: r.day == "2020-01-01", "does not fit beside a field of type date"),
        (lambda r: r.colour == "blue", "'blue' is not one of [<Colour.RED: 'red'>]"),
        (lambda r: r.kind == "c", "'c' is not one of ['a', 'b']"),
        (lambda r: r.at == NAIVE, "compared with a datetime that has a time zone"),
        (lambda r: r.local == ZONED, "compared with a datetime without a time zone"),
        (lambda r: r.day == ZONED, "compared with a datetime without a time zone"),
        (lambda r: r.at == NAIVE.date(), "does not fit beside a field of type timestamptz"),
        (lambda r: r.tags == "ab", "'ab' does not fit beside a field of type text[]"),
        (lambda r: r.tags == [1], "1 does not fit beside a field of type text"),
        (lambda r: r.document == {"a": object()}, "has no JSON form"),
        (lambda r: r.id == r.name, "bigint cannot be compared with text"),
        (lambda r: r.name == r.tags, "text cannot be compared with text[]"),
        (lambda r: r.name + 1 == "a", "text + bigint has no meaning here"),
        (lambda r: r.name - "a" == "a", "text - text has no meaning here"),
        (lambda r: r.ok + 1 == 2, "boolean + bigint has no meaning here"),
        (lambda r: r.at + r.at == ZONED, "timestamptz + timestamptz has no meaning here"),
        (lambda r: r.id + dt.timedelta(1) == 3, "bigint + interval has no meaning here"),
        (lambda r: -r.name == "a", "- needs a number, not text"),
        (lambda r: tl.contains(r.id, "a"), "contains needs text, not bigint"),
        (lambda r: tl.contains(r.name, 1), "1 does not fit beside a field of type text"),
        (lambda r: tl.is_in(r.id, ["1"]), "'1' does not fit beside a field of type bigint"),
        (lambda r: tl.is_in(r.tags, [["a"]]), "is_in cannot look up a text[] field"),
        (lambda r: tl.is_in(r.document, [{}]), "is_in cannot look up a jsonb field"),
        (lambda r: tl.not_(r.id), "not_ needs conditions, not bigint"),
    ],
)
def test_an_operand_of_the_wrong_type_is_a_type_error(where: Where, says: str) -> None:
    with pytest.raises(TypeError) as raised:
        traced(where)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda r: r.id.upper(), "'upper' cannot be traced on a bigint field"),
        (lambda r: r.name.title(), "there are lower, upper, strip"),
        (lambda r: r.ok.name, "there are none"),
        (lambda r: r.name.encode(), "tl.length, tl.contains"),
    ],
)
def test_a_method_that_sql_lacks_is_an_attribute_error_with_what_there_is(
    call: Where, says: str
) -> None:
    with pytest.raises(AttributeError) as raised:
        traced(call)
    assert says in str(raised.value)


def test_a_misspelt_field_suggests_the_known_one() -> None:
    with pytest.raises(AttributeError, match="Row has no field 'colours'; did you mean 'colour'"):
        traced(lambda r: r.colours == "red")
    with pytest.raises(AttributeError, match="Row has no field 'zzz'; there are id, name, ok"):
        traced(lambda r: r.zzz == 1)


def test_a_lambdas_own_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        traced(lambda r: r.id == 1 // 0)
