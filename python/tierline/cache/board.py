"""Where processes show their statistics to others: in Redis, a key each that goes by itself."""

from __future__ import annotations

import msgspec

from tierline.cache.redis_client import RedisClient
from tierline.cache.redis_faults import RedisFaultError
from tierline.cache.redis_patterns import glob_literal

LIMIT_S = 2.0
"""Redis is waited for longer than by readers, who wait for nothing here."""


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
        url: See `tierline.cache.redis_url`.
        prefix: Begins every key.

    Raises:
        ValueError: The URL cannot be read.
    """

    def __init__(self, url: str, *, prefix: str) -> None:
        self._beginning = f"{prefix}:stats:"
        self._client = RedisClient(url)

    def put(self, shown: Published, *, ttl_s: float) -> bool:
        """Show something for so many seconds; whether Redis took it."""
        key, data = self._beginning + shown.process, msgspec.msgpack.encode(shown)
        words = ("SET", key, data, "PX", int(ttl_s * 1_000))
        try:
            self._client.execute(*words, key=key, within_s=LIMIT_S)
        except RedisFaultError:
            return False
        return True

    def drop(self, process: str) -> None:
        """Take down what a process shows, if Redis answers."""
        key = self._beginning + process
        try:
            self._client.execute("DEL", key, key=key, within_s=LIMIT_S)
        except RedisFaultError:
            # It goes by itself.
            return

    def all(self) -> list[Published]:
        """What is shown now, by process; what is not of this version is left out.

        Raises:
            BoardError: Redis does not answer.
        """
        try:
            found = self._client.scan(f"{glob_literal(self._beginning)}*", within_s=LIMIT_S)
            # A key that is no text is nobody's of ours.
            keys = sorted(key.decode(errors="replace") for key in found)
            values: list[bytes | None] = [self._value(key) for key in keys]
        except RedisFaultError as error:
            raise BoardError(str(error)) from error
        return [shown for shown in map(_read, values) if shown is not None]

    def _value(self, key: str) -> bytes | None:
        found: bytes | None = self._client.execute("GET", key, key=key, within_s=LIMIT_S).value
        return found

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
