"""Random conditions and orderings: PostgreSQL and plain Python agree on every row."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Generator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import tierline as tl


class Row(msgspec.Struct, frozen=True):
    id: int
    a: int
    b: int | None
    s: str
    t: str | None
    flag: bool | None


ROWS_TABLE = tl.table(Row, name="rows", key=lambda r: r.id)
TEXTS = ["", "a", "b", "ab", "aba", "%", "_", "\\", "'", '"', "$1", "A", "é", "😀", "a%b", "x'; --"]
NUMBERS = [0, 1, -1, 2, -3, 7, 100]
MAYBE_NUMBERS = [None, *NUMBERS]
MAYBE_TEXTS = [None, *TEXTS]
FLAGS = [None, True, False]


def row(n: int) -> Row:
    """Rows in which every value meets many others: the lists have lengths without common part."""
    return Row(
        n,
        NUMBERS[n % 7],
        MAYBE_NUMBERS[n * 5 % 8],
        TEXTS[n * 3 % 16],
        MAYBE_TEXTS[n * 7 % 17],
        FLAGS[n * 2 % 3],
    )


ROWS = [row(n) for n in range(68)]


@pytest.fixture
def store(pg_url: str) -> Generator[tl.Store]:
    with tl.open(pg_url, timeout_s=10) as opened:
        opened.create_table(ROWS_TABLE).unwrap()
        tl.repository(opened, ROWS_TABLE).create_many(ROWS).unwrap()
        yield opened


# A recipe is a tree of tuples. `build` makes a condition of it over a traced or a real row;
# `judge` says what SQL should answer: True, False, or None for unknown.
Recipe = tuple[Any, ...]

PLAIN = st.tuples(st.just("value"), st.integers(-9, 9))
INTS = st.recursive(
    st.sampled_from([("field", "a"), ("field", "b")]) | PLAIN,
    lambda inner: (
        st.tuples(st.sampled_from(["+", "-", "*"]), inner, inner)
        | st.tuples(
            st.sampled_from(["//", "%"]),
            inner,
            st.tuples(st.just("value"), st.integers(-5, 5).filter(bool)),
        )
    ),
    max_leaves=4,
).filter(lambda recipe: "field" in repr(recipe))
PARTS = st.sampled_from(TEXTS) | st.text("ab%_\\'é", max_size=3)
COMPARE = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
TEXT_FIELD = st.sampled_from([("field", "s"), ("field", "t")])
TESTS = st.one_of(
    st.tuples(COMPARE, INTS, INTS | PLAIN),
    st.tuples(COMPARE, st.tuples(st.just("/"), INTS, st.just(("value", 4))),
              st.tuples(st.just("value"), st.sampled_from([0.25, 0.5, -1.75, 1.0]))),
    st.tuples(COMPARE, TEXT_FIELD, st.tuples(st.just("value"), PARTS)),
    st.tuples(st.just("=="), st.just(("field", "s")), st.just(("field", "t"))),
    st.tuples(st.sampled_from(["starts", "ends", "contains"]), TEXT_FIELD, PARTS),
    st.tuples(st.just("in"), TEXT_FIELD, st.lists(PARTS, max_size=4)),
    st.tuples(st.just("in"), INTS, st.lists(st.integers(-9, 9), max_size=4)),
    st.tuples(st.just("null"), st.tuples(st.just("field"), st.sampled_from(["b", "t", "flag"]))),
    st.just(("field", "flag")),
)  # fmt: skip
CONDITIONS = st.recursive(
    TESTS,
    lambda inner: (
        st.tuples(st.sampled_from(["&", "|"]), inner, inner) | st.tuples(st.just("not"), inner)
    ),
    max_leaves=6,
)

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le,
    ">": operator.gt, ">=": operator.ge, "+": operator.add, "-": operator.sub,
    "*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
    "&": operator.and_, "|": operator.or_,
    "starts": lambda text, part: text.startswith(part),
    "ends": lambda text, part: text.endswith(part),
    "contains": tl.contains,
    "in": tl.is_in,
}  # fmt: skip


def build(recipe: Recipe, over: Any) -> Any:
    """The condition as a user's lambda would write it."""
    match recipe:
        case ("field", name):
            return tl.some(getattr(over, name))
        case ("value", value):
            return value
        case ("not", inner):
            return tl.not_(build(inner, over))
        case ("null", ("field", name)):
            return tl.is_null(getattr(over, name))
        case (("starts" | "ends" | "contains" | "in") as name, left, plain):
            return OPERATORS[name](build(left, over), plain)
        case (name, left, right):
            return OPERATORS[name](build(left, over), build(right, over))
    raise AssertionError(recipe)


def judge(recipe: Recipe, over: Row) -> Any:
    """SQL's answer, by three-valued logic."""
    match recipe:
        case ("field", name):
            return getattr(over, name)
        case ("value", value):
            return value
        case ("not", inner):
            answer = judge(inner, over)
            return None if answer is None else not answer
        case ("null", ("field", name)):
            return getattr(over, name) is None
        case (("&" | "|") as name, left, right):
            answers = {judge(left, over), judge(right, over)}
            decisive = name == "|"
            if decisive in answers:
                return decisive
            return None if None in answers else not decisive
        case ("in", left, values):
            found = judge(left, over)
            return False if not values else None if found is None else found in values
        case (("starts" | "ends" | "contains") as name, left, plain):
            found = judge(left, over)
            return None if found is None else OPERATORS[name](found, plain)
        case (name, left, right):
            values = (judge(left, over), judge(right, over))
            return None if None in values else OPERATORS[name](*values)
    raise AssertionError(recipe)


