"""The tables of two-way sync: pairs, what both sides had, what the sheet was sent, conflicts.

A pair's row counts its transactions, so that of two passes at a time one has to begin anew. What
was sent to the sheet is noted in the transaction that changes the table, and forgotten in the one
that keeps what both sides have then.
"""

from __future__ import annotations

from typing import Any

from tierline.entity import ColumnType, Table
from tierline.entity.types import BOOL, INT8, TEXT, array_of
from tierline.sql.identifiers import quote
from tierline.sql.statement import Compiled, ResultColumn, Statement

OPERATION = "sync"

CREATE = Statement(
    "create_sync_tables",
    "CREATE TABLE IF NOT EXISTS tierline_sync_pair ("
    'pair text COLLATE "C" PRIMARY KEY, '
    "named text NOT NULL, "
    "fingerprint text NOT NULL, "
    "generation bigint NOT NULL, "
    "synced_at timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE IF NOT EXISTS tierline_sync_base ("
    'pair text COLLATE "C", '
    'id text COLLATE "C", '
    "cells jsonb NOT NULL, "
    "is_deleted boolean NOT NULL, "
    "PRIMARY KEY (pair, id));"
    "CREATE TABLE IF NOT EXISTS tierline_sync_op ("
    'pair text COLLATE "C" PRIMARY KEY, '
    "id text NOT NULL, "
    "after text NOT NULL, "
    "base jsonb NOT NULL, "
    "born text[] NOT NULL, "
    "noted_at timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE IF NOT EXISTS tierline_sync_conflict ("
    'pair text COLLATE "C", '
    'token text COLLATE "C", '
    "conflict jsonb NOT NULL, "
    "verdict jsonb NOT NULL, "
    "decision jsonb, "
    "found_at timestamptz NOT NULL DEFAULT now(), "
    "PRIMARY KEY (pair, token))",
    (),
    None,
    writes=True,
)

_TEXTS = array_of(TEXT)
_PAIR = (TEXT,)
_WAITS = """verdict = '"wait"'"""


def _asking(sql: str, *parameters: ColumnType) -> Statement:
    return Statement(
        OPERATION, sql, (TEXT, *parameters), None, (ResultColumn("row", TEXT),), "scalar"
    )


PAIR = _asking(
    "SELECT json_build_object('fingerprint', fingerprint, 'generation', generation, 'operation', "
    "(SELECT json_build_object('id', o.id, 'after', o.after, 'base', o.base, "
    "'born', o.born) "
    "FROM tierline_sync_op AS o WHERE o.pair = p.pair), 'decisions', "
    "(SELECT json_object_agg(c.token, c.decision) FROM tierline_sync_conflict AS c "
    f"WHERE c.pair = p.pair AND c.decision IS NOT NULL AND c.{_WAITS}))::text "
    "FROM tierline_sync_pair AS p WHERE p.pair = $1"
)
"""What is known of a pair, but for its rows."""

BASE = _asking(
    "SELECT json_build_array(id, cells, is_deleted)::text FROM tierline_sync_base WHERE pair = $1"
)
"""What both sides had, row by row."""

CLAIM = Statement(
    OPERATION,
    "INSERT INTO tierline_sync_pair AS p (pair, named, fingerprint, generation) "
    "VALUES ($1, $2, $3, $4 + 1) ON CONFLICT (pair) DO UPDATE "
    "SET named = $2, fingerprint = $3, generation = $4 + 1, synced_at = now() "
    "WHERE p.generation = $4",
    (TEXT, TEXT, TEXT, INT8),
    None,
    writes=True,
)
"""Changes one row, or none if another pass came first."""

KEEP = Statement(
    OPERATION,
    "INSERT INTO tierline_sync_base (pair, id, cells, is_deleted) "
    "SELECT $1, u.id, u.cells::jsonb, u.is_deleted "
    "FROM unnest($2, $3, $4) AS u (id, cells, is_deleted) "
    "ON CONFLICT (pair, id) DO UPDATE "
    "SET cells = excluded.cells, is_deleted = excluded.is_deleted",
    (TEXT, _TEXTS, _TEXTS, array_of(BOOL)),
    None,
    writes=True,
)

FORGET = Statement(
    OPERATION, "DELETE FROM tierline_sync_base WHERE pair = $1", _PAIR, None, writes=True
)

FORGET_ROWS = Statement(
    OPERATION,
    "DELETE FROM tierline_sync_base WHERE pair = $1 AND id = ANY ($2)",
    (TEXT, _TEXTS),
    None,
    writes=True,
)

NOTE = Statement(
    OPERATION,
    "INSERT INTO tierline_sync_op (pair, id, after, base, born) VALUES ($1, $2, $3, $4::jsonb, $5)",
    (TEXT, TEXT, TEXT, TEXT, _TEXTS),
    None,
    writes=True,
)

END = Statement(
    OPERATION,
    "DELETE FROM tierline_sync_op WHERE pair = $1 AND id = $2",
    (TEXT, TEXT),
    None,
    writes=True,
)
"""Changes one row, or none if another pass has ended the operation."""

REPORT = Statement(
    OPERATION,
    "INSERT INTO tierline_sync_conflict (pair, token, conflict, verdict) "
    "SELECT $1, u.token, u.conflict::jsonb, u.verdict::jsonb "
    "FROM unnest($2, $3, $4) AS u (token, conflict, verdict) "
    "ON CONFLICT (pair, token) DO UPDATE SET verdict = excluded.verdict",
    (TEXT, _TEXTS, _TEXTS, _TEXTS),
    None,
    writes=True,
)

OBSOLETE = Statement(
    OPERATION,
    f"DELETE FROM tierline_sync_conflict WHERE pair = $1 AND {_WAITS} AND token <> ALL ($2)",
    (TEXT, _TEXTS),
    None,
    writes=True,
)
"""What no longer waits: one side has changed since, so it is another conflict or none."""

CONFLICTS = _asking(
    "SELECT json_build_object('conflict', conflict, 'verdict', verdict, 'decision', decision, "
    "'found_at', to_json(found_at))::text FROM tierline_sync_conflict "
    f"WHERE pair = $1 AND ($2 OR {_WAITS}) ORDER BY found_at, token",
    BOOL,
)

DECIDE = Statement(
    OPERATION,
    "UPDATE tierline_sync_conflict SET decision = u.said::jsonb "
    "FROM unnest($2, $3) AS u (token, said) "
    f"WHERE pair = $1 AND tierline_sync_conflict.token = u.token AND {_WAITS}",
    (TEXT, _TEXTS, _TEXTS),
    None,
    writes=True,
)

_NEXT_IDS = Statement(
    OPERATION,
    "SELECT nextval(pg_get_serial_sequence($1, $2)) FROM generate_series(1, $3)",
    (TEXT, TEXT, INT8),
    None,
    (ResultColumn("id", INT8),),
    "scalar",
    writes=True,
)


def next_ids(table: Table[Any, Any], column: str, count: int) -> Compiled:
    """The next values of a key's sequence; NULLs if it has none."""
    schema = "" if table.schema is None else f"{quote(table.schema)}."
    return Compiled(_NEXT_IDS, (f"{schema}{quote(table.name)}", column, count))
