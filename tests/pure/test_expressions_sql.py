"""Expressions: the node each becomes, its SQL text, and that text never depends on values."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tierline as tl
from tierline.query.calls import Call
from tierline.query.catalogue import CATALOGUE
from tierline.query.expressions import has_aggregate
from tierline.sql import compile_query
from tierline.sql.functions import FORMS


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(msgspec.Struct, frozen=True, rename="camel"):
    city: str
    house_number: int
    colour: Colour
    tags: list[str]


class Row(msgspec.Struct, frozen=True):
    id: int
    name: str
    note: str | None
    ratio: float
    price: Decimal
    at: dt.datetime
    local: Annotated[dt.datetime, msgspec.Meta(tz=False)]
    day: dt.date
    clock: dt.time
    span: dt.timedelta
    colour: Colour
    tags: list[str]
    kinds: set[int]
    address: Address
    extra: dict[str, Any]
    sizes: dict[int, int]
    raw: bytes
    ok: bool


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)
Fn = Callable[[Any], Any]


def sql(function: Fn) -> str:
    """The text of an expression, as a projection's only column."""
    compiled = compile_query(tl.project(tl.select(ROWS), function))
    text = compiled.statement.sql
    return text.removeprefix("SELECT ").removesuffix(' FROM "rows"')


def column(function: Fn) -> str:
    """The type that an expression is read as."""
    return compile_query(tl.project(tl.select(ROWS), function)).statement.columns[0].type.sql


def test_every_function_of_the_catalogue_has_its_text_and_no_other_has() -> None:
    assert FORMS.keys() == CATALOGUE.keys()
    with pytest.raises(TypeError, match="no function 'sleep' in the catalogue"):
        Call("sleep", (), ROWS.columns[0].type)


