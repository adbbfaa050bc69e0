"""Questions about snapshots: which transactions lie behind what is read."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import msgspec

from tierline.entity.types import BOOL, INT8, scalar_type
from tierline.query.shapes import maker
from tierline.sql.identifiers import quote_all
from tierline.sql.statement import ResultColumn, Statement

_SNAPSHOT = (
    ResultColumn("snapshot", scalar_type("bytea", bytes), nullable=False),
    ResultColumn("standby", BOOL, nullable=False),
)


class Seen(NamedTuple):
    """A row, and the snapshot that it was read under.

    Attributes:
        row: What the statement makes of it.
        snapshot: PostgreSQL's own binary form.
        standby: Whether a standby took the snapshot.
    """

    row: Any
    snapshot: bytes
    standby: bool


def seen(statement: Statement) -> Statement:
    """A plain `SELECT … FROM …` of entities, whose rows say which snapshot they were read under."""
    assert statement.table is not None
    build = maker(statement.shape, statement.into)
    columns = tuple(
        ResultColumn(column.name, column.type, column.nullable)
        for column in statement.table.columns
    )

    def into(*values: Any) -> Seen:
        return Seen(build(values[:-2]), values[-2], values[-1])

    selected = "SELECT " + quote_all(tuple(column.name for column in columns))
    assert statement.sql.startswith(selected)
    # In READ COMMITTED it is the very snapshot that the statement reads.
    asked = ", pg_snapshot_send(pg_current_snapshot()), pg_is_in_recovery()"
    return msgspec.structs.replace(
        statement,
        sql=selected + asked + statement.sql.removeprefix(selected),
        columns=(*columns, *_SNAPSHOT),
        shape="joined",
        into=into,
    )


def lifted(snapshot: bytes, by: int) -> bytes:
    """A snapshot, in PostgreSQL's binary form, with a number added to every transaction id.

    Raises:
        ValueError: It is not of that form.
    """
    if not by:
        return snapshot
    count, rest = divmod(len(snapshot) - 4, 8)
    if rest or count < 2 or count - 2 != int.from_bytes(snapshot[:4], "big"):
        raise ValueError("this is no snapshot of PostgreSQL")
    starts = range(4, len(snapshot), 8)
    ids = (int.from_bytes(snapshot[start : start + 8], "big") for start in starts)
    return snapshot[:4] + b"".join((id_ + by).to_bytes(8, "big") for id_ in ids)


@cache
def telling_xid(statement: Statement) -> Statement:
    """A write of one row, which answers with its transaction's id if it reached the row."""
    assert statement.is_single
    return msgspec.structs.replace(
        statement,
        sql=f"{statement.sql} RETURNING pg_current_xact_id()::text::int8",
        columns=(ResultColumn("int8", INT8),),
        shape="scalar",
        is_single=False,
    )


SETTLED_BELOW = Statement(
    "snapshot",
    "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8",
    (),
    None,
    (ResultColumn("xmin", INT8),),
    "scalar",
)
"""Every transaction of a lower id has ended, and what it did is seen; true on a standby too."""

WRITTEN_BELOW = Statement(
    "snapshot",
    "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8",
    (),
    None,
    (ResultColumn("xmax", INT8),),
    "scalar",
)
"""Every transaction that has ended by now has a lower id."""

WRITING = Statement(
    "snapshot",
    "SELECT pg_current_xact_id_if_assigned()::text::int8",
    (),
    None,
    (ResultColumn("xid", INT8),),
    "scalar",
)
"""The id of the transaction that this is asked in; NULL if nothing was written in it."""
