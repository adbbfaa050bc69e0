"""The statements around a transaction: its beginning, savepoints, what became of it."""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import Any, Literal, TypeAlias

import msgspec

from tierline.entity.types import BOOL, INT8, TEXT, scalar_type
from tierline.sql.statement import Compiled, ResultColumn, Statement

Isolation: TypeAlias = Literal["read committed", "repeatable read", "serializable"]

ISOLATIONS: tuple[Isolation, ...] = ("read committed", "repeatable read", "serializable")


class TransactionMode(msgspec.Struct, frozen=True):
    """How a transaction runs.

    Attributes:
        isolation: Its level; None is the database's default.
        read_only: Whether the server refuses writes.
        deferrable: Whether a read-only, serializable one waits for a snapshot that is safe.
    """

    isolation: Isolation | None = None
    read_only: bool = False
    deferrable: bool = False


@cache
def begin(mode: TransactionMode) -> Compiled:
    """The beginning of a transaction."""
    parts = ["BEGIN"]
    if mode.isolation is not None:
        parts.append(f"ISOLATION LEVEL {mode.isolation.upper()}")
    if mode.read_only:
        parts.append("READ ONLY")
    if mode.deferrable:
        parts.append("DEFERRABLE")
    return Compiled(_command(" ".join(parts)), ())


@cache
def savepoint(depth: int) -> Compiled:
    """A point to go back to."""
    return Compiled(_command(f"SAVEPOINT tl_{depth}"), ())


@cache
def release(depth: int) -> Compiled:
    """The end of a savepoint that is not gone back to."""
    return Compiled(_command(f"RELEASE SAVEPOINT tl_{depth}"), ())


def back_to(depth: int) -> bytes:
    """The commands that go back to a savepoint and end it."""
    return f"ROLLBACK TO SAVEPOINT tl_{depth}; RELEASE SAVEPOINT tl_{depth}".encode()


def limit(limit_s: float) -> Compiled:
    """How long a statement may take, until the transaction ends."""
    return setting("statement_timeout", f"{max(1, round(limit_s * 1000))}ms")


def setting(name: str, value: str) -> Compiled:
    """A setting of the server that ends with the transaction."""
    return Compiled(_SET_LOCAL, (name, value))


def _command(sql: str) -> Statement:
    return Statement("transaction", sql, (), None)


def _asking(
    operation: str, sql: str, parameters: tuple[Any, ...], answers: ResultColumn
) -> Statement:
    return Statement(operation, sql, parameters, None, (answers,), "scalar")


_SET_LOCAL = Statement("set_local", "SELECT set_config($1, $2, true)", (TEXT, TEXT), None)

# Changes with every recovery from a crash, of the whole server or of one process, and with the
# server; not with an orderly restart, which forgets nothing.
INCARNATION = "coalesce(extract(epoch FROM pg_stat_get_bgwriter_stat_reset_time())::text, '')"

XID = Compiled(
    _asking(
        "transaction",
        f"SELECT pg_current_xact_id_if_assigned()::text || ' ' || {INCARNATION}",
        (),
        ResultColumn("x", TEXT),
    ),
    (),
)
"""The transaction's id and the incarnation of the server; NULL if nothing was written."""


def read_xid(answer: str) -> tuple[int, str]:
    """The id and the incarnation that `XID` answers with."""
    xid, _, incarnation = answer.partition(" ")
    return int(xid), incarnation


STATUS = _asking(
    "transaction",
    "SELECT CASE"
    f" WHEN $2::text IN ('', {INCARNATION}) THEN pg_xact_status($1::text::xid8)"
    " WHEN pg_is_in_recovery() THEN NULL"
    " WHEN $1::text::xid8 >= pg_snapshot_xmax(pg_current_snapshot()) THEN 'aborted'"
    " WHEN pg_xact_status($1::text::xid8) IN ('aborted', 'in progress') THEN 'aborted' END",
    (TEXT, TEXT),
    ResultColumn("s", TEXT),
)
"""What became of a transaction; NULL if the server does not know.

A server that crashed forgets what it had not flushed and gives its ids to others. Of an id from
before the crash it can only say that nobody committed it; "committed" may be said of another.
"""

END = _asking(
    "transaction",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE backend_xid = $1::text::xid8::xid AND pid <> pg_backend_pid()",
    (TEXT,),
    ResultColumn("ended", BOOL),
)
"""Ends the session that still runs a transaction."""

BEGAN = _asking(
    "transaction",
    "SELECT now()",
    (),
    ResultColumn("now", scalar_type("timestamptz", dt.datetime)),
)
"""When the transaction began, by the database's clock."""

LOCK = Statement("lock", "SELECT pg_advisory_xact_lock($1)", (INT8,), None)

TRY_LOCK = _asking(
    "try_lock", "SELECT pg_try_advisory_xact_lock($1)", (INT8,), ResultColumn("locked", BOOL)
)