@pytest.mark.parametrize(
    ("function", "text", "type_"),
    [
        (lambda r: r.name.lower(), 'lower("name")', "text"),
        (lambda r: r.name.upper(), 'upper("name")', "text"),
        (lambda r: r.name.strip(), 'btrim("name", $1)', "text"),
        (lambda r: r.name.lstrip("a"), 'ltrim("name", $1)', "text"),
        (lambda r: r.name.replace("a", "b"), 'replace("name", $1, $2)', "text"),
        (lambda r: r.name[:3], 'left("name", ($1)::integer)', "text"),
        (lambda r: r.name[:], '"name"', "text"),
        (lambda r: r.name[::-1], 'reverse("name")', "text"),
        (lambda r: tl.length(r.name), 'char_length("name")::bigint', "bigint"),
        (lambda r: tl.length(r.raw), 'octet_length("raw")::bigint', "bigint"),
        (lambda r: tl.length(r.tags), 'cardinality("tags")::bigint', "bigint"),
        (lambda r: tl.like(r.name, "a%"), '("name" LIKE $1)', "boolean"),
        (lambda r: tl.ilike(r.name, r.note), '("name" ILIKE "note")', "boolean"),
        (lambda r: tl.matches(r.name, "^a"), '("name" ~ $1)', "boolean"),
        (lambda r: abs(r.price), 'abs("price")', "numeric"),
        (lambda r: round(r.ratio), 'round("ratio")::bigint', "bigint"),
        (lambda r: math.floor(r.price), 'floor("price")::bigint', "bigint"),
        (lambda r: r.at.year, "extract(year FROM (\"at\" AT TIME ZONE 'UTC'))::bigint", "bigint"),
        (lambda r: r.local.hour, 'extract(hour FROM "local")::bigint', "bigint"),
        (lambda r: r.at.date(), "((\"at\" AT TIME ZONE 'UTC'))::date", "date"),
        (lambda r: tl.trunc("day", r.at, zone="UTC"), 'date_trunc($1, "at", $2)', "timestamptz"),
        (lambda r: tl.trunc("day", r.local), 'date_trunc($1, "local")', "timestamp"),
        (lambda r: tl.trunc("year", r.day), 'date_trunc($1, ("day")::timestamp)::date', "date"),
        (lambda r: tl.at_zone(r.at, "UTC"), '("at" AT TIME ZONE $1)', "timestamp"),
        (lambda r: r.day - r.day, 'make_interval(days => "day" - "day")', "interval"),
        (lambda r: tl.any_(r.tags) == "a", '($1 = ANY("tags"))', "boolean"),
        (lambda r: tl.any_(r.kinds) > 3, '($1 < ANY("kinds"))', "boolean"),
        (lambda r: tl.all_(r.kinds) >= r.id, '("id" <= ALL("kinds"))', "boolean"),
        (lambda r: r.id > tl.all_(r.kinds), '("id" > ALL("kinds"))', "boolean"),
        (lambda r: tl.is_in("a", r.tags), '($1 = ANY("tags"))', "boolean"),
        (lambda r: tl.contains_all(r.tags, ["a"]), '("tags" @> $1)', "boolean"),
        (lambda r: tl.overlaps(r.tags, ("a",)), '("tags" && $1)', "boolean"),
        (lambda r: tl.coalesce(r.note, "a"), 'COALESCE("note", $1)', "text"),
        (lambda r: tl.nullif(r.name, ""), 'NULLIF("name", $1)', "text"),
        (lambda r: tl.greatest(r.id, 3), 'GREATEST("id", $1)', "bigint"),
        (lambda r: tl.least(r.price, 3, r.id), 'LEAST("price", $1, "id")', "numeric"),
        (
            lambda r: tl.case((r.id > 1, "a"), otherwise=r.name),
            '(CASE WHEN ("id" > $1) THEN $2 ELSE "name" END)',
            "text",
        ),
        (lambda r: tl.case((r.id > 1, 1), (r.ok, 2.5)), None, "double precision"),
        (lambda r: tl.between(r.id, 1, 2), '(("id" >= $1) AND ("id" <= $2))', "boolean"),
        (lambda r: tl.between(3, r.id, r.id), '(("id" <= $1) AND ("id" >= $2))', "boolean"),
        (lambda r: tl.cast(r.name, int), '("name")::bigint', "bigint"),
        (lambda r: tl.cast(r.ratio, int), 'trunc("ratio")::bigint', "bigint"),
        (lambda r: tl.cast(r.name, str), '"name"', "text"),
        (lambda r: r.colour.value, '"colour"', "text"),
        (lambda r: r.address.city, '("address" ->> $1)', "text"),
        (lambda r: r.address.house_number, '("address" ->> $1)::bigint', "bigint"),
        (lambda r: r.address.tags[0], '(("address" -> $1) ->> ($2)::integer)', "text"),
        (lambda r: r.address.tags, "NULLIF(\"address\" -> $1, 'null'::jsonb)", "jsonb"),
        (lambda r: r.extra["a"]["b"], "NULLIF((\"extra\" -> $1) -> $2, 'null'::jsonb)", "jsonb"),
        (lambda r: tl.cast(r.extra["a"], int), '("extra" ->> $1)::bigint', "bigint"),
        (lambda r: r.sizes[7], '("sizes" ->> $1)::bigint', "bigint"),
    ],
)
def test_an_expression_has_its_text_and_type(function: Fn, text: str | None, type_: str) -> None:
    assert text is None or sql(function) == text
    assert column(function) == type_


def test_types_survive_every_function() -> None:
    kept = compile_query(
        tl.project(
            tl.select(ROWS),
            lambda r: (
                tl.coalesce(r.colour, Colour.RED),
                tl.case((r.ok, Colour.RED), otherwise=Colour.BLUE),
                tl.nullif(r.colour, Colour.RED),
                r.address.colour,
                tl.cast(r.name, Colour),
                tl.greatest(r.span, dt.timedelta(1)),
                tl.coalesce(r.price, 1),
            ),
        )
    ).statement.columns
    assert [found.type.choices is not None for found in kept] == [True] * 5 + [False] * 2
    assert [found.type.sql for found in kept] == ["text"] * 5 + ["interval", "numeric"]


