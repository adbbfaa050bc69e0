"""`select`, `project` and what lambdas call: inert values; what means nothing is a TypeError."""

from __future__ import annotations

import enum
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import tierline as tl
from tierline.query.expressions import Aggregate, ColumnRef, Membership, Ordering, Value


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Row(msgspec.Struct, frozen=True):
    id: int
    name: str
    colour: Colour
    price: Decimal
    ratio: float
    document: dict[str, int]
    delay: int | None = None


class Summary(msgspec.Struct, frozen=True):
    name: str
    delay: float | None
    rows: int = 0


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)
ALL = tl.select(ROWS)
FIRST = Row(1, "ada", Colour.RED, Decimal("1.5"), 0.5, {})


def column(name: str) -> ColumnRef:
    found = ROWS.by_field[name]
    return ColumnRef(found.name, found.type)


def test_a_query_is_a_value_that_reads_well() -> None:
    assert repr(ALL) == "<Query of Row from rows>"
    query = tl.select(ROWS, where=lambda r: r.id > 1, order_by=lambda r: r.id, limit=3, offset=0)
    assert repr(query) == "<Query of Row from rows with where, order_by, limit, offset>"
    projected = tl.project(ALL, lambda r: Summary(r.name, None), group_by=lambda r: r.name)
    assert repr(projected) == "<Query of Summary from rows with group_by>"


def test_building_a_query_does_not_change_the_one_it_starts_from() -> None:
    tl.project(ALL, lambda r: r.id, order_by=lambda r: r.id, limit=1)
    assert (ALL.projection, ALL.order_by, ALL.limit) == (None, (), None)


# The predicate of a query also runs on real entities, with the same meaning.
@pytest.mark.parametrize(
    ("predicate", "holds"),
    [
        (lambda r: (r.id == 1) & (r.name != "bob"), True),
        (lambda r: (r.id == 2) | r.name.startswith("a"), True),
        (lambda r: tl.not_(r.id == 1), False),
        (lambda r: tl.is_null(r.delay), True),
        (lambda r: tl.is_null(r.name), False),
        (lambda r: tl.is_in(r.colour, [Colour.GREEN]), False),
        (lambda r: tl.is_in(r.id, {1, 2}), True),
        (lambda r: tl.contains(r.name, "d"), True),
        (lambda r: tl.some(r.price) > 1, True),
    ],
)
def test_functions_keep_their_meaning_on_plain_values(
    predicate: Callable[[Row], bool], *, holds: bool
) -> None:
    assert predicate(FIRST) is holds
    assert tl.select(ROWS, where=predicate).where is not None


def test_some_of_a_plain_none_says_what_to_test_first() -> None:
    with pytest.raises(ValueError, match=r"test with tl\.is_null first"):
        tl.some(FIRST.delay)


def test_is_in_takes_any_collection_and_fits_each_value() -> None:
    for values in ([Colour.RED], (Colour.RED,), {Colour.RED}, {Colour.RED: 1}.keys()):
        node = tl.select(ROWS, where=lambda r, v=values: tl.is_in(r.colour, v)).where  # type: ignore[misc]
        assert isinstance(node, Membership)
        assert (node.operand, node.values.value) == (column("colour"), ["red"])
        assert node.values.type.sql == "text[]"
    node = tl.select(ROWS, where=lambda r: tl.is_in(r.id, [])).where
    assert isinstance(node, Membership)
    assert node.values.value == []


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        (lambda r: r.id, [("id", False, None)]),
        (lambda r: tl.asc(r.id), [("id", False, None)]),
        (lambda r: tl.desc(r.id), [("id", True, None)]),
        (lambda r: tl.desc(r.id, nulls="last"), [("id", True, "last")]),
        (lambda r: tl.asc(r.delay, nulls="first"), [("delay", False, "first")]),
        (lambda r: (r.name, tl.desc(r.id)), [("name", False, None), ("id", True, None)]),
    ],
)
def test_an_ordering_becomes_its_keys(order_by: Any, expected: Any) -> None:
    keys = tl.select(ROWS, order_by=order_by).order_by
    assert [(key.operand.name, key.descending, key.nulls) for key in keys] == expected  # type: ignore[attr-defined]


def test_an_expression_orders_too() -> None:
    (key,) = tl.select(ROWS, order_by=lambda r: -r.id).order_by
    assert isinstance(key, Ordering)


@pytest.mark.parametrize(
    "order_by",
    [
        lambda r: None,
        lambda r: (),
        lambda r: 7,
        lambda r: "id",
        lambda r: [r.id],
        lambda r: (r.id, None),
        lambda r: (r.id, "name"),
    ],
)
def test_ordering_by_nothing_is_a_type_error(order_by: Any) -> None:
    with pytest.raises(TypeError, match="return a field"):
        tl.select(ROWS, order_by=order_by)
    with pytest.raises(TypeError, match="return a field"):
        tl.project(ALL, lambda r: r.id, order_by=order_by)


@pytest.mark.parametrize("function", [tl.asc, tl.desc])
def test_ordering_by_a_plain_value_is_a_type_error(function: Callable[[object], object]) -> None:
    with pytest.raises(TypeError, match=f"{function.__name__} takes a field of the traced entity"):
        function(3)


@pytest.mark.parametrize("clause", ["limit", "offset"])
def test_row_counts_are_whole_numbers_from_zero(clause: str) -> None:
    for fine in (0, 1, 2**40, None):
        assert getattr(tl.select(ROWS, **{clause: fine}), clause) == fine  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"{clause} must not be negative, but is -1"):
        tl.select(ROWS, **{clause: -1})  # type: ignore[arg-type]
    for wrong in ("1", 1.0, True):
        with pytest.raises(TypeError, match=f"{clause} must be an int, not "):
            tl.select(ROWS, **{clause: wrong})  # type: ignore[arg-type]


