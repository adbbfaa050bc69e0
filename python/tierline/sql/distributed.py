"""The statements of two-phase commit: the coordinator's log, and names of prepared transactions.

The log is a table of one row a decision. A decision is made by the row's being there, and its id is
the table's key: of a coordinator that decides to commit and a recovery that decides to roll back,
one finds the row of the other. `synchronous_commit` is never off for it.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import NamedTuple

from tierline.entity.types import BOOL, INT8, TEXT, scalar_type
from tierline.sql.collecting import LIFTED, TAKE
from tierline.sql.statement import ResultColumn, Statement

LOG = "tierline_distributed"

DECIDES_WITHIN_S = 3600
"""Seconds after its beginning in which a transaction may be decided to be committed.

Rows that forbid it are kept for a day, so none of them is gone before.
"""

_PREFIX = "tierline1"
_GID = re.compile(
    _PREFIX + r":([0-9a-f]{16}):([0-9]+)\.([0-9]+):([0-9a-f]{24}):([A-Za-z0-9_.-]{1,63})"
)
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,63}")


class Gid(NamedTuple):
    """The global id of one participant's prepared transaction.

    Attributes:
        coordinator: The log that decides.
        pid: The process id of the coordinator's session in the log's server.
        started: When that session began, in microseconds.
        transaction: The same for all participants.
        participant: The name of the participant's store.
    """

    coordinator: str
    pid: int
    started: int
    transaction: str
    participant: str

    def __str__(self) -> str:
        session = f"{self.pid}.{self.started}"
        return f"{_PREFIX}:{self.coordinator}:{session}:{self.transaction}:{self.participant}"


def read_gid(text: str) -> Gid | None:
    """The parts of a global id; None if it is not one of ours."""
    found = _GID.fullmatch(text)
    if found is None:
        return None
    coordinator, pid, started, transaction, participant = found.groups()
    return Gid(coordinator, int(pid), int(started), transaction, participant)


def is_name(text: str) -> bool:
    """Whether a text can be a participant's name."""
    return _NAME.fullmatch(text) is not None


def prepare_command(gid: Gid) -> bytes:
    """What ends a transaction's session part and leaves it to be decided; see `TAKE`."""
    return TAKE + f"PREPARE TRANSACTION '{gid}'".encode()


def commit_prepared(gid: Gid) -> Statement:
    """What keeps a prepared transaction."""
    return Statement("distributed", f"COMMIT PREPARED '{gid}'", (), None, writes=True)


def rollback_prepared(gid: Gid) -> Statement:
    """What undoes a prepared transaction."""
    return Statement("distributed", f"ROLLBACK PREPARED '{gid}'", (), None, writes=True)


def create_log(identity: str) -> Statement:
    """What creates the log and names it, unless that is done.

    Raises:
        ValueError: The identity is not sixteen hexadecimal digits.
    """
    if re.fullmatch(r"[0-9a-f]{16}", identity) is None:
        raise ValueError("a log's identity is sixteen hexadecimal digits")
    return Statement(
        "distributed_setup",
        # The lock keeps two first callers from creating it at once.
        "SELECT pg_advisory_xact_lock(8386112020297315429);"
        f"CREATE TABLE IF NOT EXISTS {LOG} ("
        'id text COLLATE "C" PRIMARY KEY, '
        "kind text NOT NULL CHECK (kind IN ('identity', 'commit', 'abort')), "
        "participants text NOT NULL DEFAULT '', "
        "decided_at timestamptz NOT NULL DEFAULT clock_timestamp());"
        f"CREATE UNIQUE INDEX IF NOT EXISTS {LOG}_identity ON {LOG} (kind) "
        "WHERE kind = 'identity';"
        f"INSERT INTO {LOG} (id, kind) VALUES ('{identity}', 'identity') ON CONFLICT DO NOTHING",
        (),
        None,
        writes=True,
    )


_DURABLE = (
    "WITH durable AS (SELECT set_config('synchronous_commit', CASE "
    "current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
    "ELSE current_setting('synchronous_commit') END, true)) "
)

_FLOAT8 = scalar_type("float8", float)
_INSTANT = scalar_type("timestamptz", dt.datetime)

# What asks is said to write, so that the primary is asked.
IDENTITY = Statement(
    "distributed",
    f"SELECT id FROM {LOG} WHERE kind = 'identity'",
    (),
    None,
    (ResultColumn("id", TEXT),),
    "scalar",
    writes=True,
)
"""The log's identity, which it loses with its rows."""

