"""The table of idempotency keys: which transactions were committed, and what they answered.

A transaction claims its key before anything else, and others that claim it meanwhile wait for its
end. The answer is kept beside the key in the same transaction, so that either both are there or
neither.
"""

from __future__ import annotations

from tierline.entity.types import FLOAT8, TEXT, scalar_type
from tierline.sql.statement import ResultColumn, Statement

OPERATION = "idempotency"

KEY_BYTES_MAX = 2000
"""The longest key in UTF-8: an entry of an index must fit into a third of a page."""

_BYTES = scalar_type("bytea", bytes)

CREATE = Statement(
    "create_idempotency_table",
    "CREATE TABLE IF NOT EXISTS tierline_idempotency ("
    'key text COLLATE "C" PRIMARY KEY, '
    "result bytea, "
    "created_at timestamptz NOT NULL DEFAULT now())",
    (),
    None,
    writes=True,
)

CLAIM = Statement(
    OPERATION,
    "INSERT INTO tierline_idempotency (key) VALUES ($1) ON CONFLICT DO NOTHING",
    (TEXT,),
    None,
    writes=True,
)
"""Changes one row, or none if a transaction with the key was committed."""

KEPT = Statement(
    OPERATION,
    "SELECT result FROM tierline_idempotency WHERE key = $1",
    (TEXT,),
    None,
    (ResultColumn("result", _BYTES),),
    "scalar",
)

KEEP = Statement(
    OPERATION,
    "UPDATE tierline_idempotency SET result = $2 WHERE key = $1",
    (TEXT, _BYTES),
    None,
    writes=True,
)

FORGET = Statement(
    "forget_idempotency",
    "DELETE FROM tierline_idempotency WHERE created_at < now() - make_interval(secs => $1)",
    (FLOAT8,),
    None,
    writes=True,
)
