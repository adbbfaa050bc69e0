"""Hearing what is published in Redis: one line, one thread a process and URL, and how far it heard.

Redis answers a line in the order in which it ran the commands, so a PING is answered behind every
message that was published before it: what was announced before the PING was sent has been heard. On
a line nothing is lost in the middle: a subscriber that is too slow is cut off as a whole. Whoever
connects anew may have missed anything, and is told so.
"""

from __future__ import annotations

import logging
import os
import select
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_CALL_S = 1.0
_PAUSE_S_MIN = 0.02
_PAUSE_S_MAX = 0.5
_JOIN_S = 5.0
_WAIT_S_MAX = 1.0

_log = logging.getLogger("tierline.cache")


class Subscriber(Protocol):
    """Who is told, by the listener's thread. What it raises makes it begin to listen anew."""

    def subscribed(self) -> None:
        """It listens from now on, and may have missed anything before."""
        ...

    def heard(self, message: bytes) -> float:
        """Something was published; in how many seconds a heartbeat is due, if that is sooner."""
        ...

    def beating(self) -> float:
        """A heartbeat is about to be sent; in how many seconds the next is due."""
        ...

    def caught_up(self, sent_s: float) -> None:
        """Everything published before this monotonic time has been heard."""
        ...


class Subscription:
    """One subscriber's ear on a channel; made by `subscribe`."""

    def __init__(
        self, listener: _Listener, channel: str, subscriber: Subscriber, silence_s: float
    ) -> None:
        self.channel = channel.encode()
        self.subscriber = subscriber
        self.silence_s = silence_s
        self.listener = listener
        self.closed = False
        self.begin(0.0)
        self.caught_up = threading.Condition()
        self.heard_until_s = 0.0

    def begin(self, from_s: float) -> None:
        """Hear nothing until it has subscribed, from a monotonic time on, again."""
        self.asks_at_s = from_s
        self.asked = False
        self.hears = False
        self.next_s = 0.0

    def wake(self) -> None:
        """Send a heartbeat now."""
        self.listener.wake()

    def catch_up(self, timeout_s: float) -> bool:
        """Wait until everything that is published by now has been heard; whether in time."""
        asked_s = time.monotonic()
        self.wake()
        with self.caught_up:
            return self.caught_up.wait_for(
                lambda: self.heard_until_s > asked_s or self.closed, timeout_s
            )

    def close(self) -> None:
        """Hear no more."""
        self.closed = True
        with self.caught_up:
            self.caught_up.notify_all()
        self.listener.leave(self)


class _Beat(NamedTuple):
    number: int
    sent_s: float
    ears: Sequence[Subscription]


