"""One connection to Redis, read by hiredis, with a limit on every wait.

The socket blocks, and the system limits how long (`SO_RCVTIMEO`): Python's own timeouts would poll
before each read. Login, database and role are asked for in one message, so that a new connection
costs one wait more than a kept one.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import time
from typing import Any, cast

import hiredis

from tierline.cache.redis_faults import RedisFaultError, ReplyError, fault_of
from tierline.cache.redis_url import Login, Place, Tls

_BUFFER_BYTES = 65_536
_NOT_YET = object()
_SHORTEST_S = 0.001
_REIGN_AGE_S = 1.0

_ROLE = re.compile(rb"role:(\w+)")
_REPLICATION_ID = re.compile(rb"master_replid:(\w+)")


# Its annotations know only commands of one word.
_pack = cast("Any", hiredis).pack_command


def pack(*words: str | bytes | int) -> bytes:
    """A command as it is sent."""
    packed: bytes = _pack(words)
    return packed


_INFO = pack("INFO", "replication")


class Wire:
    """A connection in use by one thread at a time.

    Attributes:
        reign: Names the time in which the server has been master: another after a restart, and
            after it became one again. What was written under another reign may lack changes.

    Args:
        place: Where to.
        login: As whom.
        until_s: When connecting and logging in must have ended, on the monotonic clock.
        has_role: Whether it must be a master: not so for sentinels.

    Raises:
        OSError: It cannot be reached in time.
        RedisFaultError: It is a replica, or refuses the login.
    """

    __slots__ = ("_limit_s", "_reader", "_receive", "_reign_due_s", "_socket", "reign")

    def __init__(self, place: Place, login: Login, until_s: float, *, has_role: bool) -> None:
        self.reign = "-"
        self._reign_due_s = float("inf")
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=_NOT_YET)
        self._socket = _connect(place, login.tls, until_s)
        self._receive = self._socket.recv
        self._limit_s = 0.0
        try:
            self._begin(login, until_s, has_role=has_role)
        except BaseException:
            self.close()
            raise

    def exchange(self, request: bytes, count: int, now_s: float, until_s: float) -> list[Any]:
        """The answers to so many commands; errors of Redis are among them.

        Raises:
            OSError: The connection broke, or the time is over. It is closed.
            RedisFaultError: The server is a replica now. It is closed.
        """
        try:
            if now_s < self._reign_due_s:
                self._send(request, until_s - now_s)
                return self._read(count, until_s)
            self._send(_INFO + request, until_s - now_s)
            replies = self._read(count + 1, until_s)
            self._note_reign(replies.pop(0))
        except BaseException:
            # An answer may still come, and would be taken for the next one's.
            self.close()
            raise
        return replies

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def _send(self, request: bytes, limit_s: float) -> None:
        # As good as the same: a system call less.
        if not 0.9 * self._limit_s <= limit_s <= self._limit_s:
            self._limit(limit_s)
        self._socket.sendall(request)

    def _read(self, count: int, until_s: float) -> list[Any]:
        reader, receive = self._reader, self._receive
        data = receive(_BUFFER_BYTES)
        replies: list[Any] = []
        while True:
            if not data:
                raise ConnectionResetError("Redis closed the connection")
            reader.feed(data)
            while (reply := reader.gets()) is not _NOT_YET:
                replies.append(reply)
                if len(replies) == count:
                    return replies
            if time.monotonic() >= until_s:
                raise TimeoutError("Redis has not answered whole in time")
            data = receive(_BUFFER_BYTES)

    def _limit(self, limit_s: float) -> None:
        limit_s = max(limit_s, _SHORTEST_S)
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.settimeout(limit_s)
        else:
            seconds = int(limit_s)
            packed = struct.pack("@ll", seconds, int((limit_s - seconds) * 1e6))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, packed)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, packed)
        self._limit_s = limit_s

    def _begin(self, login: Login, until_s: float, *, has_role: bool) -> None:
        commands: list[bytes] = []
        if login.password is not None:
            name = () if login.username is None else (login.username,)
            commands.append(pack("AUTH", *name, login.password))
        if login.database:
            commands.append(pack("SELECT", login.database))
        if has_role:
            commands.append(_INFO)
        if not commands:
            return
        self._send(b"".join(commands), until_s - time.monotonic())
        replies = self._read(len(commands), until_s)
        if has_role:
            self._note_reign(replies.pop())
        for reply in replies:
            if isinstance(reply, ReplyError):
                raise RedisFaultError(fault_of(reply))

    def _note_reign(self, reply: Any) -> None:
        if isinstance(reply, ReplyError):
            if fault_of(reply) == "loading":
                raise RedisFaultError("loading")
            # An account that may not ask goes without this guard.
            return
        role, replication_id = _ROLE.search(reply), _REPLICATION_ID.search(reply)
        if role is not None and role[1] != b"master":
            raise RedisFaultError("readonly")
        if replication_id is not None:
            self.reign = replication_id[1][:16].decode()
        self._reign_due_s = time.monotonic() + _REIGN_AGE_S


def _connect(place: Place, tls: Tls | None, until_s: float) -> socket.socket:
    limit_s = max(until_s - time.monotonic(), _SHORTEST_S)
    if place.path:
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(limit_s)
        try:
            line.connect(place.path)
        except BaseException:
            line.close()
            raise
    else:
        line = socket.create_connection((place.host, place.port), limit_s)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if tls is None:
        line.settimeout(None)
        return line
    try:
        line.settimeout(max(until_s - time.monotonic(), _SHORTEST_S))
        return _context(tls).wrap_socket(line, server_hostname=place.host)
    except BaseException:
        line.close()
        raise


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_certs)
    context.check_hostname = tls.check_hostname
    context.verify_mode = ssl.CERT_REQUIRED if tls.verify else ssl.CERT_NONE
    if tls.certfile is not None:
        context.load_cert_chain(tls.certfile, tls.keyfile)
    return context
