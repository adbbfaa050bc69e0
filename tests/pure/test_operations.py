"""Which operations one batch does together, and how operations are written down."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from decimal import Decimal
from typing import Any, get_args

import msgspec
import pytest

import tierline as tl
from tierline.cache.intents import Intent, Kind
from tierline.cache.operations import (
    Entry,
    Operation,
    OperationCodec,
    OperationId,
    Written,
    beginning,
    coalesced,
    read_id,
)


class Row(msgspec.Struct, frozen=True):
    id: int
    value: int = 0


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)
CODEC = OperationCodec(ROWS)
KINDS: tuple[Kind, ...] = get_args(Kind)


def operations(*intents: Intent) -> list[Operation]:
    return [
        CODEC.read(Entry(OperationId(1, n), CODEC.write(intent)))
        for n, intent in enumerate(intents)
    ]


def intent(kind: Kind, key: int, value: int) -> Intent:
    return Intent(kind, key, None if kind == "delete" else Row(key, value))


def one_by_one(row: int | None, intents: list[Intent]) -> int | None:
    """What a database makes of a row; what it refuses does nothing."""
    for kind, _, entity in intents:
        if kind == "delete":
            row = None
        elif kind == "upsert" or (kind == "create") == (row is None):
            row = entity.value
    return row


def together(row: int | None, intents: list[Intent]) -> tuple[int | None, bool]:
    """What batches make of it, and whether anything was refused."""
    left, refused = list(operations(*intents)), False
    while left:
        batch = beginning(left)
        left = left[len(batch) :]
        (net,) = coalesced(batch)
        match net.effect:
            case "delete":
                row = None
            case "upsert" | "replace":
                row = net.entity.value
            case "create" | "update" if (net.effect == "create") == (row is None):
                row = net.entity.value
            case _:
                refused = True
    return row, refused


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_batches_do_what_one_after_another_would(length: int) -> None:
    for kinds in itertools.product(KINDS, repeat=length):
        intents = [intent(kind, 7, n) for n, kind in enumerate(kinds, 1)]
        for row in (None, 0):
            alone = one_by_one(row, intents)
            found, refused = together(row, intents)
            # An update behind a creation that is refused is refused with it: it was of that row.
            assert found == alone or (refused and "create" in kinds and "update" in kinds)


def test_a_pair_with_two_outcomes_waits_for_the_next_batch() -> None:
    for first, second in (
        ("create", "create"),
        ("update", "create"),
        ("upsert", "create"),
        ("delete", "update"),
    ):
        found = operations(intent(first, 7, 1), intent("upsert", 8, 1), intent(second, 7, 2))
        assert len(beginning(found)) == 2
        assert len(beginning(found[2:])) == 1


def test_rows_are_in_the_order_of_their_first_operations() -> None:
    found = operations(
        intent("upsert", 3, 1),
        intent("upsert", 1, 1),
        intent("upsert", 3, 2),
        intent("delete", 2, 0),
    )
    assert beginning(found) is found
    assert [(one.effect, one.key) for one in coalesced(found)] == [
        ("upsert", 3),
        ("upsert", 1),
        ("delete", 2),
    ]
    assert coalesced(found)[0].entity == Row(3, 2)


class Wide(msgspec.Struct, frozen=True):
    day: dt.date
    code: uuid.UUID
    amount: Decimal
    data: bytes
    at: dt.datetime
    note: str | None = None


WIDE = tl.table(Wide, name="wide", key=lambda w: (w.day, w.code))


def test_what_is_written_down_is_read_again() -> None:
    codec = OperationCodec(WIDE)
    at = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    wide = Wide(dt.date(2026, 1, 2), uuid.UUID(int=5), Decimal("1.50"), b"\0\xff", at, "é")
    key = (wide.day, wide.code)
    for kind in KINDS:
        given = Intent(kind, key, None if kind == "delete" else wide)
        assert codec.read(Entry(OperationId(1, 0), codec.write(given))).intent == given


@pytest.mark.parametrize(
    ("letter", "payload"),
    [(b"", b""), (b"x", b"\x01"), (b"p", b""), (b"p", b"\x80"), (b"d", b"\xa1a"), (b"p", b"\xc1")],
)
def test_what_cannot_be_read_says_so(letter: bytes, payload: bytes) -> None:
    found = CODEC.read(Entry(OperationId(1, 0), Written(letter, b"[1]", payload)))
    assert found.intent is None
    assert "journal" in found.problem


def test_ids_are_in_the_order_of_the_stream() -> None:
    texts = ["9-10", "10-0", "10-2", "10-10"]
    assert [str(one) for one in sorted(map(read_id, texts))] == texts


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (tl.write_through, TypeError),
        (lambda: tl.write_through(ttl_s=1, reads=tl.read_through(ttl_s=1)), TypeError),  # type: ignore[call-overload]
        (lambda: tl.write_through(reads=60), TypeError),  # type: ignore[call-overload]
        (lambda: tl.write_through(ttl_s=0), ValueError),
        (tl.write_behind, TypeError),
        (lambda: tl.write_behind(ttl_s=1, max_pending=0), ValueError),
        (lambda: tl.write_behind(ttl_s=1, max_pending=True), TypeError),
        (lambda: tl.write_behind(ttl_s=1, batch_size=10_001), ValueError),
        (lambda: tl.write_behind(ttl_s=1, delay_s=-1), ValueError),
        (lambda: tl.write_behind(ttl_s=1, delay_s="1"), TypeError),  # type: ignore[call-overload]
        (lambda: tl.write_behind(ttl_s=1, close_timeout_s=float("inf")), ValueError),
        (lambda: tl.write_behind(ttl_s=1, durable="no"), TypeError),  # type: ignore[call-overload]
    ],
)
def test_a_strategy_that_cannot_be_is_refused_when_it_is_built(make: Any, error: Any) -> None:
    with pytest.raises(error):
        make()


def test_strategies_are_values() -> None:
    assert tl.cache_aside() == tl.cache_aside()
    assert tl.write_through(ttl_s=60) == tl.write_through(reads=tl.read_through(ttl_s=60))
    assert tl.write_behind(ttl_s=60) == tl.write_behind(ttl_s=60)
    assert tl.write_behind(ttl_s=60) != tl.write_behind(ttl_s=60, durable=False)
