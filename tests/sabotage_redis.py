"""The guards of L2; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

OUTAGES = "real/test_cache_outages.py"
CONNECTIONS = "real/test_redis_connections.py"
TOPOLOGIES = "real/test_redis_topologies.py"
SHARED = "real/test_backplane_l2.py"

REDIS = (
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
        (("if now_s >= self._reign_due_s:", "if self.reign == '-':"),),
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
        (("(limit_s() or least_s)", "LIMIT_S"),),
        f"{OUTAGES}::test_a_frozen_redis_takes_half_of_what_a_deadline_leaves",
    ),
    Guard(
        "the time that an invalidation is given in Redis",
        "cache/redis_node.py",
        (("(limit_s() or least_s)", "limit_s()"),),
        f"{OUTAGES}::test_without_time_redis_is_left_out_of_reads_and_told_of_writes",
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
        (("except redis.ConnectionError:\n", "except ZeroDivisionError:\n"),),
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
        (("if not isinstance(reply, AskError):", 'if fault != "moved":'),),
        f"{CONNECTIONS}::test_a_slot_on_its_way_and_one_that_has_moved_are_followed",
    ),
    Guard(
        "the end of an answer that trickles",
        "cache/redis_wire.py",
        (
            (
                "left_s = self.until_s - now_s\n        if left_s <= 0:",
                "left_s = 0.2\n        if False:",
            ),
        ),
        f"{CONNECTIONS}::test_an_answer_that_trickles_is_waited_for_no_longer_than_a_whole_one",
    ),
    Guard(
        "a kept connection is looked at",
        "cache/redis_node.py",
        (("if not (is_checked and wire.is_closed()):", "if True:"),),
        f"{CONNECTIONS}::test_any_command_is_sent_once_and_on_a_connection_that_is_open",
    ),
    Guard(
        "commands that are sent once",
        "cache/redis_node.py",
        (("if not is_kept or within_s is not None:", "if not is_kept:"),),
        f"{CONNECTIONS}::test_a_command_that_may_have_been_done_is_not_sent_again",
    ),
    Guard(
        "the reign that a shared value is bound to",
        "cache/floors.py",
        (
            ('place=f"{spot.reign} {_place', 'place=f"{_place'),
            ('beginning=f"{answer.reign} "', 'beginning=""'),
        ),
        f"{SHARED}::test_a_value_is_bound_to_its_key_its_reign_and_its_snapshot",
    ),
    Guard(
        "the snapshot that a shared value is bound to",
        "cache/floors.py",
        (('return f"{key} {head.hex()}"', "return key"),),
        f"{SHARED}::test_a_value_is_bound_to_its_key_its_reign_and_its_snapshot",
    ),
    Guard(
        "the reign that trust is bound to",
        "cache/floors.py",
        (('keys = [f"{at}:{reign}:{name}"', 'keys = [f"{at}::{name}"'),),
        f"{SHARED}::test_a_server_that_was_promoted_is_trusted_anew",
    ),
    Guard(
        "a process's own floor, of many keys",
        "cache/hearing.py",
        (("return hit if kept else None", "return hit"),),
        f"{SHARED}::test_a_frame_that_lacks_what_was_heard_is_not_served",
    ),
)