class _Listener:
    """The line and the thread of one URL, for as long as somebody listens."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._start(())

    def _start(self, ears: Sequence[Subscription]) -> None:
        self._lock = threading.Lock()
        self._ears = tuple(ears)
        self._connection: Any = None
        self._sent: deque[_Beat] = deque()
        self._count = 0
        self._wakes, self._waker = os.pipe()
        os.set_blocking(self._wakes, False)
        os.set_blocking(self._waker, False)
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="tierline-subscriber", daemon=True)
        self._thread.start()

    def renew(self) -> None:
        """Begin anew in the child of a fork, whose line is the parent's."""
        line: Any = None if self._connection is None else self._connection._sock  # noqa: SLF001
        _inherited.append((self._connection, line))
        if line is not None:
            with suppress(OSError):
                os.close(line.detach())
        for descriptor in (self._wakes, self._waker):
            with suppress(OSError):
                os.close(descriptor)
        ears = [ear for ear in self._ears if not ear.closed]
        for ear in ears:
            ear.begin(0.0)
            ear.caught_up = threading.Condition()
        if ears:
            self._start(ears)

    def join(self, ear: Subscription) -> bool:
        """Listen for one more; False if the thread has ended."""
        with self._lock:
            if self._ended:
                return False
            self._ears = (*self._ears, ear)
        self.wake()
        return True

    def leave(self, ear: Subscription) -> None:
        """Listen for one less; the last one ends the thread."""
        with self._lock:
            self._ears = tuple(other for other in self._ears if other is not ear)
            is_last = not self._ears
            self._ended = self._ended or is_last
        self.wake()
        if is_last and self._thread is not threading.current_thread():
            self._thread.join(_JOIN_S)

    def wake(self) -> None:
        """Send a heartbeat now."""
        with suppress(OSError):
            os.write(self._waker, b"!")

    def _run(self) -> None:
        pause_s = _PAUSE_S_MIN
        while not self._ended:
            began_s = time.monotonic()
            try:
                self._follow()
            except (redis.RedisError, OSError) as error:
                _log.debug("the subscriber lost its line: %s", type(error).__name__)
            except Exception:  # noqa: BLE001 - whatever it is, it must not end the thread
                _log.exception("the subscriber failed, and begins anew")
            finally:
                self._hang_up()
            if time.monotonic() - began_s > 2 * _PAUSE_S_MAX:
                pause_s = _PAUSE_S_MIN
            if not self._ended:
                time.sleep(pause_s)
                pause_s = min(_PAUSE_S_MAX, 2 * pause_s)
        for descriptor in (self._wakes, self._waker):
            os.close(descriptor)

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.disconnect()

    def _follow(self) -> None:
        """Listen until the line is lost."""
        for ear in self._ears:
            ear.begin(0.0)
        self._sent.clear()
        connection = self._connection = _connected(self._url)
        poll = select.poll()
        poll.register(connection._sock.fileno(), select.POLLIN)  # noqa: SLF001 - it has no other name
        poll.register(self._wakes, select.POLLIN)
        while not self._ended:
            while connection.can_read(0):
                self._take(connection.read_response())
            now_s = time.monotonic()
            self._ask(connection, now_s)
            hearing = [ear for ear in self._ears if ear.hears]
            next_s = min((ear.next_s for ear in hearing), default=now_s + _WAIT_S_MAX)
            if now_s >= next_s:
                self._beat(connection, hearing)
                continue
            silence_s = min((ear.silence_s for ear in self._ears), default=_WAIT_S_MAX)
            if self._sent and now_s - self._sent[0].sent_s > silence_s:
                raise redis.TimeoutError("a heartbeat was not answered")
            asks_s = min((ear.asks_at_s for ear in self._ears if not ear.asked), default=next_s)
            wait_s = min(next_s, asks_s, now_s + silence_s / 4) - now_s
            ready = dict(poll.poll(max(1, int(wait_s * 1000))))
            if self._wakes in ready:
                with suppress(BlockingIOError):
                    os.read(self._wakes, 4096)
                for ear in hearing:
                    ear.next_s = 0.0

    def _ask(self, connection: Any, now_s: float) -> None:
        """Subscribe for those who are not, or are to be told that they listen anew."""
        for ear in self._ears:
            if not ear.asked and now_s >= ear.asks_at_s:
                ear.asked = True
                connection.send_command("SUBSCRIBE", ear.channel)

    def _beat(self, connection: Any, hearing: Sequence[Subscription]) -> None:
        self._count += 1
        # The time comes first: what this finds out, and what is heard, is no older than it.
        sent_s = time.monotonic()
        for ear in hearing:
            try:
                ear.next_s = sent_s + ear.subscriber.beating()
            except Exception as error:  # noqa: BLE001 - one subscriber's trouble is its own
                self._fail(ear, error)
        ears = tuple(ear for ear in hearing if ear.hears)
        self._sent.append(_Beat(self._count, sent_s, ears))
        connection.send_command("PING", str(self._count))

    def _take(self, answer: Any) -> None:
        kind, at = answer[0], answer[1]
        if kind == b"pong":
            self._answered(int(at))
            return
        for ear in self._ears:
            if ear.channel != at:
                continue
            if kind == b"message" and ear.hears:
                self._tell(ear, answer[2])
            elif kind == b"subscribe" and ear.asked and not ear.hears:
                self._begin(ear)

    def _answered(self, number: int) -> None:
        while self._sent and self._sent[0].number <= number:
            beat = self._sent.popleft()
            for ear in beat.ears:
                if ear.hears:
                    self._caught_up(ear, beat.sent_s)

    def _begin(self, ear: Subscription) -> None:
        # Before it is told: whoever is, may ask others for what they hear.
        ear.hears = True
        try:
            ear.subscriber.subscribed()
        except Exception as error:  # noqa: BLE001
            self._fail(ear, error)

    def _tell(self, ear: Subscription, message: bytes) -> None:
        try:
            within_s = ear.subscriber.heard(message)
            ear.next_s = min(ear.next_s, time.monotonic() + within_s)
        except Exception as error:  # noqa: BLE001
            self._fail(ear, error)

    def _caught_up(self, ear: Subscription, sent_s: float) -> None:
        try:
            ear.subscriber.caught_up(sent_s)
        except Exception as error:  # noqa: BLE001
            self._fail(ear, error)
            return
        with ear.caught_up:
            ear.heard_until_s = sent_s
            ear.caught_up.notify_all()

    def _fail(self, ear: Subscription, error: Exception) -> None:
        """One of them cannot go on, and begins anew after a pause; the line stays."""
        _log.debug("a subscriber begins anew: %s", type(error).__name__)
        ear.begin(time.monotonic() + _PAUSE_S_MAX / 4)


_lock = threading.Lock()
_listeners: dict[str, _Listener] = {}
_inherited: list[object] = []


def subscribe(url: str, channel: str, subscriber: Subscriber, *, silence_s: float) -> Subscription:
    """Hear what is published on a channel; all who listen to one URL share a line and a thread.

    Args:
        url: Of one Redis server.
        channel: Where.
        subscriber: Who is told.
        silence_s: Seconds without an answer to a heartbeat after which the line is given up.

    Raises:
        ValueError: The URL cannot be read.
    """
    with _lock:
        listener = _listeners.get(url)
        if listener is None:
            listener = _listeners[url] = _Listener(url)
        ear = Subscription(listener, channel, subscriber, silence_s)
        if not listener.join(ear):
            # The last one has just left it.
            listener = ear.listener = _listeners[url] = _Listener(url)
            listener.join(ear)
    return ear


def _connected(url: str) -> Any:
    """A connection of its own, that is never connected again behind our back."""
    pool: Any = cast("Any", redis.ConnectionPool).from_url(
        url, retry=Retry(NoBackoff(), 0), health_check_interval=0, protocol=2
    )
    pool.connection_kwargs.update(
        decode_responses=False, socket_timeout=_CALL_S, socket_connect_timeout=_CALL_S
    )
    connection: Any = pool.make_connection()
    connection.connect()
    return connection


def _renew_all() -> None:
    global _lock  # noqa: PLW0603 - the parent's may be held for ever
    _lock = threading.Lock()
    for listener in tuple(_listeners.values()):
        # One that cannot must not keep the others from it.
        with suppress(Exception):
            listener.renew()


os.register_at_fork(after_in_child=_renew_all)
