"""L2: framed entities in Redis. Redis may be slow, full, frozen or gone; no read ever fails for it.

Two keys an entity, in one hash slot: its value, and a *write mark* left by every
invalidation. Who wants to fill notes the mark before reading L3 and fills only if
the mark is still the same, in one script: an entity read before a write can never
be filled after it. A mark need not outlive the oldest fill, so it expires.

Every key names the *run* of the Redis server. One that restarts may come back from an old dump, and
a replica that is promoted may lack the last invalidations: either is another run, and what earlier
runs kept is never read again.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tierline._core import pack_frame, unpack_frame
from tierline.cache.redis_limits import LIMIT_S, LimitedPool, limit_s

_R = TypeVar("_R")

# After a failure Redis is left alone this long, then tried again by one call.
_COOL_DOWN_S = 1.0
# A fill older than this is dropped; a write mark lives twice as long.
_FILL_AGE_S_MAX = 30.0
_MARK_TTL_MS = int(2 * _FILL_AGE_S_MAX * 1000)
_PENDING_MAX = 100_000
_KEYS_A_CALL = 1_000

_RUN_ID = re.compile(rb"run_id:(\w{8})")

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


class FillToken(msgspec.Struct, frozen=True):
    """What a fill must show: the write mark seen before L3 was read, and when (both clocks)."""

    mark: bytes
    began_s: float
    began_at_ms: int


class L2Stats(msgspec.Struct, frozen=True):
    """L2's counters since the store was opened.

    Attributes:
        hits: Reads it answered.
        misses: Reads it could not answer.
        fills: Values it took.
        refused_fills: Values that came too late.
        invalidations: Names it was told to forget.
        errors: Calls that failed.
        skipped: Calls that were not made: it is left alone, or the deadline is near.
        round_trips: Calls that were made.
        bytes_read: Of the values it answered with, as it keeps them.
        bytes_written: Of the values it was given, as it keeps them.
        payload_bytes: The same before they were framed, compressed and encrypted.
    """

    hits: int
    misses: int
    fills: int
    refused_fills: int
    invalidations: int
    errors: int
    skipped: int
    round_trips: int
    bytes_read: int
    bytes_written: int
    payload_bytes: int


class RedisTier:
    """Frames in one Redis server; safe to share between threads.

    Args:
        url: `redis://`, `rediss://` or `unix://`.
        prefix: Begins every key.
        scope: Identifies the database whose rows are cached: two databases never mix.

    Raises:
        ValueError: The URL cannot be read.
    """

    def __init__(self, url: str, *, prefix: str, scope: str) -> None:
        self._base = f"{prefix}:{scope}"
        self._space = self._base
        # redis-py's own annotations leave most of this unknown.
        pool: Any = cast("Any", LimitedPool).from_url(
            url, retry=Retry(NoBackoff(), 0), redis_connect_func=self._connected
        )
        # The URL's own options must not change how frames are read, nor for how long we wait.
        pool.connection_kwargs.update(
            decode_responses=False, socket_timeout=LIMIT_S, socket_connect_timeout=LIMIT_S
        )
        self._client: Any = cast("Any", redis.Redis).from_pool(pool)
        self.location = _location(self._client)
        self._begin = self._client.register_script(_BEGIN)
        self._fill = self._client.register_script(_FILL)
        self._invalidate = self._client.register_script(_INVALIDATE)
        self._lock = threading.Lock()
        # Name → ticket. A flush forgets a name only under the ticket it saw: an invalidation that
        # came after its script ran stays pending.
        self._pending: dict[str, object] = {}
        self._closed_until_s = 0.0
        self._counts = dict.fromkeys(L2Stats.__struct_fields__, 0)

    def get(
        self, name: str, fingerprint: int, decode: Callable[[bytes], _R], ttl_s: float
    ) -> tuple[_R, float] | None:
        """The value kept for a name and the seconds until it is `ttl_s` old, or None.

        Whatever is not a whole, decodable frame of this schema is a miss.
        """
        if not self._is_worth_asking():
            return None
        frame = self._get(name)
        found = None if frame is None else _read_frame(frame, fingerprint, decode, ttl_s)
        with self._lock:
            counts = self._counts
            counts["misses" if found is None else "hits"] += 1
            counts["round_trips"] += 1
            counts["bytes_read"] += len(frame or b"")
        return found

    def _get(self, name: str) -> bytes | None:
        # What `_try` does, written out: this is the hottest call of L2.
        space = self._space
        try:
            frame: bytes | None = self._client.get(f"{space}:{{{name}}}")
        except (redis.RedisError, OSError):
            self._failed()
            return None
        if self._space == space:
            return frame
        found: bytes | None = self._try(lambda space: self._client.get(_value_key(space, name)))
        return found

    def begin(self, name: str) -> FillToken | None:
        """Note the write mark before L3 is read; None if L2 is not to be filled.

        Where there is no mark one is left: if it is gone when the fill comes, Redis has lost its
        memory since, and perhaps an invalidation with it.
        """
        if not self._is_worth_asking():
            return None
        began_s = time.monotonic()
        args = [os.urandom(8), _MARK_TTL_MS]
        mark = self._try(lambda space: self._begin(keys=[_mark_key(space, name)], args=args))
        return None if mark is None else FillToken(mark, began_s, time.time_ns() // 1_000_000)

    def fill(
        self, name: str, payload: bytes, fingerprint: int, token: FillToken, ttl_s: float
    ) -> None:
        """Keep a payload, unless its name was invalidated since `begin`."""
        too_old = time.monotonic() - token.began_s > _FILL_AGE_S_MAX
        if too_old or not self._is_worth_asking():
            self._count("refused_fills")
            return
        # The age counts from before the read, so a slow read does not lengthen a life.
        frame = pack_frame(payload, fingerprint=fingerprint, written_at_ms=token.began_at_ms)
        args = [token.mark, frame, max(1, int(ttl_s * 1000))]
        stored = self._try(lambda space: self._fill(keys=_keys(space, [name]), args=args))
        if stored is not None:
            self._count("fills" if stored else "refused_fills")
            self._count("bytes_written", len(frame))
            self._count("payload_bytes", len(payload))

    def invalidate(self, names: Iterable[str]) -> None:
        """Drop what is kept for the names, and every fill of them that has begun.

        While Redis cannot be reached they are remembered, and nothing is read
        from it again before they are dropped.
        """
        with self._lock:
            ticket = object()
            self._pending.update((name, ticket) for name in names)
            if len(self._pending) > _PENDING_MAX and self._is_cooling():
                self._move()
        self._available()

    def invalidate_all(self, beginning: str) -> None:
        """`invalidate` every name that is kept and begins so; slow, for when a table is dropped."""
        names = None if self._is_cooling() else self._try(partial(self._scan, beginning))
        if names is None:
            with self._lock:
                self._move()
        else:
            self.invalidate(names)

    def _scan(self, beginning: str, space: str) -> set[str]:
        """The names that have a value, or a mark: a fill may have begun where there is no value."""
        start = f"{space}:{{"
        pattern = f"{glob_literal(start + beginning)}*"
        keys: list[bytes] = list(self._client.scan_iter(match=pattern, count=1_000))
        texts = (key.decode(errors="replace").removesuffix(":w") for key in keys)
        return {text[len(start) : -1] for text in texts}

    @property
    def space(self) -> str | None:
        """How keys begin now; None while Redis is not to be asked."""
        return self._space if self._available() else None

    def script(self, text: str) -> Any:
        """A script of Lua, to be called inside `ask`."""
        return self._client.register_script(text)

    def ask(self, call: Callable[[Any], Any]) -> Any:
        """What a call of the client answers; None if Redis does not answer."""
        return self._try(lambda _: call(self._client)) if self._available() else None

    def count(self, name: str, number: int = 1) -> None:
        """Count something by its name in `L2Stats`."""
        self._count(name, number)

    def stats(self) -> L2Stats:
        """The counters."""
        with self._lock:
            return L2Stats(**self._counts)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _is_worth_asking(self) -> bool:
        """Whether Redis may be read or filled now, and the caller's deadline leaves the time."""
        if not limit_s():
            self._count("skipped")
            return False
        return self._available()

    def _available(self) -> bool:
        """Whether Redis may be asked now: it is not cooling down and nothing is pending."""
        if self._is_cooling():
            self._count("skipped")
            return False
        if self._space == self._base and self._try(lambda _: self._client.ping()) is None:
            # The run of the server is learnt with the first connection, before any key is named.
            return False
        return not self._pending or self._flush()

    def _is_cooling(self) -> bool:
        return time.monotonic() < self._closed_until_s

    def _flush(self) -> bool:
        """Drop what is pending; whether all of it was."""
        with self._lock:
            pending = list(self._pending.items())
        mark = os.urandom(8)
        for start in range(0, len(pending), _KEYS_A_CALL):
            batch = pending[start : start + _KEYS_A_CALL]
            if self._try(partial(self._drop, [name for name, _ in batch], mark)) is None:
                return False
            with self._lock:
                for name, ticket in batch:
                    if self._pending.get(name) is ticket:
                        del self._pending[name]
                self._counts["invalidations"] += len(batch)
        return True

    def _drop(self, names: Sequence[str], mark: bytes, space: str) -> bool:
        self._invalidate(keys=_keys(space, names), args=[mark, _MARK_TTL_MS])
        return True

    def _move(self) -> None:
        """Too much to remember: leave the keys behind and go on under others of our own."""
        self._base = f"{self._base.partition('~')[0]}~{os.urandom(4).hex()}"
        self._space = f"{self._base}:{self._space.rpartition(':')[2]}"
        self._pending.clear()

    def _connected(self, connection: Any) -> None:
        """Runs on every new connection: notes which run of the server it leads to."""
        connection.on_connect()
        connection.send_command("INFO", "server")
        try:
            found = _RUN_ID.search(connection.read_response())
        except redis.ResponseError:
            # An account that may not ask goes without this guard.
            found = None
        self._space = f"{self._base}:{found[1].decode() if found else '-'}"

    def _try(self, call: Callable[[str], Any]) -> Any:
        """The call's answer, or None if Redis failed; then Redis is left alone for a while.

        The call is given the key space. If a connection made for it led to another run of the
        server, its answer is of the wrong space, and it is made again.
        """
        self._count("round_trips")
        try:
            space = self._space
            answer = call(space)
            if self._space != space:
                space = self._space
                answer = call(space)
        except (redis.RedisError, OSError):
            self._failed()
            return None
        return answer if self._space == space else None

    def _failed(self) -> None:
        self._closed_until_s = time.monotonic() + _COOL_DOWN_S
        self._count("errors")

    def _count(self, name: str, number: int = 1) -> None:
        with self._lock:
            self._counts[name] += number

    def __repr__(self) -> str:
        return f"<RedisTier {self.location}>"