def test_a_json_key_is_the_name_in_the_document() -> None:
    def keys(function: Fn) -> tuple[Any, ...]:
        return compile_query(tl.project(tl.select(ROWS), function)).values

    assert keys(lambda r: r.address.house_number) == ("houseNumber",)
    assert keys(lambda r: r.sizes[7]) == ("7",)
    assert keys(lambda r: r.extra["a'b"][2]) == ("a'b", 2)
    # Positions beyond any list mean the same, and fit.
    assert keys(lambda r: r.extra["a"][2**70]) == ("a", 2**30)


def test_aggregates_are_found_inside_functions() -> None:
    def expr(function: Fn) -> Any:
        return tl.project(tl.select(ROWS), function).projection.outputs[0].expr  # type: ignore[union-attr]

    assert has_aggregate(expr(lambda r: tl.coalesce(tl.sum(r.id), 0)))
    assert has_aggregate(expr(lambda r: tl.case((tl.count() > 1, "a"), otherwise="b")))
    assert not has_aggregate(expr(lambda r: tl.coalesce(r.note, "")))
    with pytest.raises(TypeError, match="aggregate has no value yet"):
        tl.select(ROWS, where=lambda r: tl.coalesce(tl.sum(r.id), 0) > 3)


def test_group_keys_and_outputs_share_their_text() -> None:
    query = tl.project(
        tl.select(ROWS),
        lambda r: (tl.trunc("day", r.at, zone="UTC"), tl.count()),
        group_by=lambda r: tl.trunc("day", r.at, zone="UTC"),
        order_by=lambda r: tl.trunc("day", r.at, zone="UTC"),
    )
    text = compile_query(query).statement.sql
    assert text.count('date_trunc($1, "at", $2)') == 3
    assert "$3" not in text


@given(
    text=st.text(),
    other=st.text(min_size=1),
    number=st.integers(),
    items=st.lists(st.text(), max_size=3),
    zone=st.text(),
)
def test_the_text_never_depends_on_values(
    text: str, other: str, number: int, items: list[str], zone: str
) -> None:
    def everything(text: str, other: str, number: int, items: list[str], zone: str) -> str:
        return sql(
            lambda r: (
                r.name.strip(text).replace(other, text)[number:number][number],
                r.tags[number:number][number],
                tl.like(r.name, text) & tl.ilike(r.name, text) & tl.matches(r.name, text),
                tl.contains_all(r.tags, items) | tl.overlaps(r.tags, items),
                (tl.any_(r.tags) == text) | (tl.all_(r.tags) != text) | tl.is_in(text, r.tags),
                tl.coalesce(r.note, text, other),
                tl.case((r.name == text, other), otherwise=text),
                tl.between(r.name, text, other),
                tl.nullif(r.name, text),
                tl.greatest(r.name, text),
                r.extra[text][number][other],
                round(r.price, number),
                tl.trunc("day", r.at, zone=zone),
                tl.at_zone(r.at, zone),
            )
        )

    assert everything(text, other, number, items, zone) == everything("a", "b", 1, ["c"], "UTC")


def test_nesting_that_would_multiply_the_text_is_a_query_error() -> None:
    def deep(r: Any) -> Any:
        value = r.name
        for _ in range(30):
            value = value[1:2]
        return value

    with pytest.raises(tl.QueryError, match="compute it in steps"):
        sql(deep)


