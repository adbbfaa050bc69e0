"""L3: a pool of connections to one PostgreSQL server; every verb answers with a Result."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import PoolTimeout
from returns.result import Failure, Success

from tierline.errors import (
    ConfigurationError,
    ConnectionError,  # noqa: A004
    DecodeError,
    RepositoryError,
)
from tierline.postgres.bulk import copy_rows, move_rows
from tierline.postgres.connection import Connection, column_types
from tierline.postgres.errors import (
    DRIVER_ERRORS,
    FATAL_STATES,
    TYPE_STATES,
    classify,
    no_connection,
)
from tierline.postgres.pipeline import BatchError, fetch_batch
from tierline.postgres.pool import Pool, PoolStats
from tierline.postgres.streaming import stream_rows
from tierline.sql import Compiled, Staged, Statement

_R = TypeVar("_R")


class Reads(msgspec.Struct, frozen=True):
    """L3's counters since the store was opened.

    Attributes:
        found: Reads that answered with a row.
        empty: Reads that answered with none.
        errors: Operations that failed.
    """

    found: int
    empty: int
    errors: int


class Counters:
    """Counts operations across threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found = self._empty = self._errors = 0

    def read(self, *, found: bool) -> None:
        """A read succeeded."""
        with self._lock:
            if found:
                self._found += 1
            else:
                self._empty += 1

    def error(self) -> None:
        """An operation failed."""
        with self._lock:
            self._errors += 1

    def reads(self) -> Reads:
        """The counters at this moment."""
        with self._lock:
            return Reads(self._found, self._empty, self._errors)