def test_the_limit_of_a_projection_is_checked_alike() -> None:
    with pytest.raises(ValueError, match="limit must not be negative"):
        tl.project(ALL, lambda r: r.id, limit=-1)


@pytest.mark.parametrize(
    ("into", "shape", "names"),
    [
        (lambda r: r.id, "scalar", ["value"]),
        (lambda r: tl.count(), "scalar", ["value"]),
        (lambda r: (r.id, r.name), "tuple", ["column1", "column2"]),
        (lambda r: (r.id,), "tuple", ["column1"]),
        (lambda r: (r.id, 7, None, "x"), "tuple", ["column1", "column2", "column3", "column4"]),
        (lambda r: Summary(r.name, r.delay), "struct", ["name", "delay", "rows"]),
    ],
)
def test_a_projection_has_the_shape_of_what_the_lambda_makes(
    into: Any, shape: str, names: list[str]
) -> None:
    projection = tl.project(ALL, into).projection
    assert projection is not None
    assert (projection.shape, [output.name for output in projection.outputs]) == (shape, names)


def test_constants_in_a_projection_travel_as_values() -> None:
    projection = tl.project(ALL, lambda r: (r.id, 7, 1.5, None, "x", True)).projection
    assert projection is not None
    constants = [output.expr for output in projection.outputs[1:]]
    assert all(isinstance(constant, Value) for constant in constants)
    assert [constant.type.sql for constant in constants] == [
        *("bigint", "double precision", "text", "text", "boolean")
    ]


@pytest.mark.parametrize(
    ("into", "says"),
    [
        (lambda r: None, "must make a Struct, a tuple or a field of each row, not None"),
        (lambda r: 7, "must make a Struct, a tuple or a field of each row, not 7"),
        (lambda r: [r.id], "must make a Struct, a tuple or a field of each row"),
        (lambda r: {"id": r.id}, "must make a Struct, a tuple or a field of each row"),
        (lambda r: (), "makes the same of every row"),
        (lambda r: (1, "a"), "makes the same of every row"),
        (lambda r: Summary("a", None), "makes the same of every row"),
        (lambda r: (r.id, object()), "cannot be part of a query"),
        (lambda r: (r.id, (r.name,)), "cannot be part of a query"),
        (lambda r: tl.sum(r.name), "sum needs numbers, not text"),
        (lambda r: tl.avg(r.name), "avg needs numbers, not text"),
        (lambda r: tl.max(7), "max takes a field of the traced entity, not 7"),
        (lambda r: tl.count(distinct=True), "count(distinct=True) needs a field"),
    ],
)
def test_a_projection_that_makes_nothing_is_a_type_error(into: Any, says: str) -> None:
    with pytest.raises(TypeError) as raised:
        tl.project(ALL, into)
    assert says in str(raised.value)


def test_what_was_projected_can_be_projected_again() -> None:
    first = tl.project(ALL, lambda i: (i.id, i.name))
    again = tl.project(first, lambda row: row[1])
    assert again.relation is first
    assert [output.name for output in again.answer.outputs] == ["value"]


@pytest.mark.parametrize("group_by", [lambda r: None, lambda r: (), lambda r: 7, lambda r: [r.id]])
def test_grouping_by_nothing_is_a_type_error(group_by: Any) -> None:
    with pytest.raises(TypeError, match="group_by must return a field or a tuple of fields"):
        tl.project(ALL, lambda r: tl.count(), group_by=group_by)


@pytest.mark.parametrize("clause", ["limit", "offset"])
def test_groups_are_limited_after_grouping(clause: str) -> None:
    limited = tl.select(ROWS, **{clause: 3})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="limit the groups with project"):
        tl.project(limited, lambda r: tl.count(), group_by=lambda r: r.name)


@pytest.mark.parametrize(
    ("into", "function", "sql"),
    [
        (lambda r: tl.count(), "count", "bigint"),
        (lambda r: tl.count(r.delay), "count", "bigint"),
        (lambda r: tl.sum(r.id), "sum", "bigint"),
        (lambda r: tl.sum(r.price), "sum", "numeric"),
        (lambda r: tl.avg(r.id), "avg", "double precision"),
        (lambda r: tl.avg(r.price), "avg", "numeric"),
        (lambda r: tl.min(r.name), "min", "text"),
        (lambda r: tl.max(r.ratio), "max", "double precision"),
    ],
)
def test_an_aggregate_knows_the_type_of_its_result(into: Any, function: str, sql: str) -> None:
    projection = tl.project(ALL, into).projection
    assert projection is not None
    node = projection.outputs[0].expr
    assert isinstance(node, Aggregate)
    assert (node.function, node.type.sql) == (function, sql)


@pytest.mark.parametrize(
    "build",
    [
        lambda: tl.select(ROWS, where=lambda r: tl.count() > 3),
        lambda: tl.select(ROWS, where=lambda r: (r.id > 1) & tl.not_(tl.max(r.id) == 3)),
        lambda: tl.project(ALL, lambda r: tl.count(), group_by=lambda r: tl.max(r.id)),
        lambda: tl.project(ALL, lambda r: tl.sum(tl.count())),
        lambda: tl.project(ALL, lambda r: tl.sum(r.id + tl.count())),
        lambda: tl.project(ALL, lambda r: tl.max(r.id == 1)),
        lambda: tl.project(ALL, lambda r: tl.min(r.document)),
    ],
)
def test_an_aggregate_where_it_means_nothing_is_a_type_error(build: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match=r"aggregate|has no meaning"):
        build()
