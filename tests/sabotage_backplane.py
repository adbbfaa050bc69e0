"""Guards of the backplane, for `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

QUERIES = "real/test_backplane_queries.py"
LOST = "chaos/test_lost_timelines.py"

BACKPLANE = (
    Guard(
        "only marked statements are told",
        "sql/backplane.py",
        (("starts_with(current_query(), {literal(TELLS)})", "true"),),
        f"{QUERIES}::test_raw_sql_in_the_same_transaction_drops_it",
    ),
    Guard(
        "what triggers write is not told",
        "sql/backplane.py",
        (("IF pg_trigger_depth() = 1 AND", "IF"),),
        f"{QUERIES}::test_what_a_trigger_writes_meanwhile_drops_it",
    ),
    Guard(
        "what waits ends with the heartbeat",
        "store/backplane.py",
        (("self._caches.settle(sent_s)", "pass"),),
        f"{QUERIES}::test_an_own_write_whose_answer_is_lost_drops_it_with_the_heartbeat",
    ),
    Guard(
        "own transactions are known by their ids",
        "cache/own_writes.py",
        (
            (
                "note = self._notes.get((place, xid))",
                "note = next(iter(self._notes.values()), None)",
            ),
        ),
        "pure/test_own_writes.py::test_a_transaction_is_known_by_table_and_id",
    ),
    Guard(
        "a note spares as often as was decided",
        "cache/own_writes.py",
        (("        note.count -= 1\n", ""),),
        "pure/test_own_writes.py::test_what_was_decided_is_spared_as_often_as_it_was",
    ),
    Guard(
        "both keys of a row that moves",
        "sql/backplane.py",
        (("keys := concat_ws(',', before, keys);", "NULL;"),),
        "real/test_backplane.py::test_what_anybody_changes_is_heard",
    ),
    Guard(
        "names of L2 belong to a life of the database",
        "cache/membership.py",
        (('return f"{self.history}/{name}"', "return name"),),
        f"{LOST}::test_a_crash_that_gives_ids_again",
    ),
    Guard(
        "floors of L1 belong to a life of the database",
        "cache/hearing.py",
        (("self._lift += _LIFT", "self._lift += 0"),),
        f"{LOST}::test_a_promotion_that_gives_ids_again",
    ),
)
