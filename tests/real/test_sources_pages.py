"""Keyset pages: nothing lost, nothing twice, in both directions, whatever the rows and ordering."""

from __future__ import annotations

import base64
import datetime as dt
import enum
import itertools
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Generator
from decimal import Decimal
from typing import Annotated, Any, TypeVar

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.real.helpers import failure

import tierline as tl

T = TypeVar("T")
SECRET = b"0123456789abcdef"


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Row(msgspec.Struct, frozen=True):
    """A composite key, and fields with few values, so that many rows are the same in them."""

    group: str
    number: int
    a: int | None
    b: float | None
    c: str | None
    colour: Colour | None = None
    price: Decimal | None = None
    at: dt.datetime | None = None
    uid: uuid.UUID | None = None
    lasted: dt.timedelta | None = None
    day: dt.date | None = None
    raw: bytes | None = None
    flag: bool | None = None
    local: Annotated[dt.datetime, msgspec.Meta(tz=False)] | None = None


class Group(msgspec.Struct, frozen=True):
    name: str
    rank: int | None


ROWS = tl.table(Row, name="rows", key=lambda r: (r.group, r.number))
GROUPS = tl.table(Group, name="groups", key=lambda g: g.name)
KEPT = ("a", "b", "c", "colour", "price", "at", "uid", "lasted", "day", "raw", "flag", "local")


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with opened(pg_url_each) as found:
        yield found


def opened(url: str, secret: bytes | None = SECRET) -> tl.Store:
    store = tl.open(url, timeout_s=10, cursor_secret=secret)
    for table in (ROWS, GROUPS):
        store.create_table(table, exist_ok=True).unwrap()
    return store


def fill(store: tl.Store, rows: list[Row], groups: list[Group] | None = None) -> None:
    """Put these rows in place of those of the example before."""
    for table in (ROWS, GROUPS):
        store.drop_table(table).unwrap()
        store.create_table(table).unwrap()
    tl.repository(store, ROWS).create_many(rows).unwrap()
    tl.repository(store, GROUPS).create_many(groups or []).unwrap()


def forward(store: tl.Store, query: tl.Query[T], size: int) -> list[tl.Page[T]]:
    """Every page, from the first."""
    pages = [store.fetch_page(tl.page(query, size=size)).unwrap()]
    while (cursor := pages[-1].next) is not None:
        assert len(pages) < 200, "the pages do not end"
        pages.append(store.fetch_page(tl.page(query, size=size, after=cursor)).unwrap())
    return pages


def backward(store: tl.Store, query: tl.Query[T], size: int, last: tl.Page[T]) -> list[tl.Page[T]]:
    """The pages before the last one, the nearest first."""
    pages = [last]
    while (cursor := pages[-1].previous) is not None:
        assert len(pages) < 200, "the pages do not end"
        pages.append(store.fetch_page(tl.page(query, size=size, before=cursor)).unwrap())
    return pages[1:]


def items(pages: list[tl.Page[T]]) -> list[T]:
    return list(itertools.chain.from_iterable(page.items for page in pages))


def walk(store: tl.Store, query: tl.Query[T], ordered: tl.Query[T], size: int) -> None:
    """Pages forward are the ordered query's rows; pages back are the same from the other end."""
    expected = store.fetch_all(ordered).unwrap()
    pages = forward(store, query, size)
    assert items(pages) == expected
    assert all(len(page.items) == size for page in pages[:-1])
    assert 0 < len(pages[-1].items) <= size or not expected
    assert pages[0].previous is None
    back = backward(store, query, size, pages[-1])
    assert items(back[::-1]) + pages[-1].items == expected
    assert not back or back[-1].previous is None
    # Between two pages one comes back to where one was.
    for earlier, later in itertools.pairwise(pages):
        assert later.previous is not None
        again = store.fetch_page(tl.page(query, size=size, before=later.previous)).unwrap()
        assert again.items == earlier.items
        assert again.next is not None


