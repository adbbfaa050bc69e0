"""The database's side of the backplane: triggers that announce with COMMIT which keys changed.

One function a table, run once a statement: it sees the rows before and after as transition tables
and sends one message, which names the table, its key's columns, the transaction and the keys, or
no keys where there are too many for one message: then any row may have changed. Last it says
whether the statement tells its rows to whoever ran it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from tierline.entity import Table
from tierline.entity.types import INT8, TEXT, array_of
from tierline.errors import ConfigurationError
from tierline.sql.collecting import CHANNEL, COLLECTED, COLLECTED_BYTES_MAX
from tierline.sql.ddl import literal
from tierline.sql.identifiers import quote, table_name
from tierline.sql.statement import ResultColumn, Statement
from tierline.sql.transactions import INCARNATION

JOIN_CHANNEL = "tierline_join"
"""Where new processes ask for a witness."""

TELLS = "/* tierline tells */ "
"""How a statement begins whose rows its writer is told, and decides by."""

KEYS_MAX = 400
"""The most keys of one message."""

# PostgreSQL refuses 8,000 bytes and more, and the transaction with it.
_PAYLOAD_BYTES_MAX = 7_900

_QUOTE = "$tierline$"

_EVENTS = {
    "insert": "REFERENCING NEW TABLE AS tl_new",
    "update": "REFERENCING OLD TABLE AS tl_old NEW TABLE AS tl_new",
    "delete": "REFERENCING OLD TABLE AS tl_old",
    "truncate": "",
}


def install_backplane_sql(table: Table[Any, Any], schema: str) -> str:
    """What lets a table announce its changes; the same again where it already does.

    Args:
        table: The table.
        schema: The schema that tables without one lie in.

    Raises:
        ConfigurationError: A name cannot be an identifier.
    """
    function, name = _function(table, schema), table_name(table)
    script = [_function_sql(table, function)]
    for event, sees in _EVENTS.items():
        trigger = f"tierline_{event}"
        script += [
            (
                f"CREATE OR REPLACE TRIGGER {trigger} AFTER {event.upper()} ON {name} {sees} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
            ),
            # Otherwise what a session writes in the role of a replica would go unheard.
            f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {trigger}",
        ]
    return ";\n".join(script)


def uninstall_backplane_sql(table: Table[Any, Any], schema: str) -> str:
    """What ends it.

    Raises:
        ConfigurationError: A name cannot be an identifier.
    """
    name = table_name(table)
    script = [f"DROP TRIGGER IF EXISTS tierline_{event} ON {name}" for event in _EVENTS]
    return ";\n".join([*script, f"DROP FUNCTION IF EXISTS {_function(table, schema)}()"])


def _function(table: Table[Any, Any], schema: str) -> str:
    """The function's name: of its own for each table, and never cut off."""
    place = table.schema or schema
    if not place:
        raise ConfigurationError(f"{table.name}: no schema of the search path exists")
    digest = hashlib.blake2b(table.name.encode(), digest_size=8).hexdigest()
    return f"{quote(place)}.tierline_announce_{digest}"


