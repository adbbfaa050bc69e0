"""What happens at run time, as values: for logs, metrics and traces of the user's choice.

No event holds a parameter, a row or a secret. Without subscribers nothing is measured.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from tierline.circuit import State
from tierline.closing import Closing

_log = logging.getLogger("tierline.events")


class Ran(msgspec.Struct, frozen=True):
    """A statement was run, or failed.

    Attributes:
        node: The server, without secrets; None if there was no connection.
        operation: The verb, such as `"get_by_id"`.
        table: The table's name, where one table is concerned.
        statement: The name that the statement is prepared under: a hash of its text.
        queue_s: Seconds spent waiting for a connection.
        query_s: Seconds from sending the statement to its answer; of a stream, all that its reader
            waited for batches.
        decode_s: Seconds spent making the rows.
        idle_s: Seconds that the connection had rested.
        total_s: Seconds in all.
        rows: How many rows came back, or were changed.
        error: The class of the error, such as `"DuplicateError"`; None if it went well.
    """

    node: str | None
    operation: str
    table: str | None
    statement: str
    queue_s: float
    query_s: float
    decode_s: float
    idle_s: float
    total_s: float
    rows: int
    error: str | None


class Acquired(msgspec.Struct, frozen=True):
    """A connection was lent out.

    Attributes:
        node: The server.
        waited_s: Seconds that it took.
        in_use: Connections of the pool that are lent out, this one included.
    """

    node: str
    waited_s: float
    in_use: int


class Retried(msgspec.Struct, frozen=True):
    """Something is done again.

    Attributes:
        operation: The verb, or `"transaction"`.
        table: The table's name, where one table is concerned.
        attempt: Which try failed, counted from 1.
        error: The class of its error.
    """

    operation: str
    table: str | None
    attempt: int
    error: str


class FailedOver(msgspec.Struct, frozen=True):
    """Writes go to another server now.

    Attributes:
        before: The server that took them; None at the start.
        after: The server that takes them.
    """

    before: str | None
    after: str


class CircuitChanged(msgspec.Struct, frozen=True):
    """A server's circuit opened, is being probed, or closed.

    Attributes:
        node: The server.
        before: The state it was in.
        after: The state it is in.
    """

    node: str
    before: State
    after: State


class WroteBehind(msgspec.Struct, frozen=True):
    """A batch of journalled operations was written.

    Attributes:
        table: The table's name.
        operations: How many operations there were.
        rows: How many rows they were about.
        lag_s: How long the first of them had waited.
    """

    table: str
    operations: int
    rows: int
    lag_s: float


class DeadLettered(msgspec.Struct, frozen=True):
    """The database refused a journalled operation.

    Attributes:
        table: The table's name.
        operation: The verb, such as `"create"`.
        error: The class of the error, such as `"DuplicateError"`.
    """

    table: str
    operation: str
    error: str


Event: TypeAlias = (
    Ran | Acquired | Retried | FailedOver | CircuitChanged | WroteBehind | DeadLettered
)

Subscriber: TypeAlias = Callable[[Event], object]


class EventSubscription(Closing):
    """Leave it, or close it, to hear no more."""

    def __init__(self, events: Events, subscriber: Subscriber) -> None:
        self._events = events
        self._subscriber = subscriber

    def close(self) -> None:
        """Hear no more; idempotent."""
        self._events.remove(self._subscriber)


class Events:
    """Tells subscribers what happens, in the thread where it happens.

    Attributes:
        wanted: Whether there is a subscriber.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscribers: tuple[Subscriber, ...] = ()
        self.wanted = False

    def subscribe(self, subscriber: Subscriber) -> EventSubscription:
        """Tell somebody of every event from now on.

        Args:
            subscriber: Called with each event. What it raises is logged and changes nothing.
        """
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)
            self.wanted = True
        return EventSubscription(self, subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        """Tell it no more."""
        with self._lock:
            self._subscribers = tuple(one for one in self._subscribers if one is not subscriber)
            self.wanted = bool(self._subscribers)

    def tell(self, event: Event) -> None:
        """Something happened."""
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:  # noqa: BLE001 - a subscriber is not ours
                _log.exception("a subscriber failed at %s", type(event).__name__)
