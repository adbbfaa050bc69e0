"""Cached queries without a server: what they read, and which of them a change concerns."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tierline as tl
from tierline.cache.intervals import Intervals
from tierline.cache.query_cache import CHANGES_MAX, QueryCache, changes_of_keys
from tierline.cache.query_index import Slot, TableIndex
from tierline.cache.strategy import ReadOptions
from tierline.query import readings as reading_of
from tierline.query.changes import RowChange
from tierline.query.readings import bound, readings_of, touches


class Plane(msgspec.Struct, frozen=True):
    tail: str
    seats: int | None
    maker: str


class Flight(msgspec.Struct, frozen=True):
    id: int
    tail: str | None
    origin: str
    delay: int | None
    price: Decimal = Decimal(0)
    at: Annotated[dt.datetime, msgspec.Meta(tz=True)] = dt.datetime(2013, 1, 1, tzinfo=dt.UTC)
    flown: bool = True


PLANES = tl.table(Plane, name="planes", key=lambda p: p.tail)
FLIGHTS = tl.table(Flight, name="flights", key=lambda f: f.id)
ROW = {
    "id": 1, "tail": "N1", "origin": "JFK", "delay": 5, "price": Decimal("1.0"),
    "at": dt.datetime(2013, 1, 1, tzinfo=dt.UTC), "flown": True,
}  # fmt: skip
PLANE = {"tail": "N1", "seats": 100, "maker": "AIRBUS"}


def is_touched(query: tl.Query[Any], table: Any, old: Any, new: Any, **given: object) -> bool:
    change = RowChange(old, new)
    return any(
        touches(reading_of.tests_of(reading), reading.columns, change)
        for reading in bound(readings_of(query), given)
        if reading.table is table
    )


def changed(**fields: Any) -> dict[str, Any]:
    return ROW | fields


FROM_JFK = tl.select(FLIGHTS, where=lambda f: f.origin == "JFK")


@pytest.mark.parametrize(
    ("old", "new", "touched"),
    [
        (None, ROW, True),
        (ROW, None, True),
        (ROW, changed(delay=6), True),
        (ROW, changed(origin="LGA"), True),
        (changed(origin="LGA"), ROW, True),
        (None, changed(origin="LGA"), False),
        (changed(origin="LGA"), changed(origin="EWR"), False),
        (ROW, dict(ROW), False),
        # Not all of a row is known.
        ({"id": 1}, None, True),
        ({"origin": "LGA"}, {"origin": "LGA"}, False),
        ({"origin": "JFK"}, {"origin": "JFK"}, True),
        ({}, {}, True),
        # Equal and shown otherwise.
        (ROW, changed(price=Decimal("1.00")), True),
    ],
)
def test_a_change_touches_a_query_that_has_the_row(old: Any, new: Any, touched: Any) -> None:
    assert is_touched(FROM_JFK, FLIGHTS, old, new) == touched


def test_columns_that_nobody_uses_may_change() -> None:
    late = tl.project(FROM_JFK, lambda f: (tl.count(), tl.max(f.delay)), group_by=lambda f: f.tail)
    assert not is_touched(late, FLIGHTS, ROW, changed(id=2, price=Decimal(7)))
    assert is_touched(late, FLIGHTS, ROW, changed(tail="N2"))
    assert is_touched(late, FLIGHTS, ROW, changed(delay=9))
    assert is_touched(late, FLIGHTS, None, ROW)
    assert is_touched(late, FLIGHTS, {"origin": "JFK"}, {"origin": "JFK"})


def test_an_ordering_is_a_use() -> None:
    ids = tl.project(tl.select(FLIGHTS), lambda f: f.id, order_by=lambda f: f.delay, limit=3)
    assert is_touched(ids, FLIGHTS, ROW, changed(delay=9))
    assert not is_touched(ids, FLIGHTS, ROW, changed(origin="LGA"))


def test_conditions_of_an_inner_join_choose_rows() -> None:
    joined = tl.where(
        tl.join(FLIGHTS, PLANES, lambda f, p: (f.tail == p.tail) & (f.origin == "JFK")),
        lambda f, p: (p.maker == "AIRBUS") & (tl.some(f.delay) > 3),
    )
    assert is_touched(joined, FLIGHTS, None, ROW)
    assert not is_touched(joined, FLIGHTS, None, changed(origin="LGA"))
    assert not is_touched(joined, FLIGHTS, None, changed(delay=None))
    assert is_touched(joined, PLANES, None, PLANE)
    assert not is_touched(joined, PLANES, None, PLANE | {"maker": "BOEING"})
    # What it says of two rows is not asked of one.
    onward = tl.join(FLIGHTS, FLIGHTS, lambda f, g: f.id == g.delay)
    assert is_touched(onward, FLIGHTS, None, ROW)


def test_conditions_behind_a_left_join_choose_no_rows_of_its_right_side() -> None:
    pairs = tl.left_join(
        FLIGHTS, PLANES, lambda f, p: (f.tail == p.tail) & (p.maker == "AIRBUS") & (f.id == 1)
    )
    alone = tl.where(pairs, lambda f, p: tl.is_null(tl.some(p).seats) & (f.origin == "JFK"))
    # A plane with seats takes the flight out of the answer by being there.
    assert is_touched(alone, PLANES, None, PLANE)
    assert not is_touched(alone, PLANES, None, PLANE | {"maker": "BOEING"})
    # A flight without a plane is in the answer, whatever ON says.
    assert is_touched(alone, FLIGHTS, None, changed(id=2))
    assert not is_touched(alone, FLIGHTS, None, changed(origin="LGA"))


def test_queries_inside_are_read_by_their_own_conditions() -> None:
    late = tl.select(FLIGHTS, where=lambda f: tl.some(f.delay) > 60)
    flown = tl.select(
        PLANES,
        where=lambda p: tl.exists(tl.where(late, lambda f: f.tail == p.tail)),
    )
    assert not is_touched(flown, FLIGHTS, None, ROW)
    assert is_touched(flown, FLIGHTS, None, changed(delay=61))
    assert is_touched(flown, PLANES, None, PLANE)


def test_a_parameter_that_is_none_hides_no_row() -> None:
    odd = tl.select(
        FLIGHTS, where=lambda f: tl.is_null(f.delay == tl.param("delay", tl.optional(int)))
    )
    assert is_touched(odd, FLIGHTS, None, ROW, delay=None)
    assert not is_touched(odd, FLIGHTS, None, ROW, delay=5)


def test_an_error_of_a_condition_hides_no_row() -> None:
    broken = tl.select(FLIGHTS, where=lambda f: 10 / f.id > 1)
    assert is_touched(broken, FLIGHTS, None, changed(id=0))
    assert not is_touched(broken, FLIGHTS, None, changed(id=20))


def test_misuse_is_a_type_error_that_says_what_to_do() -> None:
    cached: Any = tl.cached_query
    for wrong in (PLANES, "select", tl.sql("select 1"), tl.page(FROM_JFK, size=1)):
        with pytest.raises(TypeError, match="takes a query of"):
            cached(wrong, ttl_s=1)
    with pytest.raises(TypeError, match="reads="):
        cached(tl.sql("select 1", into=int), ttl_s=1)
    with pytest.raises(TypeError, match="reads="):
        cached(FROM_JFK, ttl_s=1, reads=(FLIGHTS,))
    with pytest.raises(TypeError, match="takes tables"):
        cached(tl.sql("select 1", into=int), ttl_s=1, reads=("flights",))
    with pytest.raises(TypeError, match="locks rows"):
        cached(tl.for_update(FROM_JFK), ttl_s=1)
    for ttl_s in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="ttl_s"):
            cached(FROM_JFK, ttl_s=ttl_s)
    assert "cached for 1.5 s" in repr(cached(FROM_JFK, ttl_s=1.5))


CONDITIONS = [
    lambda v: tl.select(FLIGHTS, where=lambda f: f.id == v),
    lambda v: tl.select(FLIGHTS, where=lambda f: v == f.id),
    lambda v: tl.select(FLIGHTS, where=lambda f: tl.is_in(f.id, [v, v + 1])),
    lambda v: tl.select(FLIGHTS, where=lambda f: tl.is_in(f.id, [])),
    lambda v: tl.select(FLIGHTS, where=lambda f: tl.between(f.id, v, v + 3)),
    lambda v: tl.select(FLIGHTS, where=lambda f: f.id > v),
    lambda v: tl.select(FLIGHTS, where=lambda f: v >= f.id),
    lambda v: tl.select(FLIGHTS, where=lambda f: (f.id > v) & (f.id < v + 2)),
    lambda v: tl.select(FLIGHTS, where=lambda f: tl.some(f.delay) <= v),
    lambda v: tl.select(FLIGHTS, where=lambda f: tl.is_null(f.delay)),
    lambda v: tl.select(FLIGHTS, where=lambda f: f.flown),
    lambda v: tl.select(FLIGHTS, where=lambda f: tl.not_(f.flown)),
    lambda v: tl.select(FLIGHTS, where=lambda f: f.price >= v / 2),
    lambda v: tl.select(FLIGHTS, where=lambda f: f.price == Decimal(v)),
    lambda v: tl.select(FLIGHTS, where=lambda f: f.origin > "L"),
    lambda v: tl.select(FLIGHTS, where=lambda f: (f.tail == "N1") & (f.origin == "JFK")),
    lambda v: tl.select(FLIGHTS, where=lambda f: (f.tail == "N2") | (f.id == v)),
    lambda v: tl.select(FLIGHTS, where=lambda f: f.id != v),
    lambda v: tl.select(FLIGHTS),
    lambda v: tl.select(FLIGHTS, where=lambda f: f.at > dt.datetime(2013, 1, 1 + v, tzinfo=dt.UTC)),
]


def some_row(rng: random.Random) -> dict[str, Any] | None:
    if rng.random() < 0.2:
        return None
    row = {
        "id": rng.randrange(12),
        "tail": rng.choice(("N1", "N2", None)),
        "origin": rng.choice(("JFK", "LGA")),
        "delay": rng.choice((None, *range(10))),
        "price": Decimal(rng.randrange(12)) / 2,
        "at": dt.datetime(2013, 1, rng.randrange(1, 12), tzinfo=dt.UTC),
        "flown": rng.random() < 0.5,
    }
    if rng.random() < 0.3:
        del row[rng.choice(list(row))]
    return row


@pytest.mark.parametrize("seed", range(5))
def test_the_index_misses_nobody_whom_a_change_touches(seed: int) -> None:
    rng = random.Random(seed)
    index = TableIndex()
    slots: list[Slot] = []
    for _ in range(400):
        if slots and rng.random() < 0.3:
            index.remove(slots.pop(rng.randrange(len(slots))))
            continue
        (reading,) = readings_of(rng.choice(CONDITIONS)(rng.randrange(10)))
        slots.append(Slot(object(), reading))
        index.add(slots[-1])
        change = RowChange(some_row(rng), some_row(rng))
        found = index.concerned(change)
        assert len(set(found)) == len(found)
        assert {slot for slot in slots if slot.is_touched(change)} <= set(found)
    for slot in slots:
        index.remove(slot)
    assert len(index) == 0
    assert not list(index)
    assert index.concerned(RowChange({}, {})) == []


def test_a_column_that_is_cast_is_not_looked_up() -> None:
    index = TableIndex()
    (reading,) = readings_of(tl.select(FLIGHTS, where=lambda f: f.id == 2.0**53))
    index.add(Slot(object(), reading))
    # As double precision they are equal.
    change = RowChange(changed(id=2**53 + 1), None)
    assert [slot.is_touched(change) for slot in index.concerned(change)] == [True]


def test_a_change_asks_those_it_may_concern_and_no_others() -> None:
    index = TableIndex()
    by_id = tl.select(FLIGHTS, where=lambda f: f.id == tl.param("id", int))
    # The rare value tells more of them apart than the common one.
    by_tail = tl.select(
        FLIGHTS, where=lambda f: (f.origin == "JFK") & (f.tail == tl.param("tail", str))
    )
    by_range = tl.select(
        FLIGHTS,
        where=lambda f: (
            tl.between(f.delay, tl.param("low", int), tl.param("high", int)) & (f.origin == "JFK")
        ),
    )
    for n in range(3_000):
        for query, values in (
            (by_id, {"id": n}),
            (by_tail, {"tail": f"N{n}"}),
            (by_range, {"low": 10 * n, "high": 10 * n + 15}),
        ):
            (reading,) = bound(readings_of(query), values)
            index.add(Slot(object(), reading))
    found = index.concerned(RowChange(changed(id=7, tail="N9", delay=1234), None))
    assert len(found) <= 20
    assert len(index) == 9_000


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 12), st.booleans()), min_size=1, max_size=60
    )
)
def test_intervals_are_found_by_what_lies_in_them(steps: list[tuple[int, int, bool]]) -> None:
    tree: Intervals[int] = Intervals()
    held: dict[int, tuple[int, int]] = {}
    for number, (low, width, is_removal) in enumerate(steps):
        if is_removal and held:
            gone = sorted(held)[low % len(held)]
            tree.remove((held.pop(gone)[0], gone))
        else:
            held[number] = (low, low + width)
            tree.add((low, number), (low + width, 10**9), number)
        assert len(tree) == len(held)
        assert sorted(tree) == sorted(held)
        for value in range(0, 45, 4):
            expected = sorted(n for n, (low, high) in held.items() if low <= value <= high)
            assert sorted(tree.at((value, 10**9))) == expected
    with pytest.raises(KeyError):
        tree.remove((-1, -1))


KEPT = tl.read_through(ttl_s=60)


def loaded(rows: list[Any]) -> Any:
    return lambda: tl.Success(rows)


def test_what_a_cache_counts() -> None:
    cache = QueryCache("public")
    reading = readings_of(FROM_JFK)
    assert cache.read("a", lambda: reading, KEPT, loaded([1])) == tl.Success([1])
    assert cache.read("a", lambda: reading, KEPT, loaded([2])) == tl.Success([1])
    assert cache.read(
        "a", lambda: reading, KEPT, loaded([3]), ReadOptions(fresh=True)
    ) == tl.Success([3])
    cache.changed(FLIGHTS, [RowChange(None, changed(origin="LGA"))])
    assert cache.read("a", lambda: reading, KEPT, loaded([4])) == tl.Success([3])
    cache.changed(FLIGHTS, [RowChange(None, ROW)])
    assert cache.read("a", lambda: reading, KEPT, loaded([5])) == tl.Success([5])
    assert cache.stats()[:3] == (2, 3, 3)
    assert (cache.stats().invalidated, cache.stats().spared, cache.stats().entries) == (1, 1, 1)
    cache.clear()
    assert cache.stats().entries == 0
    assert not cache.reads(FLIGHTS)


def test_a_failure_is_handed_on_and_not_kept() -> None:
    cache = QueryCache("public")
    failed = tl.Failure(tl.QueryError("no"))
    assert cache.read("a", lambda: readings_of(FROM_JFK), KEPT, lambda: failed) is failed
    assert not cache.reads(FLIGHTS)
    with pytest.raises(ZeroDivisionError):
        cache.read("a", lambda: readings_of(FROM_JFK), KEPT, lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    assert not cache.reads(FLIGHTS)


def test_results_that_make_room_leave_the_index() -> None:
    few = tl.read_through(ttl_s=60, max_entries=30)
    cache = QueryCache("public")
    for n in range(50):
        cache.read(n, lambda: readings_of(FROM_JFK), few, loaded([n] * 4))
    kept = cache.stats().entries
    assert 0 < kept <= 6
    assert len(cache._indexes["public", "flights"]) == kept
    # One that is too large is handed out and not kept.
    assert cache.read("large", lambda: readings_of(FROM_JFK), few, loaded([0] * 99)).unwrap()
    assert len(cache._indexes["public", "flights"]) == cache.stats().entries


def test_results_past_their_time_leave_the_index() -> None:
    cache = QueryCache("public")
    cache.read("a", lambda: readings_of(FROM_JFK), tl.read_through(ttl_s=0.001), loaded([1]))
    until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=5)
    while cache.read("a", lambda: readings_of(FROM_JFK), KEPT, loaded([2])).unwrap() == [1]:
        assert dt.datetime.now(dt.UTC) < until
    assert len(cache._indexes["public", "flights"]) == 1


def test_results_of_a_new_kind_of_strategy_know_the_horizon() -> None:
    cache = QueryCache("public")
    kinds = [tl.read_through(ttl_s=60, stale_if_error_s=5, retry_s=s) for s in (1, 2)]
    cache.read("a", lambda: readings_of(FROM_JFK), kinds[0], loaded([1])).unwrap()
    cache.serve_until(0.0)
    for kind in kinds:
        assert cache.read("a", lambda: readings_of(FROM_JFK), kind, loaded([2])).unwrap() == [2]
        found = cache.read("a", lambda: readings_of(FROM_JFK), kind, loaded([3]))
        assert found.unwrap() == [3]
    assert cache.stats().hits == 0


def test_many_rows_are_any_rows() -> None:
    cache = QueryCache("public")
    cache.read("a", lambda: readings_of(FROM_JFK), KEPT, loaded([1]))
    away = RowChange(None, changed(origin="LGA"))
    cache.changed(FLIGHTS, [away] * CHANGES_MAX)
    assert cache.reads(FLIGHTS)
    cache.changed(FLIGHTS, [away] * (CHANGES_MAX + 1))
    assert not cache.reads(FLIGHTS)
    assert changes_of_keys(FLIGHTS, [1, 2**70, 2]) == [
        RowChange({"id": 1}, None),
        RowChange({"id": 2}, None),
    ]
    assert changes_of_keys(FLIGHTS, range(CHANGES_MAX + 1)) is None
