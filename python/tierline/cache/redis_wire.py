"""One connection to Redis: redis-py makes it, logs in, packs and parses; every wait has an end.

redis-py's own limit is one a `recv`, so an answer that trickles could take for ever. Its parser is
told here when the whole call must have ended. No pool of redis-py's is used, and no retry: who
asks decides what comes after a failure.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, cast

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.connection import DefaultParser
from redis.retry import Retry

from tierline.cache.redis_faults import RedisFaultError
from tierline.cache.redis_url import Login, Place, Tls

_SHORTEST_S = 0.001
_READ_BYTES = 65_536
_REIGN_AGE_S = 1.0

_ROLE = re.compile(rb"role:(\w+)")
_REPLICATION_ID = re.compile(rb"master_replid:(\w+)")

# Their annotations know only commands of one word, and connections of TCP.
_pack = cast("Any", hiredis).pack_command
_redis: Any = redis
_Base: Any = DefaultParser


def pack(*words: str | bytes | float) -> bytes:
    """A command as it is sent."""
    packed: bytes = _pack(words)
    return packed


_INFO = pack("INFO", "replication")


class _Parser(_Base):  # type: ignore[misc] # redis-py leaves it to what is installed
    """redis-py's, with an end to all of its waits together.

    Attributes:
        until_s: When, on the monotonic clock.
    """

    _sock: Any
    until_s = 0.0
    _limit_s = 0.0

    def on_connect(self, connection: Any, **options: Any) -> None:
        """A line is there; what it was limited to is not known."""
        base: Any = super()
        base.on_connect(connection, **options)
        self._limit_s = 0.0

    def read_from_socket(self, *args: Any, **options: Any) -> bool:
        """Read what has come, in the time that is left."""
        self.limit(time.monotonic())
        base: Any = super()
        read: bool = base.read_from_socket(*args, **options)
        return read

    def limit(self, now_s: float) -> None:
        """Limit the next wait.

        Raises:
            TimeoutError: No time is left.
        """
        left_s = self.until_s - now_s
        if left_s <= 0:
            raise TimeoutError("Redis has not answered whole in time")
        # As good as the same: a call of the system less.
        if not 0.9 * self._limit_s <= left_s <= self._limit_s:
            self._sock.settimeout(max(left_s, _SHORTEST_S))
            self._limit_s = left_s


class Wire:
    """A connection in use by one thread at a time.

    Attributes:
        reign: Names the time in which the server has been master: another after a restart, and
            after it became one again. What was written under another reign may lack changes.

    Args:
        place: Where to.
        login: As whom.
        until_s: When connecting and logging in must have ended, on the monotonic clock.
        noted: Told the reign whenever the server was asked; None for who need not be a master.

    Raises:
        OSError: It cannot be reached in time.
        redis.RedisError: It cannot be reached, or refuses the login.
    """

    __slots__ = ("_connection", "_noted", "_parser", "_reign_due_s", "reign")

    def __init__(
        self, place: Place, login: Login, until_s: float, noted: Callable[[str], None] | None
    ) -> None:
        self.reign = "-"
        self._noted = noted
        # The first exchange asks for the role.
        self._reign_due_s = 0.0 if noted else float("inf")
        self._parser = _Parser(_READ_BYTES)
        self._parser.until_s = until_s
        self._connection: Any = _connection(place, login, until_s, self._own_parser)
        self._connection.connect()

    def _own_parser(self, **_: int) -> _Parser:
        return self._parser

    def exchange(self, request: bytes, count: int, now_s: float, until_s: float) -> list[Any]:
        """The answers to so many commands; errors of Redis are among them.

        Raises:
            OSError: The time is over. It is closed.
            redis.RedisError: The connection broke, or the server cannot serve. It is closed.
            RedisFaultError: The server is a replica now. It is closed.
        """
        parser, read = self._parser, self._connection.read_response
        try:
            parser.until_s = until_s
            parser.limit(now_s)
            if now_s >= self._reign_due_s:
                self._connection.send_packed_command((_INFO + request,), check_health=False)
                self._note_reign(_answer(read))
            else:
                self._connection.send_packed_command((request,), check_health=False)
            if count == 1:
                return [_answer(read)]
            return [_answer(read) for _ in range(count)]
        except BaseException:
            # An answer may still come, and would be taken for the next one's.
            self.close()
            raise

    def is_closed(self) -> bool:
        """Whether the server has closed it, or said what nobody asked, as far as is known here."""
        try:
            return bool(self._connection.can_read(0))
        except (redis.RedisError, OSError):
            return True

    def close(self) -> None:
        """Close the connection."""
        self._connection.disconnect()

    def _note_reign(self, reply: Any) -> None:
        # An account that may not ask goes without this guard.
        if not isinstance(reply, redis.ResponseError):
            role, replication_id = _ROLE.search(reply), _REPLICATION_ID.search(reply)
            if role is not None and role[1] != b"master":
                raise RedisFaultError("readonly")
            if replication_id is not None:
                self.reign = replication_id[1][:16].decode()
        self._reign_due_s = time.monotonic() + _REIGN_AGE_S
        if self._noted is not None:
            self._noted(self.reign)


def _answer(read: Callable[..., Any]) -> Any:
    try:
        return read(disable_decoding=True)
    except redis.ResponseError as error:
        return error


def _connection(place: Place, login: Login, until_s: float, make_parser: Any) -> Any:
    limit_s = max(until_s - time.monotonic(), _SHORTEST_S)
    options: dict[str, Any] = {
        "username": login.username,
        "password": login.password,
        "db": login.database,
        "socket_timeout": limit_s,
        "socket_connect_timeout": limit_s,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "parser_class": make_parser,
    }
    if place.path:
        return _redis.UnixDomainSocketConnection(path=place.path, **options)
    options |= {"host": place.host, "port": place.port, "socket_keepalive": True}
    if login.tls is None:
        return _redis.Connection(**options)
    return _redis.SSLConnection(**options, **_tls(login.tls))


def _tls(tls: Tls) -> dict[str, Any]:
    return {
        "ssl_ca_certs": tls.ca_certs,
        "ssl_certfile": tls.certfile,
        "ssl_keyfile": tls.keyfile,
        "ssl_cert_reqs": "required" if tls.verify else "none",
        "ssl_check_hostname": tls.check_hostname,
    }
