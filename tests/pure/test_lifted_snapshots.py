"""Snapshots whose transaction ids are counted above those of an earlier life of the database."""

from __future__ import annotations

import struct

import pytest

from tierline.sql.snapshots import lifted


def snapshot(*ids: int) -> bytes:
    return struct.pack(f">i{len(ids)}q", len(ids) - 2, *ids)


def test_every_id_is_lifted() -> None:
    assert lifted(snapshot(5, 9, 5, 7), 1 << 48) == snapshot(
        *(id_ + (1 << 48) for id_ in (5, 9, 5, 7))
    )
    assert lifted(snapshot(5, 5), 3) == snapshot(8, 8)


def test_nothing_changes_in_the_first_life() -> None:
    assert lifted(b"whatever", 0) == b"whatever"


@pytest.mark.parametrize(
    "data", [b"", bytes(4), bytes(12), snapshot(5, 9)[:-1], b"\0\0\0\1" + bytes(16)]
)
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no snapshot"):
        lifted(data, 1)
