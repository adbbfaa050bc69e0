"""The line to the Redis that holds a journal: one command at a time, in bounded time, never twice.

What was not sent is told from what was sent and not answered: the one surely did nothing.
"""

from __future__ import annotations

import math
import re
import time
from typing import Any, NamedTuple, cast

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry
from returns.result import Failure, Success

from tierline.deadline import due_s
from tierline.errors import (
    AccessDeniedError,
    ConfigurationError,
    ConnectionError,  # noqa: A004
    OutcomeUnknownError,
    PoolExhaustedError,
    QueryError,
    RepositoryError,
    TimeoutError,  # noqa: A004
)

LIMIT_S = 2.0
"""A disk that is slow to take the journal may hold Redis up for a while."""

_LIMIT_S_MIN = 0.05
_OPERATION = "write_behind"
_RUN_ID = re.compile(rb"run_id:(\w+)")


class Script(NamedTuple):
    """A script of Lua.

    Attributes:
        text: What it does.
        writes: Whether it changes anything.
    """

    text: bytes
    writes: bool


class Line:
    """Runs commands and scripts on one Redis server; safe to share between threads and over forks.

    Args:
        url: `redis://`, `rediss://` or `unix://`.

    Attributes:
        run: Which run of the server the last connection led to; empty before the first.

    Raises:
        ConfigurationError: The URL cannot be read.
    """

    def __init__(self, url: str) -> None:
        self.run = b""
        # redis-py's own annotations leave most of this unknown.
        try:
            self._pool: Any = cast("Any", redis.ConnectionPool).from_url(
                url, retry=Retry(NoBackoff(), 0), redis_connect_func=self._connected
            )
        except ValueError as error:
            raise ConfigurationError(
                "the Redis URL cannot be read; write it as redis://user:password@host:6379/0",
                operation=_OPERATION,
            ) from error
        # The URL's own options must not change how answers are read, nor for how long we wait.
        self._pool.connection_kwargs.update(
            decode_responses=False,
            protocol=2,
            socket_timeout=LIMIT_S,
            socket_connect_timeout=LIMIT_S,
        )

    def run_script(
        self, script: Script, keys: list[bytes], values: list[Any], on_run: bytes | None = None
    ) -> Success[Any] | Failure[RepositoryError]:
        """What a script answers.

        Args:
            script: Which.
            keys: The keys that it touches.
            values: What else it is given.
            on_run: Send it only to this run of the server; else it is a `ConnectionError`.

        Errors: `ConnectionError` if nothing was sent or done, `OutcomeUnknownError` if a script
        that writes was sent and its answer never came, `TimeoutError` if there is no time left,
        `PoolExhaustedError` if Redis has no memory left, `AccessDeniedError`, `QueryError`.
        """
        return self._call(
            ["EVAL", script.text, len(keys), *keys, *values], writes=script.writes, on_run=on_run
        )

    def ask(self, *words: Any) -> Success[Any] | Failure[RepositoryError]:
        """What a command that changes nothing answers; errors as `run_script`."""
        return self._call(list(words), writes=False, on_run=None)

    def close(self) -> None:
        """Close the connections."""
        self._pool.disconnect()

    def _call(
        self, words: list[Any], *, writes: bool, on_run: bytes | None
    ) -> Success[Any] | Failure[RepositoryError]:
        limit_s = min(LIMIT_S, due_s() - time.monotonic())
        if limit_s < _LIMIT_S_MIN and due_s() != math.inf:
            late = TimeoutError(
                "no time is left to ask Redis", stage="deadline", operation=_OPERATION
            )
            return Failure(late)
        try:
            # A connection whose server is gone is noticed here and made anew.
            connection: Any = self._pool.get_connection()
        except (redis.RedisError, OSError) as error:
            return Failure(_unsent(error))
        try:
            if on_run is not None and self.run != on_run:
                return Failure(_gone("Redis was started anew; try again"))
            connection._sock.settimeout(limit_s)  # noqa: SLF001 - it has no other name
            connection.send_command(*words)
            return Success(connection.read_response())
        except (redis.ResponseError, redis.BusyLoadingError) as error:
            return Failure(_refused(error))
        except (redis.RedisError, OSError) as error:
            connection.disconnect()
            return Failure(_unanswered(error) if writes else _unsent(error))
        except BaseException:
            # An answer that nobody read would be taken for the next one's.
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)

    def _connected(self, connection: Any) -> None:
        """Runs on every new connection: notes which run of the server it leads to."""
        connection.on_connect()
        connection.send_command("INFO", "server")
        found = _RUN_ID.search(connection.read_response())
        self.run = found[1] if found else b"-"


def _unsent(error: Exception) -> RepositoryError:
    if isinstance(error, redis.AuthenticationError):
        refused: RepositoryError = AccessDeniedError(
            "Redis refuses the login", operation=_OPERATION
        )
        refused.__cause__ = error
        return refused
    return _gone("Redis cannot be reached; nothing was written", error)


def _gone(message: str, error: Exception | None = None) -> RepositoryError:
    found = ConnectionError(message, operation=_OPERATION)
    found.__cause__ = error
    return found


def _unanswered(error: Exception) -> RepositoryError:
    found = OutcomeUnknownError(
        "the operation was sent to Redis and no answer came: it may be in the journal or not; an "
        "upsert or a deletion can be sent again",
        operation=_OPERATION,
    )
    found.__cause__ = error
    return found


def _refused(error: redis.RedisError) -> RepositoryError:
    found: RepositoryError
    if isinstance(error, redis.OutOfMemoryError):
        found = PoolExhaustedError("Redis has no memory left for the journal", operation=_OPERATION)
    elif isinstance(error, (redis.AuthenticationError, NoPermissionError)):
        found = AccessDeniedError(
            "the Redis account may not do what a journal needs", operation=_OPERATION
        )
    elif isinstance(error, (redis.ReadOnlyError, redis.BusyLoadingError)):
        found = ConnectionError(
            "Redis takes no writes now: it is a replica, or is starting", operation=_OPERATION
        )
    else:
        found = QueryError("Redis refused the operation", operation=_OPERATION)
    found.__cause__ = error
    return found
