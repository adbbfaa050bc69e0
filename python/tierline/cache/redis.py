"""L2: framed entities in Redis. Redis may be slow, full, frozen or gone; no read ever fails for it.

Two keys an entity, in one hash slot: its value, and a *write mark* left by every
invalidation. Who wants to fill notes the mark before reading L3 and fills only if
the mark is still the same, in one script: an entity read before a write can never
be filled after it. A mark need not outlive the oldest fill, so it expires.

A value is bound to its key and to the *reign* of the server that took it. One that restarts may
come back from an old dump, and a replica that is promoted may lack the last invalidations: either
is another reign, and what earlier ones left is a miss. The keys are the same, so that an
invalidation reaches what any reign left, wherever a cluster has moved it since.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeAlias, TypeVar

import msgspec

from tierline._core import FrameKeys, pack_frame, unpack_frame
from tierline.cache.encryption import EncryptionKeys
from tierline.cache.l2_names import keys_of, mark_key, value_key
from tierline.cache.l2_stats import L2Counters, L2Stats
from tierline.cache.redis_calls import Reply, Script
from tierline.cache.redis_client import RedisClient
from tierline.cache.redis_faults import RedisFaultError
from tierline.cache.redis_frames import (
    COMPRESS_FROM_BYTES,
    decoded,
)
from tierline.cache.redis_limits import LIMIT_S_MIN, limit_s
from tierline.cache.redis_patterns import glob_literal

_R = TypeVar("_R")
_Call: TypeAlias = tuple[Sequence[str], Sequence[str | bytes | int]]

# After Redis took no write, or lost one, the next try comes no sooner.
_PAUSE_S = 0.1
# A fill older than this is dropped; a write mark lives twice as long.
_FILL_AGE_S_MAX = 30.0
MARK_TTL_MS = int(2 * _FILL_AGE_S_MAX * 1000)
_PENDING_MAX = 100_000
_KEYS_A_CALL = 1_000

_BEGIN = """
local mark = redis.call('GET', KEYS[1])
if mark then return mark end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""

_FILL = """
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""

_INVALIDATE = """
for i = 1, #KEYS, 2 do
  redis.call('DEL', KEYS[i])
  redis.call('SET', KEYS[i + 1], ARGV[1], 'PX', ARGV[2])