INSTANTS = [dt.datetime(2013, 1, n, tzinfo=dt.timezone(dt.timedelta(hours=n))) for n in (1, 2)]
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "a": st.sampled_from([None, -1, 0, 3]),
    "b": st.sampled_from([None, -0.5, 0.1, 1e300, float("inf"), float("-inf"), float("nan")]),
    "c": st.sampled_from([None, "", "a", "b", "é", "%", "'; --", "Z"]),
    "colour": st.sampled_from([None, *Colour]),
    "price": st.sampled_from(
        [None, Decimal("0.10"), Decimal("0.1"), Decimal(12345678901234567890)]
    ),
    "at": st.sampled_from([None, *INSTANTS]),
    "uid": st.sampled_from([None, uuid.UUID(int=1), uuid.UUID(int=2**127)]),
    "lasted": st.sampled_from([None, dt.timedelta(0), dt.timedelta(days=-1, microseconds=1)]),
    "day": st.sampled_from([None, dt.date(1, 1, 1), dt.date(2013, 1, 1)]),
    "raw": st.sampled_from([None, b"", b"\x00", b"\xff"]),
    "flag": st.sampled_from([None, False, True]),
    "local": st.sampled_from(
        [None, dt.datetime.fromisoformat("2013-01-01"), dt.datetime.fromisoformat("2013-01-02")]
    ),
}
ROW = st.builds(
    Row,
    group=st.sampled_from(["x", "y", "z"]),
    number=st.integers(-3, 6),
    **VALUES,
)
SOME_ROWS = st.lists(ROW, max_size=14, unique_by=lambda r: (r.group, r.number))
KEY = st.tuples(
    st.sampled_from(KEPT),
    st.sampled_from([tl.asc, tl.desc]),
    st.sampled_from([None, "first", "last"]),
)
KEYS = st.lists(KEY, max_size=4, unique_by=lambda key: key[0])
SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def by(keys: list[Any], *rest: str) -> Callable[[Any], Any]:
    def order(r: Any) -> Any:
        made = [direction(getattr(r, name), nulls=nulls) for name, direction, nulls in keys]
        return (*made, *(getattr(r, name) for name in rest))

    return order


def same(value: Any) -> Any:
    """NaN equals nothing; its text does."""
    return repr(value)


@SETTINGS
@given(rows=SOME_ROWS, keys=KEYS, size=st.integers(1, 16))
def test_pages_are_the_rows_in_their_order(
    store: tl.Store, rows: list[Row], keys: list[Any], size: int
) -> None:
    fill(store, rows)
    query = tl.select(ROWS, order_by=by(keys)) if keys else tl.select(ROWS)
    ordered = tl.select(ROWS, order_by=by(keys, "group", "number"))
    expected = [same(row) for row in store.fetch_all(ordered).unwrap()]
    pages = forward(store, query, size)
    assert [same(row) for row in items(pages)] == expected
    assert all(len(page.items) == size for page in pages[:-1])
    back = items(backward(store, query, size, pages[-1])[::-1]) + pages[-1].items
    assert [same(row) for row in back] == expected


FINITE = st.builds(
    Row,
    group=st.sampled_from(["x", "y", "z", "none"]),
    number=st.integers(-3, 6),
    a=VALUES["a"],
    b=st.sampled_from([None, 0.5]),
    c=VALUES["c"],
)
SOME_GROUPS = st.lists(
    st.builds(Group, st.sampled_from(["x", "y", "z"]), st.sampled_from([None, 1, 2])),
    max_size=3,
    unique_by=lambda g: g.name,
)


