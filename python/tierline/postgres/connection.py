"""A pooled connection that runs statements prepared, binary and in autocommit.

It drives libpq through psycopg's own building blocks (`pgconn`, `execute`,
`Transformer`) instead of a cursor: parameter types are fixed by the statement,
so that one statement is one prepared statement whatever its values, its name is
the statement's hash, and what a result needs is worked out once.
"""

from __future__ import annotations

import select
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

from tierline.entity import ColumnType, Table
from tierline.errors import DecodeError
from tierline.postgres.codecs import (
    RawJson,
    RawJsonb,
    encode_all,
    encoder,
    in_order,
    row_maker,
)
from tierline.postgres.columns import check_types, column_order
from tierline.postgres.decoding import row_decoder
from tierline.postgres.rows import Reading, load_rows, read_rows, reads_alike, types_of
from tierline.postgres.watchdog import WATCHDOG, Guard
from tierline.sql import ResultColumn, Statement
from tierline.sql.identifiers import quote, table_name

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

_HAS_CLOSE = psycopg.capabilities.has_send_close_prepared()

PREPARED_MAX = 256
"""Prepared statements kept a connection; the oldest goes first. Each costs the server memory."""

# The table changed under a prepared statement, or a pooler lost it: prepare it again and repeat.
# Both are found before the statement does anything.
_LOST_STATE = "26000"
_STALE_STATES = ("0A000", _LOST_STATE)

# A session loses its statements at most once, by DISCARD ALL or the like; whose do again and again
# goes through a pooler that gives it another server's session each time.
_LOSSES_MAX = 2

_ROWS = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)


# Ways to read one statement's rows that are kept; the oldest goes first.
_READINGS_MAX = 15


class Prepared:
    """What one connection knows of one statement's text.

    The same text may be read in several ways: projected into one Struct here, another there.
    """

    __slots__ = ("encoders", "formats", "is_named", "oids", "reading", "readings")

    def __init__(self, types: tuple[ColumnType, ...], *, is_named: bool) -> None:
        self.encoders = tuple(encoder(type_) for type_ in types)
        self.oids = [type_.oid for type_ in types]
        # A value whose type the server infers travels as text, which every type reads.
        self.formats = [Format.BINARY if oid else Format.TEXT for oid in self.oids]
        self.is_named = is_named
        self.reading: Reading | None = None
        self.readings: list[Reading] = []