oracle_settings = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@given(recipe=CONDITIONS)
@example(recipe=("not", ("in", ("field", "t"), [])))
@example(recipe=("&", ("null", ("field", "b")), ("<", ("field", "b"), ("value", 1))))
@example(recipe=("==", ("%", ("field", "a"), ("value", -3)), ("value", -2)))
@example(recipe=("==", ("//", ("field", "a"), ("value", 2)), ("value", -2)))
@oracle_settings
def test_a_condition_keeps_the_rows_that_python_keeps(store: tl.Store, recipe: Recipe) -> None:
    expected = [one for one in ROWS if judge(recipe, one) is True]
    query = tl.select(ROWS_TABLE, where=lambda r: build(recipe, r), order_by=lambda r: r.id)
    assert store.fetch_all(query) == tl.Success(expected)
    assert store.count(query) == tl.Success(len(expected))
    assert store.exists(query) == tl.Success(bool(expected))
    repository = tl.repository(store, ROWS_TABLE)
    assert repository.count(where=lambda r: build(recipe, r)) == tl.Success(len(expected))


@given(recipe=CONDITIONS)
@oracle_settings
def test_the_same_lambda_runs_on_real_objects_without_null(recipe: Recipe) -> None:
    for one in ROWS:
        if None not in msgspec.structs.astuple(one):
            assert build(recipe, one) == judge(recipe, one)


Key = tuple[str, bool, str | None]
KEYS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "s", "t", "flag"]),
        st.booleans(),
        st.sampled_from([None, "first", "last"]),
    ),
    max_size=3,
)


def ordering(keys: list[Key], over: Any) -> tuple[Any, ...]:
    """What a user's lambda would return; the id makes the order total."""
    return (
        *(
            (tl.desc if descending else tl.asc)(getattr(over, name), nulls=nulls)  # type: ignore[arg-type]
            for name, descending, nulls in keys
        ),
        over.id,
    )


def in_order(left: Row, right: Row, keys: list[Key]) -> int:
    """Compare two rows as PostgreSQL does: NULL last when ascending, first when descending."""
    for name, descending, nulls in keys:
        a, b = getattr(left, name), getattr(right, name)
        if a == b:
            continue
        if a is None or b is None:
            null_first = nulls == "first" or (nulls is None and descending)
            return -1 if (a is None) == null_first else 1
        return -1 if (a < b) != descending else 1
    return left.id - right.id


@given(
    keys=KEYS,
    limit=st.none() | st.integers(0, 80),
    offset=st.none() | st.integers(0, 80),
    floor=st.integers(-4, 8),
)
@oracle_settings
def test_rows_come_in_the_order_and_page_that_python_makes(
    store: tl.Store, keys: list[Key], limit: int | None, offset: int | None, floor: int
) -> None:
    ordered = sorted(
        (one for one in ROWS if one.a >= floor),
        key=functools.cmp_to_key(lambda left, right: in_order(left, right, keys)),
    )
    start = offset or 0
    expected = list(itertools.islice(ordered, start, None if limit is None else start + limit))
    query = tl.select(
        ROWS_TABLE,
        where=lambda r: r.a >= floor,
        order_by=lambda r: ordering(keys, r),
        limit=limit,
        offset=offset,
    )
    assert store.fetch_all(query) == tl.Success(expected)
    assert store.count(query) == tl.Success(len(expected))
    assert store.exists(query) == tl.Success(bool(expected))


class Group(msgspec.Struct, frozen=True):
    flag: bool | None
    rest: int
    rows: int
    total: int | None
    mean: float | None
    least: str | None
    kinds: int


@given(modulus=st.integers(1, 4), floor=st.integers(-4, 8), limit=st.none() | st.integers(0, 5))
@oracle_settings
def test_groups_are_those_that_python_makes(
    store: tl.Store, modulus: int, floor: int, limit: int | None
) -> None:
    groups: dict[tuple[int, bool | None], list[Row]] = {}
    for one in ROWS:
        if one.a >= floor:
            groups.setdefault((one.id % modulus, one.flag), []).append(one)
    expected = [
        Group(
            flag,
            rest,
            len(rows),
            sum(bs) if (bs := [r.b for r in rows if r.b is not None]) else None,
            pytest.approx(sum(bs) / len(bs)) if bs else None,
            min((r.t for r in rows if r.t is not None), default=None),
            len({r.s for r in rows}),
        )
        for (rest, flag), rows in sorted(
            groups.items(), key=lambda item: (item[0][0], item[0][1] is None, item[0][1])
        )
    ]
    query = tl.project(
        tl.select(ROWS_TABLE, where=lambda r: r.a >= floor),
        lambda r: Group(
            r.flag,
            r.id % modulus,
            tl.count(),
            tl.sum(r.b),
            tl.avg(r.b),
            tl.min(r.t),
            tl.count(r.s, distinct=True),
        ),
        group_by=lambda r: (r.id % modulus, r.flag),
        order_by=lambda r: (r.id % modulus, r.flag),
        limit=limit,
    )
    assert store.fetch_all(query).unwrap() == expected[:limit]
    assert store.count(query) == tl.Success(len(expected[:limit]))
    assert store.exists(query) == tl.Success(bool(expected[:limit]))
