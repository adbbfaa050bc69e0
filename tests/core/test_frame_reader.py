"""Frames of many keys that are unpacked, decoded and kept in one call."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from returns.result import Success

from tierline._core import Cache, FrameKeys, FrameReader, pack_frame
from tierline.cache.reading import HELD_IN

NOW_S = 1_700_000_000.0
UNDECODABLE = (msgspec.DecodeError, ValueError)
decode = msgspec.msgpack.Decoder(int).decode


def reader(decode: Any = decode, keys: FrameKeys | None = None) -> FrameReader:
    return FrameReader(7, decode, undecodable=UNDECODABLE, holder=Success, slot=HELD_IN, keys=keys)


def packed(value: object, name: str, **options: Any) -> bytes:
    given = {"fingerprint": 7, "written_at_ms": int(NOW_S * 1000), "place": f"r {name}"}
    return pack_frame(msgspec.msgpack.encode(value), **(given | options))


def take(
    frames: list[Any], *, cache: Cache[Any, Any], by: FrameReader | None = None, **options: Any
) -> tuple[dict[int, Any], int]:
    keys = list(range(len(frames)))
    given: dict[str, Any] = {"beginning": "r ", "now_s": NOW_S, "ttl_s": 60.0, "rest_s": 60.0}
    into: dict[int, Any] = {}
    tokens = options.pop("tokens", None) or cache.begin_many(keys)
    names = [f"k{key}" for key in keys]
    hits = (by or reader()).take(cache, into, keys, tokens, names, frames, **(given | options))
    return into, hits


def test_what_frames_hold_is_answered_and_kept() -> None:
    cache: Cache[Any, Any] = Cache(10)
    found, hits = take([packed(5, "k0"), None, packed(6, "k2")], cache=cache)
    assert (found, hits) == ({0: 5, 2: 6}, 2)
    assert cache.get(0) == Success(5)
    assert type(cache.get(2)) is Success
    assert cache.get(1) is None


@pytest.mark.parametrize(
    "frame",
    [
        packed(5, "k1"),
        packed(5, "k0", fingerprint=8),
        packed("five", "k0"),
        packed(5, "k0", written_at_ms=int(NOW_S * 1000) - 60_000),
        packed(5, "k0")[:-1],
        b"",
        "text",
    ],
    ids=["another place", "another schema", "another type", "too old", "cut", "empty", "no bytes"],
)
def test_what_is_no_whole_frame_of_the_key_is_nothing(frame: Any) -> None:
    cache: Cache[Any, Any] = Cache(10)
    assert take([frame, packed(6, "k1")], cache=cache) == ({1: 6}, 1)
    assert list(cache) == [1]


def test_an_error_that_says_nothing_of_the_bytes_is_raised() -> None:
    def interrupted(_: bytes) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take([packed(5, "k0")], cache=Cache(10), by=reader(interrupted))


def test_what_was_invalidated_meanwhile_is_answered_and_not_kept() -> None:
    cache: Cache[Any, Any] = Cache(10)
    tokens = cache.begin_many([0, 1])
    cache.invalidate(0)
    found = take([packed(5, "k0"), packed(6, "k1")], cache=cache, tokens=tokens)
    assert found == ({0: 5, 1: 6}, 2)
    assert list(cache) == [1]


def test_a_value_lives_for_what_is_left_and_no_longer_than_is_said() -> None:
    cache: Cache[Any, Any] = Cache(10, stale_if_error_s=1)
    old = packed(5, "k0", written_at_ms=int(NOW_S * 1000) - 59_998)
    new = packed(6, "k1", written_at_ms=int(NOW_S * 1000) + 5_000)
    take([old, new], cache=cache)
    until = cache.stale
    while cache.get(0) is not None:
        pass
    assert until(0) is not None
    assert cache.get(1) == Success(6)
    take([packed(5, "k0"), new], cache=cache, rest_s=0.002)
    while cache.get(1) is not None:
        pass


def test_encrypted_frames_are_read_with_their_key_only() -> None:
    keys, others = (FrameKeys("a", {"a": bytes([n]) * 32}) for n in (1, 2))
    sealed = packed(5, "k0", keys=keys)
    assert take([sealed], cache=Cache(10), by=reader(keys=keys)) == ({0: 5}, 1)
    assert take([sealed], cache=Cache(10), by=reader(keys=others)) == ({}, 0)
    assert take([sealed], cache=Cache(10)) == ({}, 0)
    assert take([packed(5, "k0")], cache=Cache(10), by=reader(keys=keys)) == ({}, 0)


def test_lists_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="of one length"):
        take([packed(5, "k0")], cache=Cache(10), tokens=[1, 2])
