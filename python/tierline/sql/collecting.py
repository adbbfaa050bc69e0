"""Announcements of transactions that are to be prepared: collected, and made before their end.

PostgreSQL prepares no transaction that has executed NOTIFY. So `tl.distributed` lets the triggers
collect what they would announce, in a setting that ends with the transaction and that a rollback to
a savepoint takes back as it does rows. It is announced in a transaction before COMMIT PREPARED:
until that has ended no snapshot settles it, so nothing is kept of what it changes.
"""

from __future__ import annotations

from tierline.entity.types import INT8, TEXT
from tierline.sql.statement import ResultColumn, Statement
from tierline.sql.transactions import setting

CHANNEL = "tierline"
"""Where changes are announced, in every database."""

COLLECTED = "tierline.collected"
"""The setting: a JSON array without its end; empty where triggers announce by themselves."""

COLLECTED_BYTES_MAX = 65_536
"""More than this is collected as changes of whole tables."""

COLLECT = setting(COLLECTED, "[")
"""Has the triggers collect until the transaction ends."""

_EACH = "json_array_elements((rtrim({}, ',') || ']')::json) AS m(message)"
_OWN = f"coalesce(nullif(current_setting('{COLLECTED}', true), ''), '[')"

# What is written after this, by what was deferred, is announced by itself: at COMMIT that is well,
# and PREPARE TRANSACTION refuses it.
_NO_MORE = f"SET LOCAL {COLLECTED} = ''"

FLUSH = (
    f"SELECT pg_notify('{CHANNEL}', m.message::text) FROM {_EACH.format(_OWN)}; {_NO_MORE}; "
).encode()
"""Announces in the transaction itself what it has collected, in one command with its COMMIT."""

TAKE = (
    # What is deferred writes now, while it is collected.
    f"SET CONSTRAINTS ALL IMMEDIATE; SELECT current_setting('{COLLECTED}', true); {_NO_MORE}; "
).encode()
"""Answers with what was collected, in one command with PREPARE TRANSACTION."""

TAKEN = 1
"""Which of the answers that is."""

ANNOUNCE = Statement(
    "distributed",
    f"SELECT pg_notify('{CHANNEL}', m.message::text) FROM {_EACH.format('$1')}",
    (TEXT,),
    None,
    writes=True,
)
"""Announces what was collected."""

ANNOUNCE_ANY = Statement(
    "distributed",
    f"SELECT pg_notify('{CHANNEL}', "
    "json_build_array(n.nspname, c.relname, '[]'::json, $1, null, false, false, true)::text) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid IN ("
    "SELECT t.tgrelid FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE p.proname LIKE 'tierline\\_announce\\_%')",
    (INT8,),
    None,
    writes=True,
)
"""Announces that a transaction may have changed any row of any table that announces."""

# A transaction's id as the list of prepared ones has it lacks its upper half; those that run lie
# less than half a round of the lower one from the next to be given.
_NEXT = "pg_snapshot_xmax(pg_current_snapshot())::text::int8"
LIFTED = f"{_NEXT} + ((transaction::text::int8 - {_NEXT} + 2147483648) & 4294967295) - 2147483648"
"""The whole id of a prepared transaction, in a query of `pg_prepared_xacts`."""

PREPARED_IDS = Statement(
    "backplane",
    f"SELECT {LIFTED} AS xid FROM pg_prepared_xacts "
    "WHERE database = current_database() AND starts_with(gid, 'tierline')",
    (),
    None,
    (ResultColumn("xid", INT8),),
    "scalar",
)
"""The prepared transactions, which may have been announced."""
