"""Every call of a tier as a step of the scheduler, wrapped from outside.

A step comes before each call of L1 and of L2. A statement is sent in a step and is done when the
step ends; that its answer is looked at is another. What a store hears and passes on by itself,
in threads of its own, is done here by whoever says so: `SteppedListener.pump` and `pass_on`.
"""

from __future__ import annotations

import importlib
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg.pq import PipelineStatus

import tierline as tl
from tierline.cache import tables
from tierline.cache.floors import FloorTier
from tierline.cache.hearing import HearingCache
from tierline.cache.hearing_caches import HearingCaches
from tierline.cache.leases import Leases
from tierline.cache.membership import Membership
from tierline.cache.redis import RedisTier
from tierline.postgres import pipeline
from tierline.postgres.connection import Connection
from tierline.postgres.listening import Listener
from tierline.sql.backplane import JOIN_CHANNEL
from tierline.sql.collecting import CHANNEL
from tierline.store import backplane

Step = Callable[[str], None]

_ANSWER_MS = 120_000
_JOIN_S = 60.0
_REDIS_S = 30.0
_REDIS_LIMITS = (
    ("tierline.cache.redis_limits", "LIMIT_S"),
    ("tierline.cache.redis_client", "LIMIT_S"),
    ("tierline.cache.redis_node", "LIMIT_S"),
    ("tierline.cache.redis_routes", "LIMIT_S"),
)
_L1 = ("begin", "begin_many", "fill", "fill_many", "invalidate", "invalidate_many",
       "invalidate_all", "announce", "announce_all", "refuse_loads", "serve_until")  # fmt: skip
# The others come down to these.
_L2 = ("get", "get_many", "begin_many", "fill_many", "invalidate", "invalidate_all")
_FLOORS = ("get_many", "fill_many", "raise_floor", "turn")

_quiet = threading.local()


@contextmanager
def quiet() -> Generator[None]:
    """What is done here is no step."""
    before = getattr(_quiet, "on", False)
    _quiet.on = True
    try:
        yield
    finally:
        _quiet.on = before


class SteppedCache:
    """L1 with a step before each call that changes it or is answered from it.

    Attributes:
        native: The cache itself.
    """

    def __init__(self, step: Step, native: tl.Cache[Any, Any]) -> None:
        self.native = native
        for name in _L1:
            setattr(self, name, _stepped(step, f"L1 {name}", getattr(native, name)))
        self.get = _stepped(step, "L1 get", native.get)
        self.get_many = _stepped(step, "L1 get", native.get_many)

    def reader(
        self, load: Callable[[Any], Any], load_with: Callable[..., Any]
    ) -> Callable[..., Any]:
        """As the native one."""

        def read(key: Any, **options: Any) -> Any:
            if options:
                return load_with(key, **options)
            found = self.get(key)
            return load(key) if found is None else found

        return read

    def __getattr__(self, name: str) -> Any:
        return getattr(self.native, name)


class SteppedListener(Listener):
    """A listener without a thread: it hears when it is told to."""

    step: Step
    made: list[SteppedListener]

    def _start(self) -> None:
        self._own_channel = f"{CHANNEL}_{id(self):x}"
        self._sent = deque()
        self._messages: deque[tuple[bytes, bytes]] = deque()
        self._count = 0
        self._caught_up = threading.Condition()
        self._connection = None
        self.made.append(self)

    def pump(self) -> None:
        """Send a heartbeat, and hear everything until it comes back."""
        self.step("listen")
        with quiet():
            connection = self._connection or self._listen()
            self._hearer.beating(connection)
            self._beat(connection)
            while not any(channel == self._own_channel.encode() for channel, _ in self._messages):
                assert _readable(connection), "a heartbeat did not come back"
                self._receive(connection, self._messages)
        self._tell(self._messages)

    def catch_up(self, timeout_s: float) -> bool:
        del timeout_s
        self.pump()
        return True

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _listen(self) -> Connection:
        connection = self._connection = self._dial()
        connection.pgconn.notify_handler = lambda note: self._messages.append(
            (note.relname, note.extra)
        )
        for channel in (CHANNEL, JOIN_CHANNEL, self._own_channel):
            self._command(connection, f"LISTEN {channel}")
        self._asking(connection, self._hearer.listening)
        return connection


