"""`tl.sql` and `tl.param` on real servers."""

from __future__ import annotations

import datetime as dt
import enum
import secrets
import uuid
from collections.abc import Generator
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest
from tests.real.helpers import OWNERS, Owner, failure, is_idle, still_works

import tierline as tl
from tierline.testing import PostgresServer


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Place(msgspec.Struct, frozen=True):
    city: str
    zip: int


class Everything(msgspec.Struct, frozen=True, kw_only=True):
    flag: bool
    number: int
    ratio: float
    price: Decimal
    text: str
    data: bytes
    key: uuid.UUID
    moment: dt.datetime
    day: dt.date
    span: dt.timedelta
    clock: dt.time
    colour: Colour
    tags: list[str]
    place: Place
    nothing: int | None


WHOLE = Everything(
    flag=True,
    number=2**60,
    ratio=1.5,
    price=Decimal("12.50"),
    text="ü",
    data=b"\0\xff",
    key=uuid.UUID(int=7),
    moment=dt.datetime(2020, 1, 2, 3, 4, 5, 678, tzinfo=dt.UTC),
    day=dt.date(2020, 1, 2),
    span=dt.timedelta(days=1, seconds=5),
    clock=dt.time(12, 30),
    colour=Colour.BLUE,
    tags=["a", "ü"],
    place=Place("Berlin", 10115),
    nothing=None,
)

_NAMES = Everything.__struct_fields__


@pytest.fixture
def each(pg_url_each: str) -> Generator[tl.Store]:
    """A store with a table of owners, once on each version."""
    with tl.open(pg_url_each, pool_size=3, timeout_s=10) as store:
        store.create_table(OWNERS).unwrap()
        for owner in (Owner(1, "Ada"), Owner(2, "Bob"), Owner(3, "Cy")):
            tl.unwrap(tl.repository(store, OWNERS).create(owner))
        yield store


def test_a_struct_is_made_by_column_names_in_any_order(each: tl.Store) -> None:
    query = tl.sql("select name, id from owners where id = {id}", into=Owner, id=2)
    assert each.fetch_all(query) == tl.Success([Owner(2, "Bob")])
    assert each.fetch_one(query) == tl.Success(Owner(2, "Bob"))
    assert each.fetch_maybe(query) == tl.Success(Owner(2, "Bob"))


def test_a_tuple_and_a_scalar_are_made_by_position(each: tl.Store) -> None:
    pairs = tl.sql("select id * 2, name from owners order by id", into=tuple[int, str])
    assert each.fetch_all(pairs) == tl.Success([(2, "Ada"), (4, "Bob"), (6, "Cy")])
    assert each.fetch_one(tl.sql("select count(*) from owners", into=int)) == tl.Success(3)
    assert each.fetch_one(tl.sql("select null::int8", into=int | None)) == tl.Success(None)


def test_every_type_goes_out_and_comes_back(each: tl.Store) -> None:
    columns = ", ".join(f"{{{name}}} as {name}" for name in _NAMES if name != "nothing")
    values = {name: getattr(WHOLE, name) for name in _NAMES if name != "nothing"}
    text: Any = f"select null::int8 as nothing, {columns}"
    assert each.fetch_one(tl.sql(text, into=Everything, **values)) == tl.Success(WHOLE)


def test_lists_are_arrays_and_empty_ones_too(each: tl.Store) -> None:
    def of(ids: object) -> object:
        text = "select id from owners where id = any({ids}) order by id"
        return each.fetch_all(tl.sql(text, into=int, ids=ids))

    assert of([1, 3, 99]) == tl.Success([1, 3])
    assert of([]) == tl.Success([])
    assert of({2}) == tl.Success([2])
    names = tl.sql("select id from owners where name = any({n})", into=int, n=("Ada",))
    assert each.fetch_all(names) == tl.Success([1])


