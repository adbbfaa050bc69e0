"""The guards of prepared transactions under the PostgreSQL backplane; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

TESTS = "real/test_backplane_prepared.py"
KILLED = "chaos/test_two_phase_backplane.py"

_ANNOUNCING = (
    "        for part in self._writers:\n"
    "            if part.announce(self._until_s) and part.announces:\n"
    '                _step(f"announced {part.name}")\n'
)

_TOLD = "announce_prepared(store.database, (ANNOUNCE_ANY, (xid,)), self._until_s)"
_LIFTED = (
    'LIFTED = f"{_NEXT} + ((transaction::text::int8 - {_NEXT} + 2147483648) & 4294967295) '
    '- 2147483648"'
)

PREPARED = (
    Guard(
        "prepared transactions: announced",
        "store/taking_part.py",
        (("not self.announces or self.session.announce(until_s)", "True"),),
        f"{TESTS}::test_what_a_distributed_transaction_changes_is_heard",
    ),
    Guard(
        "prepared transactions: announced before they are committed",
        "store/two_phase.py",
        (
            (_ANNOUNCING, ""),
            ("if part.announced and not part", "if not part"),
            (
                "        if all(part.done for part in self._writers):\n            # What is not",
                _ANNOUNCING
                + "        if all(part.done for part in self._writers):\n            # What is not",
            ),
        ),
        f"{TESTS}::test_it_is_heard_before_anything_of_it_is_seen",
    ),
    Guard(
        "prepared transactions: announced on another connection",
        "store/taking_part.py",
        (("if commit and not self.announced and self.announces:", "if False:"),),
        f"{TESTS}::test_a_participant_that_lost_its_connection_is_announced_on_another",
    ),
    Guard(
        "prepared transactions: announced by recovery",
        "store/recovery.py",
        ((_TOLD, "Success(0)"),),
        f"{KILLED}::test_a_coordinator_killed_at_a_step_leaves_no_reader_behind[decided]",
    ),
    Guard(
        "prepared transactions: whole ids",
        "sql/collecting.py",
        ((_LIFTED, 'LIFTED = "transaction::text::int8"'),),
        f"{TESTS}::test_recovery_names_transactions_by_their_whole_ids",
    ),
    Guard(
        "prepared transactions: what was not answered may be anything",
        "postgres/two_phase.py",
        (
            (
                "    if session.announces is None:\n        return ANNOUNCE_ANY, (session.xid,)\n",
                '    session.announces = session.announces or "["\n',
            ),
        ),
        f"{TESTS}::test_a_participant_whose_preparing_was_not_answered_may_have_changed_anything",
    ),
    Guard(
        "prepared transactions: collected only as far as it fits",
        "sql/backplane.py",
        (("    IF octet_length(collected) +", "    IF false AND octet_length(collected) +"),),
        f"{TESTS}::test_more_than_can_be_collected_is_the_whole_table",
    ),
    Guard(
        "prepared transactions: a single writer announces too",
        "postgres/two_phase.py",
        (("command if self.xid is None else FLUSH + command", "command"),),
        f"{TESTS}::test_a_single_writer_announces_with_its_commit",
    ),
    Guard(
        "prepared transactions: what is deferred is collected",
        "sql/collecting.py",
        (("SET CONSTRAINTS ALL IMMEDIATE; ", "SELECT 0; "),),
        f"{TESTS}::test_what_is_deferred_is_announced_too",
    ),
    Guard(
        "prepared transactions: what is written late announces by itself",
        "sql/collecting.py",
        (("{_EACH.format(_OWN)}; {_NO_MORE}; ", "{_EACH.format(_OWN)}; "),),
        f"{TESTS}::test_what_is_deferred_is_announced_too",
    ),
    Guard(
        "prepared transactions: results wait for the end",
        "cache/hearing_caches.py",
        (("        if not announcement.early:\n", "        if True:\n"),),
        f"{TESTS}::test_an_own_write_that_does_not_concern_a_result_leaves_it",
    ),
    Guard(
        "prepared transactions: results go with the end",
        "cache/early.py",
        (("                self._caches.hear_end(one.announcement)\n", ""),),
        f"{TESTS}::test_a_result_that_was_read_before_the_end_goes_when_it_has_ended",
    ),
    Guard(
        "prepared transactions: heartbeats hurry",
        "store/backplane.py",
        (("return self._early.due_s", "return math.inf"),),
        f"{TESTS}::test_a_result_goes_without_being_asked_for_long_before_the_next_heartbeat",
    ),
    Guard(
        "prepared transactions: who begins to listen asks what is prepared",
        "store/backplane.py",
        (("self._early.begin(prepared)", "self._early.begin(())"),),
        f"{TESTS}::test_who_begins_to_listen_after_an_announcement_refuses_what_lacks_it",
    ),
    Guard(
        "prepared transactions: results go when what was prepared has ended",
        "cache/early.py",
        (("            self._caches.queries.clear()\n", ""),),
        f"{TESTS}::test_who_begins_to_listen_after_an_announcement_refuses_what_lacks_it",
    ),
    Guard(
        "prepared transactions: new caches refuse what has not ended",
        "store/backplane.py",
        (("                self._early.tell(cache)\n", "                pass\n"),),
        f"{TESTS}::test_a_cache_that_is_opened_after_an_announcement_refuses_what_lacks_it",
    ),
    Guard(
        "prepared transactions: announced again",
        "cache/early.py",
        (("        self._tell_again(now_s)\n", ""),),
        f"{TESTS}::test_what_stays_prepared_for_long_is_announced_again",
    ),
    Guard(
        "prepared transactions: who stood still until the end",
        "cache/early.py",
        (("            self._tell_all(gone)\n", ""),),
        f"{TESTS}::test_what_was_announced_before_it_listened_is_told_again",
    ),
    Guard(
        "prepared transactions: what is in doubt is not spared",
        "store/two_phase.py",
        (("if self.kept is None or part.is_in_doubt:", "if self.kept is None:"),),
        f"{TESTS}::test_an_own_write_in_doubt_is_heard_as_anybodys",
    ),
    Guard(
        "prepared transactions: notes of what is in doubt",
        "cache/own_writes.py",
        (("            if xid in self._doubted:\n                return\n", ""),),
        "pure/test_own_writes.py::test_what_is_in_doubt_is_not_spared_before_or_after",
    ),
    Guard(
        "prepared transactions: triggers of an earlier version",
        "store/backplane.py",
        (('if announcing != "yes" and', 'if announcing == "no" and'),),
        f"{TESTS}::test_triggers_of_an_earlier_version_are_noticed",
    ),
    Guard(
        "prepared transactions: a whole table of L2 waits for the end",
        "store/backplane.py",
        (("return self._early.is_settled(xid)", "return xid > 0"),),
        f"{TESTS}::test_a_whole_table_of_l2_waits_for_the_end",
    ),
)
