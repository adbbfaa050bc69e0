"""`tl.evaluate` and `tl.row_filter`: answers without a server, and what they refuse."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

import tierline as tl
from tierline.query import query
from tierline.query.evaluate import registry
from tierline.query.expressions import Expr
from tierline.query.paging import PageQuery

BERLIN = ZoneInfo("Europe/Berlin")


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 7


class Row(msgspec.Struct, frozen=True):
    id: int
    name: str = ""
    price: Decimal = Decimal(0)
    ratio: float = 0.0
    at: dt.datetime = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    length: dt.timedelta = dt.timedelta(0)
    level: Level = Level.LOW
    tags: set[str] = set()
    document: dict[str, int] = {}
    delay: int | None = None


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)
ALL = tl.select(ROWS)


def one(into: Callable[[Any], Any], row: Row) -> Any:
    """What a projection makes of one row."""
    (made,) = tl.evaluate(tl.project(ALL, into), [row]).unwrap()
    return made


def failure(asked: tl.Query[Any], row: Row) -> tl.RepositoryError:
    error = tl.evaluate(asked, [row]).failure()
    assert (error.operation, error.table) == ("evaluate", "rows")
    return error


def test_without_a_projection_the_given_objects_are_the_answer() -> None:
    given = [Row(2), Row(1)]
    (first, second) = tl.evaluate(tl.select(ROWS, order_by=lambda r: r.id), given).unwrap()
    assert first is given[1]
    assert second is given[0]


def test_rows_may_come_from_any_iterable_and_the_query_runs_again() -> None:
    asked = tl.select(ROWS, where=lambda r: r.id > 1)
    for _ in range(2):
        assert tl.evaluate(asked, (Row(n) for n in range(4))) == tl.Success([Row(2), Row(3)])


def test_a_row_of_another_type_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="expected rows of Row, got dict"):
        tl.evaluate(ALL, [{"id": 1}])


# What PostgreSQL says of each is checked by the differential test; these are its landmarks.
@pytest.mark.parametrize(
    ("into", "row", "expected"),
    [
        (lambda r: r.price / 3, Row(1, price=Decimal(1)), "0.33333333333333333333"),
        (lambda r: r.price / 3, Row(1, price=Decimal(10000)), "3333.3333333333333333"),
        (lambda r: r.price / 3, Row(1, price=Decimal(2)), "0.66666666666666666667"),
        (lambda r: r.price / 7, Row(1, price=Decimal("1E-20")), f"0.{14285714285714285714:040}"),
        (lambda r: r.price * r.price, Row(1, price=Decimal("1.50")), "2.2500"),
        (lambda r: r.price // 2, Row(1, price=Decimal("-7.5")), "-3"),
        (lambda r: r.price % 2, Row(1, price=Decimal("-7.5")), "-1.5"),
        (lambda r: r.price + 0, Row(1, price=Decimal("1E+3")), "1000"),
        (lambda r: -r.price, Row(1, price=Decimal("0.00")), "0.00"),
    ],
)  # fmt: skip
def test_numeric_has_postgresqls_scale(into: Any, row: Row, expected: str) -> None:
    assert f"{one(into, row):f}" == expected


@pytest.mark.parametrize(
    ("into", "row", "sqlstate"),
    [
        (lambda r: r.id + 1, Row(2**63 - 1), "22003"),
        (lambda r: -r.id, Row(-(2**63)), "22003"),
        (lambda r: r.id // -1, Row(-(2**63)), "22003"),
        (lambda r: r.id // 0, Row(1), "22012"),
        (lambda r: r.price % 0, Row(1, price=Decimal(1)), "22012"),
        (lambda r: r.ratio / 0.0, Row(1, ratio=1.0), "22012"),
        (lambda r: r.ratio * 1e300, Row(1, ratio=1e300), "22003"),
        (lambda r: r.ratio * 1e-300, Row(1, ratio=1e-300), "22003"),
        (lambda r: r.ratio + r.price, Row(1, price=Decimal("1E+400")), "22003"),
        (lambda r: r.at + r.length, Row(1, length=dt.timedelta(999_999_999)), "22008"),
        (lambda r: r.length * 1e300, Row(1, length=dt.timedelta(1)), "22008"),
        (lambda r: (r.id, tl.count()), Row(1), "42803"),
        (lambda r: tl.sum(r.id) + 2**62 + 2**62, Row(2), "22003"),
    ],
)
def test_errors_are_those_of_the_server(into: Any, row: Row, sqlstate: str) -> None:
    error = failure(tl.project(ALL, into), row)
    assert isinstance(error, tl.QueryError)
    assert error.sqlstate == sqlstate


def test_an_instant_beyond_python_compares_but_cannot_be_handed_out() -> None:
    row = Row(1, length=dt.timedelta(4_000_000))
    assert tl.row_filter(ROWS, lambda r: r.at + r.length > r.at)(row)
    error = failure(tl.project(ALL, lambda r: r.at + r.length), row)
    assert isinstance(error, tl.DecodeError)
    assert error.columns == ("value",)


def test_a_value_that_no_parameter_can_carry_is_a_validation_error() -> None:
    for asked in (
        tl.select(ROWS, where=lambda r: r.name == "\0"),
        tl.select(ROWS, where=lambda r: tl.is_in(r.name, ["a", "\ud800"])),
        tl.select(ROWS, limit=2**63),
    ):
        assert isinstance(failure(asked, Row(1)), tl.ValidationError)
    with pytest.raises(tl.ValidationError, match="NUL"):
        tl.row_filter(ROWS, lambda r: r.name == "\0")


def test_instants_of_one_zone_compare_by_when_they_are() -> None:
    late = dt.datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1)
    early = late.replace(fold=0)
    # Python takes them for the same.
    assert late == early
    later = tl.row_filter(ROWS, lambda r: r.at > early)
    assert later(Row(1, at=late))
    assert not later(Row(1, at=early))


def test_unknown_does_not_match() -> None:
    small = tl.row_filter(ROWS, lambda r: tl.some(r.delay) < 5)
    large = tl.row_filter(ROWS, lambda r: tl.not_(tl.some(r.delay) < 5))
    assert [small(Row(1, delay=n)) for n in (None, 1, 9)] == [False, True, False]
    assert [large(Row(1, delay=n)) for n in (None, 1, 9)] == [False, False, True]


def test_a_predicate_that_fails_raises_the_servers_error() -> None:
    with pytest.raises(tl.QueryError, match="division by zero"):
        tl.row_filter(ROWS, lambda r: 1 // r.id > 0)(Row(0))


def test_nan_is_the_greatest_and_equals_itself() -> None:
    nan = float("nan")
    assert tl.row_filter(ROWS, lambda r: (r.ratio == nan) & (r.ratio > float("inf")))(
        Row(1, ratio=float("nan"))
    )


def test_the_sum_and_the_negative_of_an_enum_are_numbers() -> None:
    row = Row(1, level=Level.HIGH)
    assert one(lambda r: (tl.sum(r.level), tl.max(r.level)), row) == (7, Level.HIGH)
    assert one(lambda r: -r.level, row) == -7


def test_rows_that_tie_keep_their_order() -> None:
    given = [Row(3, "b"), Row(1, "a"), Row(2, "b")]
    for ordering, expected in ((tl.asc, [1, 3, 2]), (tl.desc, [3, 2, 1])):
        asked = tl.select(ROWS, order_by=lambda r, by=ordering: by(r.name))  # type: ignore[misc]
        assert [row.id for row in tl.evaluate(asked, given).unwrap()] == expected


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: tl.select(ROWS, order_by=lambda r: r.document), "jsonb values cannot be ordered"),
        (lambda: tl.select(ROWS, where=lambda r: r.tags == {"a"}), "a set field has no order"),
        (lambda: tl.for_update(ALL), "only a database locks rows"),
        (lambda: tl.union(ALL, tl.for_update(ALL)), "only a database locks rows"),
        (lambda: tl.page(ALL, size=3), "a store signs its cursors"),
        (lambda: tl.sql("select 1", into=int), "only a database reads SQL"),
        (lambda: ROWS, "evaluate takes a query: tl.select"),
    ],
)
def test_what_needs_a_database_is_said_before_any_row_is_looked_at(
    build: Callable[[], tl.Query[Any]], says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        tl.evaluate(build(), iter(()))


def test_deep_conditions_answer_or_fail_like_statements() -> None:
    def deep(levels: int) -> tl.Query[Row]:
        def where(row: Row) -> bool:
            condition = row.id == 1
            for _ in range(levels):
                condition = tl.not_(condition)
            return condition

        return tl.select(ROWS, where=where)

    assert tl.evaluate(deep(100), [Row(1)]) == tl.Success([Row(1)])
    assert isinstance(failure(deep(100_000), Row(1)), tl.QueryError)


def nodes(kind: type[Any] = Expr) -> list[type[Any]]:
    """Every kind of expression, wherever it is defined."""
    return [found for child in kind.__subclasses__() for found in (child, *nodes(child))]


KINDS = nodes()
SOURCES = {query.Query, query.Compound, query.Cte, query.CteRef, tl.Table}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_is_evaluated_or_listed_with_its_reason(kind: type[Any]) -> None:
    assert (kind in registry.EXPRESSIONS) != (kind in registry.NOT_IN_MEMORY)


def test_no_reason_outlives_its_kind() -> None:
    others = {query.Lock, PageQuery, tl.RawSql, tl.RawQuery}
    assert {*others, *KINDS} >= registry.NOT_IN_MEMORY.keys()
    assert set(KINDS) >= registry.EXPRESSIONS.keys()
    assert registry.SOURCES.keys() == SOURCES