def pass_on(store: tl.Store) -> bool:
    """Tell L2 what the store has heard; whether all of it was told."""
    assert isinstance(store.caches, HearingCaches)
    shared = store.caches.shared
    assert shared is not None
    members = [cache.member for cache in store.caches.hearing() if cache.member is not None]
    return all(shared.membership._pass_on(one) for one in members if one.epoch is not None)


def join(store: tl.Store, *others: tl.Store) -> None:
    """Have a store trust L2, as the others do."""
    assert isinstance(store.caches, HearingCaches)
    assert store.caches.shared is not None
    for cache in store.caches.hearing():
        assert isinstance(cache, HearingCache)
        assert cache.member is not None
        cache.member.asked_s = float("-inf")
        end_s = time.monotonic() + _JOIN_S
        while cache.member.epoch is None:
            assert time.monotonic() < end_s, "nobody let it join"
            for one in (store, *others):
                assert one.backplane is not None
                one.backplane.catch_up(1)
                pass_on(one)
            store.caches.shared.membership._joined(cache.member)


def install(patch: pytest.MonkeyPatch, step: Step) -> None:
    """Make steps of what every store does that is opened from now on."""

    # A slow machine is no fault of Redis here: what is looked at is the order of steps.
    for module, name in _REDIS_LIMITS:
        patch.setattr(importlib.import_module(module), name, _REDIS_S)

    def spoken(label: str) -> None:
        if not getattr(_quiet, "on", False):
            step(label)

    native = tables.Cache
    patch.setattr(
        tables, "Cache", lambda *args, **options: SteppedCache(spoken, native(*args, **options))
    )
    for owner, names in ((RedisTier, _L2), (FloorTier, _FLOORS)):
        for name in names:
            label = f"L2 {name}"
            patch.setattr(owner, name, _stepped(spoken, label, getattr(owner, name)))
    patch.setattr(Leases, "get", _stepped(spoken, "L2 get", Leases.get))
    patch.setattr(SteppedListener, "step", staticmethod(spoken), raising=False)
    patch.setattr(SteppedListener, "made", [], raising=False)
    patch.setattr(backplane, "Listener", SteppedListener)
    patch.setattr(Membership, "_run", lambda _: None)
    _install_statements(patch, spoken)


def _install_statements(patch: pytest.MonkeyPatch, step: Step) -> None:
    send, wait, prepare = Connection.send, Connection.wait, Connection._prepare
    communicate = pipeline._communicate

    def stepped_send(self: Connection, *args: Any) -> None:
        if self.pgconn.pipeline_status != PipelineStatus.OFF:
            send(self, *args)
            return
        step("send")
        send(self, *args)
        self.pgconn.flush()
        # It shall be done before anybody else goes on.
        assert _readable(self), "the server does not answer"

    def stepped_wait(self: Connection, *args: Any, **options: Any) -> Any:
        found = wait(self, *args, **options)
        step("answer")
        return found

    def stepped_batch(*args: Any) -> Any:
        step("send")
        with quiet():
            found = communicate(*args)
        step("answer")
        return found

    def quiet_prepare(self: Connection, *args: Any) -> None:
        with quiet():
            prepare(self, *args)

    patch.setattr(Connection, "send", stepped_send)
    patch.setattr(Connection, "wait", stepped_wait)
    patch.setattr(Connection, "_prepare", quiet_prepare)
    patch.setattr(pipeline, "_communicate", stepped_batch)


def _stepped(step: Step, label: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def stepped(*args: Any, **options: Any) -> Any:
        step(label)
        return call(*args, **options)

    return stepped


def _readable(connection: Connection) -> bool:
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(_ANSWER_MS))
