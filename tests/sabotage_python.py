"""Takes each guard out of the Python package, one after another; its test must fail each time.

    python tests/sabotage_python.py [NAME]

Works on copies of the package beside the native module of the installed one. Exits with 1 if a
guard can go without its test noticing, or if the text that it replaces is not there any more. That
the tests pass with their guards is seen by `pytest`.
`sabotage.py` does the same with the core.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from compileall import compile_dir
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from py_compile import PycInvalidationMode

from sabotage_backplane import BACKPLANE
from sabotage_behind import BEHIND
from sabotage_guard import Guard
from sabotage_prepared import PREPARED
from sabotage_published import PUBLISHED
from sabotage_redis import REDIS
from sabotage_schedules import SCHEDULES
from sabotage_servers import SERVERS
from sabotage_sheets import SHEETS
from sabotage_sheets_live import SHEETS_LIVE
from sabotage_sheets_once import SHEETS_ONCE
from sabotage_sheets_server import SHEETS_SERVER
from sabotage_sheets_writing import SHEETS_WRITING
from sabotage_sync import SYNC
from sabotage_sync_real import SYNC_REAL
from sabotage_waits import WAITS
from sabotage_warming import WARMING
from tierline import _core

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "tierline"
LIMIT_S = 300

WORKERS = 4
"""They mostly wait for servers to start."""

TRIES = 3
"""Without its guard a race may still end well, now and then."""


HOSTILE = "real/test_hostile_text.py"
CANARY = (
    f"{HOSTILE}::test_statements_leave_the_canary_and_values_are_equal_byte_for_byte[{{}}]".format
)
CURSORS = f"{HOSTILE}::test_a_forged_or_foreign_cursor_is_a_validation_error[postgres18]"
UNSTORABLE = f"{HOSTILE}::test_what_cannot_be_stored_is_a_validation_error_in_every_position"

CACHED = "pure/test_cached_queries.py"
RACES = "real/test_cached_query_races.py"
WRITES = "real/test_cached_query_writes.py"

GUARDS = (
    Guard(
        "signature of cursors",
        "query/cursors.py",
        (
            (
                "if not hmac.compare_digest(signature, _sign(",
                "if 0 and not hmac.compare_digest(signature, _sign(",
            ),
        ),
        CURSORS,
    ),
    Guard(
        "a cursor's own query",
        "query/cursors.py",
        (('origin + b"\\0" + content', "content"),),
        CURSORS,
    ),
    Guard(
        "a cursor's own values",
        "query/cursors.py",
        (("    for value in values:\n", "    for value in ():\n"),),
        "real/test_sources_pages.py",
    ),
    Guard(
        "quotes in identifiers",
        "sql/identifiers.py",
        (("elif '\"' in name or ", "elif "),),
        "pure/test_sql_values.py::test_what_cannot_be_an_identifier_is_a_configuration_error",
    ),
    Guard(
        "text that is no pattern",
        "sql/expressions.py",
        (('return f"starts_with({text}, {part})"', "return f\"({text} LIKE {part} || '%')\""),),
        CANARY("UTF8"),
    ),
    Guard(
        "quotes in literals",
        "sql/ddl.py",
        (('.replace("\'", "\'\'")', ""),),
        "pure/test_sql_values.py::test_a_literal_cannot_end_its_quotes",
    ),
    Guard("NUL in text", "postgres/codecs.py", (('if "\\0" in value:', "if False:"),), UNSTORABLE),
    Guard(
        "NUL in documents",
        "postgres/codecs.py",
        (("if problem := document_problem(value):", "if problem := None:"),),
        UNSTORABLE,
    ),
    Guard(
        "client encoding when connecting",
        "postgres/conninfo.py",
        (('            "client_encoding": "utf8",\n', ""),),
        CANARY("SJIS"),
    ),
    Guard(
        "client encoding of a session that comes back",
        "postgres/pool.py",
        (
            (
                'well and connection.pgconn.parameter_status(b"client_encoding") != b"UTF8"',
                "False",
            ),
        ),
        f"{HOSTILE}::test_a_session_whose_encoding_was_changed_is_not_used_again",
    ),
    Guard(
        "number of parameters",
        "sql/statement.py",
        (("if len(self.parameters) > PARAMETERS_MAX:", "if False:"),),
        "pure/test_raw_sql.py::test_too_many_parameters_are_one_too_many",
    ),
    Guard(
        "placeholders in quotes",
        "sql/scanning.py",
        (("if what is not None and MARK in text[", "if False and MARK in text["),),
        "pure/test_raw_sql.py::test_a_placeholder_that_would_be_letters_is_refused",
    ),
    Guard(
        "types of columns",
        "postgres/columns.py",
        (("if oid not in column.type.result_oids:", "if False:"),),
        "real/test_bad_input.py::test_a_column_of_another_type_is_named_when_it_is_read",
    ),
    Guard(
        "stale plans",
        "postgres/connection.py",
        (("if error.sqlstate not in _STALE_STATES or attempt > 1:", "if True:"),),
        "real/test_stale_plans.py::test_queries_heal_after_each_change_of_the_table",
    ),
    Guard(
        "a batch's transaction",
        "postgres/pipeline.py",
        (
            (
                "results = _run(connection, batch, prepared)",
                (
                    "results = [_run(connection, [one], [known])[0] "
                    "for one, known in zip(batch, prepared, strict=True)]"
                ),
            ),
        ),
        "real/test_many_at_once.py::test_an_error_in_one_query_is_the_answer_and_undoes_the_others",
    ),
    Guard(
        "version of an update",
        "sql/tables.py",
        (
            (
                "checked = (*table.key, table.version) if table.version else table.key",
                "checked = table.key",
            ),
        ),
        "real/contract/test_contract_changes.py::test_an_update_needs_the_version_it_read",
    ),
    Guard(
        "soft deletion",
        "query/deletion.py",
        (("if table.deleted_at is None:", "if True:"),),
        "pure/test_writes.py::test_a_query_leaves_deleted_rows_out_unless_told",
    ),
    Guard(
        "what memory cannot answer",
        "query/evaluate/select.py",
        (("    if query.lock is not None:\n        raise not_in_memory(Lock)\n", ""),),
        "pure/test_evaluate.py::test_what_needs_a_database_is_said_before_any_row_is_looked_at",
    ),
    Guard(
        "names of a join's sources",
        "sql/queries.py",
        (("    if query.relation is not None or query.joins:\n        return True\n", ""),),
        "real/test_ambiguous_joins.py::test_every_clause_reads_the_side_that_it_names",
    ),
    Guard(
        "a row out of sight",
        "query/tracing.py",
        (("        check_in_sight(made)\n", "        pass\n"),),
        "pure/test_lambda_effects.py::test_a_row_that_is_kept_beyond_its_lambda_is_refused",
    ),
    Guard(
        "comparison with None",
        "query/operands.py",
        (
            (
                'if value is None:\n        raise TypeError("a comparison',
                'if False:\n        raise TypeError("a comparison',
            ),
        ),
        "pure/test_tracing.py::test_what_cannot_be_traced_names_its_replacement",
    ),
    Guard(
        "chained comparison",
        "query/tracing.py",
        (
            (
                (
                    "__bool__(self) -> NoReturn:\n        raise TypeError(\n"
                    '            "a traced field'
                ),
                (
                    "__bool__(self) -> bool:\n        return True\n        raise TypeError(\n"
                    '            "a traced field'
                ),
            ),
        ),
        "pure/test_tracing.py::test_what_cannot_be_traced_names_its_replacement",
    ),
    Guard(
        "cached query: the row before",
        "query/readings.py",
        (("if not (let_in(old) or let_in(new)):", "if not let_in(new):"),),
        f"{CACHED}::test_a_change_touches_a_query_that_has_the_row",
    ),
    Guard(
        "cached query: the row after",
        "query/readings.py",
        (("if not (let_in(old) or let_in(new)):", "if not let_in(old):"),),
        f"{CACHED}::test_a_change_touches_a_query_that_has_the_row",
    ),
    Guard(
        "cached query: rows that are partly known",
        "query/readings.py",
        (
            (
                "that is not known)\n            return True",
                "that is not known)\n            return False",
            ),
        ),
        f"{CACHED}::test_a_change_touches_a_query_that_has_the_row",
    ),
    Guard(
        "cached query: a column that is not known",
        "query/readings.py",
        (
            (
                "        name in old and name in new and _is_same",
                "        name not in old or name not in new or _is_same",
            ),
        ),
        f"{CACHED}::test_a_change_touches_a_query_that_has_the_row",
    ),
    Guard(
        "cached query: values that look otherwise",
        "query/readings.py",
        (("return type(old) in _PLAIN or repr(old) == repr(new)", "return True"),),
        f"{CACHED}::test_a_change_touches_a_query_that_has_the_row",
    ),
    Guard(
        "cached query: the right side of a left join",
        "query/readings.py",
        (('if own is not None and own.kind == "LEFT JOIN":', "if False:"),),
        f"{CACHED}::test_conditions_behind_a_left_join_choose_no_rows_of_its_right_side",
    ),
    Guard(
        "cached query: the left side of a left join",
        "query/readings.py",
        (('        if join.kind == "JOIN":', "        if True:"),),
        f"{CACHED}::test_conditions_behind_a_left_join_choose_no_rows_of_its_right_side",
    ),
    Guard(
        "cached query: a condition of two sources",
        "query/readings.py",
        (("    return all(column.alias == alias for column in columns)", "    return True"),),
        f"{CACHED}::test_conditions_of_an_inner_join_choose_rows",
    ),
    Guard(
        "cached query: a parameter that is None",
        "query/readings.py",
        (("elif not any(given.get(place.name) is None for place in places):", "else:"),),
        f"{CACHED}::test_a_parameter_that_is_none_hides_no_row",
    ),
    Guard(
        "cached query: columns that are used",
        "query/readings.py",
        (
            (
                "        if isinstance(node, ColumnRef):\n            found",
                "        if 0:\n            found",
            ),
        ),
        f"{CACHED}::test_an_ordering_is_a_use",
    ),
    Guard(
        "cached query: what cannot be looked up",
        "query/lookups.py",
        (
            (
                "if common.wire != column.type.wire or value.value is None:",
                "if value.value is None:",
            ),
        ),
        f"{CACHED}::test_a_column_that_is_cast_is_not_looked_up",
    ),
    Guard(
        "cached query: a column unknown to the index",
        "cache/query_index.py",
        (
            (
                "self._by_value.get(self._find(row), ())\n        except Exception:",
                (
                    "self._by_value.get(self._find(row), ())\n        except KeyError:\n"
                    "            return ()\n        except Exception:"
                ),
            ),
        ),
        f"{CACHED}::test_the_index_misses_nobody_whom_a_change_touches",
    ),
    Guard(
        "cached query: how far ranges reach",
        "cache/intervals.py",
        (
            (
                "self.right.reach > reach:\n            reach = self.right.reach",
                "self.right.reach > reach:\n            pass",
            ),
        ),
        f"{CACHED}::test_intervals_are_found_by_what_lies_in_them",
    ),
    Guard(
        "cached query: reads under way",
        "cache/query_cache.py",
        (
            ("        self._enter(entry)\n        is_kept", "        is_kept"),
            (
                "            found = load()\n",
                "            found = load()\n            self._enter(entry)\n",
            ),
        ),
        f"{RACES}::test_a_read_under_way_is_not_kept_when_a_write_overtakes_it",
    ),
    Guard(
        "cached query: the horizon of a new kind of strategy",
        "cache/query_cache.py",
        (("                shelf.l1.serve_until(self._horizon_s)\n", ""),),
        f"{CACHED}::test_results_of_a_new_kind_of_strategy_know_the_horizon",
    ),
    Guard(
        "cached query: reads older than a fresh one",
        "cache/query_cache.py",
        (("            shelf.l1.refuse_loads(key)\n", ""),),
        "real/test_resilient_queries.py::"
        "test_a_read_that_began_before_a_fresh_one_does_not_replace_it",
    ),
    Guard(
        "cached query: fills of reads under way",
        "cache/query_cache.py",
        (
            (
                "        entry.l1.invalidate(entry.key)\n        entry.tally",
                "        entry.l1.pop(entry.key, None)\n        entry.tally",
            ),
        ),
        f"{RACES}::test_a_read_under_way_is_not_kept_when_a_write_overtakes_it",
    ),
    Guard(
        "cached query: failures leave the index",
        "cache/query_cache.py",
        (("                self._leave(entry)\n\n", "                pass\n\n"),),
        f"{CACHED}::test_a_failure_is_handed_on_and_not_kept",
    ),
    Guard(
        "cached query: evicted results leave the index",
        "cache/query_cache.py",
        (("            listener=left,\n", ""),),
        f"{CACHED}::test_results_that_make_room_leave_the_index",
    ),
    Guard(
        "cached query: writes of a transaction",
        "cache/pending.py",
        (("    queries = None\n", "    queries = property(lambda self: self._caches.queries)\n"),),
        f"{RACES}::test_a_transaction_drops_results_when_it_commits_and_not_before",
    ),
    Guard(
        "cached query: keys of rows that may be new",
        "cache/query_cache.py",
        (("changes.append(RowChange(row, None))", "changes.append(RowChange(row, row))"),),
        f"{WRITES}::test_every_write_leaves_no_stale_result",
    ),
    Guard(
        "cached query: rows that go with others",
        "cache/caches.py",
        (("            self.queries.deleted(table)\n", ""),),
        f"{RACES}::test_rows_that_go_with_deleted_ones_take_results_along",
    ),
    Guard(
        "cached query: rows that an upsert may have met",
        "sql/telling.py",
        (("            if self.merges and new is not None:", "            if False:"),),
        f"{WRITES}::test_every_write_leaves_no_stale_result",
    ),
    Guard(
        "cached query: rows before an update are locked",
        "sql/telling.py",
        (("{where} FOR UPDATE) ", "{where}) "),),
        f"{WRITES}::test_an_update_tells_the_row_that_it_changed_and_not_one_before",
    ),
    Guard(
        "cached query: a result's own form",
        "store/cached.py",
        (
            (
                "(statement.name, statement.shape, _made_into(statement), columns)",
                "(statement.name,)",
            ),
        ),
        f"{WRITES}::test_results_of_other_types_are_others",
    ),
    Guard(
        "cached query: values that are equal and not the same",
        "store/cached.py",
        (("    return type(value), repr(value)", "    return value"),),
        f"{WRITES}::test_values_that_are_equal_and_not_the_same_have_results_of_their_own",
    ),
    Guard(
        "cached query: rows that callers may change",
        "store/cached.py",
        (("list(rows) if form.is_shared else copy.deepcopy(rows)", "list(rows)"),),
        f"{WRITES}::test_what_is_handed_out_may_be_changed",
    ),
    *REDIS,
    *PREPARED,
    *PUBLISHED,
    *SCHEDULES,
    *SERVERS,
    *SHEETS,
    *SHEETS_LIVE,
    *SHEETS_WRITING,
    *SHEETS_ONCE,
    *SHEETS_SERVER,
    *SYNC,
    *SYNC_REAL,
    *WAITS,
    *BEHIND,
    *BACKPLANE,
    *WARMING,
)


def main(arguments: Sequence[str]) -> int:
    """Try every guard, or those whose name holds the argument; print a line each."""
    wanted = [guard for guard in GUARDS if not arguments or arguments[0] in guard.name]
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        packages = [copied(PACKAGE, Path(folder) / "0")]
        # Bytecode that is told by the text it was made of, as a change may keep size and second.
        compile_dir(packages[0], quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
        packages += [copied(packages[0], Path(folder) / str(n)) for n in range(1, WORKERS)]
        # One that is taken is put back after its guard, for the next.
        free = queue.SimpleQueue[Path]()
        for package in packages:
            free.put(package)
        with ThreadPoolExecutor(WORKERS) as workers:
            verdicts = workers.map(lambda guard: sabotaged(free, guard), wanted)
            for guard, verdict in zip(wanted, verdicts, strict=True):
                unnoticed += verdict.startswith("NOT NOTICED")
                print(f"without {guard.name:46} {verdict}", flush=True)
    return int(unnoticed > 0)


def copied(source: Path, folder: Path) -> Path:
    """A copy of a package with the native module of the installed one."""
    package = folder / "tierline"
    left_out = ("__pycache__", "_core*.so") if source == PACKAGE else ()
    shutil.copytree(source, package, ignore=shutil.ignore_patterns(*left_out))
    shutil.copy(str(_core.__file__), package)
    return package


def sabotaged(free: queue.SimpleQueue[Path], guard: Guard) -> str:
    """What the test says without the guard."""
    package = free.get()
    path = package / guard.file
    whole = text = path.read_text(encoding="utf-8")
    try:
        for old, new in guard.edits:
            if text.count(old) != 1:
                return f"NOT NOTICED: {guard.file} does not hold the text once: {old[:60]!r}"
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        tries = (failing(package, guard.test) for _ in range(TRIES))
        return next(filter(None, tries), "NOT NOTICED")
    finally:
        path.write_text(whole, encoding="utf-8")
        free.put(package)


def failing(package: Path, test: str) -> str | None:
    """How a test fails or never ends, or None."""
    options = ("-x", "-q", "-p", "no:cacheprovider", "--no-header")
    command = [sys.executable, "-m", "pytest", *options, f"tests/{test}"]
    environment = {**os.environ, "PYTHONPATH": str(package.parent)}
    # pytest makes anew what it rewrites, of its plugins too, where it may not keep it.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "the tests do not end"
    if done.returncode == 0:
        return None
    if done.returncode != 1:
        return f"NOT NOTICED: the tests cannot run: {(done.stdout + done.stderr)[-500:]}"
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return f"fails {failed[0].split('::', 1)[-1][:70]}" if failed else "the tests abort"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
