"""Hostile text, and every position of a statement in which a value can stand.

`texts` draws what has broken other libraries; `READS` and `STATEMENTS` are queries and writes that
hold such a text. What they become must not depend on it, and what comes back must be equal to it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

import tierline as tl
from tierline.query import Write
from tierline.query.paging import PageQuery
from tierline.sql import (
    Compiled,
    RawSql,
    compile_page,
    compile_query,
    compile_raw,
    compile_returning,
    compile_write,
)


class Row(msgspec.Struct, frozen=True):
    """Text in a column, an optional column, an array and a document."""

    id: int
    name: str
    note: str | None
    tags: list[str]
    document: dict[str, Any]


ROWS = tl.table(Row, name="hostile_rows", key=lambda r: r.id).unique(lambda r: (r.id, r.name))
ALL = tl.select(ROWS)
SECRET = b"0123456789abcdef"

PIECES = (
    "'", "''", '"', '""', "\\", "\\'", "\\\\'", "%", "_", "%s", "%(name)s", "$1", "$2", "$$",
    "$a$", "{}", "{0}", "{{", "}}", "{name}", ";", "--", "/*", "*/", "/* /* */", "#", "?", ":name",
    "(", ")", "[", "]", "[[:alpha:]]", "^", "*", "**", "***=", "***:", "(?i)", "E'\\n'",
    "U&'\\0041'",
    "'; DROP TABLE canary; --", '"; DROP TABLE canary; --', "\\'; DROP TABLE canary; --",
    "$1; DROP TABLE canary; --", "1) OR (1=1", "' OR ''='", "x' || pg_sleep(9) || 'x",
    "*/ DROP TABLE canary; /*", "\nDROP TABLE canary;\n", "COPY canary FROM PROGRAM 'true'",
    "\\.", "\\.\n", "\\N", "\\x41", "\t", "\n", "\r\n", "\x01", "\x1b", "\x7f", "\x80", "\xa0",
    "\u2028", "\u202e", "\ufeff", "\u2019", "\u02bc", "\uff07", "\uff02", "a\u0301", "é", "\xdf",
    "\u0131", "表", "ソ", "ソ'", "ソ\\'", "\u00a5", "\u203e", "\xbf'", "\xbf\x27", "\U0001f600",
    "\ufffd", "\uffff", "\U0010ffff", "null", "NULL", "true", "0", "{a,b}", '{"a"}', "$.a", "a.b",
    "->>", "#>>'{a}'", "", " ", "  ",
)  # fmt: skip
"""Among them: a quote or backslash that is the second byte of a letter in SJIS or GBK."""

UNSTORABLE = ("\0", "a\0b", "\ud800", "\udfff", "a\udc80b", "\ud83d")
"""What PostgreSQL cannot hold: NUL, and halves of letters."""


def texts(seed: int | None) -> Iterator[str]:
    """Hostile texts without an end; the same ones of the same seed."""
    chance = random.Random(seed)
    yield from PIECES
    while True:
        count = chance.randint(1, 4)
        yield "".join(_piece(chance) for _ in range(count))


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can hold it."""
    return "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)


def _piece(chance: random.Random) -> str:
    match chance.randrange(4):
        case 0:
            return "".join(chr(chance.randrange(1, 0x100)) for _ in range(chance.randrange(5)))
        case 1:
            number = chance.randrange(1, 0x11_0000 - 0x800)
            return chr(number if number < 0xD800 else number + 0x800)
        case _:
            return chance.choice(PIECES)


def row(id_: int, text: str) -> Row:
    """A row that holds the text wherever it can."""
    return Row(id_, text, text, [text, "z", text], {text: text, "list": [text, {text: text}]})


def _as_pattern(text: str) -> str:
    """A LIKE pattern for exactly this text."""
    return "".join(f"\\{c}" if c in "\\%_" else c for c in text)


Predicate: TypeAlias = Callable[[Any, str], bool]

READS: Mapping[str, Predicate] = {
    "equal": lambda r, t: r.name == t,
    "not unequal": lambda r, t: tl.not_(r.name != t),
    "in order": lambda r, t: (r.name >= t) & (r.name <= t),
    "optional": lambda r, t: r.note == t,
    "startswith": lambda r, t: r.name.startswith(t),
    "endswith": lambda r, t: r.name.endswith(t),
    "contains": lambda r, t: tl.contains(r.name, t),
    "like": lambda r, t: tl.like(r.name, _as_pattern(t)),
    "ilike": lambda r, t: tl.ilike(r.name, _as_pattern(t)),
    "matches": lambda r, t: tl.matches(r.name, "***=" + t),
    "is_in a list": lambda r, t: tl.is_in(r.name, [t, "z"]),
    "is_in an array": lambda r, t: tl.is_in(t, r.tags),
    "element": lambda r, t: tl.any_(r.tags) == t,
    "array": lambda r, t: r.tags == [t, "z", t],
    "contains_all": lambda r, t: tl.contains_all(r.tags, [t]),
    "overlaps": lambda r, t: tl.overlaps(r.tags, ["y", t]),
    "json key": lambda r, t: r.document[t] == t,
    "json path": lambda r, t: r.document["list"][1][t] == t,
    "json cast": lambda r, t: tl.cast(r.document[t], str) == t,
    "concatenation": lambda r, t: r.name + t == t + t,
    "replace": lambda r, t: r.name.replace(t or "a", "") == "",
    "strip": lambda r, t: (r.name + "").strip(t) == "",
    "coalesce": lambda r, t: tl.coalesce(tl.nullif(r.name, t), t) == t,
    "nullif": lambda r, t: tl.is_null(tl.nullif(r.name, t)),
    "case": lambda r, t: tl.case((r.name == t, t), otherwise=t + "x") == t,
    "between": lambda r, t: tl.between(r.name, t, t),
    "greatest": lambda r, t: tl.greatest(r.name, t) == t,
    "subquery": lambda r, t: tl.is_in(
        r.name, tl.project(tl.select(ROWS, where=lambda q: q.name == t), lambda q: q.name)
    ),
    "exists": lambda r, t: tl.exists(
        tl.select(ROWS, where=lambda q: (q.id == r.id) & (q.note == t))
    ),
}
"""Conditions that hold for `row(…, text)`."""