def _value_key(space: str, name: str) -> str:
    return f"{space}:{{{name}}}"


def _mark_key(space: str, name: str) -> str:
    return f"{space}:{{{name}}}:w"


def _keys(space: str, names: Iterable[str]) -> list[str]:
    """Value key and mark key of each name, in turn."""
    return [key for name in names for key in (_value_key(space, name), _mark_key(space, name))]


def glob_literal(text: str) -> str:
    """The text as a pattern of Redis that matches only itself."""
    return "".join(f"\\{character}" if character in "*?[]^\\" else character for character in text)


def _read_frame(
    frame: bytes, fingerprint: int, decode: Callable[[bytes], _R], ttl_s: float
) -> tuple[_R, float] | None:
    unpacked = unpack_frame(frame, fingerprint=fingerprint)
    if unpacked is None:
        return None
    payload, written_at_ms = unpacked
    # The writer may have allowed it a longer life than this reader does. A clock that stands
    # behind the writer's makes it look younger than it is, never younger than new.
    rest_s = min(ttl_s, ttl_s - (time.time() - written_at_ms / 1000))
    if rest_s <= 0:
        return None
    try:
        return decode(payload), rest_s
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
        # Marked as our schema but not written by us: a miss, and L3 has the truth.
        return None


def _location(client: Any) -> str:
    """Where the client points, without secrets."""
    options: dict[str, Any] = client.connection_pool.connection_kwargs
    database = options.get("db") or 0
    if "path" in options:
        return f"unix://{options['path']}?db={database}"
    scheme = "rediss" if client.connection_pool.connection_class is redis.SSLConnection else "redis"
    return f"{scheme}://{options.get('host', 'localhost')}:{options.get('port', 6379)}/{database}"
