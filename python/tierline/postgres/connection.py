"""A pooled connection that runs statements prepared, binary and in autocommit.

It drives libpq through psycopg's own building blocks (`pgconn`, `execute`,
`Transformer`) instead of a cursor: parameter types are fixed by the statement,
so that one statement is one prepared statement whatever its values, its name is
the statement's hash, and what a result needs is worked out once.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg.abc import Transformer as TransformerType
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult

from tierline.entity import Table
from tierline.errors import DecodeError
from tierline.postgres.codecs import (
    Encode,
    MakeRow,
    RawJson,
    RawJsonb,
    encode_all,
    encoder,
    row_maker,
)
from tierline.sql import ResultColumn, Statement
from tierline.sql.identifiers import quote, table_name

PREPARED_MAX = 256
"""Prepared statements kept a connection; the oldest goes first. Each costs the server memory."""

# The table changed under a prepared statement, or a pooler lost it: prepare it again and repeat.
# Both are found before the statement does anything.
_STALE_STATES = ("0A000", "26000")

_GC_PAUSE_ROWS = 1000

# Ways to read one statement's rows that are kept; the oldest goes first.
_READINGS_MAX = 15


class Reading(NamedTuple):
    """How the rows of one statement are read."""

    statement: Statement
    transformer: TransformerType
    make_row: MakeRow


class Prepared:
    """What one connection knows of one statement's text.

    The same text may be read in several ways: projected into one Struct here, another there.
    """

    __slots__ = ("encoders", "formats", "reading", "readings")

    def __init__(self, encoders: tuple[Encode, ...]) -> None:
        self.encoders = encoders
        self.formats = [Format.BINARY] * len(encoders)
        self.reading: Reading | None = None
        self.readings: list[Reading] = []


class Connection(psycopg.Connection[Any]):
    """A connection used by one thread at a time, always outside a transaction."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.warm_since_s = 0.0
        self._known: dict[bytes, Prepared] = {}
        self._nothing = self.pgconn.make_empty_result(ExecStatus.TUPLES_OK)
        self.adapters.register_loader("json", RawJson)
        self.adapters.register_loader("jsonb", RawJsonb)

    @property
    def lost(self) -> bool:
        """Whether the server is gone for this connection."""
        return self.closed or self.pgconn.status == ConnStatus.BAD

    def fetch(self, statement: Statement, values: tuple[Any, ...]) -> list[Any]:
        """Run a statement and make its rows.

        Raises:
            psycopg.Error: The server refused it or went away.
            DecodeError: A column does not fit what it is read into.
            ValidationError: A value cannot be encoded.
        """
        prepared, result = self._run(statement, values)
        reading = prepared.reading
        if reading is None or reading.statement is not statement:
            reading = prepared.reading = self._reading(statement, prepared, result)
        _, transformer, make_row = reading
        transformer.set_pgresult(result, set_loaders=False)
        count = result.ntuples
        try:
            if count < _GC_PAUSE_ROWS:
                return transformer.load_rows(0, count, make_row)
            with _gc_paused():
                return transformer.load_rows(0, count, make_row)
        except psycopg.DataError as error:
            raise _undecodable(statement, transformer, result, error) from error
        except (ValueError, TypeError) as error:
            # A Struct's own `__post_init__` refused the row.
            raise DecodeError(
                f"a row does not make {statement.into.__name__}: {error}",
                operation=statement.operation,
                table=statement.table_name,
            ) from error
        finally:
            # Let go of the rows. Not with None: psycopg would forget the loaders too.
            transformer.set_pgresult(self._nothing, set_loaders=False)

    def execute_statement(self, statement: Statement, values: tuple[Any, ...]) -> int:
        """Run a statement that answers no rows; how many rows it changed."""
        _, result = self._run(statement, values)
        return result.command_tuples or 0

    def result_types(self, statement: Statement) -> list[int]:
        """The object identifiers of a statement's columns, as the server has them now."""
        _, result = self._run(statement, ())
        return [result.ftype(n) for n in range(result.nfields)]

    def _run(self, statement: Statement, values: tuple[Any, ...]) -> tuple[Prepared, PGresult]:
        prepared = self._known.get(statement.name) or self._prepare(statement)
        try:
            return prepared, self._execute(statement, prepared, values)
        except psycopg.Error as error:
            if error.sqlstate not in _STALE_STATES:
                raise
        self._forget(statement.name)
        prepared = self._prepare(statement)
        return prepared, self._execute(statement, prepared, values)

    def _execute(
        self, statement: Statement, prepared: Prepared, values: tuple[Any, ...]
    ) -> PGresult:
        parameters = encode_all(prepared.encoders, values, statement.parameters)
        self.pgconn.send_query_prepared(statement.name, parameters, prepared.formats, Format.BINARY)
        return self._answer()

    def _answer(self) -> PGresult:
        result: PGresult = self.wait(execute(self.pgconn))[-1]
        if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            raise error_from_result(result, encoding="utf-8")
        return result

    def _prepare(self, statement: Statement) -> Prepared:
        while len(self._known) >= PREPARED_MAX:
            self._forget(next(iter(self._known)))
        oids = [type_.oid for type_ in statement.parameters]
        self.pgconn.send_prepare(statement.name, statement.sql.encode(), oids)
        self._answer()
        prepared = Prepared(tuple(encoder(type_) for type_ in statement.parameters))
        self._known[statement.name] = prepared
        return prepared

    def _forget(self, name: bytes) -> None:
        del self._known[name]
        self.pgconn.send_query(b"DEALLOCATE " + name)
        # It may be gone already, and then that is what was wanted.
        self.wait(execute(self.pgconn))

    def _reading(self, statement: Statement, prepared: Prepared, result: PGresult) -> Reading:
        """How to read this statement's rows; learnt at its first run."""
        for reading in prepared.readings:
            if _reads_alike(reading.statement, statement):
                return reading._replace(statement=statement)
        reading = self._learn(statement, result)
        del prepared.readings[:-_READINGS_MAX]
        prepared.readings.append(reading)
        return reading

    def _learn(self, statement: Statement, result: PGresult) -> Reading:
        """Check the columns that came back against the expected ones."""
        oids = [result.ftype(n) for n in range(result.nfields)]
        check_types(self, statement, oids)
        transformer = Transformer(self)
        transformer.set_loader_types(oids, Format.BINARY)
        nullable: dict[str, bool] = {}
        if statement.shape == "entity" and statement.table is not None:
            nullable = {column.name: column.nullable for column in statement.table.columns}
        return Reading(statement, transformer, row_maker(statement, nullable))


