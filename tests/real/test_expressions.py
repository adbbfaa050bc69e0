"""Expressions on real servers: NULL, hostile text in every position, what servers refuse."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Generator
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest
from tests.real.helpers import failure, is_idle

import tierline as tl


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Note(msgspec.Struct, frozen=True):
    text: str
    stars: int | None = None


class Order(msgspec.Struct, frozen=True):
    id: int
    name: str
    status: str | None
    total: Decimal | None
    at: dt.datetime | None
    tags: list[str] | None
    colour: Colour | None
    note: Note | None
    extra: dict[str, Any]


ORDERS = tl.table(Order, name="orders", key=lambda o: o.id)
NOON = dt.datetime(2026, 3, 29, 12, 34, 56, 789, tzinfo=dt.UTC)
FULL = Order(
    1, "Ada", "new", Decimal("10.10"), NOON, ["a", "b"], Colour.RED, Note("hello", 3), {"n": 7}
)
EMPTY = Order(2, "", None, None, None, None, None, None, {})
Fn = Callable[[Any], Any]


@pytest.fixture
def store(pg_url_each: str) -> Generator[tl.Store]:
    with tl.open(pg_url_each, timeout_s=20) as opened:
        opened.create_table(ORDERS).unwrap()
        tl.repository(opened, ORDERS).create_many([FULL, EMPTY]).unwrap()
        yield opened


def each(store: tl.Store, function: Fn) -> list[Any]:
    """What a function makes of the full row and of the one of NULLs."""
    query = tl.project(tl.select(ORDERS, order_by=lambda o: o.id), function)
    return store.fetch_all(query).unwrap()


def ids(store: tl.Store, where: Fn) -> list[int]:
    query = tl.select(ORDERS, where=where, order_by=lambda o: o.id)
    return [order.id for order in store.fetch_all(query).unwrap()]


@pytest.mark.parametrize(
    ("function", "of_full"),
    [
        (lambda o: o.status.upper(), "NEW"),
        (lambda o: o.status.strip(), "new"),
        (lambda o: o.status.replace("n", "N"), "New"),
        (lambda o: o.status[:2], "ne"),
        (lambda o: o.status[1:], "ew"),
        (lambda o: o.status[0:1], "n"),
        (lambda o: o.status[0], "n"),
        (lambda o: o.status + "!", "new!"),
        (lambda o: tl.length(o.status), 3),
        (lambda o: tl.like(o.status, "n%"), True),
        (lambda o: tl.matches(o.status, "e"), True),
        (lambda o: round(o.total, 1), Decimal("10.1")),
        (lambda o: abs(-o.total), Decimal("10.10")),
        (lambda o: o.at.year, 2026),
        (lambda o: o.at.date(), NOON.date()),
        (lambda o: tl.trunc("minute", o.at, zone="UTC"), NOON.replace(second=0, microsecond=0)),
        (lambda o: tl.at_zone(o.at, "Europe/Berlin").hour, 14),
        (lambda o: tl.length(o.tags), 2),
        (lambda o: o.tags[-1], "b"),
        (lambda o: o.tags[1:], ["b"]),
        (lambda o: tl.any_(o.tags) == "b", True),
        (lambda o: tl.all_(o.tags) == "b", False),
        (lambda o: tl.is_in("b", o.tags), True),
        (lambda o: tl.contains_all(o.tags, ["a"]), True),
        (lambda o: tl.overlaps(o.tags, ["c"]), False),
        (lambda o: o.note.text, "hello"),
        (lambda o: o.note.stars, 3),
        (lambda o: o.extra["n"], 7),
        (lambda o: tl.cast(o.extra["n"], int) + 1, 8),
        (lambda o: tl.cast(o.total, int), 10),
        (lambda o: tl.nullif(o.status, "old"), "new"),
        (lambda o: tl.between(o.total, 1, 20), True),
        (lambda o: o.colour.value, "red"),
        (lambda o: tl.case((o.total > 5, o.colour)), Colour.RED),
    ],
)  # fmt: skip
def test_of_null_the_answer_is_null(store: tl.Store, function: Fn, of_full: Any) -> None:
    assert each(store, function) == [of_full, None]


def test_functions_about_null_answer_for_it(store: tl.Store) -> None:
    assert each(store, lambda o: tl.coalesce(o.status, "none")) == ["new", "none"]
    assert each(store, lambda o: tl.coalesce(o.colour, Colour.BLUE)) == [Colour.RED, Colour.BLUE]
    assert each(store, lambda o: tl.coalesce(o.note, Note("x"))) == [Note("hello", 3), Note("x")]
    assert each(store, lambda o: tl.greatest(o.total, Decimal(5))) == [Decimal("10.10"), Decimal(5)]
    assert each(store, lambda o: tl.case((o.total > 5, "big"), otherwise="other")) == [
        "big", "other"]  # fmt: skip
    assert ids(store, lambda o: tl.is_null(o.note) | (tl.some(o.note).text == "no")) == [2]
    # What is unknown is not true, and neither is its opposite.
    for where in (lambda o: tl.like(o.status, "x"), lambda o: tl.any_(o.tags) == "x"):
        assert ids(store, where) == []
        assert ids(store, lambda o, where=where: tl.not_(where(o))) == [1]


def test_groups_by_an_expression(store: tl.Store) -> None:
    query = tl.project(
        tl.select(ORDERS),
        lambda o: (
            tl.trunc("day", tl.some(o.at), zone="Europe/Berlin"),
            tl.coalesce(tl.sum(o.total), 0),
            tl.case((tl.count() > 1, "many"), otherwise="one"),
        ),
        group_by=lambda o: tl.trunc("day", tl.some(o.at), zone="Europe/Berlin"),
        order_by=lambda o: tl.trunc("day", tl.some(o.at), zone="Europe/Berlin"),
    )
    # Summer time began that morning: midnight was an hour ahead of UTC.
    midnight = dt.datetime(2026, 3, 28, 23, tzinfo=dt.UTC)
    assert store.fetch_all(query) == tl.Success(
        [(midnight, Decimal("10.10"), "one"), (None, Decimal(0), "one")]
    )


HOSTILE = [
    "'", "''", '"', "\\", "\\'", "%", "_", "$1", "$$", "{}", "{0}", "%s", ";", "--", "/*", "[", "(",
    "*", "^", "'; DROP TABLE orders; --", "' OR ''='", "\n", "é😀", "\u202e", "\x01", "[[:alpha:]]",
    "(?i)", "***=", "E'\\n'", "null", "NULL", "0", "{a,b}", "$.a", "a.b", "->>",
]  # fmt: skip


def escaped(text: str) -> str:
    """A regular expression for exactly this text."""
    return "".join(
        f"\\{c}" if c.isascii() and c.isprintable() and not c.isalnum() else c for c in text
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_is_only_text_in_every_position(store: tl.Store, text: str) -> None:
    row = msgspec.structs.replace(
        FULL, id=3, name=f"x{text}y", status=text, tags=[text], note=Note(text), extra={text: text}
    )
    tl.repository(store, ORDERS).create(row).unwrap()
    holds: list[Fn] = [
        lambda o: o.name.replace(text, "") == "xy",
        lambda o: o.name[1 : 1 + len(text)] == text,
        lambda o: o.name.strip("xy") == text.strip("xy"),
        lambda o: tl.coalesce(tl.nullif(o.name, o.name), text) == text,
        lambda o: tl.is_null(tl.nullif(tl.some(o.status), text)),
        lambda o: tl.case((o.name == text, "no"), otherwise=text) == o.status,
        lambda o: tl.between(o.status, text, text),
        lambda o: tl.greatest(o.status, text) == text,
        lambda o: tl.any_(o.tags) == text,
        lambda o: tl.all_(o.tags) == text,
        lambda o: tl.is_in(text, o.tags),
        lambda o: tl.contains_all(o.tags, [text]),
        lambda o: tl.overlaps(o.tags, [text, "z"]),
        lambda o: o.note.text == text,
        lambda o: o.extra[text] == text,
        lambda o: tl.cast(o.extra[text], str) == text,
        lambda o: tl.is_null(o.extra[text + "x"]),
        lambda o: tl.like(o.status, "".join(f"\\{c}" for c in text)),
        lambda o: tl.matches(o.status, f"^{escaped(text)}$"),
    ]
    for number, where in enumerate(holds):
        assert 3 in ids(store, where), number
    # Where a text is a pattern or a name, the answer is a row or a QueryError, never an exception.
    for where in (
        lambda o: tl.like(o.name, text),
        lambda o: tl.ilike(o.name, text),
        lambda o: tl.matches(o.name, text),
        lambda o: tl.at_zone(tl.some(o.at), text).hour == 1,
        lambda o: tl.trunc("day", tl.some(o.at), zone=text) == NOON,
        lambda o: tl.cast(o.status, int) == 1,
        lambda o: tl.cast(o.status, dt.date) == NOON.date(),
    ):
        result = store.fetch_all(tl.select(ORDERS, where=where))
        if isinstance(result, tl.Failure):
            # The message does not quote it; shorter ones occur in any message.
            error = failure(result, tl.QueryError)
            assert len(text) < 6 or text not in str(error)
    assert is_idle(store)
    assert store.count(tl.select(ORDERS)) == tl.Success(3)


@pytest.mark.parametrize("text", ["a\0b", "\0", "\ud800", "a\udfff"])
@pytest.mark.parametrize(
    "where",
    [
        lambda o, text: tl.like(o.name, text),
        lambda o, text: tl.matches(o.name, text),
        lambda o, text: o.name.replace(text, "") == "a",
        lambda o, text: o.name.strip(text) == "a",
        lambda o, text: tl.coalesce(o.status, text) == "a",
        lambda o, text: tl.any_(o.tags) == text,
        lambda o, text: tl.contains_all(o.tags, [text]),
        lambda o, text: tl.overlaps(o.tags, ["a", text]),
        lambda o, text: o.extra[text] == 3,
        lambda o, text: tl.at_zone(o.at, text).hour == 3,
        lambda o, text: tl.case((o.name == "a", text), otherwise="b") == "a",
    ],
)
def test_a_text_that_postgresql_cannot_hold_is_a_validation_error(
    store: tl.Store, where: Any, text: str
) -> None:
    query = tl.select(ORDERS, where=lambda o: where(o, text))
    error = failure(store.fetch_all(query), tl.ValidationError)
    assert text not in str(error)
    assert is_idle(store)


@pytest.mark.parametrize(
    ("where", "says", "state"),
    [
        (lambda o: tl.matches(o.name, "("), "a pattern is not valid", "2201B"),
        (lambda o: tl.matches(o.name, "a**"), "a pattern is not valid", "2201B"),
        (lambda o: tl.like(o.name, "A\\"), "must not end in a backslash", "22025"),
        (lambda o: tl.at_zone(o.at, "Mars/Base").hour == 1, "a time zone", "22023"),
        (lambda o: tl.trunc("day", o.at, zone="no") == NOON, "a time zone", "22023"),
        (lambda o: tl.cast(o.name, int) == 1, "check the query's values", "22P02"),
        (lambda o: tl.cast(o.name, dt.date) == NOON.date(), "check the query's values", "22007"),
        (lambda o: tl.cast(o.total * 10**30, int) == 1, "check the query's values", "22003"),
        (lambda o: tl.cast(tl.cast(o.note, dict[str, Any])["text"], int) == 1, "check", "22P02"),
    ],
)
def test_what_the_server_refuses_is_a_query_error(
    store: tl.Store, where: Any, says: str, state: str
) -> None:
    error = failure(store.fetch_all(tl.select(ORDERS, where=where)), tl.QueryError, says)
    assert error.sqlstate == state
    assert is_idle(store)


def test_documents_of_others_are_null_where_they_differ(store: tl.Store, pg_url_each: str) -> None:
    def document(json: str) -> None:
        with psycopg.connect(pg_url_each, autocommit=True) as raw:
            raw.execute("UPDATE orders SET extra = %s::jsonb WHERE id = 1", (json,))

    def first(function: Fn) -> Any:
        return each(store, function)[0]

    for json in ('{"n": null}', "{}", "[]", "3", '"n"', "null", '{"m": {"n": 1}}'):
        document(json)
        assert first(lambda o: o.extra["n"]) is None
        assert first(lambda o: tl.cast(o.extra["n"], int)) is None
        assert first(lambda o: o.extra["n"]["k"][0]) is None
    document('{"n": [1, [2, {"k": "v"}], null]}')
    assert first(lambda o: o.extra["n"][1][1]["k"]) == "v"
    assert first(lambda o: o.extra["n"][-1]) is None
    assert first(lambda o: o.extra["n"]["0"]) is None
    assert first(lambda o: tl.length(o.extra["n"])) == 3
    assert first(lambda o: tl.length(o.extra)) is None
    document('{"n": {"k": 1}}')
    assert first(lambda o: o.extra["n"][0]) is None
    # A number that is no bigint is refused, not cut.
    document('{"n": 1.5}')
    query = tl.project(tl.select(ORDERS), lambda o: tl.cast(o.extra["n"], int))
    failure(store.fetch_all(query), tl.QueryError)
    assert first(lambda o: tl.cast(o.extra["n"], Decimal)) == Decimal("1.5")


def test_letters_beyond_ascii_keep_their_case(store: tl.Store) -> None:
    # Tables are made in the C collation, whose case is that of ASCII, on every server.
    orders = tl.repository(store, ORDERS)
    orders.create(msgspec.structs.replace(FULL, id=77, name="ÉaÀB")).unwrap()
    lower = tl.project(tl.select(ORDERS, where=lambda o: o.id == 77), lambda o: o.name.lower())
    assert store.fetch_one(lower) == tl.Success("ÉaÀb")
    assert 77 in ids(store, lambda o: tl.ilike(o.name, "ÉAÀb"))
    assert 77 not in ids(store, lambda o: tl.ilike(o.name, "éaàb"))


def test_positions_beyond_any_text_do_not_overflow(store: tl.Store) -> None:
    for bound in (2**31, -(2**31), 2**63, -(2**90)):
        some_tags = ["a", "b"][:bound]
        assert each(store, lambda o, b=bound: o.name[b:])[0] == "Ada"[bound:]
        assert each(store, lambda o, b=bound: o.name[b])[0] is None
        assert each(store, lambda o, b=bound: o.tags[b])[0] is None
        assert each(store, lambda o, b=bound: o.tags[:b])[0] == some_tags
        assert each(store, lambda o, b=bound: o.extra["n"][b])[0] is None


def test_numbers_of_different_types_meet_in_the_wider_one(store: tl.Store) -> None:
    def first(*functions: Fn) -> list[Any]:
        query = tl.project(
            tl.select(ORDERS, where=lambda o: o.id == 1), lambda o: tuple(f(o) for f in functions)
        )
        return list(store.fetch_one(query).unwrap())

    found = first(
        lambda o: tl.nullif(o.id, Decimal(3)),
        lambda o: tl.nullif(o.id, 2.5),
        lambda o: tl.coalesce(o.id, o.total),
        lambda o: tl.greatest(o.id, 2.5),
        lambda o: tl.least(o.total, 2.5),
        lambda o: tl.case((o.id > 1, o.total), otherwise=o.id),
        lambda o: tl.case((o.id > 1, 1), otherwise=10**30),
        lambda o: tl.between(o.id, Decimal("0.5"), 1.5),
    )
    assert found == [1, 1, 1, 2.5, 2.5, 1, 10**30, True]
    kinds = [Decimal, float, Decimal, float, float, Decimal, Decimal, bool]
    assert [type(value) for value in found] == kinds


def test_very_deep_and_very_large_expressions_answer_or_are_query_errors(store: tl.Store) -> None:
    def deep(make: Fn, start: Fn) -> Fn:
        def where(o: Any) -> Any:
            value = start(o)
            for _ in range(1_000):
                value = make(value)
            return tl.is_null(value)

        return where

    for where in (
        deep(lambda value: value.strip(), lambda o: o.name),
        deep(lambda value: value[1:], lambda o: o.name),
        deep(lambda value: tl.coalesce(value, "a"), lambda o: o.status),
        deep(lambda value: tl.case((tl.is_null(value), "a"), otherwise="b"), lambda o: o.status),
        deep(lambda value: value["a"], lambda o: o.extra),
        deep(lambda value: round(value, 1), lambda o: o.total),
    ):
        result = store.count(tl.select(ORDERS, where=where))
        assert isinstance(result, tl.Success) or failure(result, tl.QueryError)
    large = "a%_\\'" * 2_000_000
    assert ids(store, lambda o: o.name.replace(large, "") == "Ada") == [1]
    assert ids(store, lambda o: tl.length(o.name + large) == 3 + len(large)) == [1]
    assert ids(store, lambda o: tl.contains_all(o.tags, [large])) == []
    assert ids(store, lambda o: o.extra[large] == 1) == []
    assert is_idle(store)


def test_expressions_stand_in_joins_further_queries_windows_and_pages(store: tl.Store) -> None:
    orders = tl.select(ORDERS)
    pairs = tl.project(
        tl.left_join(orders, orders, on=lambda a, b: a.name[:2].lower() + "a" == b.name.lower()),
        lambda a, b: (a.name.upper(), tl.coalesce(tl.some(b.note).text, "-")),
        order_by=lambda a, b: a.id,
    )
    assert store.fetch_all(pairs) == tl.Success([("ADA", "hello"), ("", "-")])
    named = tl.project(tl.select(ORDERS), lambda o: (o.id, tl.coalesce(o.status, "none")))
    again = tl.project(named, lambda r: r[1].upper(), order_by=lambda r: r[0])
    assert store.fetch_all(again) == tl.Success(["NEW", "NONE"])
    running = tl.project(
        tl.select(ORDERS, order_by=lambda o: o.id),
        lambda o: tl.coalesce(tl.over(tl.sum(o.total), order_by=o.at.year), 0),
    )
    assert store.fetch_all(running) == tl.Success([Decimal("10.10"), Decimal("10.10")])
    by_status = tl.select(ORDERS, order_by=lambda o: tl.coalesce(o.status, "a"))
    first = store.fetch_page(tl.page(by_status, size=1)).unwrap()
    second = store.fetch_page(tl.page(by_status, size=1, after=first.next)).unwrap()
    assert [order.id for order in first.items + second.items] == [2, 1]
