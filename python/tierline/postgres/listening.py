"""Hearing what a database announces: one connection, one thread, and the proof of how far it heard.

`LISTEN` comes first, then trust. The listener sends itself a numbered message and notes when;
PostgreSQL delivers messages in the order of commits, so once the number is back, every change that
was committed before that moment has been delivered. What was missed while nobody listened is gone,
so a listener that connects anew says so.
"""

from __future__ import annotations

import logging
import os
import secrets
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import psycopg
from psycopg.pq import ConnStatus

from tierline.errors import RepositoryError
from tierline.postgres.connection import Connection
from tierline.postgres.forking import disown, renew_in_children
from tierline.sql.backplane import JOIN_CHANNEL
from tierline.sql.collecting import CHANNEL

_CALL_S = 2.0
_PAUSE_S_MIN = 0.02
_PAUSE_S_MAX = 0.5
_JOIN_S = 5.0

# Between two looks at what has come, while nobody waits: a thread that woke for each message would
# take turns with the one that writes, write by write.
_REST_S = 0.002

_log = logging.getLogger("tierline.postgres")


class Hearer(Protocol):
    """Who is told, by the listener's thread."""

    def listening(self, connection: Connection) -> None:
        """It listens from now on, and may have missed anything before; may ask the server."""
        ...

    def heard(self, payload: bytes) -> None:
        """A change was announced."""
        ...

    def settle(self) -> bool:
        """Time has passed; whether it is to be called again soon."""
        ...

    def asked(self, newcomer: bytes) -> None:
        """A process asks to be told when what was announced until now has been passed on."""
        ...

    def caught_up(self, sent_s: float) -> None:
        """Everything committed before this monotonic time has been heard."""
        ...

    def beating(self, connection: Connection) -> None:
        """A heartbeat is about to be sent; may ask the server."""
        ...

    def beat_due_s(self) -> float:
        """When, on the monotonic clock, the next is to be sent at the latest."""
        ...


