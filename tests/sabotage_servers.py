"""The guards of connections, servers, transactions and Redis; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

POOL = "real/test_pool.py"

SERVERS = (
    Guard(
        "the watchdog's shutdown",
        "postgres/watchdog.py",
        (("self._socket.shutdown(socket.SHUT_RDWR)", "pass"),),
        "real/test_watchdog.py::test_a_line_that_carries_nothing_frees_its_caller",
    ),
    Guard(
        "the watchdog's second look",
        "postgres/watchdog.py",
        (
            (
                "if self._due_s > now_s:\n                # It ended",
                "if False:\n                # It ended",
            ),
        ),
        "real/test_watchdog.py::test_a_call_that_ends_during_the_look_is_left_alone",
    ),
    Guard(
        "the circuit",
        "circuit.py",
        (("return not self.probing and now_s >= self.next_s", "return True"),),
        "pure/test_circuit.py",
    ),
    Guard(
        "the last words of a session",
        "postgres/pool.py",
        (("> _FRESH_S and connection.has_news:", "> _FRESH_S and False:"),),
        f"{POOL}::test_ended_sessions_are_noticed_before_they_are_used",
    ),
    Guard(
        "the bound on waiting callers",
        "postgres/pool.py",
        (("max_waiting=options.waiting_max,", "max_waiting=0,"),),
        f"{POOL}::test_a_crowd_beyond_the_bound_is_refused_at_once",
    ),
    Guard(
        "a pool after an interrupt",
        "postgres/pool.py",
        (("self.resize(self.options)\n", "pass\n"),),
        f"{POOL}::test_who_is_interrupted_while_waiting_takes_no_connection_along",
    ),
    Guard(
        "connections of a child",
        "postgres/forking.py",
        (("os.register_at_fork(after_in_child=_renew_all)", "pass"),),
        "chaos/test_leaks.py::test_children_share_no_socket_with_their_parent",
    ),
    Guard(
        "the newest of two primaries",
        "postgres/routing.py",
        (('state.role == "primary" and state.timeline == newest:', 'state.role == "primary":'),),
        "pure/test_routing.py",
    ),
    Guard(
        "a primary of the past",
        "postgres/topology.py",
        (("return timeline >= self.timeline", "return True"),),
        "chaos/test_failover.py::"
        "test_a_store_that_is_opened_later_finds_the_newer_of_two_primaries",
    ),
    Guard(
        "reading one's own writes",
        "postgres/routed.py",
        (("if read.needed < below:", "if True:"),),
        "chaos/test_replicas.py::test_every_way_of_writing_is_remembered[sql]",
    ),
    Guard(
        "writes that are not repeated",
        "postgres/repeating.py",
        (
            (
                (
                    "not statement.writes\n        and isinstance(failure, ConnectionError)\n"
                    "        and not isinstance(failure, CommitUnknownError)\n"
                ),
                "isinstance(failure, (ConnectionError, CommitUnknownError))\n",
            ),
        ),
        "real/test_lost_writes.py::test_a_write_whose_answer_is_lost_is_done_once",
    ),
    Guard(
        "the life of a server that gave an id",
        "sql/transactions.py",
        (
            (
                "WHEN $2::text IN ('', {INCARNATION}) THEN",
                "WHEN $2::text IS NOT NULL AND {INCARNATION} <> 'x' THEN",
            ),
        ),
        "chaos/test_reused_ids.py",
    ),
    Guard(
        "the timeline that gave an id",
        "postgres/database.py",
        (("if connection.timeline != timeline:", "if False:"),),
        "real/test_lost_commits.py::test_a_session_that_was_cut_off_is_ended_to_decide",
    ),
    Guard(
        "claiming an idempotency key",
        "store/idempotency.py",
        (("            if made.unwrap():\n", "            if True:\n"),),
        "real/test_idempotency.py::test_a_key_is_done_once_and_answers_the_same_again",
    ),
    Guard(
        "the key that decides a commit",
        "store/running.py",
        (("if found is None and was_kept is not None:", "if False:"),),
        "real/test_idempotency.py::test_the_key_decides_a_commit_whose_answer_is_lost",
    ),
    Guard(
        "the deadline of Redis",
        "cache/redis_limits.py",
        (("    if due == math.inf:\n", "    if True:\n"),),
        "real/test_cache_outages.py::test_a_frozen_redis_takes_half_of_what_a_deadline_leaves",
    ),
)