MISUSE = [
    (lambda r: tl.length(r.id), "length needs text, bytes or a list, not bigint"),
    (lambda r: tl.like(r.id, "a"), "like needs text, not bigint; see tl.cast"),
    (lambda r: tl.like(r.name, 3), "3 does not fit beside a field of type text"),
    (lambda r: tl.matches(r.name, None), "matches of None has no meaning"),
    (lambda r: r.name[::2], "a slice with a step cannot be traced"),
    (lambda r: r.name["a"], "a position in a text must be an integer, not 'a'"),
    (lambda r: r.name[r.name], "must be an integer, not text"),
    (lambda r: r.name[r.ratio :], "must be an integer, not double precision"),
    (lambda r: r.name[True], "must be an integer, not True"),
    (lambda r: r.name.replace("", "a"), "replace of an empty text"),
    (lambda r: r.name.replace("a", 3), "3 does not fit beside a field of type text"),
    (lambda r: r.name.startswith(("a", "b")), "combine several with `|`"),
    (lambda r: r.id[0], "[] cannot be traced on a bigint field"),
    (lambda r: r.kinds[0], "a set has no positions"),
    (lambda r: abs(r.name), "abs needs a number or an interval"),
    (lambda r: round(r.name), "round needs a number"),
    (lambda r: round(r.ratio, 2), "round(tl.cast(field, Decimal), n)"),
    (lambda r: math.floor(r.name), "floor needs a number"),
    (lambda r: str(r.id), "use `tl.cast(field, str)`"),
    (lambda r: len(r.name), "use `tl.length(…)`"),
    (lambda r: int(r.name), "use `tl.cast(field, int)`"),
    (lambda r: tl.trunc("days", r.at, zone="UTC"), "trunc cuts to second, minute"),
    (lambda r: tl.trunc("day", r.at), 'zone="UTC"'),
    (lambda r: tl.trunc("day", r.local, zone="UTC"), "leave out zone"),
    (lambda r: tl.trunc("hour", r.day), "a date has no hour"),
    (lambda r: tl.trunc("day", r.clock), "trunc needs a date or datetime, not time"),
    (lambda r: tl.at_zone(r.local, "UTC"), "at_zone needs a datetime with a time zone"),
    (lambda r: tl.at_zone(r.at, dt.UTC), "at_zone needs the name of a zone"),
    (lambda r: r.at + r.day, "timestamptz + date has no meaning here"),
    (lambda r: tl.any_(r.name) == "a", "any_ needs an array, not text"),
    (lambda r: tl.any_(r.tags) == 3, "3 does not fit beside a field of type text"),
    (lambda r: tl.any_(r.tags) == r.id, "elements of text[] cannot be compared with bigint"),
    (lambda r: tl.any_(r.tags), "can only be compared"),
    (lambda r: tl.any_(r.tags).lower() == "a", "can only be compared"),
    (lambda r: tl.any_(r.kinds) + 1 == 2, "can only be compared"),
    (lambda r: r.id + tl.any_(r.kinds) == 2, "can only be compared"),
    (lambda r: tl.any_(r.tags) and r.ok, "can only be compared"),
    (lambda r: tl.any_(["a"]) == r.name, "use `tl.is_in(field, values)`"),
    (lambda r: tl.is_in(r.id, r.tags), "elements of text[] cannot be compared with bigint"),
    (lambda r: tl.is_in("a", r.name), "is_in needs an array, not text"),
    (lambda r: tl.contains_all(r.name, ["a"]), "contains_all needs an array, not text"),
    (lambda r: tl.contains_all(r.tags, "ab"), "'ab' does not fit beside a field of type text[]"),
    (lambda r: tl.overlaps(r.tags, r.kinds), "overlaps needs arrays of one type"),
    (lambda r: tl.overlaps(r.tags, [1]), "1 does not fit beside a field of type text"),
    (lambda r: tl.contains_all(r.address.tags, "ab"), "takes a list of plain values"),
    (lambda r: tl.contains_all(r.address.tags, [["a"]]), "texts, numbers and bools only"),
    (lambda r: tl.coalesce(r.note, None), "coalesce of a plain None"),
    (lambda r: tl.coalesce(r.note, 3), "3 does not fit beside a field of type text"),
    (lambda r: tl.coalesce(r.note, r.id), "coalesce needs values of one type, not text and bigint"),
    (lambda r: tl.coalesce(r.note), "at least two values"),
    (lambda r: tl.nullif(r.id, r.name), "nullif needs values of one type"),
    (lambda r: tl.greatest(r.tags, r.tags), "greatest has no meaning for text[]"),
    (lambda r: tl.case(r.ok, "a"), "case takes pairs"),
    (lambda r: tl.case(), "case takes pairs"),
    (lambda r: tl.case((r.ok, None)), "a value that is not None"),
    (lambda r: tl.case((r.name, "a")), "case needs conditions, not text"),
    (lambda r: tl.case((r.ok, "a"), otherwise=r.id), "does not fit beside a field of type bigint"),
    (lambda r: tl.between(r.id, "a", "b"), "'a' does not fit beside a field of type bigint"),
    (lambda r: tl.between(r.id, None, 3), "use `tl.is_null(…)`"),
    (lambda r: tl.cast(r.tags, str), "text[] cannot be cast to str"),
    (lambda r: tl.cast(r.span, int), "use `.total_seconds()`"),
    (lambda r: tl.cast(r.ok, float), "boolean cannot be cast to float"),
    (lambda r: tl.cast(r.name, "int"), "text cannot be cast to 'int'"),
    (lambda r: tl.cast("3", int), "convert '3' in Python"),
    (lambda r: r.extra["a":], "a slice of a JSON list"),
    (lambda r: r.sizes["a"], "'a' is no key of a dict whose keys are"),
    (lambda r: r.sizes[r.name], "cannot be text"),
    (lambda r: r.extra["a"][3.5], "must be an integer, not 3.5"),
    (lambda r: r.address["city"], "has no keys or positions"),
    (lambda r: r.address.city == None, "use `tl.is_null(…)`"),  # noqa: E711
    (lambda r: r.address.house_number == "a", "'a' does not fit beside a field of type bigint"),
]


