"""Streams: a statement's rows a batch at a time, so that memory holds one batch."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.generators import fetch, send
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

from tierline.errors import RepositoryError, TimeoutError  # noqa: A004
from tierline.postgres.connection import Connection, Prepared
from tierline.sql import Statement

# The limit of a stream is how long a batch may take; its reader may take as long as it likes.
_BEGIN = b"BEGIN; SET LOCAL statement_timeout = 0"
_ABANDON_S = 5.0
_HAS_CHUNKS = psycopg.capabilities.has_stream_chunked()

# What carries rows while more may come: a chunk is libpq's name since 17.
_PARTIAL = tuple(
    status for name in ("TUPLES_CHUNK", "SINGLE_TUPLE") if (status := getattr(ExecStatus, name, 0))
)


def stream_rows(
    connection: Connection,
    statement: Statement,
    values: tuple[Any, ...],
    size: int,
    limit_s: float,
) -> Generator[list[Any]]:
    """A statement's rows in batches of `size`, within one transaction that ends with them.

    Closed early, it takes the statement back: what it wrote is not kept.

    Raises:
        psycopg.Error: The server refused it or went away.
        DecodeError: A column does not fit what it is read into.
        ValidationError: A value cannot be encoded.
        TimeoutError: A batch took longer than `limit_s`.
    """
    finished = False
    try:
        prepared, result = _begin(connection, statement, values, size, limit_s)
        batch: list[Any] = []
        while result is not None and result.status in _PARTIAL:
            batch += connection.rows(statement, prepared, result)
            if len(batch) >= size:
                yield batch
                batch = []
            result = _next(connection, limit_s)
        if result is not None:
            _drain(connection)
            # Rows that were never in batches: a statement that writes has them all at once.
            batch += connection.rows(statement, prepared, result)
        if batch:
            yield batch
        connection.command(b"COMMIT")
        finished = True
    finally:
        if not finished:
            _abandon(connection)


def _begin(
    connection: Connection, statement: Statement, values: tuple[Any, ...], size: int, limit_s: float
) -> tuple[Prepared, PGresult | None]:
    prepared = connection.prepare(statement)
    attempt = 0
    while True:
        parameters = connection.encoded(statement, prepared, values)
        connection.command(_BEGIN)
        connection.send(statement, prepared, parameters)
        if _HAS_CHUNKS:
            connection.pgconn.set_chunked_rows_mode(size)
        else:
            connection.pgconn.set_single_row_mode()
        connection.wait(send(connection.pgconn))
        try:
            return prepared, _next(connection, limit_s)
        except psycopg.Error as error:
            _drain(connection)
            connection.command(b"ROLLBACK")
            prepared = connection.prepare_again(statement, error, attempt)
            attempt += 1


def _next(connection: Connection, limit_s: float) -> PGresult | None:
    result: PGresult | None = connection.wait(_within(fetch(connection.pgconn), limit_s))
    if result is not None and result.status in (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE):
        raise error_from_result(result, encoding="utf-8")
    return result


def _within(steps: PQGen[PGresult | None], limit_s: float) -> PQGen[PGresult | None]:
    """The same steps, given up after a time. The driver looks in every tenth of a second."""
    until_s = time.monotonic() + limit_s
    try:
        waiting_for = next(steps)
        while True:
            ready = yield waiting_for
            if not ready and time.monotonic() >= until_s:
                raise TimeoutError(
                    f"no batch came within {limit_s:g} s; raise timeout_s, or read less",
                    stage="statement",
                )
            waiting_for = steps.send(ready)
    except StopIteration as stop:
        found: PGresult | None = stop.value
        return found


def _drain(connection: Connection) -> None:
    while connection.wait(fetch(connection.pgconn)) is not None:
        pass


def _abandon(connection: Connection) -> None:
    """Leave a stream that has not come to its end: the connection is at rest, or closed."""
    try:
        if connection.pgconn.transaction_status == TransactionStatus.ACTIVE:
            connection.cancel_safe(timeout=_ABANDON_S)
            _drain(connection)
        if connection.pgconn.transaction_status != TransactionStatus.IDLE:
            connection.command(b"ROLLBACK")
    except (psycopg.Error, RepositoryError):
        # It cannot be made whole, so nobody else gets it.
        with suppress(psycopg.Error):
            connection.close()