def test_fragments_names_and_tables(each: tl.Store) -> None:
    def search(name: str | None, column: str) -> object:
        condition = tl.sql("true") if name is None else tl.sql("name = {name}", name=name)
        return each.fetch_all(
            tl.sql(
                "select {c} from {t} where {w} order by {c}",
                into=str,
                c=tl.identifier(column),
                t=OWNERS,
                w=condition,
            )
        )

    assert search(None, "name") == tl.Success(["Ada", "Bob", "Cy"])
    assert search("Bob", "name") == tl.Success(["Bob"])


@pytest.mark.parametrize(
    ("text", "into", "says", "columns"),
    [
        ("select id from owners", Owner, "column name, a field of Owner, did not come", ("name",)),
        ("select *, 1 as x from owners", Owner, "column x is no field of Owner", ("x",)),
        ("select id, name, id from owners", Owner, "column id came back twice", ("id",)),
        ("select id::text, name from owners", Owner, "'id' is text in the database", ("id",)),
        ("select name, id from owners", tuple[int, str], "'column1' is text", ("column1",)),
        ("select id, name from owners", tuple[int], "2 columns came back (id, name)", None),
        ("select id, name from owners", int, "2 columns came back", None),
        ("select 1", float, "is int4 in the database, but its field needs double", None),
        ("select id, null::text as name from owners", Owner, "'name' is NULL", ("name",)),
        ("select null::int8", int, "'value' is NULL", ("value",)),
        ("delete from owners where false", int, "no", None),
    ],
)
def test_columns_that_do_not_fit_are_named(
    each: tl.Store, text: Any, into: Any, says: str, columns: tuple[str, ...] | None
) -> None:
    for _ in range(2):
        error = failure(each.fetch_all(tl.sql(text, into=into)), tl.DecodeError, says)
        assert columns is None or error.columns == columns
    assert is_idle(each)


def test_a_statement_whose_columns_do_not_fit_changes_nothing(each: tl.Store) -> None:
    text = "delete from owners returning id, name as label"
    for _ in range(3):
        failure(each.fetch_all(tl.sql(text, into=Owner)), tl.DecodeError, "column name")
    batch = tl.batch(tl.select(OWNERS), tl.sql(text, into=Owner))
    failure(each.fetch_batch(batch), tl.DecodeError, "query 2 of 2", "column name")
    assert each.count(tl.select(OWNERS)) == tl.Success(3)


class Label(msgspec.Struct, frozen=True):
    id: int
    name: str


def test_one_text_is_read_as_each_query_says(each: tl.Store) -> None:
    for _ in range(2):
        for into, row in ((Owner, Owner(1, "Ada")), (tuple[int, str], (1, "Ada")),
                          (Label, Label(1, "Ada"))):  # fmt: skip
            kind: Any = into
            query = tl.sql("select id, name from owners where id = 1", into=kind)
            assert each.fetch_one(query) == tl.Success(row)
    text = "delete from owners returning id"
    failure(each.fetch_all(tl.sql(text, into=str)), tl.DecodeError)
    nothing = tl.sql(text + " + 0", into=int)
    with each.stream(nothing, size=1) as batches:
        next(batches)
    failure(each.fetch_all(tl.sql(text + " + 0", into=str)), tl.DecodeError)
    assert each.count(tl.select(OWNERS)) == tl.Success(3)


def test_execute_says_how_many_rows_changed(each: tl.Store) -> None:
    assert each.execute(tl.sql("update owners set name = {n}", n="X")) == tl.Success(3)
    assert each.execute(tl.sql("delete from owners where id < {n}", n=tl.param("n", int)), n=3) == (
        tl.Success(2)
    )
    assert each.execute(tl.sql("create temporary table x (a int)")) == tl.Success(0)
    added = tl.sql("insert into owners values ({i}, {n}) returning id", into=int, i=9, n="I")
    assert each.fetch_one(added) == tl.Success(9)
    failure(each.execute(tl.sql("insert into owners values (9, 'x')")), tl.DuplicateError)
    failure(each.execute(tl.sql("select 1; select 2")), tl.QueryError)
    failure(each.execute(tl.sql("nonsense {a}", a=1)), tl.QueryError)