def _function_sql(table: Table[Any, Any], function: str) -> str:
    # Qualified, so that no column is taken for a variable of the function.
    key = f"json_build_array({', '.join(f'r.{quote(name)}' for name in table.key)})::text"
    names = literal(msgspec.json.encode(table.key).decode())
    if _QUOTE in key + names:
        raise ConfigurationError(f"a key column's name holds {_QUOTE}", table=table.name)

    def several(*rows: str) -> str:
        # One row more than there may be, of each: then it is known that there are too many.
        seen = " UNION ALL ".join(f"(SELECT * FROM {one} LIMIT {KEYS_MAX + 1})" for one in rows)
        return (
            f"SELECT string_agg(DISTINCT {key}, ','), count(*) <= {KEYS_MAX * len(rows)} "
            f"INTO keys, few FROM ({seen}) AS r"
        )

    return f"""CREATE OR REPLACE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql AS {_QUOTE}
DECLARE
  before text;
  keys text;
  few boolean := true;
  about text;
  message text;
  -- Empty or NULL but in a transaction that is to be prepared.
  collected text := current_setting('{COLLECTED}', true);
  done text;
BEGIN
  -- One row is the common case, and three looks at it cost less than one aggregate.
  IF TG_OP = 'UPDATE' THEN
    SELECT {key} INTO before FROM tl_old AS r;
    SELECT {key} INTO keys FROM tl_new AS r;
    IF keys IS DISTINCT FROM before THEN
      keys := concat_ws(',', before, keys);
    END IF;
    PERFORM 1 FROM tl_old OFFSET 1 LIMIT 1;
    IF FOUND THEN
      {several("tl_old", "tl_new")};
    END IF;
  ELSIF TG_OP = 'INSERT' THEN
    SELECT {key} INTO keys FROM tl_new AS r;
    PERFORM 1 FROM tl_new OFFSET 1 LIMIT 1;
    IF FOUND THEN
      {several("tl_new")};
    END IF;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT {key} INTO keys FROM tl_old AS r;
    PERFORM 1 FROM tl_old OFFSET 1 LIMIT 1;
    IF FOUND THEN
      {several("tl_old")};
    END IF;
  ELSE
    keys := '';
    few := false;
  END IF;
  IF keys IS NULL THEN
    RETURN NULL;
  END IF;
  about := '[' || to_json(TG_TABLE_SCHEMA::text) || ',' || to_json(TG_TABLE_NAME::text) || ','
    || {names} || ',' || pg_current_xact_id()::text || ',';
  IF few AND octet_length(keys) + octet_length(about) <= {_PAYLOAD_BYTES_MAX} THEN
    message := about || '[' || keys || '],';
  ELSE
    message := about || 'null,';
  END IF;
  -- What a trigger writes meanwhile, a cascade too, is nothing that the statement tells.
  IF pg_trigger_depth() = 1 AND starts_with(current_query(), {literal(TELLS)}) THEN
    message := message || 'true';
  ELSE
    message := message || 'false';
  END IF;
  IF collected <> '' THEN
    message := message || ',false,true]';
    IF octet_length(collected) + octet_length(message) > {COLLECTED_BYTES_MAX} THEN
      message := about || 'null,false,false,true]';
      IF position(message IN collected) > 0 THEN
        RETURN NULL;
      END IF;
    END IF;
    done := set_config('{COLLECTED}', collected || message || ',', true);
    RETURN NULL;
  END IF;
  -- An assignment is evaluated without the query that PERFORM would begin.
  done := pg_notify('{CHANNEL}', message || ']')::text;
  RETURN NULL;
END
{_QUOTE}"""


def forget_table_sql(table: Table[Any, Any], schema: str) -> str:
    """What announces that every row of a table may have changed."""
    place = f"{literal(table.schema or schema)}, {literal(table.name)}"
    xid = "pg_current_xact_id()::text::int8"
    message = f"json_build_array({place}, '[]'::json, {xid}, null)"
    return f"SELECT pg_notify('{CHANNEL}', {message}::text)"


ASK = Statement("backplane", f"SELECT pg_notify('{JOIN_CHANNEL}', $1)", (TEXT,), None, writes=True)
"""Asks for a witness."""

ANNOUNCING = Statement(
    "backplane",
    "SELECT coalesce((SELECT CASE WHEN count(*) < 4 THEN 'no' "
    f"WHEN bool_and(strpos(p.prosrc, '{COLLECTED}') > 0) THEN 'yes' ELSE 'old' END "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_proc p ON p.oid = t.tgfoid AND p.proname LIKE 'tierline\\_announce\\_%' "
    "WHERE n.nspname = s.name AND c.relname = r.name AND t.tgenabled IN ('O', 'A')), 'no') "
    "FROM unnest($1) WITH ORDINALITY AS s(name, n) JOIN unnest($2) WITH ORDINALITY AS r(name, n) "
    "USING (n) ORDER BY n",
    (array_of(TEXT), array_of(TEXT)),
    None,
    (ResultColumn("announcing", TEXT),),
    "scalar",
)
"""Whether each of these tables, by schema and name, announces every change: `yes`, `no`, or `old`
if its triggers cannot announce what is to be prepared."""

SETTLED = Statement(
    "backplane",
    # The latest transaction that has ended: ids are given in order, so those that run are few.
    "SELECT max(x.id) FROM pg_current_snapshot() AS s(now), "
    "generate_series(pg_snapshot_xmax(s.now)::text::int8 - 1 - "
    "(SELECT count(*) FROM pg_snapshot_xip(s.now)), pg_snapshot_xmax(s.now)::text::int8 - 1) "
    "AS x(id) WHERE x.id::text::xid8 NOT IN (SELECT pg_snapshot_xip(s.now))",
    (),
    None,
    (ResultColumn("settled", INT8),),
    "scalar",
)
"""The latest transaction that has ended by now."""

HISTORY_SQL = (
    "ltrim(left(pg_walfile_name(pg_current_wal_lsn()), 8), '0') || '.' || "
    f"left(md5({INCARNATION}), 8)"
)

HISTORY = Statement(
    "backplane",
    f"SELECT {HISTORY_SQL}",
    (),
    None,
    (ResultColumn("history", TEXT),),
    "scalar",
)
"""Which life of the database its transaction ids belong to: another after a promotion, after a
restore to a point in time, and after a crash, each of which may give ids again."""
