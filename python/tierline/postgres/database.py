"""L3: a pool of connections to one PostgreSQL server; every verb answers with a Result."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import PoolTimeout
from returns.result import Failure, Success

from tierline.errors import (
    ConfigurationError,
    ConnectionError,  # noqa: A004
    RepositoryError,
)
from tierline.postgres.connection import Connection
from tierline.postgres.counters import Counters, Reads
from tierline.postgres.errors import DRIVER_ERRORS, no_connection
from tierline.postgres.performer import Performer, about, failed, is_lost
from tierline.postgres.pool import Pool, PoolStats
from tierline.postgres.streaming import stream_rows
from tierline.sql import Statement

_R = TypeVar("_R")


class Database(Performer):
    """One PostgreSQL server behind a pool; safe to share between threads.

    Args:
        conninfo: A libpq URL or keyword string.
        pool_size: The most connections at a time.
        timeout_s: Seconds a statement may run, and a caller may wait for a connection.
        connect_timeout_s: Seconds one connection attempt may take.

    Raises:
        ConfigurationError: `conninfo` cannot be read.
        ConnectionError: The server cannot be reached or refuses the login.
    """

    def __init__(
        self, conninfo: str, *, pool_size: int, timeout_s: float, connect_timeout_s: float
    ) -> None:
        self.timeout_s = timeout_s
        self.counters = Counters()
        self.location, prepared = _read_conninfo(conninfo, connect_timeout_s)
        self.server_version, self.identity, self.schema = _probe(prepared, self.location)
        try:
            self._pool = Pool(
                prepared, size=pool_size, timeout_s=timeout_s, configure=self._configure
            )
        except PoolTimeout as error:
            raise ConnectionError(
                f"cannot connect to {self.location} within {timeout_s} s", operation="open"
            ) from error

    def fetch(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows a statement answers with."""
        # The hottest path of L3, so `_perform` is written out here.
        began = time.monotonic()
        try:
            connection = self._pool.take()
        except DRIVER_ERRORS as error:
            return Failure(self._no_connection(error, statement, began))
        well = False
        try:
            rows = connection.fetch(statement, values)
            well = True
        except psycopg.Error as error:
            return Failure(self._failed(error, statement, connection, began))
        except RepositoryError as error:
            return Failure(about(error, statement, began))
        finally:
            self._pool.give_back(connection, well=well, now_s=began)
        if not statement.writes:
            self.counters.read(found=bool(rows))
        return Success(rows)

    def stream(
        self, statement: Statement, values: tuple[Any, ...], size: int
    ) -> Generator[Success[list[Any]] | Failure[RepositoryError]]:
        """A statement's rows in batches; a Failure is the last."""
        began = time.monotonic()
        try:
            connection = self._pool.take()
        except DRIVER_ERRORS as error:
            yield Failure(self._no_connection(error, statement, began))
            return
        failure: RepositoryError | None = None
        batches = stream_rows(connection, statement, values, size, self.timeout_s)
        try:
            for rows in batches:
                yield Success(rows)
        except psycopg.Error as error:
            failure = self._failed(error, statement, connection, began)
        except RepositoryError as error:
            failure = about(error, statement, began)
        finally:
            batches.close()
            self._pool.give_back(connection, well=False, now_s=began)
        if failure is not None:
            yield Failure(failure)

    def script(self, statement: Statement) -> Success[None] | Failure[RepositoryError]:
        """Run several commands without parameters, all or none."""

        def run(connection: Connection) -> None:
            # Without parameters psycopg sends one simple query: an implicit transaction.
            connection.execute(statement.sql.encode())

        return self._perform(statement, run)

    def reads(self) -> Reads:
        """The counters of reads and errors."""
        return self.counters.reads()

    def stats(self) -> PoolStats:
        """The pool at this moment."""
        return self._pool.stats()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def borrow(
        self, statement: Statement, within_s: float | None = None
    ) -> Success[Connection] | Failure[RepositoryError]:
        """A connection for longer than one statement; `give_back` must follow.

        Args:
            statement: What is about to be run, for errors.
            within_s: Seconds to wait for it at most, if that is less than the pool waits.
        """
        began = time.monotonic()
        try:
            return Success(self._pool.take(within_s))
        except DRIVER_ERRORS as error:
            return Failure(self._no_connection(error, statement, began))

    def give_back(self, connection: Connection, *, well: bool) -> None:
        """Return a borrowed connection; if it is not at rest, the pool looks it over."""
        self._pool.give_back(connection, well=well, now_s=time.monotonic())

    def ask(
        self, statement: Statement, values: tuple[Any, ...], within_s: float
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """As `fetch`, with less time to wait for a connection."""
        return self._perform(statement, lambda c: c.fetch(statement, values), within_s)

    def lost_one(self) -> None:
        """A connection was lost: what ended its session has probably ended the idle ones too."""
        self._pool.drain()

    def _perform(
        self,
        statement: Statement,
        action: Callable[[Connection], _R],
        within_s: float | None = None,
    ) -> Success[_R] | Failure[RepositoryError]:
        began = time.monotonic()
        try:
            connection = self._pool.take(within_s)
        except DRIVER_ERRORS as error:
            return Failure(self._no_connection(error, statement, began))
        well = False
        try:
            found = self._attempt(connection, statement, action, began)
            well = isinstance(found, Success)
        finally:
            self._pool.give_back(connection, well=well, now_s=began)
        return found

    def _failed(
        self, error: psycopg.Error, statement: Statement, connection: Connection, began: float
    ) -> RepositoryError:
        lost = is_lost(error, connection)
        if lost:
            self.lost_one()
        self.counters.error()
        return failed(error, statement, connection, began, lost=lost)

    def _no_connection(
        self, error: Exception, statement: Statement, began: float
    ) -> RepositoryError:
        self.counters.error()
        elapsed_s = time.monotonic() - began
        found = no_connection(
            error, in_use=self._pool.in_use, size=self._pool.size, elapsed_s=elapsed_s
        )
        return about(found, statement, began)

    def _configure(self, connection: Connection) -> None:
        """Session settings: zoned values come back in UTC; a statement ends at the time limit."""
        connection.execute(
            "SELECT set_config('TimeZone', 'UTC', false), CASE WHEN "
            "current_setting('statement_timeout') = '0' "
            "THEN set_config('statement_timeout', %s, false) END",
            (f"{max(1, round(self.timeout_s * 1000))}ms",),
            prepare=False,
        )

    def __repr__(self) -> str:
        return f"<Database {self.location}>"


def _read_conninfo(conninfo: str, connect_timeout_s: float) -> tuple[str, str]:
    """Where it points, without secrets, and the string to connect with."""
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        # libpq's text may quote the password, so neither message nor cause keeps it.
        raise _unreadable() from None
    host = str(parts.get("host") or parts.get("hostaddr") or "localhost")
    port = str(parts.get("port") or 5432)
    # An "@" that was not percent-encoded puts the end of the password into the host.
    if "@" in host or not port.replace(",", "").isdigit():
        raise _unreadable()
    database = parts.get("dbname") or parts.get("user") or ""
    location = f"postgresql://{host}:{port}/{database}"
    defaults = {
        # libpq counts whole seconds and takes 1 as 2.
        "connect_timeout": parts.get("connect_timeout") or max(1, round(connect_timeout_s)),
        "client_encoding": "utf8",
        "application_name": parts.get("application_name") or "tierline",
    }
    return location, make_conninfo(conninfo, **defaults)


def _unreadable() -> ConfigurationError:
    return ConfigurationError(
        "the database URL cannot be read; write it as "
        "postgresql://user:password@host:5432/database, with special characters percent-encoded",
        operation="open",
    )


def _probe(conninfo: str, location: str) -> tuple[int, str, str]:
    """Connect once, so that what is wrong is said now and with its reason.

    Answers with the server's version, what identifies its data (the cluster's system identifier
    and the database), and the schema that unqualified names mean.
    """
    try:
        with Connection.connect(conninfo, autocommit=True) as connection:
            row = connection.execute(
                "SELECT d.oid, coalesce(current_schema(), '') "
                "FROM pg_database d WHERE d.datname = current_database()"
            ).fetchone()
            database, schema = row or (0, "")
            data = f"{_system_identifier(connection) or location}/{database}"
            identity = hashlib.blake2b(data.encode(), digest_size=6).hexdigest()
            return connection.info.server_version, identity, schema
    except psycopg.Error as error:
        # The server's own words are all there is: libpq gives a failed login no SQLSTATE.
        reason = " ".join(str(error).split())
        raise ConnectionError(
            f"cannot connect to {location}: {reason}; check that the server runs there, and the "
            "URL's user, password and database",
            operation="open",
        ) from error


def _system_identifier(connection: Connection) -> int | None:
    """The number that a cluster and its replicas have in common; None where it may not be asked."""
    try:
        row = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return None
    return row[0] if row else None