class Connection(psycopg.Connection[Any]):
    """A connection used by one thread at a time, outside a transaction but for a `Session`.

    Attributes:
        stale: Statements that failed in a transaction because they must be prepared again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.warm_since_s = 0.0
        self.rested_since_s = 0.0
        self.made_s = time.monotonic()
        self.timeline = 0
        self.is_measured = False
        self.was_answered = False
        self.answered_s = 0.0
        self.home: ConnectionPool[Connection] | None = None
        self.guard = Guard(WATCHDOG, self.fileno(), _canceller(self))
        self._poll = select.poll()
        self._poll.register(self.fileno(), select.POLLIN)
        self._known: dict[bytes, Prepared] = {}
        self._losses = 0
        self.stale: set[bytes] = set()
        self._nothing = self.pgconn.make_empty_result(ExecStatus.TUPLES_OK)
        self.adapters.register_loader("json", RawJson)
        self.adapters.register_loader("jsonb", RawJsonb)

    @property
    def lost(self) -> bool:
        """Whether the server is gone for this connection."""
        return self.closed or self.pgconn.status == ConnStatus.BAD

    @property
    def has_news(self) -> bool:
        """Whether the server said something unasked, such as that it ended the session."""
        return bool(self._poll.poll(0))

    def close(self) -> None:
        """Close the connection."""
        self.guard.close()
        super().close()

    def fetch(self, statement: Statement, values: tuple[Any, ...]) -> list[Any]:
        """Run a statement and make its rows.

        Raises:
            psycopg.Error: The server refused it or went away.
            DecodeError: A column does not fit what it is read into.
            ValidationError: A value cannot be encoded.
        """
        prepared, result = self._run(statement, values)
        return self.rows(statement, prepared, result)

    def rows(self, statement: Statement, prepared: Prepared, result: PGresult) -> list[Any]:
        """What a statement makes of a result's rows.

        Raises:
            DecodeError: A column does not fit what it is read into.
        """
        if self.is_measured:
            self.answered_s = time.monotonic()
        reading = prepared.reading
        if reading is None or reading.statement is not statement:
            reading = prepared.reading = self._reading(statement, prepared, result)
        found = read_rows(reading, result, self._nothing)
        if found is None:
            # The text is the same, but not its columns: nothing that was learnt of it holds.
            prepared.readings.clear()
            reading = prepared.reading = self._reading(statement, prepared, result)
            found = load_rows(reading, result, self._nothing)
        return found

    def fetch_once(self, statement: Statement, values: tuple[Any, ...]) -> list[Any]:
        """As `fetch`, without preparing the statement."""
        prepared = Prepared(statement.parameters, is_named=False)
        self.send(statement, prepared, self.encoded(statement, prepared, values))
        return self.rows(statement, prepared, self.answer())

    def execute_statement(self, statement: Statement, values: tuple[Any, ...]) -> int:
        """Run a statement that answers no rows; how many rows it changed."""
        _, result = self._run(statement, values)
        return result.command_tuples or 0

    def result_types(self, statement: Statement) -> list[int]:
        """The object identifiers of a statement's columns, as the server has them now."""
        _, result = self._run(statement, ())
        return types_of(result)

    def command(self, sql: bytes) -> PGresult:
        """Run commands without parameters, such as BEGIN; the last one's answer."""
        return self.commands(sql)[-1]

    def commands(self, sql: bytes) -> list[PGresult]:
        """As `command`; each one's answer."""
        self.pgconn.send_query(sql)
        return self.answers()

    def known(self, statement: Statement) -> Prepared | None:
        """The statement as this connection has it prepared."""
        return self._known.get(statement.name)

    def prepare(self, statement: Statement) -> Prepared:
        """Prepare a statement, unless it is."""
        prepared = self._known.get(statement.name)
        if prepared is None:
            prepared = self.remember(statement)
            try:
                self._prepare(statement, prepared)
            except DecodeError:
                self.forget(statement.name)
                raise
            except BaseException:
                self._known.pop(statement.name, None)
                raise
        return prepared

    def _prepare(self, statement: Statement, prepared: Prepared) -> None:
        if not prepared.is_named:
            return
        self.send_prepare(statement, prepared)
        # The session of a pooler may have it from somebody else; its name says that it is the same.
        with suppress(psycopg.errors.DuplicatePreparedStatement):
            self.answer()
        if statement.table is None and statement.columns:
            # Raw SQL may write: whether its columns fit is known before it does anything. What a
            # pooler lost or kept too long is healed when it is run.
            with suppress(
                psycopg.errors.InvalidSqlStatementName, psycopg.errors.FeatureNotSupported
            ):
                self.pgconn.send_describe_prepared(statement.name)
                prepared.reading = self._reading(statement, prepared, self.answer())

    def remember(self, statement: Statement) -> Prepared:
        """Make room for a statement; it is sent by `send_prepare`."""
        while len(self._known) >= PREPARED_MAX:
            self.forget(next(iter(self._known)))
        is_named = self._losses <= _LOSSES_MAX
        prepared = self._known[statement.name] = Prepared(statement.parameters, is_named=is_named)
        return prepared

    def prepare_again(self, statement: Statement, error: psycopg.Error, attempt: int) -> Prepared:
        """Heal a statement whose preparation no longer holds.

        Args:
            statement: What was run.
            error: What the server said.
            attempt: Which try failed, counted from 0. If the second does too, a pooler keeps the
                old plan, or keeps none, and the statement goes on without being prepared.

        Raises:
            psycopg.Error: The error, if another try would not help.
        """
        if error.sqlstate not in _STALE_STATES or attempt > 1:
            raise error
        if self.pgconn.transaction_status == TransactionStatus.INERROR:
            # Nothing can be prepared before the transaction has ended.
            self.stale.add(statement.name)
            raise error
        self._losses += error.sqlstate == _LOST_STATE
        self.forget(statement.name)
        if attempt == 0:
            return self.prepare(statement)
        prepared = self.remember(statement)
        prepared.is_named = False
        return prepared

    def forget(self, name: bytes) -> None:
        """Take back a prepared statement."""
        prepared = self._known.pop(name, None)
        if prepared is None or not prepared.is_named:
            return
        # By the protocol's own message, which poolers follow, where libpq has it.
        if _HAS_CLOSE:
            self.pgconn.send_close_prepared(name)
        else:
            self.pgconn.send_query(b"DEALLOCATE " + name)
        # It may be gone already, and then that is what was wanted.
        self.wait(execute(self.pgconn))

    def encoded(
        self, statement: Statement, prepared: Prepared, values: tuple[Any, ...]
    ) -> list[Buffer | None]:
        """The values in the form that they are sent in.

        Raises:
            ValidationError: A value cannot be encoded.
        """
        return encode_all(prepared.encoders, values, statement.parameters)

    def send_prepare(self, statement: Statement, prepared: Prepared) -> None:
        """Hand libpq the preparation of a statement."""
        self.pgconn.send_prepare(statement.name, statement.sql.encode(), prepared.oids)

    def send(
        self, statement: Statement, prepared: Prepared, parameters: list[Buffer | None]
    ) -> None:
        """Hand libpq a statement to run."""
        if prepared.is_named:
            self.pgconn.send_query_prepared(
                statement.name, parameters, prepared.formats, Format.BINARY
            )
        else:
            self.pgconn.send_query_params(
                statement.sql.encode(), parameters, prepared.oids, prepared.formats, Format.BINARY
            )

    def _run(self, statement: Statement, values: tuple[Any, ...]) -> tuple[Prepared, PGresult]:
        prepared = self._known.get(statement.name) or self.prepare(statement)
        attempt = 0
        while True:
            parameters = encode_all(prepared.encoders, values, statement.parameters)
            self.send(statement, prepared, parameters)
            try:
                return prepared, self.answer()
            except psycopg.Error as error:
                prepared = self.prepare_again(statement, error, attempt)
                attempt += 1

    def answer(self) -> PGresult:
        """Wait for the answer to what was sent; raises as `answers`."""
        return self.answers()[-1]

    def answers(self) -> list[PGresult]:
        """Wait for the answers to what was sent.

        Raises:
            psycopg.Error: The server refused one or went away.
        """
        results: list[PGresult] = self.wait(execute(self.pgconn))
        result = results[-1]
        if result.status not in _ROWS:
            # The session may end between the statement's answer and its being at rest again.
            self.was_answered = any(one.status in _ROWS for one in results)
            raise error_from_result(result, encoding="utf-8")
        return results

    def _reading(self, statement: Statement, prepared: Prepared, result: PGresult) -> Reading:
        """How to read this statement's rows; learnt at its first run."""
        for reading in prepared.readings:
            if reads_alike(reading.statement, statement):
                return reading._replace(statement=statement)
        reading = self._learn(statement, result)
        del prepared.readings[:-_READINGS_MAX]
        prepared.readings.append(reading)
        return reading

    def _learn(self, statement: Statement, result: PGresult) -> Reading:
        """Check the columns that came back against the expected ones; keep how to read them."""
        order = column_order(statement, result)
        oids = types_of(result)
        check_types(self.adapters, statement, statement.columns, [oids[n] for n in order])
        transformer = Transformer(self)
        transformer.set_loader_types(oids, Format.BINARY)
        nullable = {column.name: column.nullable for column in statement.columns}
        if statement.shape == "entity" and statement.table is not None:
            nullable = {column.name: column.nullable for column in statement.table.columns}
        return Reading(
            statement,
            transformer,
            in_order(row_maker(statement, nullable), order),
            row_decoder(statement, result, transformer, order, nullable),
            oids,
        )


def column_types(connection: Connection, operation: str, table: Table[Any, Any]) -> list[int]:
    """The object identifiers of a table's columns, asked of the database and checked.

    Raises:
        psycopg.Error: There is no such table or column.
        DecodeError: As `check_types`.
    """
    names = ", ".join(quote(column.name) for column in table.columns)
    statement = Statement(
        operation,
        f"SELECT {names} FROM {table_name(table)} LIMIT 0",
        (),
        table,
        tuple(ResultColumn(column.name, column.type) for column in table.columns),
    )
    oids = connection.result_types(statement)
    check_types(connection.adapters, statement, statement.columns, oids)
    return oids


_CANCEL_TIMEOUT_S = 1.0


def _canceller(connection: Connection) -> Callable[[], None]:
    """What asks the server to end a connection's statement; it does not keep the connection."""
    reference = weakref.ref(connection)

    def cancel() -> None:
        found = reference()
        if found is not None:
            found.cancel_safe(timeout=_CANCEL_TIMEOUT_S)

    return cancel