class Database:
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
        self._timeout_s = timeout_s
        self._counters = Counters()
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
            return Failure(_about(error, statement, began))
        finally:
            self._pool.give_back(connection, well=well, now_s=began)
        if not statement.writes:
            self._counters.read(found=bool(rows))
        return Success(rows)

    def execute(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[int] | Failure[RepositoryError]:
        """Run a statement that answers no rows; how many rows it changed."""
        return self._perform(statement, lambda c: c.execute_statement(statement, values))

    def fetch_batch(
        self, batch: Sequence[Compiled]
    ) -> Success[list[list[Any]]] | Failure[RepositoryError]:
        """The rows of several statements, run in one round trip and one transaction."""
        # If the connection is lost, what one of them wrote may have happened.
        written = (compiled.statement for compiled in batch if compiled.statement.writes)
        return self._perform(
            next(written, batch[0].statement), lambda connection: fetch_batch(connection, batch)
        )

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
        batches = stream_rows(connection, statement, values, size, self._timeout_s)
        try:
            for rows in batches:
                yield Success(rows)
        except psycopg.Error as error:
            failure = self._failed(error, statement, connection, began)
        except RepositoryError as error:
            failure = _about(error, statement, began)
        finally:
            batches.close()
            self._pool.give_back(connection, well=False, now_s=began)
        if failure is not None:
            yield Failure(failure)

    def explain(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows of a statement that is not prepared and whose writes are undone."""

        def run(connection: Connection) -> list[Any]:
            connection.command(b"BEGIN")
            try:
                return connection.fetch_once(statement, values)
            finally:
                if not connection.lost:
                    connection.command(b"ROLLBACK")

        return self._perform(statement, run)

    def copy_in(
        self,
        statement: Statement,
        rows: Sequence[Any],
        progress: Callable[[int], None] | None = None,
    ) -> Success[int] | Failure[RepositoryError]:
        """Write rows by COPY, all or none; how many.

        Args:
            statement: The COPY statement; its parameters are the columns' types.
            rows: Column values, or entities whose fields are these, validated.
            progress: Called now and then with how many rows have been sent since the last call.
        """
        return self._perform(statement, lambda c: copy_rows(c, statement, rows, progress))

    def move_in(
        self,
        staged: Staged,
        rows: Sequence[Any],
        progress: Callable[[int], None] | None = None,
    ) -> Success[int] | Failure[RepositoryError]:
        """Write rows by way of a temporary table, in one transaction; how many were written.

        Of a whole write that would reach fewer rows than are given, nothing stays.

        Args:
            staged: The statements.
            rows: Column values, or entities whose fields are these, validated.
            progress: Called now and then with how many rows have been sent since the last call.
        """
        return self._perform(staged.move, lambda c: move_rows(c, staged, rows, progress))

    def script(self, statement: Statement) -> Success[None] | Failure[RepositoryError]:
        """Run several commands without parameters, all or none."""

        def run(connection: Connection) -> None:
            # Without parameters psycopg sends one simple query: an implicit transaction.
            connection.execute(statement.sql.encode())

        return self._perform(statement, run)

    def reads(self) -> Reads:
        """The counters of reads and errors."""
        return self._counters.reads()

    def stats(self) -> PoolStats:
        """The pool at this moment."""
        return self._pool.stats()

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()

    def _perform(
        self, statement: Statement, action: Callable[[Connection], _R]
    ) -> Success[_R] | Failure[RepositoryError]:
        began = time.monotonic()
        try:
            connection = self._pool.take()
        except DRIVER_ERRORS as error:
            return Failure(self._no_connection(error, statement, began))
        well = False
        try:
            answer = action(connection)
            well = True
        except psycopg.Error as error:
            return Failure(self._failed(error, statement, connection, began))
        except RepositoryError as error:
            return Failure(_about(error, statement, began))
        except BatchError as failed:
            return Failure(self._batch_failed(failed, connection, began))
        finally:
            self._pool.give_back(connection, well=well, now_s=began)
        return Success(answer)

    def _batch_failed(
        self, failed: BatchError, connection: Connection, began: float
    ) -> RepositoryError:
        if isinstance(failed.error, psycopg.Error):
            found = self._failed(failed.error, failed.statement, connection, began)
        else:
            found = _about(failed.error, failed.statement, began)
        found.message = f"query {failed.position + 1} of {failed.size}: {found.message}"
        return found

    def _failed(
        self, error: psycopg.Error, statement: Statement, connection: Connection, began: float
    ) -> RepositoryError:
        lost = connection.lost or error.sqlstate in FATAL_STATES
        if lost:
            connection.close()
            # What ended this session has probably ended the idle ones too.
            self._pool.drain()
        self._counters.error()
        mismatch = None if lost else _mismatch(error, statement, connection)
        elapsed_s = time.monotonic() - began
        return classify(error, statement, lost=lost, elapsed_s=elapsed_s, mismatch=mismatch)

    def _no_connection(
        self, error: Exception, statement: Statement, began: float
    ) -> RepositoryError:
        self._counters.error()
        elapsed_s = time.monotonic() - began
        found = no_connection(
            error, in_use=self._pool.in_use, size=self._pool.size, elapsed_s=elapsed_s
        )
        return _about(found, statement, began)

    def _configure(self, connection: Connection) -> None:
        """Session settings: zoned values come back in UTC; a statement ends at the time limit."""
        connection.execute(
            "SELECT set_config('TimeZone', 'UTC', false), CASE WHEN "
            "current_setting('statement_timeout') = '0' "
            "THEN set_config('statement_timeout', %s, false) END",
            (f"{max(1, round(self._timeout_s * 1000))}ms",),
            prepare=False,
        )

    def __repr__(self) -> str:
        return f"<Database {self.location}>"


def _mismatch(
    error: psycopg.Error, statement: Statement, connection: Connection
) -> DecodeError | None:
    """Which column has another type than its field, where the server only says which types."""
    if error.sqlstate in TYPE_STATES and statement.table is not None:
        try:
            column_types(connection, statement.operation, statement.table)
        except DecodeError as mismatch:
            return mismatch
        except psycopg.Error:
            pass
    return None


def _about(error: RepositoryError, statement: Statement, began: float) -> RepositoryError:
    error.operation = error.operation or statement.operation
    error.table = error.table or statement.table_name
    error.elapsed_s = time.monotonic() - began
    return error


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
