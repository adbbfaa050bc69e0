"""What is read of frames: values of this schema that are not too old, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from tierline.cache.strategy import TTL_S_MIN

_R = TypeVar("_R")

COMPRESS_FROM_BYTES = 1_024
"""Of a payload. Shorter ones gain less than compressing them costs."""

# A payload marked as our schema but not written by us is a miss: L3 has the truth.
UNDECODABLE = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)


class Many(NamedTuple, Generic[_R]):
    """What is kept for many names.

    Attributes:
        values: In their order; None where there is none.
        lives_s: The seconds until each is too old.
        hits: How many there are.
    """

    values: list[_R | None]
    lives_s: list[float]
    hits: int


def joined(parts: Sequence[Many[_R]]) -> Many[_R]:
    """One answer of several, in their order."""
    return Many(
        [value for part in parts for value in part.values],
        [life_s for part in parts for life_s in part.lives_s],
        sum(part.hits for part in parts),
    )


def decoded_many(
    payloads: Sequence[bytes | None], decode: Callable[[bytes], _R]
) -> list[_R | None]:
    """The payloads decoded; None where there is none, or none of ours."""
    try:
        return [None if payload is None else decode(payload) for payload in payloads]
    except UNDECODABLE:
        return [_decoded_or_none(payload, decode) for payload in payloads]


def _decoded_or_none(payload: bytes | None, decode: Callable[[bytes], _R]) -> _R | None:
    try:
        return None if payload is None else decode(payload)
    except UNDECODABLE:
        return None


def decoded(
    unpacked: tuple[bytes, int], decode: Callable[[bytes], _R], ttl_s: float, now_s: float
) -> tuple[_R, float] | None:
    """The value of one payload, and the seconds until it is too old; None if it is no value."""
    payload, written_at_ms = unpacked
    # The writer may have allowed it a longer life than this reader does. A clock that stands
    # behind the writer's makes it look younger than it is, never younger than new.
    rest_s = ttl_s - (now_s - written_at_ms / 1000)
    if rest_s < TTL_S_MIN:
        return None
    try:
        return decode(payload), min(rest_s, ttl_s)
    except UNDECODABLE:
        return None
