"""Questions about snapshots: which transactions lie behind what is read."""

from __future__ import annotations

from tierline.entity.types import INT8
from tierline.sql.statement import ResultColumn, Statement

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