def _reads_alike(one: Statement, other: Statement) -> bool:
    """Whether rows of the same text are made into the same."""
    return (
        one.shape == other.shape
        and one.into is other.into
        and one.columns == other.columns
        and (one.table is other.table or one.shape != "entity")
    )


def check_types(connection: Connection, statement: Statement, oids: list[int]) -> None:
    """Compare a result's types with the statement's.

    Raises:
        DecodeError: A column has another type; names the column, the expected and the actual type.
    """
    for column, oid in zip(statement.columns, oids, strict=True):
        if oid not in column.type.result_oids:
            actual = connection.adapters.types.get(oid)
            raise DecodeError(
                f"column {column.name!r} is {actual.name if actual else f'type {oid}'} in the "
                f"database, but its field needs {column.type.sql}; change one of them",
                operation=statement.operation,
                table=statement.table_name,
                columns=(column.name,),
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
    check_types(connection, statement, oids)
    return oids


@contextmanager
def _gc_paused() -> Generator[None]:
    """Building many objects at once makes the cyclic collector run often and find nothing."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _undecodable(
    statement: Statement, transformer: TransformerType, result: PGresult, error: psycopg.DataError
) -> DecodeError:
    """Find the column whose value could not be loaded, to name it."""
    found: tuple[str, ...] = ()
    for row in range(result.ntuples):
        for position, column in enumerate(statement.columns):
            value = result.get_value(row, position)
            if value is None:
                continue
            try:
                transformer.get_loader(result.ftype(position), Format.BINARY).load(value)
            except psycopg.DataError:
                found = (column.name,)
                break
        if found:
            break
    return DecodeError(
        f"a value of column {', '.join(found)} has no Python form: {error}",
        operation=statement.operation,
        table=statement.table_name,
        columns=found,
    )