@pytest.mark.parametrize(("function", "says"), MISUSE, ids=[says for _, says in MISUSE])
def test_misuse_is_a_type_error_that_says_what_to_do(function: Fn, says: str) -> None:
    with pytest.raises(TypeError) as raised:
        tl.project(tl.select(ROWS), function)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda r: r.address.town, "Address has no field 'town'; there are city, house_number"),
        (lambda r: r.address.citi, "did you mean 'city'?"),
        (lambda r: r.extra.a, "use `[…]` with a key or position"),
        (lambda r: r.name.title(), "there are lower, upper, strip"),
        (lambda r: r.day.hour, "'hour' cannot be traced on a date field"),
        (lambda r: r.name.value, "'value' cannot be traced"),
        (lambda r: r.at.tzinfo, "'tzinfo' cannot be traced"),
    ],
)
def test_an_attribute_that_is_not_there_is_an_attribute_error(function: Fn, says: str) -> None:
    with pytest.raises(AttributeError) as raised:
        tl.project(tl.select(ROWS), function)
    assert says in str(raised.value)


T = TypeVar("T")


class Box(msgspec.Struct, Generic[T], frozen=True):
    content: T


class Tagged(msgspec.Struct, frozen=True, tag=True, array_like=True):
    first: int
    second: str


class Size(TypedDict):
    width: int


class Place(NamedTuple):
    x: int
    name: str


@dataclasses.dataclass(frozen=True)
class Plain:
    code: str


class Documents(msgspec.Struct, frozen=True):
    id: int
    box: Box[int]
    tagged: Tagged
    size: Size
    place: Place
    plain: Plain
    pair: tuple[int, str]
    either: int | str | None
    mixed: dict[str, int] | list[int]
    by_colour: dict[Colour, int]
    by_day: dict[dt.date, bool]
    nested: dict[str, list[dict[str, Address | None]]]
    levels: dict[str, Literal[1, "a"]]


DOCUMENTS = tl.table(Documents, name="documents", key=lambda d: d.id)


