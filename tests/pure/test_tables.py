"""`tl.table`: what it makes of a Struct, what it refuses, and the fingerprint of a schema."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

import tierline as tl

PYTHON = Path(tl.__file__).parents[1]  # the tree under test, for children


class Leg(msgspec.Struct, frozen=True):
    carrier: str
    number: int
    fare: float | None = None


class Airline(msgspec.Struct, frozen=True):
    code: str


AIRLINES = tl.table(Airline, name="airlines", key=lambda a: a.code)
LEGS = tl.table(Leg, name="legs", key=lambda leg: (leg.carrier, leg.number))


def test_a_table_is_a_value_that_reads_well() -> None:
    assert repr(LEGS) == (
        "<Table legs of Leg: carrier text not null, number bigint not null, fare double precision; "
        "key carrier, number>"
    )
    assert [column.name for column in LEGS.columns] == ["carrier", "number", "fare"]
    assert LEGS.key == ("carrier", "number")
    assert LEGS.schema is None


def test_a_renamed_field_has_its_encoded_name_in_sql() -> None:
    entity = msgspec.defstruct("Camel", [("dep_delay", int)], rename="camel", frozen=True)
    table: tl.Table[Any, Any] = tl.table(entity, name="camels", key=lambda e: e.dep_delay)
    assert table.key == ("depDelay",)
    assert table.by_field["dep_delay"] is table.column("depDelay")


class Mutable(msgspec.Struct):
    id: int


class Empty(msgspec.Struct, frozen=True):
    pass


class Odd(msgspec.Struct, frozen=True):
    id: int
    value: complex


class Optional(msgspec.Struct, frozen=True):
    id: int | None
    ids: list[int]
    document: dict[str, int]


@pytest.mark.parametrize(
    ("entity", "key", "says"),
    [
        (dict, lambda e: e.id, "is not a msgspec Struct class"),
        (Airline("UA"), lambda e: e.id, "is not a msgspec Struct class"),
        (Mutable, lambda e: e.id, "Mutable is mutable.*frozen=True, or pass copy=True"),
        (Empty, lambda e: e.id, "Empty has no fields"),
        (Odd, lambda e: e.id, "field 'value': no column type"),
        (Optional, lambda e: e.id, "field 'id' may be None; a key field may not"),
        (Optional, lambda e: e.ids, "x.key: field 'ids'"),
        (Optional, lambda e: e.document, "x.key: field 'document'"),
        (Airline, lambda e: None, "must return one field or a tuple of different fields"),
        (Airline, lambda e: "code", "must return one field or a tuple of different fields"),
        (Airline, lambda e: (), "must return one field or a tuple of different fields"),
        (Airline, lambda e: [e.code], "must return one field or a tuple of different fields"),
        (Leg, lambda e: (e.carrier, e.carrier), "a tuple of different fields"),
        # Its key would be `("UA",)` to the type checker and `"UA"` to the database.
        (Airline, lambda e: (e.code,), "lambda e: e.code"),
    ],
)
def test_what_cannot_be_a_table_is_refused_with_the_remedy(
    entity: Any, key: Any, says: str
) -> None:
    with pytest.raises(TypeError, match=says):
        tl.table(entity, name="x", key=key)


def test_a_misspelt_key_field_is_told_with_those_there_are() -> None:
    with pytest.raises(AttributeError, match=r"x\.key: no field 'nr'; there are carrier, number"):
        tl.table(Leg, name="x", key=lambda e: e.nr)  # type: ignore[attr-defined]


def test_a_table_needs_a_name() -> None:
    with pytest.raises(TypeError, match="the name is empty"):
        tl.table(Airline, name="", key=lambda a: a.code)


def test_a_mutable_struct_is_a_table_when_it_is_copied() -> None:
    assert tl.table(Mutable, name="m", key=lambda e: e.id, copy=True).copy


def test_rules_make_a_new_table_and_leave_the_old_one() -> None:
    ruled = (
        LEGS.foreign_key(lambda leg: leg.carrier, AIRLINES, on_delete="cascade")
        .unique(lambda leg: (leg.carrier, leg.fare))
        .index(lambda leg: leg.fare)
    )
    assert (LEGS.foreign_keys, LEGS.uniques, LEGS.indexes) == ((), (), ())
    (foreign_key,) = ruled.foreign_keys
    assert (foreign_key.name, foreign_key.columns) == ("legs_carrier_fkey", ("carrier",))
    assert (foreign_key.references, foreign_key.on_delete) == (AIRLINES, "cascade")
    assert ruled.uniques[0].name == "legs_carrier_fare_key"
    assert ruled.indexes[0].name == "legs_fare_idx"
    assert ruled.rules["legs_pkey"] == ("carrier", "number")
    assert ruled.rules["legs_carrier_fare_key"] == ("carrier", "fare")
    assert ruled.rules["legs_fare_check"] == ("fare",)


@pytest.mark.parametrize(
    ("columns", "references"),
    [
        (lambda leg: leg.number, AIRLINES),
        (lambda leg: (leg.carrier, leg.number), AIRLINES),
        (lambda leg: leg.carrier, LEGS),
        (lambda leg: (leg.number, leg.carrier), LEGS),
    ],
)
def test_a_foreign_key_must_match_the_other_key(columns: Any, references: Any) -> None:
    with pytest.raises(TypeError, match=r"do not match the key .* in number and type"):
        LEGS.foreign_key(columns, references)


def test_an_unknown_action_on_delete_is_refused_before_it_is_sql() -> None:
    action: Any = "cascade; DROP TABLE legs"
    with pytest.raises(TypeError, match="on_delete must be one of"):
        LEGS.foreign_key(lambda leg: leg.carrier, AIRLINES, on_delete=action)


@pytest.mark.parametrize("name", ["t" * 60, "é" * 40, "t" * 63], ids=len)
def test_names_of_rules_fit_into_63_bytes_and_differ(name: str) -> None:
    table = tl.table(Leg, name=name, key=lambda leg: (leg.carrier, leg.number))
    names = [
        table.primary_key_name,
        *map(table.check_name, table.columns),
        table.unique(lambda leg: leg.fare).uniques[0].name,
        table.index(lambda leg: leg.fare).indexes[0].name,
    ]
    assert all(len(rule.encode()) <= 63 for rule in names)
    assert len(set(names)) == len(names)


def _fingerprint(fields: list[Any], **options: Any) -> int:
    entity = msgspec.defstruct("Entity", fields, frozen=True, **options)
    return tl.table(entity, name="x", key=lambda e: getattr(e, fields[0][0])).fingerprint


BASE = [("id", int), ("name", str)]


@pytest.mark.parametrize(
    ("fields", "options"),
    [
        ([*BASE, ("more", str, "")], {}),
        ([("id", int)], {}),
        ([("id", int), ("title", str)], {}),
        ([("id", int), ("name", str | None)], {}),
        ([("id", int), ("name", bytes)], {}),
        ([("id", int), ("name", Annotated[str, msgspec.Meta(max_length=3)])], {}),
        ([("id", int), ("name", dict[str, int])], {}),
        (BASE, {"rename": "upper"}),
        (BASE, {"array_like": True}),
        (BASE, {"tag": "other"}),
        ([("id", int), ("name", msgspec.defstruct("Name", [("first", str)]))], {}),
    ],
)
def test_the_fingerprint_changes_with_the_schema(
    fields: list[Any], options: dict[str, Any]
) -> None:
    assert _fingerprint(fields, **options) != _fingerprint(BASE)


def test_the_fingerprint_changes_with_a_nested_schema() -> None:
    inner = [msgspec.defstruct("Name", [(field, str)]) for field in ("first", "last")]
    first, last = (_fingerprint([("id", int), ("name", struct)]) for struct in inner)
    assert first != last


def test_the_order_of_fields_counts_where_it_is_the_encoding() -> None:
    array_like = {"array_like": True}
    assert _fingerprint(BASE, **array_like) != _fingerprint(BASE[::-1], **array_like)


def test_the_fingerprint_stays_for_the_same_schema() -> None:
    assert _fingerprint(BASE) == _fingerprint(list(BASE))
    assert 0 <= _fingerprint(BASE) < 2**64


# Sets and dicts order by hash, which differs between processes; a fingerprint may not.
PRINT_FINGERPRINT = """
import enum, msgspec, tierline as tl
class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"
class Part(msgspec.Struct):
    tags: set[str]
    colour: Colour | None
    either: int | str | list[float]
class Entity(msgspec.Struct, frozen=True):
    id: int
    parts: dict[str, Part]
    colours: frozenset[Colour]
print(tl.table(Entity, name="x", key=lambda e: e.id).fingerprint)
"""


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    seen = {
        subprocess.run(
            [sys.executable, "-c", PRINT_FINGERPRINT],
            env={**os.environ, "PYTHONPATH": str(PYTHON), "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
        for seed in range(6)
    }
    assert len(seen) == 1
