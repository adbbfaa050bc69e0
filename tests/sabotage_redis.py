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
)
