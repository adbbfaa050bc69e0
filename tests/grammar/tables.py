"""Random tables: columns of kinds that often belong together, and rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st
from tests.grammar.kinds import KINDS, values

import tierline as tl

THEMES = (
    ("int", "float", "decimal", "level"),
    ("timestamptz", "timestamp", "date", "interval"),
    ("time", "timetz", "interval", "float"),
    ("text", "colour", "word", "bool"),
    ("ints", "texts", "decimals", "json", "int", "text"),
)


# No rows seldom: all queries of those are alike.
SIZES = (6, 8, 4, 12, 7, 10, 5, 9, 3, 11, 8, 6, 2, 12, 1, 0)


class Spec(NamedTuple):
    """A column that was drawn."""

    name: str
    kind: str
    nullable: bool


def table_of(name: str, specs: tuple[Spec, ...]) -> tl.Table[Any, Any]:
    """The table of drawn columns, with an integer key beside them."""
    fields: list[Any] = [("id", int)]
    fields += [
        (spec.name, KINDS[spec.kind].annotation | None if spec.nullable
         else KINDS[spec.kind].annotation)
        for spec in specs
    ]  # fmt: skip
    entity: Any = msgspec.defstruct("Drawn", fields, frozen=True)
    return tl.table(entity, name=name, key=lambda row: row.id)


@st.composite
def columns(draw: st.DrawFn, kinds: tuple[str, ...] = tuple(KINDS)) -> tuple[Spec, ...]:
    """Between one and six columns, often of kinds that belong together."""
    themes = [kinds, *(theme for theme in THEMES if set(theme) <= set(kinds))]
    theme = draw(st.sampled_from(themes))
    chosen = draw(st.lists(st.sampled_from(theme), min_size=1, max_size=6))
    return tuple(Spec(f"{kind}_{n}", kind, draw(st.booleans())) for n, kind in enumerate(chosen))


@st.composite
def rows(draw: st.DrawFn, entity: Any, specs: tuple[Spec, ...], *, wild: bool) -> list[Any]:
    """Entities of the drawn columns."""
    count = draw(st.sampled_from(SIZES))
    fields = [
        st.none() | values(spec.kind, wild=wild) if spec.nullable else values(spec.kind, wild=wild)
        for spec in specs
    ]
    return [entity(n, *(draw(field) for field in fields)) for n in range(count)]
