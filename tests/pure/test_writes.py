"""Writes, changes and table options as values: what they say, and what they refuse."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest

import tierline as tl
from tierline.query import Insert, Write
from tierline.sql import compile_returning, compile_returning_keys, compile_write


class Post(msgspec.Struct, frozen=True):
    id: int
    title: str
    words: int | None = None
    score: float = 0.0
    version: int = 1
    made: dt.datetime | None = None
    changed: dt.datetime | None = None
    gone: dt.datetime | None = None


class Plain(msgspec.Struct, frozen=True):
    a: int
    b: str = "b"
    n: int | None = None


POSTS = tl.table(
    Post,
    name="posts",
    key=lambda p: p.id,
    version=lambda p: p.version,
    created_at=lambda p: p.made,
    updated_at=lambda p: p.changed,
    deleted_at=lambda p: p.gone,
)
PLAINS = tl.table(Plain, name="plains", key=lambda p: p.a).unique(lambda p: (p.b, p.n))
ANY: Any = tl


def text(write: Any) -> str:
    if isinstance(write, tl.Returning):
        return compile_returning(write).statement.sql
    return compile_write(write).statement.sql


# Text


def test_an_insert_takes_every_value_as_a_parameter() -> None:
    compiled = compile_write(tl.insert(PLAINS, [Plain(1, "'; --"), Plain(2)]))
    assert compiled.statement.sql == (
        'INSERT INTO "plains" ("a", "b", "n") VALUES ($1, $2, $3), ($4, $5, $6)'
    )
    assert compiled.values == (1, "'; --", None, 2, "b", None)
    assert compiled.statement.writes


def test_an_upsert_overwrites_all_but_the_key() -> None:
    assert text(tl.upsert(PLAINS, Plain(1))) == (
        'INSERT INTO "plains" AS "stored" ("a", "b", "n") VALUES ($1, $2, $3) '
        'ON CONFLICT ("a") DO UPDATE SET "b" = excluded."b", "n" = excluded."n"'
    )
    assert text(tl.upsert(PLAINS, Plain(1), ignore=True)).endswith('ON CONFLICT ("a") DO NOTHING')
    chosen = tl.upsert(PLAINS, Plain(1), target=lambda p: (p.n, p.b), overwrite=lambda p: p.a)
    assert text(chosen).endswith('ON CONFLICT ("b", "n") DO UPDATE SET "a" = excluded."a"')


def test_an_upsert_merges_both_rows() -> None:
    merged = tl.upsert(
        PLAINS,
        Plain(1),
        merge=lambda old, new: tl.set(old.a).to(old.a + new.a + 7),
        where=lambda old, new: old.b != new.b,
        returning=lambda p: (p.a, p.b),
    )
    assert text(merged).endswith(
        'DO UPDATE SET "a" = (("stored"."a" + excluded."a") + $4) '
        'WHERE ("stored"."b" <> excluded."b") RETURNING "a", "b"'
    )


def test_an_update_moves_version_and_stamp_on() -> None:
    update = tl.update(POSTS, set=lambda p: tl.set(p.words).to(3), where=lambda p: p.id == 1)
    assert text(update) == (
        'UPDATE "posts" SET "words" = $1, "version" = "version" + 1, "changed" = now() '
        'WHERE (("id" = $2) AND ("gone" IS NULL))'
    )
    everything = tl.update(PLAINS, set=lambda p: tl.set(p.n).to(p.a), where=tl.everything)
    assert text(everything) == 'UPDATE "plains" SET "n" = "a"'


def test_a_delete_marks_rows_where_the_table_says_so() -> None:
    assert text(tl.delete(POSTS, where=lambda p: p.id == 1)) == (
        'UPDATE "posts" SET "gone" = now(), "version" = "version" + 1, "changed" = now() '
        'WHERE (("id" = $1) AND ("gone" IS NULL))'
    )
    assert text(tl.delete(POSTS, where=tl.everything, purge=True)) == 'DELETE FROM "posts"'
    assert text(tl.delete(PLAINS, where=lambda p: p.a == 1)) == (
        'DELETE FROM "plains" WHERE ("a" = $1)'
    )


def test_the_clock_stamps_new_rows() -> None:
    insert = compile_write(tl.insert(POSTS, Post(1, "a")))
    assert insert.statement.sql.endswith("VALUES ($1, $2, $3, $4, $5, now(), now(), $6)")
    assert text(tl.upsert(POSTS, Post(1, "a"))).endswith(
        'DO UPDATE SET "title" = excluded."title", "words" = excluded."words", '
        '"score" = excluded."score", "gone" = excluded."gone", '
        '"version" = "stored"."version" + 1, "changed" = now()'
    )


def test_a_query_in_a_write_sees_the_written_row() -> None:
    update = tl.update(
        PLAINS,
        set=lambda p: tl.set(p.n).to(
            tl.scalar(tl.project(tl.select(POSTS, where=lambda q: q.id == p.a), lambda q: q.words))
        ),
        where=lambda p: tl.exists(tl.select(POSTS, where=lambda q: q.title == p.b)),
    )
    sql = text(update)
    assert sql.startswith(
        'UPDATE "plains" AS "stored" SET "n" = (SELECT t0."words" FROM "posts" AS t0 WHERE '
        '((t0."gone" IS NULL) AND (t0."id" = "stored"."a"))) WHERE EXISTS (SELECT '
    )
    assert sql.endswith(
        'FROM "posts" AS t1 WHERE ((t1."gone" IS NULL) AND (t1."title" = "stored"."b")))'
    )


def test_the_text_does_not_depend_on_values() -> None:
    def update(value: str) -> str:
        return text(
            tl.update(PLAINS, set=lambda p: tl.set(p.b).to(value), where=lambda p: p.b == value)
        )

    assert update("'; DROP TABLE plains; --") == update("$1") == update("%s\0")
    assert text(tl.insert(PLAINS, Plain(1, "a"))) == text(tl.insert(PLAINS, Plain(2, "b'")))


def test_keys_can_be_answered_with() -> None:
    statement = compile_returning_keys(tl.delete(PLAINS, where=tl.everything)).statement
    assert statement.sql == 'DELETE FROM "plains" RETURNING "a"'
    assert statement.shape == "scalar"


def test_too_many_parameters_name_the_verb_that_takes_more() -> None:
    write = tl.insert(PLAINS, [Plain(n) for n in range(21_845)])
    assert len(compile_write(write).values) == 65_535
    with pytest.raises(tl.QueryError, match=r"65538 parameters.*create_many"):
        compile_write(tl.insert(PLAINS, [Plain(n) for n in range(21_846)]))


def test_bad_entities_are_all_listed_when_the_write_is_compiled() -> None:
    bad: Any = Plain("1", 2)  # type: ignore[arg-type]
    with pytest.raises(tl.ValidationError) as caught:
        compile_write(tl.insert(PLAINS, [Plain(1), bad]))
    assert [path for path, _ in caught.value.errors] == ["[1].a", "[1].b"]
    with pytest.raises(tl.ValidationError) as caught:
        compile_write(tl.insert(PLAINS, bad))
    assert [path for path, _ in caught.value.errors] == ["a", "b"]


# Refused when built


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: ANY.update(PLAINS, set=lambda p: tl.set(p.b).to("x")), r"where=tl\.everything"),
        (lambda: ANY.delete(PLAINS), r"where=tl\.everything"),
        (lambda: ANY.delete(PLAINS, where=lambda p: p.b), "needs conditions"),
        (lambda: tl.insert(PLAINS, []), "at least one entity"),
        (lambda: ANY.insert(PLAINS, 3), "instance of Plain"),
        (lambda: ANY.insert(PLAINS, [Plain(1), "x"]), "instance of Plain"),
        (lambda: ANY.insert(PLAINS, Plain(1), returning=lambda p: 3), "of each row"),
        (lambda: tl.insert(PLAINS, Plain(1), returning=lambda p: tl.count()), "an aggregate"),
        (lambda: tl.upsert(PLAINS, Plain(1), target=lambda p: p.n), "neither the key nor a unique"),
        (lambda: tl.upsert(PLAINS, Plain(1), ignore=True, overwrite=lambda p: p.b), "one of"),
        (lambda: tl.upsert(PLAINS, Plain(1), ignore=True, where=lambda o, n: o.a < n.a), "ignore"),
        (lambda: tl.upsert(POSTS, Post(1, "a"), overwrite=lambda p: p.version), "by each write"),
        (lambda: ANY.upsert(PLAINS, Plain(1), where=lambda o, n: o.a), "comparison of the two"),
    ],
)
def test_a_write_that_means_nothing_is_a_type_error(build: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        build()


@pytest.mark.parametrize(
    ("set_", "says"),
    [
        (lambda p: tl.set(p.b).to(3), "does not fit beside a field of type text"),
        (lambda p: tl.set(p.b).to(p.a), "is text and cannot be set to bigint"),
        (lambda p: tl.set(p.a).to(p.a / 2), "is bigint and cannot be set to double precision"),
        (lambda p: tl.set(p.a).to(1.5), "does not fit"),
        (lambda p: tl.set(p.a).to(True), "does not fit"),
        (lambda p: tl.set(p.b).to(None), "'b' is not optional"),
        (lambda p: tl.set(p.a).to(tl.count()), r"tl\.scalar"),
        (lambda p: tl.set(3), "takes a field of the entity"),
        (lambda p: tl.set(p.a + 1), "takes a field of the entity"),
        (lambda p: (), "must return"),
        (lambda p: p.a == 3, "must return"),
        (lambda p: (tl.set(p.b).to("x"), tl.set(p.b).to("y")), "'b' is set twice"),
    ],
)
def test_a_setting_that_does_not_fit_is_a_type_error(set_: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        ANY.update(PLAINS, set=set_, where=tl.everything)


@pytest.mark.parametrize("field", ["version", "made", "changed", "gone"])
def test_what_writes_set_themselves_cannot_be_set(field: str) -> None:
    value: Any = 3 if field == "version" else dt.datetime.now(dt.UTC)
    with pytest.raises(TypeError, match=f"'{field}' is set by each write itself"):
        tl.update(POSTS, set=lambda p: tl.set(getattr(p, field)).to(value), where=tl.everything)


def test_an_unknown_field_suggests_the_known_one() -> None:
    for build in (
        lambda: ANY.update(POSTS, set=lambda p: tl.set(p.titel).to("x"), where=tl.everything),
        lambda: ANY.upsert(POSTS, Post(1, "a"), merge=lambda o, n: tl.set(o.titel).to("x")),
    ):
        with pytest.raises(AttributeError, match="did you mean 'title'"):
            build()


def test_an_integer_may_be_set_into_a_float() -> None:
    tl.update(POSTS, set=lambda p: tl.set(p.score).to(p.id), where=tl.everything)
    tl.update(POSTS, set=lambda p: tl.set(p.score).to(1), where=tl.everything)


def test_a_write_is_an_inert_value() -> None:
    write = tl.insert(PLAINS, Plain(1))
    assert isinstance(write, Write)
    assert isinstance(write, Insert)
    assert repr(write) == "<Insert of plains>"
    with pytest.raises(AttributeError):
        write.entities = ()  # type: ignore[misc]


# Table options


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"version": lambda p: p.title}, "must be a plain int"),
        ({"version": lambda p: p.words}, "must be a plain int"),
        ({"version": lambda p: (p.id, p.version)}, "takes one field"),
        ({"version": lambda p: p.id}, "two of the parts"),
        ({"created_at": lambda p: p.id}, "a datetime with a time zone"),
        ({"deleted_at": lambda p: p.id}, "a datetime with a time zone"),
        ({"created_at": lambda p: p.made, "updated_at": lambda p: p.made}, "two of the parts"),
    ],
)
def test_an_option_needs_a_field_of_its_kind(options: dict[str, Any], says: str) -> None:
    with pytest.raises(TypeError, match=says):
        tl.table(Post, name="posts", key=lambda p: p.id, **options)


def test_a_deletion_stamp_must_be_optional() -> None:
    class Row(msgspec.Struct, frozen=True):
        id: int
        gone: dt.datetime

    with pytest.raises(TypeError, match="must be optional"):
        tl.table(Row, name="rows", key=lambda r: r.id, deleted_at=lambda r: r.gone)


def test_a_query_leaves_deleted_rows_out_unless_told() -> None:
    from tierline.sql import compile_query  # noqa: PLC0415 (one test's)

    assert compile_query(tl.select(POSTS)).statement.sql.endswith('WHERE ("gone" IS NULL)')
    assert "WHERE" not in compile_query(tl.select(POSTS, include_deleted=True)).statement.sql
    with pytest.raises(TypeError, match="belongs in the select of the table"):
        tl.select(tl.select(POSTS), include_deleted=True)


# Changes


def test_a_change_holds_only_what_differs() -> None:
    plain = Plain(1, "x", 2)
    change = tl.change(plain, b="y", n=2)
    assert (change.before, change.after, change.fields) == (plain, Plain(1, "y", 2), ("b",))
    assert tl.change(plain).fields == ()
    # True equals 1 and is of another type, which validation must see.
    assert tl.change(plain, a=True).fields == ("a",)


def test_a_change_of_an_unknown_field_suggests_the_known_one() -> None:
    with pytest.raises(TypeError, match="Post has no field 'titel'; did you mean 'title'"):
        tl.change(Post(1, "a"), titel="b")
    with pytest.raises(TypeError, match="takes an entity"):
        tl.change(3, a=1)
