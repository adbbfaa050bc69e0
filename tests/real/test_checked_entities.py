"""Bulk writes of entities that the core checks, with others among them that the validator does."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import psycopg
import pytest
from tests.core.test_entity_checker import GOOD, USUAL, Everything
from tests.real.helpers import failure

import tierline as tl

TABLE = tl.table(Everything, name="everything", key=lambda e: e.id)


class Derived(Everything, frozen=True):
    """Checked by the validator alone."""


def batch() -> list[Everything]:
    """Entities with every usual value, each third of a derived class."""
    changes: list[dict[str, Any]] = [
        {field: value}
        for field, values in USUAL.items()
        for value in values
        if field != "id" and not (isinstance(value, float) and math.isnan(value))
    ]
    entities = [msgspec.structs.replace(GOOD, **{**c, "id": n}) for n, c in enumerate(changes)]
    return [Derived(*msgspec.structs.astuple(e)) if e.id % 3 == 1 else e for e in entities]


def plain(entities: list[Everything]) -> list[str]:
    return sorted(repr(Everything(*msgspec.structs.astuple(e))) for e in entities)


@pytest.fixture
def rows(store: tl.Store) -> tl.Repository[Everything, int]:
    store.create_table(TABLE).unwrap()
    return tl.repository(store, TABLE)


def test_every_usual_value_comes_back(rows: tl.Repository[Everything, int]) -> None:
    entities = batch()
    moved = [e for e in entities if e.at is None or e.at.utcoffset() == GOOD.at.utcoffset()]  # type: ignore[union-attr]
    assert len(moved) > 20
    assert rows.create_many(moved) == tl.Success(len(moved))
    assert plain(rows.list().unwrap()) == plain(moved)
    for write in (rows.update_many, rows.upsert_many):
        changed = [msgspec.structs.replace(e, name="other") for e in moved]
        # More than go as arrays, too.
        assert write(changed) == tl.Success(len(moved))
        assert plain(rows.list().unwrap()) == plain(changed)


def test_an_instant_of_another_zone_is_the_same_instant(
    rows: tl.Repository[Everything, int],
) -> None:
    (berlin,) = [e for e in batch() if e.at is not None and e.at.utcoffset()]
    assert rows.create_many([berlin]) == tl.Success(1)
    assert rows.get_by_id(berlin.id).unwrap().at == berlin.at


def test_all_bad_fields_are_named_with_their_positions(
    rows: tl.Repository[Everything, int],
) -> None:
    entities = batch()[:6]
    entities[2] = msgspec.structs.replace(entities[2], small=9, code="abcd")
    entities[4] = msgspec.structs.replace(entities[4], name="nul\0")
    error = failure(rows.create_many(entities), tl.ValidationError)
    assert [bad.path for bad in error.errors] == ["[2].small", "[2].code", "[4].name"]
    assert rows.count() == tl.Success(0)


def test_a_stranger_among_the_entities_is_a_mistake(rows: tl.Repository[Everything, int]) -> None:
    with pytest.raises(TypeError, match="expected an instance of Everything, got str"):
        rows.create_many([GOOD, "no entity"])  # type: ignore[list-item]


def test_a_column_narrower_than_the_field_is_named(
    rows: tl.Repository[Everything, int], raw: psycopg.Connection[Any]
) -> None:
    raw.execute("ALTER TABLE everything ALTER id TYPE smallint")
    entities = [GOOD, msgspec.structs.replace(GOOD, id=40_000)]
    error = failure(rows.create_many(entities), tl.ValidationError)
    assert [bad.path for bad in error.errors] == ["[1].id"]
    assert "does not fit smallint" in error.errors[0].problem