def test_what_store_cannot_run_is_refused(each: tl.Store) -> None:
    wrong: Any = tl.sql("select 1")
    for verb in (each.fetch_all, each.fetch_one, each.fetch_maybe, each.stream):
        with pytest.raises(TypeError, match=r"give tl\.sql `into=`"):
            verb(wrong)
        with pytest.raises(TypeError, match=r"write tl\.sql"):
            verb("select 1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="goes to fetch_all"):
        each.execute(tl.select(OWNERS))  # type: ignore[arg-type]


HOSTILE = (
    "'; drop table owners; --", '"; drop table owners; --', "\\'; drop table owners; --",
    "$1", "{id}", "{", "}}", "%s", "%(id)s", "/* */ --", "$$; drop table owners; $$",
    "$a$", "\\", "'", '"', "''", "\x1b\u202e", "表", "ソ\\'", "\u0131", "a\u0301", "\U0001f600",
    "1) or (1=1", "x' or 'x'='x", "\r\n;", "E'\\''", ":id", "?", "\x7f\x80",
)  # fmt: skip


def test_hostile_values_are_values(each: tl.Store) -> None:
    one = tl.sql("select {v}", into=str, v=tl.param("v", str))
    for text in HOSTILE:
        fragment = tl.sql("name = {v} or {v} = any({vs})", v=text, vs=[text])
        assert each.fetch_one(tl.sql("select {v}", into=str, v=text)) == tl.Success(text)
        assert each.fetch_one(one, v=text) == tl.Success(text)
        assert each.fetch_one(tl.sql("select {v}", into=list[str], v=[text, text])) == (
            tl.Success([text, text])
        )
        counted = tl.sql("select count(*) from owners where {f}", into=int, f=fragment)
        assert each.fetch_one(counted) == tl.Success(3)
        assert each.fetch_one(tl.sql("select {v}", into=dict[str, str], v={text: text})) == (
            tl.Success({text: text})
        )
    assert each.count(tl.select(OWNERS)) == tl.Success(3)


def test_hostile_names_are_names_or_refused(each: tl.Store) -> None:
    for text in HOSTILE:
        try:
            name = tl.identifier(text)
        except tl.ConfigurationError:
            assert '"' in text
            continue
        named = tl.sql("select 1 as {n} where {n} is null", into=int, n=name)
        failure(each.fetch_all(named), tl.QueryError)
        assert each.fetch_all(
            tl.sql("select x.{n} from (select 7 as {n}) x", into=int, n=name)
        ) == (tl.Success([7]))
    assert each.count(tl.select(OWNERS)) == tl.Success(3)


@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
def test_text_that_postgres_cannot_hold_is_a_validation_error(each: tl.Store, bad: str) -> None:
    error = failure(each.fetch_all(tl.sql("select {a}, {v}", into=tuple[str, str], a="x", v=bad)),
                    tl.ValidationError)  # fmt: skip
    assert [problem.path for problem in error.errors] == ["$2"]
    query = tl.select(OWNERS, where=lambda o: o.name == tl.param("name", str))
    failure(each.fetch_all(query, name=bad), tl.ValidationError)
    still_works(each)


def test_a_number_beyond_64_bits_for_a_parameter_is_a_validation_error(each: tl.Store) -> None:
    query = tl.select(OWNERS, where=lambda o: o.id == tl.param("id", int))
    failure(each.fetch_all(query, id=2**63), tl.ValidationError, "64-bit")


def test_ten_megabytes_go_out_and_come_back(each: tl.Store) -> None:
    text, data = "ü'\\" * 2_500_000, secrets.token_bytes(10_000_000)
    assert each.fetch_one(tl.sql("select {t}, {d}", into=tuple[str, bytes], t=text, d=data)) == (
        tl.Success((text, data))
    )


def test_65535_parameters_work_and_one_more_is_a_clear_error(each: tl.Store) -> None:
    marks = tl.sql("{a}", a=1)
    for _ in range(15):
        marks = tl.sql("{a}, {a}", a=marks)
    most = tl.sql("select cardinality(array[{a}, {b}])", into=int, a=marks, b=_numbers(32_767))
    assert each.fetch_one(most) == tl.Success(65_535)
    more = tl.sql("select cardinality(array[{a}, {a}])", into=int, a=marks)
    failure(each.fetch_one(more), tl.QueryError, "65,536 parameters", "as one list")
    still_works(each)


def _numbers(count: int) -> tl.RawSql:
    text: Any = ", ".join(f"{{v{n}}}" for n in range(count))
    return tl.sql(text, **{f"v{n}": n for n in range(count)})


def test_a_query_built_once_runs_with_each_value(each: tl.Store) -> None:
    query = tl.select(
        OWNERS,
        where=lambda o: (
            (o.name == tl.param("name", str)) | tl.is_in(o.id, tl.param("ids", list[int]))
        ),
        order_by=lambda o: o.id,
    )
    for _ in range(3):
        assert each.fetch_all(query, name="Ada", ids=[3]) == (
            tl.Success([Owner(1, "Ada"), Owner(3, "Cy")])
        )
        assert each.fetch_all(query, name="?", ids=[]) == tl.Success([])
        assert each.count(query, name="Bob", ids=[2, 1]) == tl.Success(2)
        assert each.exists(query, name="?", ids=[9]) == tl.Success(False)
        assert each.fetch_one(query, name="Bob", ids=[]) == tl.Success(Owner(2, "Bob"))
        assert each.fetch_maybe(query, name="?", ids=[]) == tl.Success(None)
    with pytest.raises(TypeError, match="needs the parameters ids"):
        each.fetch_all(query, name="Ada")
    assert is_idle(each)


def test_a_query_is_prepared_once_whatever_its_values(each: tl.Store) -> None:
    query = tl.sql("select {n}::int8 + 1", into=int, n=tl.param("n", int))
    for n in range(20):
        assert each.fetch_one(query, n=n) == tl.Success(n + 1)
    known = tl.sql("select count(*) from pg_prepared_statements where statement ~ '1$'", into=int)
    assert each.fetch_one(known) == tl.Success(1)


@pytest.mark.parametrize("client", ["UTF8", "LATIN1", "SJIS"])
def test_the_client_encoding_that_a_role_asks_for_changes_nothing(
    postgres18: PostgresServer, client: str
) -> None:
    """The store speaks UTF-8, whatever the database is made with and the role prefers."""
    for server in ("UTF8", "LATIN1", "EUC_JP"):
        name = f"enc_{secrets.token_hex(4)}"
        with psycopg.connect(postgres18.url, autocommit=True) as admin:
            admin.execute(
                f"CREATE DATABASE {name} ENCODING '{server}' LOCALE 'C' TEMPLATE template0"
            )
            admin.execute(f"ALTER DATABASE {name} SET client_encoding = '{client}'")
        try:
            url = f"{postgres18.url.rpartition('/')[0]}/{name}?client_encoding={client}"
            with tl.open(url, timeout_s=10) as store:
                store.create_table(OWNERS).unwrap()
                tl.unwrap(tl.repository(store, OWNERS).create(Owner(1, "canary")))
                for text in HOSTILE:
                    result = store.fetch_one(tl.sql("select {v}", into=str, v=text))
                    if isinstance(result, tl.Failure):
                        # The database has no such letter, and says so.
                        assert server != "UTF8", result
                        assert not text.isascii()
                    else:
                        assert result == tl.Success(text)
                assert store.fetch_all(tl.select(OWNERS)) == tl.Success([Owner(1, "canary")])
        finally:
            with psycopg.connect(postgres18.url, autocommit=True) as admin:
                admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
