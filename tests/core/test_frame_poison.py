"""Poison in Redis: whatever stands there, it is a payload that was put in or nothing at all."""

from __future__ import annotations

import os
import pickle
import random
import resource
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from tests.conftest import LONG

from tierline._core import FrameKeys, pack_frame, unpack_frame, unpack_frames

IS_LONG = os.environ.get(LONG) == "1"
VALUES = 1_000_000 if IS_LONG else 20_000
ENVELOPES = 1_000 if IS_LONG else 20

KEYS = FrameKeys("new", {"old": b"o" * 32, "new": b"n" * 32})
OTHERS = FrameKeys("new", {"old": b"x" * 32, "new": b"y" * 32})
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "compressed": {"compress_from": 0},
    "encrypted": {"keys": KEYS},
    "compressed and encrypted": {"compress_from": 0, "keys": KEYS},
}


class Bomb:
    """Pickled, it runs code where it is loaded."""

    def __reduce__(self) -> Any:
        return os.abort, ()


class Row(msgspec.Struct):
    id: int
    data: dict[str, Any]


DECODE = msgspec.msgpack.Decoder(Row).decode


def pack(payload: bytes, place: str, **kind: Any) -> bytes:
    return pack_frame(payload, fingerprint=7, written_at_ms=1, place=place, **kind)


def opened(frames: Sequence[bytes | None], names: list[str], **own: Any) -> list[bytes | None]:
    """What many frames hold for places that begin so."""
    payloads, _ = unpack_frames(
        list(frames), names, fingerprint=7, beginning="k:", now_s=1.0, ttl_s=60.0, **own
    )
    return payloads


def keys_of(kind: dict[str, Any]) -> dict[str, Any]:
    return {"keys": kind["keys"]} if "keys" in kind else {}


def poisons(rng: random.Random, kind: dict[str, Any]) -> list[bytes]:
    """One value of each sort."""
    good = pack(msgspec.msgpack.encode(Row(1, {"text": "x" * rng.randrange(200)})), "k:1", **kind)
    cut = rng.randrange(len(good))
    torn = bytearray(good)
    torn[cut] ^= rng.randrange(1, 256)
    bad = [
        rng.randbytes(rng.randrange(300)),
        good[:cut],
        bytes(torn),
        good[: 1 + cut] + rng.randbytes(rng.randrange(1, 40)),
        pack(b"payload", "k:2", **kind),
        pack_frame(b"payload", fingerprint=8, written_at_ms=1, place="k:1", **kind),
        pack(b"payload", "k:1", keys=OTHERS),
        good[:5] + bytes([good[5] ^ rng.randrange(1, 256)]) + good[6:],
        pickle.dumps(Bomb()),
    ]
    # One byte in 256 is what stood there.
    return [value for value in bad if value != good]


@pytest.mark.parametrize("name", KINDS)
def test_poison_is_a_miss_and_memory_does_not_grow(name: str) -> None:
    kind, rng = KINDS[name], random.Random(None if IS_LONG else 6)
    own = keys_of(kind)
    tried, before_kib = 0, 0
    while tried < VALUES // len(KINDS):
        values = poisons(rng, kind)
        for value in values:
            assert unpack_frame(value, fingerprint=7, place="k:1", **own) is None, value
        assert opened(values, ["1"] * len(values), **own) == [None] * len(values)
        tried += len(values)
        if not before_kib and tried > VALUES // len(KINDS) // 10:
            before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib < (16 << 20 if sys.platform == "darwin" else 16 << 10)


def test_framed_poison_is_refused_by_the_decoder() -> None:
    """Somebody who can write to a Redis without keys can make whole frames; never code."""
    deep = [b"\x91" * 100_000, b"\x81\xa4data" + b"\x81\xa1x" * 50_000]
    for payload in [pickle.dumps(Bomb()), *deep, b"", b"\xc1", b"\x82\xa2id\xa1x"]:
        for kind in KINDS.values():
            frame = pack(payload, "k:1", **kind)
            opened = unpack_frame(frame, fingerprint=7, place="k:1", **keys_of(kind))
            assert opened is not None
            with pytest.raises((msgspec.DecodeError, RecursionError, ValueError)):
                DECODE(opened[0])


def test_a_bomb_is_refused_by_the_size_it_claims() -> None:
    bomb = pack(bytes(16 << 20), "k", compress_from=0)
    assert len(bomb) < 100_000
    assert unpack_frame(bomb, fingerprint=7, place="k") is not None
    # A payload beyond the bound is kept as it is, and never claimed by a compressed frame.
    assert len(pack(bytes((16 << 20) + 1), "k", compress_from=0)) > 16 << 20


@pytest.mark.parametrize("name", KINDS)
def test_every_bit_of_an_envelope_counts(name: str) -> None:
    kind, rng = KINDS[name], random.Random(None if IS_LONG else 7)
    for _ in range(ENVELOPES // len(KINDS)):
        frame = pack(b"ab" * rng.randrange(8, 60), "k:1", **kind)
        flipped = []
        for bit in range(len(frame) * 8):
            torn = bytearray(frame)
            torn[bit // 8] ^= 1 << bit % 8
            flipped.append(bytes(torn))
        found = opened(flipped, ["1"] * len(flipped), **keys_of(kind))
        assert found == [None] * len(flipped)


def test_keys_are_rotated() -> None:
    old = FrameKeys("old", {"old": b"o" * 32})
    frame = pack(b"payload", "k", keys=old)
    assert unpack_frame(frame, fingerprint=7, place="k", keys=KEYS) == (b"payload", 1)
    assert unpack_frame(pack(b"p", "k", keys=KEYS), fingerprint=7, place="k", keys=old) is None
    assert b"payload" not in frame
    assert frame != pack(b"payload", "k", keys=old), "a nonce is never the same"


def test_many_frames_open_as_each_does() -> None:
    frames = [pack(b"%d" % n, f"k:{n}") for n in range(5)]
    found = opened([*frames, None, frames[0]], [*map(str, range(5)), "5", "6"])
    assert found == [*(b"%d" % n for n in range(5)), None, None]


def test_many_frames_are_good_for_what_is_left_of_their_time() -> None:
    ages_s = {"new": 0.0, "older": 20.5, "too old": 60.0, "of another clock": -5.0}
    frames: list[bytes | None] = [
        pack_frame(b"x", fingerprint=7, written_at_ms=int((100 - age_s) * 1000), place=f"k:{name}")
        for name, age_s in ages_s.items()
    ]
    payloads, lives_s = unpack_frames(
        frames, list(ages_s), fingerprint=7, beginning="k:", now_s=100.0, ttl_s=60.0
    )
    assert payloads == [b"x", b"x", None, b"x"]
    assert lives_s == pytest.approx([60.0, 39.5, 0.0, 60.0])


@pytest.mark.parametrize(
    ("current", "keys"), [("a", {}), ("a", {"a": b"short"}), ("", {"": b"x" * 32})]
)
def test_keys_that_are_none_are_refused(current: str, keys: dict[str, bytes]) -> None:
    with pytest.raises(ValueError):
        FrameKeys(current, keys)