@pytest.mark.parametrize(
    ("function", "steps", "type_"),
    [
        (lambda d: d.box.content, ("content",), "bigint"),
        (lambda d: d.tagged.first, (1,), "bigint"),
        (lambda d: d.tagged.second, (2,), "text"),
        (lambda d: d.size["width"], ("width",), "bigint"),
        (lambda d: d.place.name, (1,), "text"),
        (lambda d: d.place[0], (0,), "bigint"),
        (lambda d: d.plain.code, ("code",), "text"),
        (lambda d: d.pair[-1], (1,), "text"),
        (lambda d: d.mixed["a"], ("a",), "jsonb"),
        (lambda d: d.mixed[0], (0,), "jsonb"),
        (lambda d: d.by_colour[Colour.RED], ("red",), "bigint"),
        (lambda d: d.by_day[dt.date(2026, 1, 2)], ("2026-01-02",), "boolean"),
        (lambda d: d.nested["a"][0]["b"].house_number, ("a", 0, "b", "houseNumber"), "bigint"),
        (lambda d: d.levels["k"], ("k",), "jsonb"),
    ],
)
def test_documents_of_every_kind_are_typed(
    function: Fn, steps: tuple[Any, ...], type_: str
) -> None:
    compiled = compile_query(tl.project(tl.select(DOCUMENTS), function))
    assert compiled.values == steps
    assert compiled.statement.columns[0].type.sql == type_


def test_the_steps_are_those_that_msgspec_writes() -> None:
    written = msgspec.json.decode(msgspec.json.encode([Tagged(7, "a"), Place(1, "b")]))
    assert written == [["Tagged", 7, "a"], [1, "b"]]


NOON = dt.datetime(2026, 3, 29, 1, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (tl.length("é😀"), 2),
        (tl.length(None), None),
        (tl.length([1, 2]), 2),
        (tl.like("a\nb", "a_b"), True),
        (tl.like("a%", "a\\%"), True),
        (tl.like("ab", "a\\%"), False),
        (tl.like(None, "%"), False),
        (tl.like("[a]", "[a]"), True),
        (tl.ilike("AB", "a%"), True),
        (tl.matches("xay", "a.$"), True),
        (tl.matches(None, "a"), False),
        (tl.coalesce(None, 3), 3),
        (tl.coalesce(0, 3), 0),
        (tl.nullif(3, 3), None),
        (tl.nullif(3, 4), 3),
        (tl.greatest(1, None, 3), 3),
        (tl.least(None, 2, 3), 2),
        (tl.case((False, "a"), (True, "b"), otherwise="c"), "b"),
        (tl.case((False, "a")), None),
        (tl.between(2, 1, 2), True),
        (tl.between(None, 1, 2), False),
        (tl.any_(["a", "b"]) == "b", True),
        (tl.all_([2, 3]) > 2, False),
        (tl.all_([]) == 2, True),
        (tl.contains_all(["a", "b"], ["a"]), True),
        (tl.contains_all(None, ["a"]), False),
        (tl.overlaps(["a"], ["b", "a"]), True),
        (tl.is_in("a", {"a"}), True),
        (tl.trunc("day", NOON, zone="Europe/Berlin"), dt.datetime(2026, 3, 28, 23, tzinfo=dt.UTC)),
        (tl.trunc("week", dt.date(2026, 3, 29)), dt.date(2026, 3, 23)),
        (tl.at_zone(NOON, "Europe/Berlin"), dt.datetime(2026, 3, 29, 3, 30)),  # noqa: DTZ001
    ],
)
def test_functions_keep_their_meaning_on_plain_values(found: object, expected: object) -> None:
    assert found == expected


def test_misuse_on_plain_values_is_refused() -> None:
    with pytest.raises(ValueError, match="must not end in a backslash"):
        tl.like("a", "a\\")
    with pytest.raises(TypeError, match="zone"):
        tl.trunc("day", NOON)
    with pytest.raises(TypeError, match="with a time zone"):
        tl.at_zone(NOON.replace(tzinfo=None), "UTC")
    with pytest.raises(TypeError, match="can only be compared"):
        bool(tl.any_([True]))
    with pytest.raises(TypeError, match="can only be compared"):
        hash(tl.all_([1]))