Statement: TypeAlias = "tl.Query[Any] | tl.Returning[Any] | tl.RawQuery[Any]"


def read(name: str, text: str, id_: int) -> tl.Query[Row]:
    """The query of a condition, for one row."""
    condition = READS[name]
    return tl.select(ROWS, where=lambda r: (r.id == id_) & condition(r, text))


def _of(id_: int) -> tl.Query[Row]:
    return tl.select(ROWS, where=lambda r: r.id == id_)


def _overwrite(text: str) -> Callable[[Any], Any]:
    return lambda r: (
        tl.set(r.name).to(text),
        tl.set(r.note).to(text),
        tl.set(r.tags).to([text, "z", text]),
        tl.set(r.document).to({text: text, "list": [text, {text: text}]}),
    )


STATEMENTS: Mapping[str, Callable[[str, int], tuple[Statement, list[Any]]]] = {
    "project": lambda t, n: (tl.project(_of(n), lambda r: (r.id, t, r.note)), [(n, t, t)]),
    "group": lambda t, n: (
        tl.project(
            _of(n),
            lambda r: (r.name + t, tl.string_agg(r.name, t), tl.count()),
            group_by=lambda r: r.name + t,
            having=lambda r: tl.max(r.name) == t,
            order_by=lambda r: tl.desc(r.name + t),
        ),
        [(t + t, t, 1)],
    ),
    "filtered": lambda t, n: (
        tl.project(_of(n), lambda r: tl.filtered(tl.count(), r.name == t)),
        [1],
    ),
    "window": lambda t, n: (
        tl.project(
            _of(n),
            lambda r: (
                tl.over(tl.count(), partition_by=r.name + t),
                tl.over(tl.first_value(r.name + t), order_by=r.note),
            ),
        ),
        [(1, t + t)],
    ),
    "join": lambda t, n: (
        tl.project(
            tl.left_join(_of(n), ALL, lambda r, q: (r.name == q.name) & (q.note == t)),
            lambda r, q: (r.name, tl.some(q).note),
            distinct=True,
        ),
        [(t, t)],
    ),
    "union": lambda t, n: (
        tl.union(
            tl.project(_of(n), lambda r: (r.id, t)),
            tl.project(_of(n), lambda r: (r.id, r.name)),
        ),
        [(n, t)],
    ),
    "cte": lambda t, n: (
        tl.where(tl.cte(tl.project(_of(n), lambda r: r.name + t)), lambda name: name == t + t),
        [t + t],
    ),
    "update": lambda t, n: (
        tl.update(
            ROWS,
            set=_overwrite(t),
            where=lambda r: (r.id == n) & (r.name == t),
            returning=lambda r: r,
        ),
        [row(n, t)],
    ),
    "upsert": lambda t, n: (
        tl.upsert(
            ROWS,
            row(n, t),
            merge=lambda old, new: (tl.set(old.name).to(new.name), tl.set(old.note).to(t)),
            where=lambda old, new: (old.name == t) | (new.note == t),
            returning=lambda r: r,
        ),
        [row(n, t)],
    ),
    "delete nothing": lambda t, n: (
        tl.delete(
            ROWS, where=lambda r: (r.id == n) & (r.name == t + "x"), returning=lambda r: r.id
        ),
        [],
    ),
    "delete and insert": lambda t, n: (
        tl.upsert(ROWS, row(n, t), returning=lambda r: (r.name, r.tags, r.document)),
        [(t, [t, "z", t], row(n, t).document)],
    ),
    "raw": lambda t, n: (
        tl.sql(
            "select {one}, name, {many}, {document} from hostile_rows where id = {id} and {both}",
            into=tuple[str, str, list[str], dict[str, Any]],
            one=t,
            many=[t, t],
            document={t: t},
            id=n,
            both=tl.sql("name = {t} /* {{t}} */ and '--' <> {t}", t=t),
        ),
        [(t, t, [t, t], {t: t})] if t != "--" else [],
    ),
}
"""Statements with what they answer where `row(number, text)` is in the table."""


def compiled(query: Any) -> Compiled:
    """The statement of anything that a store runs."""
    match query:
        case tl.Query():
            return compile_query(query)
        case tl.Returning():
            return compile_returning(query)
        case RawSql():
            return compile_raw(query, "fetch_all")
        case PageQuery():
            return compile_page(query, SECRET, {})[0]
        case _:
            assert isinstance(query, Write)
            return compile_write(query)
