"""Spaces of the application's own values: L1 a space, and L2 where there is Redis.

A value in L2 says how long it may live and which tags it carries, each with the *version* that
the tag had before the value was loaded. A version is some random bytes in L2 under the tag's name;
to invalidate a tag is to invalidate that. So a value whose tag was invalidated since, or whose
version was lost, is a miss, however late it was filled.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, NamedTuple

import msgspec

from tierline._core import Cache
from tierline.cache.application_keys import CacheKey, l1_key, l2_key, space_beginning, tag_name
from tierline.cache.redis import FillToken, RedisTier
from tierline.cache.strategy import TTL_S_MIN

_FOREVER_S = 1e9
_VERSION_TTL_S = 7 * 86_400.0
_VERSIONS_FINGERPRINT = 0
_LOCKS = 64


class Kept(NamedTuple):
    """A value in L1.

    Attributes:
        value: What the application asked to keep.
        until_s: When it is no longer served, on the monotonic clock.
    """

    value: Any
    until_s: float


class _Shared(NamedTuple):
    """A value of L2."""

    value: Any
    rest_s: float
    tags: tuple[str, ...]


class _Load(NamedTuple):
    """What a fill of L2 must show: the version that each tag had, and the token."""

    name: str
    versions: list[tuple[str, bytes]]
    token: FillToken


class Shelf:
    """What one space keeps, whatever type its values are taken for.

    Args:
        name: The space's.
        ttl_s: Seconds that a value is kept, unless it says otherwise.
        max_entries: The most values in L1.
        fingerprint: Of the values' type: values of another are misses.
        l2: The store's L2.
    """

    def __init__(
        self, name: str, *, ttl_s: float, max_entries: int, fingerprint: int, l2: RedisTier | None
    ) -> None:
        self.name = name
        self.ttl_s = ttl_s
        self.max_entries = max_entries
        self.l1: Cache[str | int | bytes, Kept] = Cache(max_entries, ttl_s=_rest_s)
        self._fingerprint = fingerprint
        self._l2 = l2
        self._encode = msgspec.msgpack.Encoder().encode
        # Two writers of one key must come to the same end in both tiers.
        self._locks: list[AbstractContextManager[object]] = (
            [nullcontext()] if l2 is None else [threading.Lock() for _ in range(_LOCKS)]
        )

    def get(self, key: CacheKey, decode: Callable[[bytes], Any]) -> Kept | None:
        """What is kept under a key."""
        short = l1_key(key)
        kept = self.l1.get(short)
        if kept is not None or self._l2 is None:
            return kept
        token = self.l1.begin(short)
        found = self._shared(self._l2, key, decode)
        if found is None:
            return None
        kept = Kept(found.value, time.monotonic() + found.rest_s)
        self.l1.fill(short, kept, token, tags=found.tags)
        return kept

    def put(self, key: CacheKey, value: object, ttl_s: float, tags: tuple[str, ...]) -> None:
        """Keep a value in place of what was kept, or is being loaded."""
        short = l1_key(key)
        with self._locks[hash(short) % len(self._locks)]:
            until_s = time.monotonic() + ttl_s
            l2, name = self._l2, l2_key(self.name, key)
            if l2 is not None and name is not None:
                l2.invalidate([name])
            self.l1.invalidate(short)
            token = self.l1.begin(short)
            if l2 is not None and name is not None:
                self._fill(l2, _begin(l2, name, tags), value, ttl_s)
            self.l1.fill(short, Kept(value, until_s), token, tags=tags)

    def load(
        self,
        key: CacheKey,
        decode: Callable[[bytes], Any],
        loader: Callable[[], Any],
        ttl_s: float,
        tags: tuple[str, ...],
    ) -> Kept:
        """What is kept under a key, or what the loader returns; one call for all who ask."""

        def loaded(_: object) -> Kept:
            l2 = self._l2
            name = None if l2 is None else l2_key(self.name, key)
            if l2 is None or name is None:
                return Kept(loader(), began_s + ttl_s)
            found = self._shared(l2, key, decode)
            # L1 would not know of another tag that it has.
            if found is not None and set(found.tags) <= set(tags):
                return Kept(found.value, time.monotonic() + found.rest_s)
            load = _begin(l2, name, tags)
            value = loader()
            self._fill(l2, load, value, ttl_s)
            return Kept(value, began_s + ttl_s)

        # The age counts from before the load, so a slow one does not lengthen a life.
        began_s = time.monotonic()
        return self.l1.get_or_load(l1_key(key), loaded, tags=tags)

    def invalidate(self, keys: Iterable[CacheKey]) -> None:
        """Forget keys, and every load of them that has begun."""
        several = list(keys)
        short = list(map(l1_key, several))
        # L2 first: what L1 loads from it afterwards is no older.
        if self._l2 is not None:
            names = [l2_key(self.name, key) for key in several]
            self._l2.invalidate([name for name in names if name is not None])
        self.l1.invalidate_many(short)

    def clear(self) -> None:
        """Forget everything, and every load that has begun."""
        if self._l2 is not None:
            self._l2.invalidate_all(space_beginning(self.name))
        self.l1.invalidate_all()

    def _shared(
        self, l2: RedisTier, key: CacheKey, decode: Callable[[bytes], Any]
    ) -> _Shared | None:
        name = l2_key(self.name, key)
        found = None if name is None else l2.get(name, self._fingerprint, decode, _FOREVER_S)
        if found is None:
            return None
        (life_s, versions, value), rest_s = found
        # The time is taken from L2's own bound, which knows the value's age.
        rest_s = life_s - (_FOREVER_S - rest_s)
        if rest_s < TTL_S_MIN or any(_version(l2, tag) != version for tag, version in versions):
            return None
        return _Shared(value, rest_s, tuple(tag for tag, _ in versions))

    def _fill(self, l2: RedisTier, load: _Load | None, value: object, ttl_s: float) -> None:
        if load is None:
            return
        # A value that has no form in MessagePack lives in L1 only.
        with suppress(TypeError, ValueError, OverflowError):
            payload = self._encode((ttl_s, load.versions, value))
            l2.fill(load.name, payload, self._fingerprint, load.token, ttl_s)


def _rest_s(_: object, kept: Kept) -> float:
    return max(TTL_S_MIN, kept.until_s - time.monotonic())


def _begin(l2: RedisTier, name: str, tags: tuple[str, ...]) -> _Load | None:
    """A load that begins now; None if L2 is not to be filled with what it comes to."""
    versions: list[tuple[str, bytes]] = []
    for tag in tags:
        version = _version(l2, tag) or _new_version(l2, tag)
        if version is None:
            return None
        versions.append((tag, version))
    token = l2.begin(name)
    return None if token is None else _Load(name, versions, token)


def _version(l2: RedisTier, tag: str) -> bytes | None:
    name = tag_name(tag)
    found = None if name is None else l2.get(name, _VERSIONS_FINGERPRINT, bytes, _FOREVER_S)
    return None if found is None else found[0]


def _new_version(l2: RedisTier, tag: str) -> bytes | None:
    name = tag_name(tag)
    token = None if name is None else l2.begin(name)
    if name is None or token is None:
        return None
    l2.fill(name, os.urandom(8), _VERSIONS_FINGERPRINT, token, _VERSION_TTL_S)
    # Another process may have given it another meanwhile.
    return _version(l2, tag)
