"""Where processes show their statistics to others: in Redis, a key each that goes by itself."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tierline.cache.redis import glob_literal

_LIMIT_S = 1.0


class Published(msgspec.Struct, frozen=True):
    """What a process shows of one store.

    Attributes:
        process: Its host, process id and a random part.
        at_ms: When, in milliseconds of Unix time.
        since_ms: When it began, likewise.
        store: What the store says of itself.
        stats: Its statistics, in MessagePack.
    """

    process: str
    at_ms: int
    since_ms: int
    store: str
    stats: msgspec.Raw


class BoardError(Exception):
    """Redis did not answer."""


class StatsBoard:
    """Statistics of the processes that use one prefix of one Redis.

    Args:
        url: Of Redis.
        prefix: Begins every key.

    Raises:
        ValueError: The URL cannot be read.
    """

    def __init__(self, url: str, *, prefix: str) -> None:
        self._beginning = f"{prefix}:stats:"
        # redis-py's own annotations leave most of this unknown.
        pool: Any = cast("Any", redis.ConnectionPool).from_url(url, retry=Retry(NoBackoff(), 0))
        pool.connection_kwargs.update(
            decode_responses=False, socket_timeout=_LIMIT_S, socket_connect_timeout=_LIMIT_S
        )
        self._client: Any = cast("Any", redis.Redis).from_pool(pool)

    def put(self, shown: Published, *, ttl_s: float) -> bool:
        """Show something for so many seconds; whether Redis took it."""
        data = msgspec.msgpack.encode(shown)
        try:
            self._client.set(self._beginning + shown.process, data, px=int(ttl_s * 1_000))
        except (redis.RedisError, OSError):
            return False
        return True

    def drop(self, process: str) -> None:
        """Take down what a process shows, if Redis answers."""
        try:
            self._client.delete(self._beginning + process)
        except (redis.RedisError, OSError):
            # It goes by itself.
            return

    def all(self) -> list[Published]:
        """What is shown now, by process; what is not of this version is left out.

        Raises:
            BoardError: Redis does not answer.
        """
        try:
            pattern = f"{glob_literal(self._beginning)}*"
            keys: list[bytes] = sorted(self._client.scan_iter(match=pattern, count=1_000))
            values: list[bytes | None] = [self._client.get(key) for key in keys]
        except (redis.RedisError, OSError) as error:
            raise BoardError(str(error) or type(error).__name__) from error
        return [shown for shown in map(_read, values) if shown is not None]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _read(value: bytes | None) -> Published | None:
    if value is None:
        return None
    try:
        return msgspec.msgpack.decode(value, type=Published)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
