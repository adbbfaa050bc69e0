"""The backplane of a store: its listener, and what its caches are told."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias

import msgspec
import psycopg
from returns.result import Failure, Success

from tierline.cache.announcements import read_announcement
from tierline.cache.early import Early
from tierline.cache.floors import FloorTier
from tierline.cache.hearing import Shared
from tierline.cache.hearing_caches import HearingCaches, LastWrite
from tierline.cache.membership import Membership
from tierline.entity import Table
from tierline.errors import RepositoryError
from tierline.postgres import Database
from tierline.postgres.connection import Connection
from tierline.postgres.following import take_write
from tierline.postgres.listening import Listener
from tierline.postgres.node import Node
from tierline.result import Result
from tierline.sql import Statement
from tierline.sql.backplane import ANNOUNCING, ASK, HISTORY, SETTLED
from tierline.sql.collecting import PREPARED_IDS
from tierline.sql.running import RUNNING, Ended, read_ended
from tierline.store.failures import built

BackplaneName: TypeAlias = Literal["postgres", "redis"]

TableSql: TypeAlias = Callable[[Table[Any, Any], str], str]
"""From a table and the schema of those without one to a script."""

BEATS = 4
"""Heartbeats within `max_staleness_s`."""

_BEATS_A_CHECK = 10
_FIRST_S = 1.0
_DIAL_S = 1.0
_ASK_S = 2.0
_WARNINGS = {
    "no": "table %s announces no changes, so it is not cached; call store.install_backplane([…]) "
    "with it",
    "old": "the triggers of table %s are of an earlier version, so tl.distributed cannot write it; "
    "call store.install_backplane([…]) with it again",
}

_log = logging.getLogger("tierline.store")


class BackplaneHealth(msgspec.Struct, frozen=True):
    """How well a store hears.

    Attributes:
        age_s: How long ago everything that was committed had been heard; infinity for never.
        max_staleness_s: Beyond this age L1 and L2 serve nothing.
        announcements: How many changes were heard of.
        starts: How often it began to listen.
        spared: How many of them were this store's own writes, which had dropped no more results of
            cached queries than they concerned.
        silent_tables: Tables with a cache that do not announce changes, and so are not cached.
    """

    age_s: float
    max_staleness_s: float
    announcements: int
    starts: int
    spared: int
    silent_tables: tuple[str, ...]


class Ear(Protocol):
    """What hears announcements, in a thread of its own, and proves how far."""

    def catch_up(self, timeout_s: float) -> bool:
        """Wait until everything that is announced by now has been heard; whether in time."""
        ...

    def close(self) -> None:
        """Hear no more."""
        ...


class Backplane:
    """Tells the caches of a store what its database announces.

    Args:
        database: The database.
        caches: The caches.
        max_staleness_s: The oldest that a cached value may be.
    """

    def __init__(
        self, database: Database, caches: HearingCaches, *, max_staleness_s: float
    ) -> None:
        self._database = database
        self._caches = caches
        self._max_staleness_s = max_staleness_s
        self._node: Node | None = None
        self._caught_up_s = -math.inf
        self._announcements = 0
        self._starts = 0
        self._beats = 0
        self._unchecked = True
        self._warned: set[tuple[str, str]] = set()
        self._early = Early(caches)
        self._connection: Connection | None = None
        if caches.l2 is not None:
            floors = FloorTier(caches.l2)
            membership = Membership(floors, max_staleness_s, self._ask, self._is_settled)
            caches.shared = Shared(floors, membership)
        self._listener = self._listen()
        caches.opened = self.check
        caches.catch_up = self.catch_up
        self._listener.catch_up(_FIRST_S)

    def _listen(self) -> Ear:
        s = self._max_staleness_s
        return Listener(self._dial, self, beat_s=s / BEATS, silence_s=s)

    def health(self) -> BackplaneHealth:
        """How well it hears now."""
        silent = {
            ".".join(self._caches.place(cache.table))
            for cache in self._caches.hearing()
            if not cache.announcing
        }
        return BackplaneHealth(
            time.monotonic() - self._caught_up_s,
            self._max_staleness_s,
            self._announcements,
            self._starts,
            self._caches.own.spared,
            tuple(sorted(silent)),
        )

    def catch_up(self, timeout_s: float) -> bool:
        """Wait until everything that is committed by now has been heard; whether it was in time."""
        return self._listener.catch_up(timeout_s)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()
        if self._caches.shared is not None:
            self._caches.shared.membership.close()

    def listening(self, connection: Connection) -> None:
        """See `Hearer`."""
        self._connection = connection
        # What is prepared comes first: what is not found any more has ended by the other question.
        prepared = connection.fetch(PREPARED_IDS, ())
        (settled,) = connection.fetch(SETTLED, ())
        (history,) = connection.fetch(HISTORY, ())
        self._caches.begin_hearing(settled, history)
        if self._caches.shared is not None:
            self._caches.shared.membership.listening(history)
        self._early.begin(prepared)
        self._starts += 1
        self._check(connection)

    def heard(self, payload: bytes) -> None:
        """See `Hearer`."""
        announcement = read_announcement(payload)
        if announcement is None:
            # Whatever it was to say has been missed.
            raise psycopg.DataError("an announcement cannot be read")
        self._announcements += 1
        if not announcement.early:
            self._caches.hear(announcement)
        elif not self._early.hear(announcement):
            raise psycopg.OperationalError("too much is prepared and has not ended")

    def settle(self) -> bool:
        """See `Hearer`."""
        return self._caches.settle()

    def asked(self, newcomer: bytes) -> None:
        """See `Hearer`."""
        if self._caches.shared is not None:
            self._caches.shared.membership.asked(newcomer.decode(errors="replace"))

    def caught_up(self, sent_s: float) -> None:
        """See `Hearer`."""
        if not self._database.is_writer(self._node):
            raise psycopg.OperationalError("another server takes the writes now")
        if self._early.asks:
            self._early.look_back(self._ended_by_now())
        # What waits to be known as this store's own was announced before, and counts as heard now.
        self._caches.settle(sent_s)
        self._caught_up_s = sent_s
        self._caches.serve_until(sent_s + self._max_staleness_s)

    def beating(self, connection: Connection) -> None:
        """See `Hearer`."""
        self._early.beating()
        self._beats += 1
        if self._unchecked or self._beats % _BEATS_A_CHECK == 0:
            self._unchecked = False
            self._check(connection)

    def beat_due_s(self) -> float:
        """See `Hearer`."""
        return self._early.due_s

    def _ask(self, newcomer: str) -> bool:
        return isinstance(self._database.execute(ASK, (newcomer,)), Success)

    def _is_settled(self, xid: int) -> bool:
        """Whether an announced transaction is known to have ended."""
        return self._early.is_settled(xid)

    def _ended_by_now(self) -> Ended:
        """Asked on the connection that listens, so of the server and the life that it hears of."""
        connection = self._connection
        assert connection is not None
        connection.guard.begin(time.monotonic() + _ASK_S)
        try:
            (text,) = connection.fetch(RUNNING, ())
        finally:
            connection.guard.end()
        return read_ended(text)

    def _dial(self) -> Connection:
        self._node, connection = self._database.dial_writer(_DIAL_S)
        return connection

    def check(self) -> None:
        """Ask soon which tables announce their changes."""
        self._unchecked = True
        # With little patience: until then reads go to the database, no more.
        if self._caught_up_s + self._max_staleness_s > time.monotonic():
            self._listener.catch_up(self._max_staleness_s / 4)

    def _check(self, connection: Connection) -> None:
        """Ask which tables announce their changes."""
        caches = self._caches.hearing()
        if not caches:
            return
        places = [self._caches.place(cache.table) for cache in caches]
        found = connection.fetch(ANNOUNCING, ([s for s, _ in places], [t for _, t in places]))
        for cache, place, announcing in zip(caches, places, found, strict=True):
            if announcing != "yes" and place not in self._warned:
                self._warned.add(place)
                _log.warning(_WARNINGS[announcing], ".".join(place))
            begins = announcing != "no" and not cache.announcing
            self._caches.set_announcing(cache, announcing=announcing != "no")
            if begins:
                self._early.tell(cache)


def last_write_of(database: Database) -> LastWrite | None:
    """The transaction of this context's last write, once."""
    found = take_write(database.identity)
    return None if found is None else LastWrite(*found)


def run_each(
    tables: Iterable[Table[Any, Any]],
    operation: str,
    sql: Callable[[Table[Any, Any]], str],
    run: Callable[[Statement], Result[None, RepositoryError]],
    backplane: Backplane | None,
) -> Result[None, RepositoryError]:
    """Run a script of each table, and have the backplane see what has become of them.

    Args:
        tables: The tables.
        operation: The verb, for errors.
        sql: The script of a table.
        run: Runs one.
        backplane: The store's.
    """
    for table in tables:
        script = built(partial(sql, table), operation, table)
        if isinstance(script, Failure):
            return script
        found = run(Statement(operation, script, (), table, writes=True))
        if isinstance(found, Failure):
            return found
    if backplane is not None:
        backplane.check()
    return Success(None)
