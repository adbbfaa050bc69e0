"""The guards of writing through and behind; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

REAL = "real/test_write_behind.py"
TWO = f"{REAL}::test_two_consumers_do_everything_once"
PENDING = f"{REAL}::test_reads_by_key_see_what_is_pending"

BEHIND = (
    Guard(
        "write-behind: what is applied is not applied again",
        "store/consuming.py",
        (("if one.entry.id > found.unwrap().applied]", "]"),),
        TWO,
    ),
    Guard(
        "write-behind: one consumer at a time",
        "sql/write_behind.py",
        (('f"{_READ} FOR UPDATE"', "_READ"),),
        TWO,
    ),
    Guard(
        "write-behind: pairs with two outcomes",
        "cache/operations.py",
        (
            (
                '    ("update", "update"): "update",',
                '    ("update", "create"): "upsert",\n    ("update", "update"): "update",',
            ),
        ),
        "pure/test_operations.py",
    ),
    Guard(
        "write-behind: L2 forgets before an operation leaves",
        "store/consuming.py",
        (("if l2 is not None and not l2.is_told_all:", "if False:"),),
        f"{REAL}::test_operations_leave_the_journal_after_l2_has_forgotten",
    ),
    Guard(
        "write-behind: what another consumer applied is forgotten",
        "store/consuming.py",
        (("self._store.caches.invalidate(self._table, keys, deleted=deleted)", "pass"),),
        f"{REAL}::test_a_consumer_that_died_before_the_tiers_forgot_is_made_up_for",
    ),
    Guard(
        "write-behind: ids beyond what is applied",
        "cache/journal.py",
        (("if applied.unwrap() > NOTHING:", "if False:"),),
        f"{REAL}::test_an_id_that_l3_has_passed_is_not_given_again",
    ),
    Guard(
        "write-behind: what is applied is not pending",
        "store/behind_own.py",
        (("if id_ > self._learnt and (", "if ("),),
        f"{REAL}::test_what_l3_has_is_not_pending_again",
    ),
    Guard(
        "write-behind: the later of two operations",
        "store/behind_own.py",
        (("(known is None or known.id < id_)", "True"),),
        f"{REAL}::test_what_l3_has_is_not_pending_again",
    ),
    Guard(
        "write-behind: the bound of the journal",
        "cache/journal.py",
        (("if held + adding > limit then", "if false then"),),
        f"{REAL}::test_a_full_journal_refuses_and_takes_again",
    ),
    Guard(
        "write-behind: a Redis that keeps nothing",
        "cache/journal.py",
        (("            if self._durable:\n", "            if False:\n"),),
        f"{REAL}::test_a_redis_that_forgets_is_refused_unless_told_otherwise",
    ),
    Guard(
        "write-behind: a Redis that evicts",
        "cache/journal_keeping.py",
        (("    if bounded and limits", "    if False and limits"),),
        f"{REAL}::test_a_redis_that_evicts_is_refused",
    ),
    Guard(
        "write-behind: an answer that never came",
        "cache/journal_line.py",
        (("_unanswered(error) if writes else _unsent(error)", "_unsent(error)"),),
        f"{REAL}::test_a_frozen_redis_leaves_the_outcome_open",
    ),
    Guard(
        "write-behind: what was sent is not sent again",
        "cache/journal.py",
        (
            (
                "if self._line.run == self._trusted or not _is_unsent(answered.failure()):",
                "if False:",
            ),
        ),
        "pure/test_journal.py",
    ),
    Guard(
        "write-behind: another run of Redis",
        "cache/journal_line.py",
        (("if on_run is not None and self.run != on_run:", "if False:"),),
        f"{REAL}::test_a_script_for_another_run_of_redis_is_not_sent",
    ),
    Guard(
        "write-behind: a dead letter of what is past",
        "store/consuming.py",
        (("            if id_ <= found.unwrap().applied:\n", "            if False:\n"),),
        f"{REAL}::test_what_is_past_is_not_refused_again",
    ),
    Guard(
        "write-behind: a forked child",
        "store/pending_writes.py",
        (("        renew_in_children(self)\n", ""),),
        f"{REAL}::test_a_forked_child_writes_and_reads_by_itself",
    ),
    Guard(
        "write-behind: a process sees its own writes",
        "repository/behind.py",
        (("            known = own(key)\n", "            known = None\n"),),
        PENDING,
    ),
    Guard(
        "write-behind: a process sees the writes of others",
        "repository/behind.py",
        (("            found = pending([key])\n", "            found: dict[K, Any] = {}\n"),),
        PENDING,
    ),
    Guard(
        "write-behind: mutable entities",
        "repository/behind.py",
        (("copy.deepcopy(entity) if self._table.copy else entity", "entity"),),
        f"{REAL}::test_mutable_entities_are_copied_in_and_out",
    ),
    Guard(
        "write-behind: what Redis lost is pending no more",
        "store/behind_own.py",
        (("if entry is None or entry.id < one[1].id", "if False"),),
        f"{REAL}::test_a_redis_that_lost_the_journal_says_so_and_goes_on",
    ),
    Guard(
        "write-behind: columns that the database sets",
        "repository/behind.py",
        (("        if table.managed:", "        if False:"),),
        f"{REAL}::test_what_write_behind_is_not_for_is_refused",
    ),
    Guard(
        "write-through: the read back",
        "repository/through.py",
        (("        if cache is None or isinstance", "        if True or isinstance"),),
        "real/test_write_strategies.py::test_l2_has_what_was_written_through",
    ),
)
