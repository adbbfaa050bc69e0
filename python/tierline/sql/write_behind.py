"""How far each journal has been applied: one row a journal, written with what it says.

The row is locked by whoever applies operations, so that two at a time wait for each other, and it
changes in the transaction that changes the table, so that a crash at any moment doubles nothing.
"""

from __future__ import annotations

from tierline.entity.types import INT8, TEXT, array_of
from tierline.sql.statement import ResultColumn, Statement

OPERATION = "write_behind"

CREATE = Statement(
    OPERATION,
    "CREATE TABLE IF NOT EXISTS tierline_write_behind ("
    'journal text COLLATE "C" PRIMARY KEY, '
    "applied_ms bigint NOT NULL DEFAULT 0, "
    "applied_seq bigint NOT NULL DEFAULT 0, "
    "refused jsonb NOT NULL DEFAULT '{}')",
    (),
    None,
    writes=True,
)

BEGIN = Statement(
    OPERATION,
    "INSERT INTO tierline_write_behind (journal) VALUES ($1) ON CONFLICT DO NOTHING",
    (TEXT,),
    None,
    writes=True,
)

_READ = (
    "SELECT json_build_array(applied_ms, applied_seq, refused)::text "
    "FROM tierline_write_behind WHERE journal = $1"
)

PROGRESS = Statement(
    OPERATION, _READ, (TEXT,), None, (ResultColumn("progress", TEXT),), "scalar", writes=True
)
"""How far a journal has been applied, by the server that takes writes."""

LOCK = Statement(
    OPERATION,
    f"{_READ} FOR UPDATE",
    (TEXT,),
    None,
    (ResultColumn("progress", TEXT),),
    "scalar",
    writes=True,
)
"""The same; nobody else applies anything until the transaction ends."""

ADVANCE = Statement(
    OPERATION,
    "UPDATE tierline_write_behind SET applied_ms = $2, applied_seq = $3 WHERE journal = $1",
    (TEXT, INT8, INT8),
    None,
    writes=True,
)

REFUSE = Statement(
    OPERATION,
    "UPDATE tierline_write_behind SET applied_ms = $2, applied_seq = $3, "
    "refused = refused || jsonb_build_object($4, $5) WHERE journal = $1",
    (TEXT, INT8, INT8, TEXT, TEXT),
    None,
    writes=True,
)
"""As `ADVANCE`, past an operation that is to become a dead letter."""

BURIED = Statement(
    OPERATION,
    "UPDATE tierline_write_behind SET refused = refused - $2 WHERE journal = $1",
    (TEXT, array_of(TEXT)),
    None,
    writes=True,
)
"""These have become dead letters."""
