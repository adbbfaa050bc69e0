"""Batches: several statements in one round trip, by libpq's pipeline mode."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg.errors import error_from_result
from psycopg.generators import pipeline_communicate
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult
from psycopg.waiting import Ready, Wait

from tierline.errors import RepositoryError
from tierline.postgres.connection import Connection, Prepared
from tierline.sql import Compiled

_COPIES = (ExecStatus.COPY_IN, ExecStatus.COPY_OUT, ExecStatus.COPY_BOTH)


class BatchError(Exception):
    """One statement of a batch failed.

    Attributes:
        position: Which, counted from 0.
        size: Of how many.
        statement: The statement.
        error: What went wrong.
    """

    def __init__(
        self, batch: Sequence[Compiled], position: int, error: psycopg.Error | RepositoryError
    ) -> None:
        super().__init__(position, error)
        self.position = position
        self.size = len(batch)
        self.statement = batch[position].statement
        self.error = error


@contextmanager
def as_one() -> Generator[None]:
    """A batch that stands for one statement fails as that statement does."""
    try:
        yield
    except BatchError as failed:
        raise failed.error from failed.error.__cause__


def fetch_batch(connection: Connection, batch: Sequence[Compiled]) -> list[list[Any]]:
    """Each statement's rows; all statements are one transaction, and one round trip.

    Raises:
        BatchError: One failed, and none has had any effect.
    """
    rows: list[list[Any]] = []
    answers = run_together(connection, batch)
    for n, (compiled, (known, result)) in enumerate(zip(batch, answers, strict=True)):
        try:
            rows.append(connection.rows(compiled.statement, known, result))
        except RepositoryError as error:
            raise BatchError(batch, n, error) from error
    return rows


def run_together(
    connection: Connection, batch: Sequence[Compiled]
) -> list[tuple[Prepared, PGresult]]:
    """Each statement's answer; raises as `fetch_batch`.

    In a transaction that has begun the server undoes all of it, and nothing can be run again.
    """
    prepared = _prepared(connection, batch)
    results: list[PGresult] | None = None
    attempts = [0] * len(batch)
    while results is None:
        try:
            results = _run(connection, batch, prepared)
        except BatchError as failed:
            # The transaction has undone what the others did, so that all can be run again.
            n = failed.position
            prepared[n] = _prepared_again(connection, batch, failed, attempts[n])
            attempts[n] += 1
    return list(zip(prepared, results, strict=True))


def _prepared(connection: Connection, batch: Sequence[Compiled]) -> list[Prepared]:
    prepared: list[Prepared] = []
    for n, compiled in enumerate(batch):
        try:
            prepared.append(connection.prepare(compiled.statement))
        except (psycopg.Error, RepositoryError) as error:
            raise BatchError(batch, n, error) from error
    return prepared


def _prepared_again(
    connection: Connection, batch: Sequence[Compiled], failed: BatchError, attempt: int
) -> Prepared:
    if not isinstance(failed.error, psycopg.Error):
        raise failed
    try:
        return connection.prepare_again(failed.statement, failed.error, attempt)
    except psycopg.Error as error:
        raise BatchError(batch, failed.position, error) from error


def _run(
    connection: Connection, batch: Sequence[Compiled], prepared: Sequence[Prepared]
) -> list[PGresult]:
    commands: deque[Callable[[], None]] = deque()
    for n, ((statement, values), known) in enumerate(zip(batch, prepared, strict=True)):
        try:
            parameters = connection.encoded(statement, known, values)
        except RepositoryError as error:
            raise BatchError(batch, n, error) from error
        commands.append(partial(connection.send, statement, known, parameters))
    commands.append(connection.pgconn.pipeline_sync)
    results = _communicate(connection, commands)
    for n, result in enumerate(results):
        if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            refusal = error_from_result(result, encoding="utf-8")
            raise BatchError(batch, n, refusal) from refusal
    return results


def _communicate(connection: Connection, commands: deque[Callable[[], None]]) -> list[PGresult]:
    """Send everything and read every statement's result."""
    pgconn = connection.pgconn
    results: list[PGresult] = []
    whole = False
    pgconn.enter_pipeline_mode()
    try:
        # Reads what comes while it sends, so that neither side waits for the other to read.
        found: list[list[PGresult]] = connection.wait(pipeline_communicate(pgconn, commands))
        results = [answers[-1] for answers in found]
        if not (results and results[-1].status == ExecStatus.PIPELINE_SYNC):
            rest: list[PGresult] = connection.wait(_rest(pgconn))
            results += rest
        pgconn.exit_pipeline_mode()
        whole = True
    finally:
        if not whole:
            # Interrupted between a question and its answer: the connection cannot be used again.
            connection.close()
    return results[:-1]


def _rest(pgconn: PGconn) -> Generator[Wait, Ready | int | None, list[PGresult]]:
    """The results up to the end of the batch.

    Waits for the server to write: that the socket can be written to is always true, and a loop on
    that would keep a core busy for as long as the server takes. After an interrupt it is gone on
    with, told nothing, while the statement is cancelled.
    """
    results: list[PGresult] = []
    while not (results and results[-1].status == ExecStatus.PIPELINE_SYNC):
        while pgconn.is_busy():
            ready = yield Wait.RW if pgconn.flush() else Wait.R
            if ready and ready & Ready.R:
                pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            # Between two statements; or there will be no more.
            if pgconn.status != ConnStatus.OK:
                raise psycopg.OperationalError("the connection was lost")
        elif result.status in _COPIES:
            raise psycopg.NotSupportedError("COPY cannot run in a batch")
        else:
            results.append(result)
    return results
