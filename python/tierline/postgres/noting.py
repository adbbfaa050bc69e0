"""Writes that tell their transaction's id: to whoever reads after them, and to the caches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.pq.abc import PGresult
from returns.result import Failure, Success

from tierline.errors import RepositoryError
from tierline.postgres.connection import Connection, Prepared
from tierline.postgres.following import begin_write, note_write
from tierline.postgres.performer import Performer
from tierline.postgres.pipeline import as_one, fetch_batch, run_together
from tierline.sql import Compiled, Staged, Statement
from tierline.sql.snapshots import WRITTEN_BELOW, telling_xid
from tierline.sql.transactions import XID

_R = TypeVar("_R")


class Noting(Performer):
    """Performs writes and asks for their transaction's id, in the same round trip where it can.

    Attributes:
        identity: What names the data, on its replicas too.
        notes_writes: Whether anybody wants to know the ids.
    """

    identity: str
    notes_writes = False

    def note(self, xid: int, *, is_exact: bool = True) -> None:
        """A transaction of this context has written, or may have; see `note_write`."""
        note_write(self.identity, xid, is_exact=is_exact)

    def execute(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[int] | Failure[RepositoryError]:
        """Run a statement that answers no rows; how many rows it changed."""
        if not self.notes_writes:
            return super().execute(statement, values)

        def run(connection: Connection) -> int:
            if statement.is_single:
                # Half of what a batch of two costs.
                with suppress(psycopg.errors.FeatureNotSupported):
                    found = connection.fetch(telling_xid(statement), values)
                    for xid in found:
                        self.note(xid)
                    return len(found)
                # A rule of the table's answers nothing, and nothing was done.
            _, result = self._run_noted(connection, statement, values)
            return result.command_tuples or 0

        begin_write()
        return self._perform(statement, run)

    def fetch_batch(
        self, batch: Sequence[Compiled]
    ) -> Success[list[list[Any]]] | Failure[RepositoryError]:
        """The rows of several statements, run in one round trip and one transaction."""
        if not self.notes_writes:
            return super().fetch_batch(batch)

        def run(connection: Connection) -> list[list[Any]]:
            *rows, xid = fetch_batch(connection, [*batch, XID])
            self._note(xid)
            return rows

        begin_write()
        written = (compiled.statement for compiled in batch if compiled.statement.writes)
        return self._perform(next(written, batch[0].statement), run)

    def copy_in(
        self,
        statement: Statement,
        rows: Sequence[Any],
        progress: Callable[[int], None] | None = None,
    ) -> Success[int] | Failure[RepositoryError]:
        """Write rows by COPY, all or none; how many."""
        return self._noted_after(super().copy_in(statement, rows, progress))

    def move_in(
        self,
        staged: Staged,
        rows: Sequence[Any],
        progress: Callable[[int], None] | None = None,
    ) -> Success[int] | Failure[RepositoryError]:
        """Write rows by way of a temporary table, in one transaction; how many were written."""
        return self._noted_after(super().move_in(staged, rows, progress))

    def _fetch_noted(
        self, statement: Statement, values: tuple[Any, ...]
    ) -> Success[list[Any]] | Failure[RepositoryError]:
        """The rows that a write answers with."""

        def run(connection: Connection) -> list[Any]:
            prepared, result = self._run_noted(connection, statement, values)
            return connection.rows(statement, prepared, result)

        begin_write()
        return self._perform(statement, run)

    def _run_noted(
        self, connection: Connection, statement: Statement, values: tuple[Any, ...]
    ) -> tuple[Prepared, PGresult]:
        with as_one():
            answered, (prepared, xid) = run_together(connection, [Compiled(statement, values), XID])
        self._note(connection.rows(XID.statement, prepared, xid))
        return answered

    def _noted_after(
        self, found: Success[_R] | Failure[RepositoryError]
    ) -> Success[_R] | Failure[RepositoryError]:
        """After a write whose transaction had no room to ask: an id that its own lies below."""
        if self.notes_writes and isinstance(found, Success):
            begin_write()
            below = self._perform(WRITTEN_BELOW, lambda c: c.fetch(WRITTEN_BELOW, ()))
            if isinstance(below, Success):
                self.note(int(below.unwrap()[0]) - 1, is_exact=False)
        return found

    def _note(self, found: list[Any]) -> None:
        if found and found[0] is not None:
            xid, _, _ = found[0].partition(" ")
            self.note(int(xid))
