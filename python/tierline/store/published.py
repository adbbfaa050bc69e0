"""The Redis backplane of a store: writers announce before COMMIT, and no trigger is needed."""

from __future__ import annotations

import time
from typing import Literal, NamedTuple, TypeAlias

import psycopg
from returns.result import Failure

from tierline.cache.published import PublishedCaches
from tierline.cache.subscribing import Subscription, subscribe
from tierline.errors import RepositoryError
from tierline.postgres import Database
from tierline.sql import Statement
from tierline.sql.running import BEGUN, RUNNING, Ended, read_ended
from tierline.store.backplane import BEATS, Backplane

UnannouncedWrites: TypeAlias = Literal["refuse", "commit"]

_ASK_S = 1.0
# What has not ended is announced again well before the caches forget it, whatever the bound is.
_BEAT_S_MAX = 5.0


class PublishedBackplane(Backplane):
    """Tells the caches of a store what other stores' writers announce through Redis.

    Args:
        database: The database.
        caches: The caches.
        url: The Redis server.
        channel: Where changes of this database are published.
        max_staleness_s: The oldest that a cached value may be.
    """

    def __init__(
        self,
        database: Database,
        caches: PublishedCaches,
        url: str,
        channel: str,
        *,
        max_staleness_s: float,
    ) -> None:
        self._published = caches
        self._url, self._channel = url, channel
        self._history = ""
        super().__init__(database, caches, max_staleness_s=max_staleness_s)

    def _listen(self) -> Subscription:
        silence_s = self._max_staleness_s
        ear = subscribe(self._url, self._channel, _Told(self), silence_s=silence_s)
        self._published.wake = ear.wake
        return ear

    def subscribed(self) -> None:
        """See `Subscriber.subscribed`."""
        # Who published before may still run: its announcement was missed, its COMMIT is to come.
        ended = self._ended(BEGUN)
        if ended is None:
            raise psycopg.OperationalError("the database cannot say what runs")
        self._history = ended.history
        self._published.begin_listening(ended)
        if self._caches.shared is not None:
            self._caches.shared.membership.listening(ended.history)
        self._starts += 1
        self._announce_all()

    def hear(self, payload: bytes) -> float:
        """See `Subscriber.heard`."""
        if not self._published.listen(payload):
            # Whatever it was to say has been missed.
            raise psycopg.DataError("an announcement cannot be read")
        self._announcements += payload[:1] == b"["
        return self._published.hurry_s

    def beat(self) -> float:
        """See `Subscriber.beating`."""
        if not self._published.pay():
            raise psycopg.OperationalError("what was committed unannounced cannot be announced")
        if self._unchecked:
            self._unchecked = False
            self._announce_all()
        return min(self._max_staleness_s / BEATS, _BEAT_S_MAX, self._published.hurry())

    def caught_up(self, sent_s: float) -> None:
        """See `Subscriber.caught_up`."""
        # Behind the answer, when all is heard of that had ended before the heartbeat was sent.
        if self._published.asks:
            self._published.look_back(self._of_this_life(self._ended(RUNNING)))
        super().caught_up(sent_s)

    def _announce_all(self) -> None:
        """Every table's changes are announced: its writers do it."""
        for cache in self._published.hearing():
            self._published.set_announcing(cache, announcing=True)

    def _is_settled(self, xid: int) -> bool:
        return self._published.is_settled(xid)

    def _ask(self, newcomer: str) -> bool:
        return self._published.ask(newcomer)

    def _of_this_life(self, ended: Ended | None) -> Ended | None:
        """What it is; ids of another life of the database are not those that were announced.

        Raises:
            psycopg.OperationalError: It is of another life.
        """
        if ended is not None and ended.history != self._history:
            raise psycopg.OperationalError("the database began another life")
        return ended

    def _ended(self, statement: Statement) -> Ended | None:
        """Which transactions have ended on the server that takes writes; None if it is silent.

        Raises:
            psycopg.OperationalError: It is another server than before.
        """
        borrowed = self._database.borrow(statement, _ASK_S)
        if isinstance(borrowed, Failure):
            return None
        connection = borrowed.unwrap()
        node, well = self._database.lender(connection), False
        connection.guard.begin(time.monotonic() + _ASK_S)
        try:
            (text,) = connection.fetch(statement, ())
            well = True
        except (psycopg.Error, RepositoryError):
            return None
        finally:
            connection.guard.end()
            self._database.give_back(connection, well=well)
        if self._node is not None and node is not self._node:
            self._node = None
            raise psycopg.OperationalError("another server takes the writes now")
        self._node = node
        return read_ended(text)


class _Told(NamedTuple):
    """What the listener tells: the methods of the backplane under the names that it knows."""

    backplane: PublishedBackplane

    def subscribed(self) -> None:
        self.backplane.subscribed()

    def heard(self, message: bytes) -> float:
        return self.backplane.hear(message)

    def beating(self) -> float:
        return self.backplane.beat()

    def caught_up(self, sent_s: float) -> None:
        self.backplane.caught_up(sent_s)


def why_not_published(redis: str | None, unannounced_writes: UnannouncedWrites) -> str | None:
    """Why a store cannot have the Redis backplane.

    Raises:
        TypeError: There is no Redis.
    """
    if redis is None:
        raise TypeError('open: backplane="redis" goes with redis="redis://…"')
    if unannounced_writes not in ("refuse", "commit"):
        return f'unannounced_writes must be "refuse" or "commit", not {unannounced_writes!r:.80}'
    if redis.partition(":")[0] not in ("redis", "rediss", "unix"):
        # A cluster's servers pass messages on to each other whenever they can: nothing is proved.
        return 'backplane="redis" needs one server: redis://, rediss:// or unix://'
    return None
