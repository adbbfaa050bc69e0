"""Lists in a table, appended to and read in transactions: over plain psycopg and over a store."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

import psycopg
from psycopg import IsolationLevel
from tests.histories.anomalies import Level

import tierline as tl

CREATE: Final = "CREATE TABLE lists (key int8 PRIMARY KEY, numbers int8[] NOT NULL)"
APPEND: Final = (
    "INSERT INTO lists VALUES (%s, ARRAY[%s::int8])"
    " ON CONFLICT (key) DO UPDATE SET numbers = lists.numbers || excluded.numbers"
)
READ: Final = "SELECT numbers FROM lists WHERE key = %s"
CONNECT_S = 5
PAUSE_S_MAX = 0.1
LOST_TO_OTHERS: Final = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
)


class Session(Protocol):
    """What a transaction can do with lists; what fails raises, and the transaction with it."""

    def append(self, key: int, value: int) -> None:
        """Put a number at the end of a list."""

    def read(self, key: int) -> tuple[int, ...]:
        """The whole list."""
        ...


class Committed(NamedTuple):
    """It is committed, and this is the function's answer."""

    value: Any


class Aborted(NamedTuple):
    """It left no trace, for this reason."""

    reason: Exception


class Unknown(NamedTuple):
    """The connection was lost at COMMIT."""

    reason: Exception


Ended = Committed | Aborted | Unknown
Work = Callable[[Session], Any]


class Runner(Protocol):
    """Runs functions in transactions, again while others win; one a thread."""

    def run(self, function: Work, isolation: Level) -> Ended:
        """Run a function; what it did before it was run again left no trace."""
        ...

    def close(self) -> None:
        """Give everything back."""


class PsycopgRunner:
    """The runner that is compared with: one connection, made again when it is lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection | None = None

    def run(self, function: Work, isolation: Level) -> Ended:
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._once(function, isolation)
            except LOST_TO_OTHERS:
                time.sleep(random.uniform(0, min(PAUSE_S_MAX, 0.002 * 2**attempt)))

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def session(self, connection: psycopg.Connection) -> Session:
        """What a function is given."""
        return PsycopgSession(connection)

    def _once(self, function: Work, isolation: Level) -> Ended:
        try:
            connection = self._connected(isolation)
            value = function(self.session(connection))
        except LOST_TO_OTHERS:
            self._roll_back()
            raise
        except psycopg.OperationalError as error:
            # COMMIT was never sent.
            self.close()
            return Aborted(error)
        try:
            connection.commit()
        except LOST_TO_OTHERS:
            raise
        except psycopg.OperationalError as error:
            self.close()
            return Unknown(error)
        return Committed(value)

    def _connected(self, isolation: Level) -> psycopg.Connection:
        if self._connection is None:
            self._connection = psycopg.connect(self._url, connect_timeout=CONNECT_S)
        self._connection.isolation_level = IsolationLevel[isolation.upper().replace(" ", "_")]
        return self._connection

    def _roll_back(self) -> None:
        assert self._connection is not None
        try:
            self._connection.rollback()
        except psycopg.OperationalError:
            self.close()


class PsycopgSession(NamedTuple):
    """A transaction on a connection of psycopg."""

    connection: psycopg.Connection

    def append(self, key: int, value: int) -> None:
        self.connection.execute(APPEND, (key, value))

    def read(self, key: int) -> tuple[int, ...]:
        row = self.connection.execute(READ, (key,)).fetchone()
        return tuple(row[0]) if row else ()


class StoreRunner:
    """Tierline's own transactions; the store is shared by all threads."""

    def __init__(self, store: tl.Store, *, deadline_s: float | None = None) -> None:
        self._store = store
        self._deadline_s = deadline_s

    def run(self, function: Work, isolation: Level) -> Ended:
        def within(tx: tl.Transaction) -> tl.Result[Any, tl.RepositoryError]:
            try:
                return tl.Success(function(StoreSession(tx)))
            except StatementFailed as failed:
                return tl.Failure(failed.error)

        match self._store.transaction(within, isolation=isolation, deadline_s=self._deadline_s):
            case tl.Success(value):
                return Committed(value)
            case tl.Failure(tl.CommitUnknownError() as error):
                return Unknown(error)
            case tl.Failure(error):
                return Aborted(error)

    def close(self) -> None:
        """Nothing: the store is not its own."""


class StatementFailed(Exception):  # noqa: N818 (it carries the error)
    """Leaves the function whose statement answered with a Failure."""

    def __init__(self, error: tl.RepositoryError) -> None:
        super().__init__(str(error))
        self.error = error


class StoreSession(NamedTuple):
    """A transaction of a store."""

    tx: tl.Transaction

    def append(self, key: int, value: int) -> None:
        text = (
            "INSERT INTO lists VALUES ({key}, ARRAY[{value}])"
            " ON CONFLICT (key) DO UPDATE SET numbers = lists.numbers || excluded.numbers"
        )
        done = self.tx.execute(tl.sql(text, key=key, value=value))
        if isinstance(done, tl.Failure):
            raise StatementFailed(done.failure())

    def read(self, key: int) -> tuple[int, ...]:
        query = tl.sql("SELECT numbers FROM lists WHERE key = {key}", into=list[int], key=key)
        found = self.tx.fetch_maybe(query)
        if isinstance(found, tl.Failure):
            raise StatementFailed(found.failure())
        return tuple(found.unwrap() or ())