@SETTINGS
@given(
    rows=st.lists(FINITE, max_size=12, unique_by=lambda r: (r.group, r.number)),
    groups=SOME_GROUPS,
    size=st.integers(1, 13),
    descending=st.booleans(),
)
def test_pages_of_joins_projections_groups_and_unions(
    store: tl.Store, rows: list[Row], groups: list[Group], size: int, *, descending: bool
) -> None:
    fill(store, rows, groups)
    direction = tl.desc if descending else tl.asc
    maybe = tl.left_join(ROWS, GROUPS, lambda r, g: r.group == g.name)
    walk(
        store,
        tl.order_by(maybe, lambda r, g: (direction(tl.some(g).rank), r.a)),
        tl.order_by(
            maybe,
            lambda r, g: (direction(tl.some(g).rank), r.a, r.group, r.number, tl.some(g).name),
        ),
        size,
    )
    pairs = tl.join(ROWS, ROWS, lambda r, s: (r.group == s.group) & (r.number < s.number))
    made = tl.project(pairs, lambda r, s: (r.group, r.number, s.number, r.c))
    walk(
        store,
        tl.project(pairs, lambda r, s: r.c, order_by=lambda r, s: direction(s.c)),
        tl.project(
            pairs,
            lambda r, s: r.c,
            order_by=lambda r, s: (direction(s.c), r.group, r.number, s.group, s.number),
        ),
        size,
    )
    with pytest.raises(TypeError, match="may be the same"):
        tl.page(tl.where(made, lambda p: p[1] > 0), size=1)
    counted = tl.project(tl.select(ROWS), lambda r: (tl.count(), r.c), group_by=lambda r: r.c)
    walk(
        store,
        tl.order_by(counted, lambda p: direction(p[0])),
        tl.order_by(counted, lambda p: (direction(p[0]), p[1])),
        size,
    )
    keys = tl.project(tl.select(ROWS), lambda r: (r.a, r.group, r.number))
    walk(
        store,
        tl.order_by(keys, lambda p: direction(p[0])),
        tl.order_by(keys, lambda p: (direction(p[0]), p[1], p[2])),
        size,
    )
    values = tl.union(
        tl.project(tl.select(ROWS), lambda r: r.c), tl.project(tl.select(GROUPS), lambda g: g.name)
    )
    walk(store, values, tl.order_by(values, lambda v: v), size)
    computed = tl.select(ROWS, where=lambda r: r.number >= 0)
    walk(
        store,
        tl.order_by(computed, lambda r: (direction(r.number % 3), tl.some(r.b) * 3)),
        tl.order_by(
            computed, lambda r: (direction(r.number % 3), tl.some(r.b) * 3, r.group, r.number)
        ),
        size,
    )


def row(number: int, a: int | None = 0) -> Row:
    return Row("x", number, a, None, None)


BY_A = tl.select(ROWS, order_by=lambda r: tl.desc(r.a, nulls="last"))


def numbers(page: tl.Page[Row]) -> list[int]:
    return [r.number for r in page.items]


