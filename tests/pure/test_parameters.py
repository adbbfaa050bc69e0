"""`tl.param` without a server: types, names, and mistakes that are found before any I/O."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import tierline as tl
from tierline.query.parameters import binder
from tierline.sql import compile_query, compile_raw


class Kind(enum.Enum):
    A = "a"
    B = "b"


class Row(msgspec.Struct, frozen=True):
    id: int
    name: str
    price: Decimal
    kind: Kind
    note: str | None


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)


def bound(query: tl.Query[Any], **given: object) -> tuple[Any, ...]:
    """The values that a query is run with."""
    return binder(compile_query(query).values)(given)


def test_values_are_given_by_name() -> None:
    query = tl.select(
        ROWS,
        where=lambda r: (
            (r.name == tl.param("name", str)) & (r.id > 3) & (r.id < tl.param("id", int))
        ),
    )
    assert compile_query(query).statement.sql.endswith(
        '((("name" = $1) AND ("id" > $2)) AND ("id" < $3))'
    )
    assert bound(query, name="x", id=7) == ("x", 3, 7)
    assert query.sql.endswith("-- $1 name: text, $2: bigint, $3 id: bigint")


def test_one_name_is_one_parameter() -> None:
    query = tl.select(
        ROWS,
        where=lambda r: (r.name == tl.param("x", str)) | (tl.some(r.note) == tl.param("x", str)),
    )
    assert compile_query(query).statement.sql.count("$1") == 2
    assert bound(query, x="v") == ("v",)
    raw = tl.sql("select {a}, {b}", a=tl.param("x", int), b=tl.param("x", int))
    assert compile_raw(raw, "execute").statement.sql == "select $1, $1"


def test_one_name_with_two_types_is_refused() -> None:
    query = tl.select(
        ROWS, where=lambda r: (r.name == tl.param("x", str)) & (r.id == tl.param("x", int))
    )
    with pytest.raises(TypeError, match="'x' is text in one place and bigint in another"):
        compile_query(query)


def test_a_list_is_one_array() -> None:
    query = tl.select(ROWS, where=lambda r: tl.is_in(r.id, tl.param("ids", list[int])))
    assert '("id" = ANY($1))' in compile_query(query).statement.sql
    assert bound(query, ids=[1, 2]) == ([1, 2],)
    for wrong in ("ab", [1, "x"], [None], 5):
        with pytest.raises(TypeError, match="parameter 'ids' takes bigint\\[\\]"):
            bound(query, ids=wrong)
    with pytest.raises(TypeError, match="is not looked up in"):
        tl.select(ROWS, where=lambda r: tl.is_in(r.id, tl.param("ids", list[str])))  # type: ignore[type-var]


def test_an_enum_travels_as_its_value() -> None:
    query = tl.select(ROWS, where=lambda r: r.kind == tl.param("kind", Kind))
    assert bound(query, kind=Kind.B) == ("b",)
    with pytest.raises(TypeError, match="takes text"):
        bound(query, kind="c")


def test_an_optional_type_is_a_union_with_none() -> None:
    assert tl.optional(int) == int | None
    assert tl.optional(list[str]) == list[str] | None
    query = tl.sql("select {n}", into=tl.optional(int), n=tl.param("n", tl.optional(int)))
    compiled = compile_raw(query, "fetch_all")
    assert binder(compiled.values)({"n": None}) == (None,)
    assert binder(compiled.values)({"n": 3}) == (3,)
    wrong: Any = 5
    with pytest.raises(TypeError, match="optional takes a type such as int, not 5"):
        tl.optional(wrong)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "needs the parameters name"),
        ({"name": "x", "other": 1}, "has no parameter other"),
        ({"nam": "x"}, "needs the parameters name and has no parameter nam"),
        ({"name": 5}, "parameter 'name' takes text, not 5"),
        ({"name": True}, "takes text"),
        ({"name": None}, "use a query of its own with `tl.is_null`"),
        ({"name": b"x"}, "takes text"),
    ],
)
def test_mistakes_are_found_before_anything_is_sent(given: dict[str, object], says: str) -> None:
    query = tl.select(ROWS, where=lambda r: r.name == tl.param("name", str))
    with pytest.raises(TypeError, match=says):
        bound(query, **given)


def test_a_query_without_parameters_takes_none() -> None:
    with pytest.raises(TypeError, match="has no parameter x"):
        bound(tl.select(ROWS), x=1)


def test_bool_is_no_int_and_int_is_a_price() -> None:
    query = tl.select(ROWS, where=lambda r: r.id == tl.param("id", int))
    with pytest.raises(TypeError, match="takes bigint"):
        bound(query, id=True)
    priced = tl.select(ROWS, where=lambda r: r.price == tl.param("price", Decimal))
    assert bound(priced, price=Decimal("1.5")) == (Decimal("1.5"),)


def test_null_is_allowed_where_it_is_declared() -> None:
    raw = tl.sql("insert into t values ({a})", a=tl.param("a", int | None))
    assert binder(compile_raw(raw, "execute").values)({"a": None}) == (None,)


@pytest.mark.parametrize(
    ("name", "type_", "says"),
    [("a b", int, "takes a name"), (5, int, "takes a name"), ("1a", int, "takes a name"),
     ("a", object(), "param 'a'"), ("a", type, "param 'a'")],
)  # fmt: skip
def test_a_parameter_has_a_name_and_a_type(name: Any, type_: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        tl.param(name, type_)


def test_a_parameter_stands_only_beside_its_type() -> None:
    with pytest.raises(TypeError, match="cannot be compared"):
        tl.select(ROWS, where=lambda r: r.name == tl.param("id", int))  # type: ignore[comparison-overlap,unused-ignore]
