"""Takes each guard out of the Python package, one after another; its test must fail each time.

    python tests/sabotage_python.py [NAME]

Works on a copy of the package beside the native module of the installed one. Exits with 1 if a
guard can go without its test noticing, or if the text that it replaces is not there any more.
`sabotage.py` does the same with the core.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tierline import _core

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "python" / "tierline"
LIMIT_S = 300


class Guard(NamedTuple):
    """A guard, how to take it out, and the test that must fail.

    Attributes:
        name: What is guarded.
        file: Where, in the package.
        edits: What each text, which stands there once, becomes.
        test: The test's node, in `tests`.
    """

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    test: str


HOSTILE = "real/test_hostile_text.py"
CANARY = (
    f"{HOSTILE}::test_statements_leave_the_canary_and_values_are_equal_byte_for_byte[{{}}]".format
)
CURSORS = f"{HOSTILE}::test_a_forged_or_foreign_cursor_is_a_validation_error[postgres18]"
UNSTORABLE = f"{HOSTILE}::test_what_cannot_be_stored_is_a_validation_error_in_every_position"
OUTAGES = "real/test_cache_outages.py"
CONNECTIONS = "real/test_redis_connections.py"
TOPOLOGIES = "real/test_redis_topologies.py"

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
        "query/evaluate/registry.py",
        (("raise not_in_memory(type(node))", "return lambda row: None"),),
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
        "the reign of a server that restarts",
        "cache/redis_wire.py",
        (("self.reign = replication_id[1][:16].decode()", "pass"),),
        f"{OUTAGES}::test_a_redis_restarted_from_an_old_dump_serves_nothing_older_than_the_last_write",
    ),
    Guard(
        "the role of a server",
        "cache/redis_wire.py",
        (('if role is not None and role[1] != b"master":', "if False:"),),
        f"{CONNECTIONS}::test_a_replica_is_not_asked",
    ),
    Guard(
        "the age of a reign",
        "cache/redis_wire.py",
        (("if now_s < self._reign_due_s:", "if True:"),),
        f"{CONNECTIONS}::test_a_server_that_is_promoted_again_has_another_reign",
    ),
    Guard(
        "own writes that Redis was not told",
        "cache/redis.py",
        (
            (
                "if self._pending and not self._is_told(name):\n            return None",
                "if False:\n            return None",
            ),
        ),
        f"{OUTAGES}::test_after_an_outage_nothing_older_than_the_last_write_is_served",
    ),
    Guard(
        "the caller's deadline in Redis",
        "cache/redis_node.py",
        (("min(now_s + TIMEOUT_S, due_s())", "now_s + TIMEOUT_S"),),
        f"{TOPOLOGIES}::test_a_deadline_bounds_the_wait_and_does_not_open_the_circuit",
    ),
    Guard(
        "the circuit and a short deadline",
        "cache/redis_node.py",
        (('if fault == "frozen" and given_s < TIMEOUT_S:', "if False:"),),
        f"{TOPOLOGIES}::test_a_deadline_bounds_the_wait_and_does_not_open_the_circuit",
    ),
    Guard(
        "the circuit of a frozen Redis",
        "cache/redis_node.py",
        (("self.circuit = self.circuit.failed(now_s, _FAILURES_MAX)", "pass"),),
        f"{OUTAGES}::test_a_frozen_redis_costs_one_short_wait_and_then_nothing",
    ),
    Guard(
        "a kept connection that was closed",
        "cache/redis_node.py",
        (("except ConnectionError:\n", "except ZeroDivisionError:\n"),),
        f"{CONNECTIONS}::test_a_connection_that_was_closed_while_it_was_kept_is_replaced",
    ),
    Guard(
        "Redis connections of a child process",
        "cache/redis_client.py",
        (("os.register_at_fork(after_in_child=_renew_all)", ""),),
        f"{TOPOLOGIES}::test_a_child_process_has_connections_of_its_own",
    ),
    Guard(
        "a key on its way to another node",
        "cache/redis_client.py",
        (('if fault not in ("moved", "ask"):', 'if fault != "moved":'),),
        f"{CONNECTIONS}::test_a_slot_on_its_way_and_one_that_has_moved_are_followed",
    ),
)


def main(arguments: Sequence[str]) -> int:
    """Try every guard, or those whose name holds the argument; print a line each."""
    wanted = [guard for guard in GUARDS if not arguments or arguments[0] in guard.name]
    unnoticed = 0
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "tierline"
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "_core*.so"))
        shutil.copy(str(_core.__file__), package)
        if (said := failing(package, sorted({guard.test for guard in wanted}))) is not None:
            print(f"the tests fail as it is: {said}")
            return 1
        for guard in wanted:
            verdict = sabotaged(package, guard)
            unnoticed += verdict.startswith("NOT NOTICED")
            print(f"without {guard.name:46} {verdict}", flush=True)
    return int(unnoticed > 0)


def sabotaged(package: Path, guard: Guard) -> str:
    """What the test says without the guard."""
    path = package / guard.file
    whole = text = path.read_text(encoding="utf-8")
    for old, new in guard.edits:
        if text.count(old) != 1:
            return f"NOT NOTICED: {guard.file} does not hold the text once: {old[:60]!r}"
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    try:
        return failing(package, [guard.test]) or "NOT NOTICED"
    finally:
        path.write_text(whole, encoding="utf-8")


def failing(package: Path, tests: Sequence[str]) -> str | None:
    """The first test that fails or never ends, or None."""
    options = ("-x", "-q", "-p", "no:cacheprovider", "--no-header")
    command = [sys.executable, "-m", "pytest", *options, *(f"tests/{test}" for test in tests)]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            # Bytecode is found by size and second, and a change may keep both.
            env={**os.environ, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1"},
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