def test_rows_that_come_and_go_shift_nothing(store: tl.Store) -> None:
    fill(store, [row(n, n // 2) for n in range(8)])
    first = store.fetch_page(tl.page(BY_A, size=3)).unwrap()
    assert numbers(first) == [6, 7, 4]
    repository = tl.repository(store, ROWS)
    repository.create(row(50, 9)).unwrap()  # before the cursor
    repository.create(row(51, 0)).unwrap()  # after it
    repository.delete(("x", 4)).unwrap()  # the very row it is of
    repository.delete(("x", 2)).unwrap()
    second = store.fetch_page(tl.page(BY_A, size=3, after=first.next)).unwrap()
    assert numbers(second) == [5, 3, 0]
    third = store.fetch_page(tl.page(BY_A, size=3, after=second.next)).unwrap()
    assert numbers(third) == [1, 51]
    assert third.next is None
    back = store.fetch_page(tl.page(BY_A, size=9, before=second.previous)).unwrap()
    assert numbers(back) == [50, 6, 7]
    assert back.previous is None


def test_a_page_without_rows_is_the_end(store: tl.Store) -> None:
    assert store.fetch_page(tl.page(BY_A, size=3)) == tl.Success(tl.Page([], None, None))
    fill(store, [row(n) for n in range(4)])
    page = store.fetch_page(tl.page(BY_A, size=2)).unwrap()
    fill(store, [row(0), row(1)])
    gone = store.fetch_page(tl.page(BY_A, size=2, after=page.next)).unwrap()
    assert gone == tl.Page([], None, None)
    exact = store.fetch_page(tl.page(BY_A, size=2)).unwrap()
    assert exact.next is None


def test_sizes_may_change_on_the_way(store: tl.Store) -> None:
    fill(store, [row(n) for n in range(10)])
    page = store.fetch_page(tl.page(BY_A, size=1)).unwrap()
    page = store.fetch_page(tl.page(BY_A, size=5, after=page.next)).unwrap()
    assert numbers(page) == [1, 2, 3, 4, 5]
    page = store.fetch_page(tl.page(BY_A, size=2, before=page.previous)).unwrap()
    assert numbers(page) == [0]
    page = store.fetch_page(tl.page(BY_A, size=10_000, after=page.next)).unwrap()
    assert numbers(page) == [*range(1, 10)]


def refused(store: tl.Store, query: tl.Query[Any], cursor: str) -> None:
    """A cursor that is refused says what to do, in both directions, and repeats nothing of it."""
    for page in (tl.page(query, size=2, after=cursor), tl.page(query, size=2, before=cursor)):
        error = failure(store.fetch_page(page), tl.ValidationError, "begin at the first page")
        assert error.operation == "fetch_page"
        assert error.table == "rows"
        assert [e.path for e in error.errors] == ["cursor"]
        assert not cursor or len(cursor) < 3 or cursor not in error.message


HOSTILE = [
    "", " ", "=", "==", "A", "AAAA", "!", "é", "\x00", "\ud800", "'; DROP TABLE rows; --", "$1",
    "A" * 100_000, "null", "[]", "../../etc/passwd", "%00", "\n", "😀",
]  # fmt: skip


def test_hostile_cursors_are_refused(store: tl.Store) -> None:
    fill(store, [row(n) for n in range(4)])
    for cursor in HOSTILE:
        refused(store, BY_A, cursor)
    assert store.count(tl.select(ROWS)) == tl.Success(4)


def test_changed_cursors_are_refused(store: tl.Store) -> None:
    fill(store, [row(n) for n in range(4)])
    cursor = store.fetch_page(tl.page(BY_A, size=2)).unwrap().next
    assert cursor is not None
    for length in range(len(cursor)):
        refused(store, BY_A, cursor[:length])
    whole = base64.urlsafe_b64decode(cursor)
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        refused(store, BY_A, base64.urlsafe_b64encode(changed).decode())
    for added in (cursor + "A", "A" + cursor, cursor + cursor, cursor + "\n", f"!{cursor}"):
        refused(store, BY_A, added)
    # What another signature covers, such as one without a secret, is not this one.
    unsigned = base64.urlsafe_b64encode(bytes(16) + whole[16:]).decode()
    refused(store, BY_A, unsigned)


def test_cursors_of_other_queries_are_refused(store: tl.Store) -> None:
    fill(store, [row(n) for n in range(4)])
    cursor = store.fetch_page(tl.page(BY_A, size=2)).unwrap().next
    assert cursor is not None
    others: list[tl.Query[Any]] = [
        tl.select(ROWS),
        tl.select(ROWS, order_by=lambda r: r.a),
        tl.select(ROWS, order_by=lambda r: tl.desc(r.a)),
        tl.select(ROWS, order_by=lambda r: (tl.desc(r.a, nulls="last"), tl.desc(r.group))),
        tl.where(BY_A, lambda r: r.number > 0),
        tl.project(BY_A, lambda r: r.number),
        tl.order_by(
            tl.join(ROWS, GROUPS, lambda r, g: r.group == g.name),
            lambda r, g: tl.desc(r.a, nulls="last"),
        ),
    ]
    for other in others:
        refused(store, other, cursor)


def test_cursors_of_other_values_are_refused(store: tl.Store) -> None:
    fill(store, [row(n, n % 2) for n in range(8)])

    def of(a: int) -> tl.Query[Row]:
        return tl.select(ROWS, where=lambda r: tl.some(r.a) == a)

    cursor = store.fetch_page(tl.page(of(1), size=2)).unwrap().next
    assert cursor is not None
    # Made anew it is the same query.
    assert numbers(store.fetch_page(tl.page(of(1), size=2, after=cursor)).unwrap()) == [5, 7]
    refused(store, of(0), cursor)

    named = tl.select(ROWS, where=lambda r: tl.some(r.a) == tl.param("a", int))
    given = store.fetch_page(tl.page(named, size=2), a=1).unwrap().next
    assert given is not None
    later = tl.page(named, size=2, after=given)
    assert numbers(store.fetch_page(later, a=1).unwrap()) == [5, 7]
    error = failure(store.fetch_page(later, a=0), tl.ValidationError, "with these values")
    assert [e.path for e in error.errors] == ["cursor"]
    with pytest.raises(TypeError, match="needs the parameters a"):
        store.fetch_page(later)


def test_no_value_of_the_query_is_in_its_cursors(store: tl.Store) -> None:
    fill(store, [row(n) for n in range(4)])
    query = tl.select(ROWS, where=lambda r: r.group != "a very secret text")
    cursor = store.fetch_page(tl.page(query, size=2)).unwrap().next
    assert cursor is not None
    assert b"secret" not in base64.urlsafe_b64decode(cursor)
    assert len(cursor) < 100


def test_values_that_no_cursor_can_spell_bind_it_too(store: tl.Store) -> None:
    fill(store, [row(n) for n in range(4)])
    moment = dt.datetime(2013, 1, 1, 12, tzinfo=dt.UTC)
    elsewhere = moment.astimezone(dt.timezone(dt.timedelta(hours=9)))

    def before(at: dt.datetime, number: int, raw: float) -> tl.Query[Row]:
        return tl.select(
            ROWS,
            where=lambda r: (
                tl.is_null(r.at)
                | (tl.some(r.at) < at)
                | (r.number > number)
                | (tl.some(r.b) == raw)
            ),
        )

    first = store.fetch_page(tl.page(before(moment, 2**63, float("inf")), size=2)).unwrap()
    assert first.next is not None
    # The same instant is the same value, whatever its zone.
    again = tl.page(before(elsewhere, 2**63, float("inf")), size=2, after=first.next)
    assert numbers(store.fetch_page(again).unwrap()) == [2, 3]
    refused(store, before(moment, 2**63 + 1, float("inf")), first.next)
    refused(store, before(moment, 2**63, float("-inf")), first.next)
    refused(store, before(moment + dt.timedelta(seconds=1), 2**63, float("inf")), first.next)


CURSOR_OF_A_SET = """
import sys
import tierline as tl
from tests.real.test_sources_pages import ROWS, opened
names = {"x", "y", "z", "a", "b", "c", "d"}
query = tl.select(ROWS, where=lambda r: tl.is_in(r.group, names))
with opened(sys.argv[1]) as store:
    print(store.fetch_page(tl.page(query, size=2)).unwrap().next)
"""


def test_a_set_of_values_is_the_same_in_every_process(pg_url: str) -> None:
    with opened(pg_url) as store:
        fill(store, [row(n) for n in range(4)])
    cursors = {
        subprocess.run(
            [sys.executable, "-c", CURSOR_OF_A_SET, pg_url],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(cursors) == 1


def test_a_secret_is_shared_between_stores_or_not(pg_url: str) -> None:
    with opened(pg_url) as one, opened(pg_url) as two, opened(pg_url, None) as alone:
        fill(one, [row(n) for n in range(4)])
        cursor = one.fetch_page(tl.page(BY_A, size=2)).unwrap().next
        assert cursor is not None
        assert numbers(two.fetch_page(tl.page(BY_A, size=2, after=cursor)).unwrap()) == [2, 3]
        refused(alone, BY_A, cursor)
        own = alone.fetch_page(tl.page(BY_A, size=2)).unwrap().next
        assert own is not None
        refused(one, BY_A, own)
    with opened(pg_url) as later:
        assert numbers(later.fetch_page(tl.page(BY_A, size=2, after=cursor)).unwrap()) == [2, 3]


@pytest.mark.parametrize("secret", [b"", b"short", b"0123456789abcde"])
def test_a_secret_that_is_too_short_is_a_configuration_error(pg_url: str, secret: bytes) -> None:
    error = failure(
        tl.connect(pg_url, cursor_secret=secret), tl.ConfigurationError, "secrets.token_bytes(32)"
    )
    assert repr(secret) not in error.message
    with pytest.raises(tl.ConfigurationError):
        tl.open(pg_url, cursor_secret=secret)


def test_operating_errors_on_the_way_are_failures(pg_url: str) -> None:
    with opened(pg_url) as store:
        fill(store, [row(n) for n in range(4)])
        page = store.fetch_page(tl.page(BY_A, size=2)).unwrap()
        with psycopg.connect(pg_url, autocommit=True) as raw:
            raw.execute("DROP TABLE rows")
        result = store.fetch_page(tl.page(BY_A, size=2, after=page.next))
        assert isinstance(result, tl.Failure)
        assert result.failure().operation == "fetch_page"