SLOTS = Statement(
    "distributed",
    "SELECT current_setting('max_prepared_transactions')::int8",
    (),
    None,
    (ResultColumn("slots", INT8),),
    "scalar",
    writes=True,
)
"""How many transactions of the server may be prepared at a time."""

SESSION = Statement(
    "distributed",
    "SELECT pid::int8, (extract(epoch FROM backend_start) * 1000000)::int8 AS started, "
    "(extract(epoch FROM clock_timestamp()) * 1000000)::int8 AS now "
    "FROM pg_stat_activity WHERE pid = pg_backend_pid()",
    (),
    None,
    (ResultColumn("pid", INT8), ResultColumn("started", INT8), ResultColumn("now", INT8)),
)
"""The session that asks, and its server's clock in microseconds."""

LIVES = Statement(
    "distributed",
    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND (backend_start IS NULL OR "
    "(extract(epoch FROM backend_start) * 1000000)::int8 = $2))",
    (INT8, INT8),
    None,
    (ResultColumn("lives", BOOL),),
    "scalar",
    writes=True,
)
"""Whether a session may still be there; of another role's it is not seen when it began."""

DECIDE = Statement(
    "distributed",
    f"{_DURABLE}INSERT INTO {LOG} (id, kind, participants) SELECT $1, 'commit', $2 "
    f"FROM durable, {LOG} AS log WHERE log.id = $3 AND log.kind = 'identity' "
    f"AND extract(epoch FROM clock_timestamp()) * 1000000 < $4 + {DECIDES_WITHIN_S}000000 "
    "RETURNING id",
    (TEXT, TEXT, TEXT, INT8),
    None,
    (ResultColumn("id", TEXT),),
    "scalar",
    writes=True,
)
"""Decides to commit; no row if the log is another one now, or it is too late."""

SETTLE = Statement(
    "distributed",
    f"{_DURABLE}INSERT INTO {LOG} (id, kind) SELECT $1, 'abort' "
    f"FROM durable, {LOG} AS log WHERE log.id = $2 AND log.kind = 'identity' "
    "ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING kind",
    (TEXT, TEXT),
    None,
    (ResultColumn("kind", TEXT),),
    "scalar",
    writes=True,
)
"""Decides to roll back, unless it is decided; the decision. No row if the log is another one."""

DECISIONS = Statement(
    "recover",
    f"SELECT id, participants FROM {LOG} WHERE kind = 'commit'",
    (),
    None,
    (ResultColumn("id", TEXT), ResultColumn("participants", TEXT)),
    writes=True,
)
"""What was decided to be committed and is perhaps not finished."""

FORGET = Statement("distributed", f"DELETE FROM {LOG} WHERE id = $1", (TEXT,), None, writes=True)
"""Forgets a decision that all participants have followed."""

FORGET_OLD = Statement(
    "recover",
    f"DELETE FROM {LOG} WHERE kind = 'abort' AND decided_at < clock_timestamp() - interval '1 day'",
    (),
    None,
    writes=True,
)
"""Forgets decisions to roll back that no coordinator can come too late for any more."""

LISTED = Statement(
    "recover",
    "SELECT gid, owner::text, prepared, "
    f"extract(epoch FROM clock_timestamp() - prepared)::float8 AS age_s, {LIFTED} AS xid "
    "FROM pg_prepared_xacts "
    f"WHERE database = current_database() AND starts_with(gid, '{_PREFIX}:') ORDER BY prepared",
    (),
    None,
    (
        ResultColumn("gid", TEXT),
        ResultColumn("owner", TEXT),
        ResultColumn("prepared", _INSTANT),
        ResultColumn("age_s", _FLOAT8),
        ResultColumn("xid", INT8),
    ),
    writes=True,
)
"""The prepared transactions of this database that are ours."""

PREPARED = Statement(
    "distributed",
    "SELECT CASE WHEN EXISTS (SELECT FROM pg_prepared_xacts WHERE gid = $1) THEN 'prepared' "
    "ELSE pg_xact_status($2::text::xid8) END",
    (TEXT, TEXT),
    None,
    (ResultColumn("status", TEXT),),
    "scalar",
)
"""What became of a transaction whose PREPARE was not answered."""