class Listener:
    """Listens for as long as it is open; safe to share between threads.

    Args:
        dial: Connects to the server that takes writes.
        hearer: Who is told.
        beat_s: Seconds between two heartbeats.
        silence_s: Seconds without an answer to one after which the connection is given up.
    """

    def __init__(
        self, dial: Callable[[], Connection], hearer: Hearer, *, beat_s: float, silence_s: float
    ) -> None:
        self._dial = dial
        self._hearer = hearer
        self._beat_s = beat_s
        self._silence_s = silence_s
        self._closed = False
        self._start()
        renew_in_children(self)

    def _start(self) -> None:
        self._own_channel = f"{CHANNEL}_{secrets.token_hex(8)}"
        self._sent: deque[tuple[int, float]] = deque()
        self._count = 0
        self._connection: Connection | None = None
        self._caught_up = threading.Condition()
        self._heard_until_s = 0.0
        self._waiting = 0
        self._wakes, self._waker = os.pipe()
        os.set_blocking(self._wakes, False)
        os.set_blocking(self._waker, False)
        self._thread = threading.Thread(target=self._run, name="tierline-listener", daemon=True)
        self._thread.start()

    def renew(self) -> None:
        """Begin anew in the child of a fork."""
        if self._connection is not None:
            disown(self._connection)
        for descriptor in (self._wakes, self._waker):
            with suppress(OSError):
                os.close(descriptor)
        if not self._closed:
            self._start()

    def wake(self) -> None:
        """Send a heartbeat now."""
        with suppress(OSError):
            os.write(self._waker, b"!")

    def catch_up(self, timeout_s: float) -> bool:
        """Wait until everything that is committed by now has been heard; whether it was in time."""
        asked_s = time.monotonic()
        with self._caught_up:
            self._waiting += 1
            self.wake()
            try:
                return self._caught_up.wait_for(
                    lambda: self._heard_until_s > asked_s or self._closed, timeout_s
                )
            finally:
                self._waiting -= 1

    def close(self) -> None:
        """Stop listening."""
        self._closed = True
        self.wake()
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        pause_s = _PAUSE_S_MIN
        while not self._closed:
            try:
                self._follow()
            except (psycopg.Error, RepositoryError, OSError) as error:
                _log.debug("the listener lost its connection: %s", type(error).__name__)
            except Exception:  # noqa: BLE001 - whatever it is, it must not end the thread
                _log.exception("the listener failed, and begins anew")
            finally:
                connection, self._connection = self._connection, None
                if connection is not None:
                    with suppress(Exception):
                        connection.close()
            if self._heard_until_s > time.monotonic() - self._silence_s:
                pause_s = _PAUSE_S_MIN
            if not self._closed:
                time.sleep(pause_s)
                pause_s = min(_PAUSE_S_MAX, 2 * pause_s)
        for descriptor in (self._wakes, self._waker):
            os.close(descriptor)

    def _follow(self) -> None:
        """Listen until the connection is lost."""
        connection = self._connection = self._dial()
        messages: deque[tuple[bytes, bytes]] = deque()
        connection.pgconn.notify_handler = lambda note: messages.append((note.relname, note.extra))
        self._sent.clear()
        # What a heartbeat says need not outlive a crash, so it does not wait for the disk.
        self._command(connection, "SET synchronous_commit = off")
        self._command(
            connection, f"LISTEN {CHANNEL}; LISTEN {JOIN_CHANNEL}; LISTEN {self._own_channel}"
        )
        self._asking(connection, self._hearer.listening)
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        poll.register(self._wakes, select.POLLIN)
        rest = select.poll()
        rest.register(self._wakes, select.POLLIN)
        next_s = 0.0
        looks_from_s = 0.0
        while not self._closed:
            self._tell(messages)
            unsettled = self._hearer.settle()
            now_s = time.monotonic()
            next_s = min(next_s, self._hearer.beat_due_s())
            if now_s >= next_s:
                # What this finds out is not older than what the heartbeat will prove.
                self._asking(connection, self._hearer.beating)
                self._beat(connection)
                next_s = now_s + self._beat_s
                continue
            if self._sent and now_s - self._sent[0][1] > self._silence_s:
                raise psycopg.OperationalError("a heartbeat was not answered")
            until_s, asked = next_s, poll
            if now_s < looks_from_s and not self._waiting:
                until_s, asked = min(next_s, looks_from_s), rest
            if unsettled:
                until_s = min(until_s, now_s + _REST_S)
            ready = dict(asked.poll(max(1, int((until_s - now_s) * 1000))))
            if self._wakes in ready:
                with suppress(BlockingIOError):
                    os.read(self._wakes, 4096)
                next_s = 0.0
            if connection.fileno() in ready:
                self._receive(connection, messages)
                looks_from_s = time.monotonic() + _REST_S

    def _beat(self, connection: Connection) -> None:
        self._count += 1
        # The time comes first: what is committed after it may lie behind the message.
        self._sent.append((self._count, time.monotonic()))
        self._command(connection, f"NOTIFY {self._own_channel}, '{self._count}'")

    def _receive(self, connection: Connection, messages: deque[tuple[bytes, bytes]]) -> None:
        pgconn = connection.pgconn
        pgconn.consume_input()
        while (note := pgconn.notifies()) is not None:
            messages.append((note.relname, note.extra))
        if pgconn.status == ConnStatus.BAD:
            raise psycopg.OperationalError("the connection was lost")

    def _tell(self, messages: deque[tuple[bytes, bytes]]) -> None:
        while messages:
            channel, payload = messages.popleft()
            if channel == CHANNEL.encode():
                self._hearer.heard(payload)
                continue
            if channel == JOIN_CHANNEL.encode():
                self._hearer.asked(payload)
                continue
            number = int(payload)
            while self._sent and self._sent[0][0] <= number:
                _, sent_s = self._sent.popleft()
                self._hearer.caught_up(sent_s)
                with self._caught_up:
                    self._heard_until_s = sent_s
                    self._caught_up.notify_all()

    def _command(self, connection: Connection, sql: str) -> None:
        self._asking(connection, lambda c: c.command(sql.encode()))

    @staticmethod
    def _asking(connection: Connection, action: Callable[[Connection], Any]) -> None:
        connection.guard.begin(time.monotonic() + _CALL_S)
        try:
            action(connection)
        finally:
            connection.guard.end()