end
return 0
"""


class Take(Protocol):
    """Takes what a server answers of many keys."""

    def __call__(self, places: Sequence[int], frames: list[bytes | None], reign: str, /) -> int:
        """Take frames.

        Args:
            places: Where their keys stand among all that were asked for.
            frames: None where there is none.
            reign: The server's; every frame's place begins with it.

        Returns:
            How many were of use.
        """
        ...


class FillToken(msgspec.Struct, frozen=True):
    """What a fill must show: the write mark seen before L3 was read, and when (both clocks)."""

    mark: bytes
    reign: str
    began_s: float
    began_at_ms: int


class RedisTier:
    """Frames in Redis; safe to share between threads.

    Attributes:
        location: Where Redis is, without secrets.
        client: Calls it.
        keys: What frames are encrypted with; None for readable ones.
        counters: What is counted of it.
        count: Counts something by its name in `L2Stats`.

    Args:
        url: See `tierline.cache.redis_url`.
        prefix: Begins every key.
        scope: Identifies the database whose rows are cached: two databases never mix.
        encryption: What frames are encrypted with; None leaves them readable.

    Raises:
        ValueError: The URL cannot be read.
    """

    def __init__(
        self, url: str, *, prefix: str, scope: str, encryption: EncryptionKeys | None = None
    ) -> None:
        self._base = f"{prefix}:{scope}"
        self.client = RedisClient(url)
        self.location = str(self.client.address)
        self.keys = (
            None if encryption is None else FrameKeys(encryption.current, dict(encryption.keys))
        )
        self._begin = Script(_BEGIN)
        self._fill = Script(_FILL)
        self._invalidate = Script(_INVALIDATE)
        self._lock = threading.Lock()
        # Name → ticket. A flush forgets a name only under the ticket it saw: an invalidation that
        # came after its script ran stays pending.
        self._pending: dict[str, object] = {}
        self._flush_from_s = 0.0
        self._fill_from_s = 0.0
        self.counters = L2Counters(self.client.trips)
        self.count = self.counters.count

    def get(
        self, name: str, fingerprint: int, decode: Callable[[bytes], _R], ttl_s: float
    ) -> tuple[_R, float] | None:
        """The value kept for a name and the seconds until it is `ttl_s` old, or None.

        Whatever is not a whole, decodable frame of this schema is a miss.
        """
        if self._pending and not self._is_told(name):
            return None
        key = value_key(self._base, name)
        try:
            reply = self.client.get(key)
        except RedisFaultError as error:
            self.failed(error)
            return None
        found = None
        if reply.value is not None:
            found = self.read(key, reply, fingerprint, decode, ttl_s)
        is_hit = found is not None
        read_bytes = len(reply.value or b"")
        self.counters.answered(hits=is_hit, misses=not is_hit, read_bytes=read_bytes)
        return found

    def read(
        self, key: str, reply: Reply, fingerprint: int, decode: Callable[[bytes], _R], ttl_s: float
    ) -> tuple[_R, float] | None:
        """What a server answered of a key, as `get` says it."""
        place = f"{reply.reign} {key}"
        unpacked = unpack_frame(reply.value, fingerprint=fingerprint, place=place, keys=self.keys)
        return None if unpacked is None else decoded(unpacked, decode, ttl_s, time.time())

    def spot(self, name: str) -> tuple[str, str] | None:
        """Where the value and the mark of a name are, if both may be changed now."""
        if self._pending or not self.may_fill():
            return None
        return value_key(self._base, name), mark_key(self._base, name)

    def get_many(self, keys: list[str], take: Take) -> None:
        """What is kept under many keys, of values; all in one round trip to each server.

        Args:
            keys: From `value_key`.
            take: Called with what each server answers.
        """
        places: Sequence[int] = range(len(keys))
        if self._pending:
            beginning = len(value_key(self._base, "")) - 1
            places = [at for at, key in enumerate(keys) if self._is_told(key[beginning:-1])]
        for start in range(0, len(places), _KEYS_A_CALL):
            part = places[start : start + _KEYS_A_CALL]
            asked = keys if len(part) == len(keys) else [keys[at] for at in part]
            for answer in self.client.get_many(asked):
                if isinstance(answer, RedisFaultError):
                    self.failed(answer)
                    continue
                whole = len(answer.values) == len(part)
                told = part if whole else [part[at] for at in answer.indices]
                hits = take(told, answer.values, answer.reign)
                read_bytes = sum(map(len, filter(None, answer.values)))
                misses = len(told) - hits
                self.counters.answered(hits=hits, misses=misses, read_bytes=read_bytes)

    def begin(self, name: str) -> FillToken | None:
        """Note the write mark before L3 is read; None if L2 is not to be filled.

        Where there is no mark one is left: if it is gone when the fill comes, Redis has lost its
        memory since, and perhaps an invalidation with it.
        """
        return self.begin_many([name]).get(name)

    def begin_many(self, names: Iterable[str]) -> dict[str, FillToken]:
        """As `begin`, for many names at once; those that are not to be filled are left out."""
        began_s = time.monotonic()
        names = [name for name in names if self._is_told(name)]
        if not names or not self.may_fill():
            self.count("skipped", len(names))
            return {}
        began_at_ms = time.time_ns() // 1_000_000
        mark = os.urandom(8)
        calls: list[_Call] = [([mark_key(self._base, name)], [mark, MARK_TTL_MS]) for name in names]
        tokens: dict[str, FillToken] = {}
        for name, reply in zip(names, self._run(self._begin, calls), strict=True):
            if reply is not None:
                tokens[name] = FillToken(reply.value, reply.reign, began_s, began_at_ms)
        return tokens

    def fill(
        self, name: str, payload: bytes, fingerprint: int, token: FillToken, ttl_s: float
    ) -> None:
        """Keep a payload, unless its name was invalidated since `begin`."""
        self.fill_many([(name, payload, token)], fingerprint, ttl_s)

    def fill_many(
        self, fills: Sequence[tuple[str, bytes, FillToken]], fingerprint: int, ttl_s: float
    ) -> None:
        """As `fill`, for many names at once."""
        calls: list[_Call] = []
        sizes: list[tuple[int, int]] = []
        now_s = time.monotonic()
        for name, payload, token in fills:
            if now_s - token.began_s > _FILL_AGE_S_MAX or not self._is_told(name):
                continue
            value_key, mark_key = keys_of(self._base, [name])
            # The age counts from before the read, so a slow read does not lengthen a life.
            frame = pack_frame(
                payload,
                fingerprint=fingerprint,
                written_at_ms=token.began_at_ms,
                place=f"{token.reign} {value_key}",
                compress_from=COMPRESS_FROM_BYTES,
                keys=self.keys,
            )
            calls.append(([value_key, mark_key], [token.mark, frame, max(1, int(ttl_s * 1000))]))
            sizes.append((len(frame), len(payload)))
        replies = self._run(self._fill, calls)
        stored = sum(reply.value for reply in replies if reply is not None)
        self.count("fills", stored)
        self.count("refused_fills", len(fills) - stored)
        self.counters.given(sizes, replies)

    def invalidate(self, names: Iterable[str]) -> None:
        """Drop what is kept for the names, and every fill of them that has begun.

        While Redis cannot be reached they are remembered, and none of them is read from it
        again before it is dropped.
        """
        ticket = object()
        told = dict.fromkeys(names, ticket)
        with self._lock:
            self._pending.update(told)
        if not self._drop(told):
            self._flush_from_s = time.monotonic() + _PAUSE_S
        with self._lock:
            if len(self._pending) > _PENDING_MAX:
                self._move()

    def invalidate_all(self, beginning: str) -> None:
        """`invalidate` every name that is kept and begins so; slow, for when a table is dropped."""
        try:
            names = self._scan(beginning)
        except RedisFaultError as error:
            self.failed(error)
            with self._lock:
                self._move()
        else:
            self.invalidate(names)

    def _scan(self, beginning: str) -> set[str]:
        """The names that have a value, or a mark: a fill may have begun where there is no value."""
        start = f"{self._base}:{{"
        keys = self.client.scan(f"{glob_literal(start + beginning)}*")
        # What stands beside a value ends with `:w` or `:wl`; no value does.
        texts = (key.decode(errors="replace").removesuffix("l") for key in keys)
        return {text.removesuffix(":w")[len(start) : -1] for text in texts}

    @property
    def base(self) -> str:
        """How every key begins."""
        return self._base

    @property
    def is_told_all(self) -> bool:
        """Whether Redis knows of every write of ours; it is told now, if it can be."""
        self._is_told("")
        return not self._pending

    def stats(self) -> L2Stats:
        """The counters."""
        return self.counters.stats()

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _is_told(self, name: str) -> bool:
        """Whether Redis knows of our own last write to a name."""
        if self._pending and limit_s() and time.monotonic() >= self._flush_from_s:
            with self._lock:
                pending = dict(self._pending)
            if not self._drop(pending):
                self._flush_from_s = time.monotonic() + _PAUSE_S
        if name not in self._pending:
            return True
        self.count("skipped")
        return False

    def _drop(self, told: dict[str, object]) -> bool:
        """Drop pending names, each under its ticket; whether all of them were."""
        mark, names, is_whole = os.urandom(8), list(told), True
        for start in range(0, len(names), _KEYS_A_CALL):
            batch = names[start : start + _KEYS_A_CALL]
            groups = [keys_of(self._base, [name]) for name in batch]
            answers = self.client.run_for_each(
                self._invalidate, groups, [mark, MARK_TTL_MS], least_s=LIMIT_S_MIN
            )
            dropped = [not isinstance(answer, RedisFaultError) for answer in answers]
            with self._lock:
                for name, is_dropped in zip(batch, dropped, strict=True):
                    if is_dropped and self._pending.get(name) is told[name]:
                        del self._pending[name]
            self.count("invalidations", sum(dropped))
            is_whole = is_whole and all(dropped)
            faults = [answer for answer in answers if isinstance(answer, RedisFaultError)]
            if faults:
                self.failed(faults[0])
            if len(faults) == len(batch):
                break
        return is_whole

    def _move(self) -> None:
        """Too much to remember: leave the keys behind and go on under others of our own."""
        self._base = f"{self._base.partition('~')[0]}~{os.urandom(4).hex()}"
        self._pending.clear()

    def _run(self, script: Script, calls: Sequence[_Call]) -> list[Reply | None]:
        """What a script answers to each call, or None; all in one round trip to each server."""
        replies: list[Reply | None] = []
        for start in range(0, len(calls), _KEYS_A_CALL):
            for answer in self.client.run_many(script, calls[start : start + _KEYS_A_CALL]):
                if isinstance(answer, RedisFaultError):
                    self.failed(answer)
                    replies.append(None)
                else:
                    replies.append(answer)
        return replies

    def may_fill(self) -> bool:
        """Whether Redis takes writes, as far as is known."""
        return time.monotonic() >= self._fill_from_s

    def failed(self, error: RedisFaultError) -> None:
        """Count a call that came to nothing."""
        if error.fault == "full":
            self._fill_from_s = time.monotonic() + _PAUSE_S
        self.count("skipped" if error.fault in ("open", "late") else "errors")

    def __repr__(self) -> str:
        return f"<RedisTier {self.location}>"
