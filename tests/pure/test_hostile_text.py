"""The text of a statement does not depend on the values in it, over very many of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import pytest
from tests.hostile import (
    ALL,
    PIECES,
    READS,
    ROWS,
    SECRET,
    STATEMENTS,
    UNSTORABLE,
    compiled,
    read,
    row,
    texts,
)

import tierline as tl
from tierline.query.cursors import write_cursor
from tierline.sql import compile_page

LONG = os.environ.get("TIERLINE_LONG") == "1"
COMPILES = 1_000_000 if LONG else 20_000


def _page(text: str, number: int) -> Any:
    """A page that begins after a row of this text."""
    query = tl.order_by(ALL, lambda r: (tl.desc(r.name), r.note))
    (statement, _), bookmarks = compile_page(tl.page(query, size=3), SECRET, {})
    assert "LIMIT" in statement.sql
    return tl.page(query, size=3, after=write_cursor((text, text, number), *bookmarks))


BUILDS: dict[str, Callable[[str, int], Any]] = {
    **{name: lambda t, n, name=name: read(name, t, n) for name in READS},
    **{name: lambda t, n, build=build: build(t, n)[0] for name, build in STATEMENTS.items()},
    "insert": lambda t, n: tl.insert(ROWS, [row(n, t), row(n, t)]),
    "ignoring upsert": lambda t, n: tl.upsert(ROWS, row(n, t), ignore=True),
    "update": lambda t, n: tl.update(
        ROWS,
        set=lambda r: tl.set(r.name).to(r.name + t),
        where=lambda r: (r.note == t) & (r.id == n),
    ),
    "delete": lambda t, n: tl.delete(ROWS, where=lambda r: tl.contains(r.name, t) & (r.id == n)),
    "page": _page,
}


@pytest.mark.timeout(1800)
def test_the_text_of_a_statement_is_independent_of_values() -> None:
    plain = {name: compiled(build("a", 1)) for name, build in BUILDS.items()}
    drawn = texts(None if LONG else 7)
    for number, (name, text) in enumerate(
        islice(zip(cycle(BUILDS), drawn, strict=False), COMPILES)
    ):
        statement, values = compiled(BUILDS[name](text, number))
        expected = plain[name].statement
        if statement.sql != expected.sql or statement.name != expected.name:
            pytest.fail(f"{name} of {text!r} became {statement.sql}")
        assert statement.parameters == expected.parameters, (name, text)
        assert len(values) == len(statement.parameters), (name, text)


def test_every_text_stands_in_every_position() -> None:
    """The long test pairs texts and positions at random; here each meets each."""
    for name, build in BUILDS.items():
        names = {compiled(build(text, 1)).statement.name for text in PIECES}
        assert len(names) == 1, name


# A cursor holds what the server answered with, so it never has such text.
@pytest.mark.parametrize("name", [name for name in BUILDS if name != "page"])
@pytest.mark.parametrize("text", UNSTORABLE)
def test_what_cannot_be_stored_changes_no_text_either(name: str, text: str) -> None:
    """It is refused when the entity is checked, or else when the value is encoded."""
    try:
        found = compiled(BUILDS[name](text, 1))
    except tl.ValidationError:
        return
    assert found.statement.sql == compiled(BUILDS[name]("a", 1)).statement.sql


@pytest.mark.parametrize("text", UNSTORABLE)
def test_what_cannot_be_stored_is_refused_in_memory_too(text: str) -> None:
    for name in ("equal", "array", "json key"):
        found = tl.evaluate(read(name, text, 1), [row(1, "a")])
        assert isinstance(found.failure(), tl.ValidationError), name
    whole = tl.select(ROWS, where=lambda r: r.document == {text: [text]})
    assert isinstance(tl.evaluate(whole, [row(1, "a")]).failure(), tl.ValidationError)
