"""The guards of the Redis backplane; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

PUBLISHED_TESTS = "real/test_published.py"
BEHIND = "real/test_published_behind.py"
OUTAGES = "real/test_published_outages.py"

_LOOK = (
    "        if self._published.asks:\n"
    "            self._published.look_back(self._of_this_life(self._ended(RUNNING)))\n"
)

PUBLISHED = (
    Guard(
        "redis backplane: announced before COMMIT",
        "store/running.py",
        (("end.error = pending.announce(session.xid)", "end.error = None"),),
        f"{PUBLISHED_TESTS}::test_nothing_is_kept_of_a_row_between_its_announcement_and_its_commit",
    ),
    Guard(
        "redis backplane: a transaction for each write",
        "repository/writes.py",
        (("if not store.caches.announces:", "if store.caches:"),),
        f"{PUBLISHED_TESTS}::test_what_a_store_writes_is_heard_by_the_others",
    ),
    Guard(
        "redis backplane: floors begin with what runs",
        "cache/published.py",
        (("self._running, self._running_told_s = ended.running,", "self._running_told_s ="),),
        f"{PUBLISHED_TESTS}::test_who_begins_to_listen_after_an_announcement_refuses_what_lacks_it",
    ),
    Guard(
        "redis backplane: a snapshot does not name the latest that run",
        "sql/running.py",
        (("    running += range(int(until), int(own or until))\n", ""),),
        f"{PUBLISHED_TESTS}::test_who_begins_to_listen_after_an_announcement_refuses_what_lacks_it",
    ),
    Guard(
        "redis backplane: new caches refuse what is unsettled",
        "cache/published.py",
        (("        if begins:\n            self._tell_running(cache)\n", ""),),
        f"{PUBLISHED_TESTS}::"
        "test_a_cache_that_is_opened_after_an_announcement_refuses_what_lacks_it",
    ),
    Guard(
        "redis backplane: results read before the end of a change",
        "cache/published.py",
        (("            self._drop_results(one.announcement)\n", "            pass\n"),),
        f"{PUBLISHED_TESTS}::test_a_result_that_was_read_before_the_commit_goes_when_it_has_ended",
    ),
    Guard(
        "redis backplane: what has ended is asked behind the answer",
        "store/published.py",
        (
            (_LOOK, ""),
            ("        return min(self._max", _LOOK + "        return min(self._max"),
        ),
        f"{PUBLISHED_TESTS}::test_a_result_goes_when_its_change_is_heard_behind_the_heartbeat",
    ),
    Guard(
        "redis backplane: results go when what ran has ended",
        "cache/published.py",
        (("if ended is None or gone:", "if ended is None:"),),
        f"{PUBLISHED_TESTS}::"
        "test_who_begins_to_listen_after_an_announcement_drops_results_when_it_has_ended",
    ),
    Guard(
        "redis backplane: who stood still, and had not heard it",
        "cache/published.py",
        (("for cache in self.hearing() if gone else ():", "for cache in ():"),),
        f"{PUBLISHED_TESTS}::"
        "test_what_was_announced_before_it_listened_is_told_again_when_it_has_ended",
    ),
    Guard(
        "redis backplane: own results are told before they are spared",
        "cache/published.py",
        (("announcement.xid), 1) <= 0:", "announcement.xid), 1) < 9:"),),
        f"{PUBLISHED_TESTS}::test_what_a_thread_committed_and_has_not_told_goes_with_the_heartbeat",
    ),
    Guard(
        "redis backplane: a COMMIT that was not answered",
        "store/running.py",
        (("            pending.doubt(session.xid)\n", "            pass\n"),),
        f"{PUBLISHED_TESTS}::test_a_result_goes_when_a_commit_that_was_not_answered_is_seen_late",
    ),
    Guard(
        "redis backplane: a distributed COMMIT that is left to others",
        "store/two_phase.py",
        (("part.pending.doubt(part.session.xid)", "pass"),),
        f"{PUBLISHED_TESTS}::"
        "test_a_result_goes_when_what_was_left_prepared_is_committed_by_another",
    ),
    Guard(
        "redis backplane: ids belong to a life of the database",
        "store/published.py",
        (("ended.history != self._history:", "not ended.history:"),),
        f"{PUBLISHED_TESTS}::test_what_was_cached_in_another_life_of_the_database_is_forgotten",
    ),
    Guard(
        "redis backplane: what write-behind commits is announced",
        "store/running.py",
        (("end.error = pending.announce(session.xid)", "end.error = None"),),
        f"{BEHIND}::test_a_batch_that_cannot_be_announced_stays_in_the_journal",
    ),
    Guard(
        "redis backplane: results while the database is silent",
        "cache/published.py",
        (("            self.queries.clear()\n", "            pass\n"),),
        f"{PUBLISHED_TESTS}::test_no_result_waits_for_what_the_database_cannot_tell",
    ),
    Guard(
        "redis backplane: who stood still",
        "cache/published.py",
        (("                again.append(one)\n", "                pass\n"),),
        f"{PUBLISHED_TESTS}::test_who_stood_still_forgets_what_lacks_a_change_that_ended_meanwhile",
    ),
    Guard(
        "redis backplane: announced again while it is unsettled",
        "cache/published.py",
        (("                old += heard\n", "                pass\n"),),
        f"{PUBLISHED_TESTS}::test_what_stays_open_for_long_is_announced_again",
    ),
    Guard(
        "redis backplane: whole tables of L2 wait for the end",
        "cache/membership.py",
        (("if not self._is_settled(first.xid):", "if first is None:"),),
        f"{PUBLISHED_TESTS}::"
        "test_a_newcomer_is_not_told_of_a_whole_table_before_its_change_has_ended",
    ),
    Guard(
        "redis backplane: rows that go with deleted ones",
        "cache/published.py",
        (
            (
                "            cache.announce(None, announcement.xid)\n            member",
                "            member",
            ),
        ),
        f"{PUBLISHED_TESTS}::test_rows_that_go_with_deleted_ones_are_heard_of",
    ),
    Guard(
        "redis backplane: two-phase commit announces",
        "store/two_phase.py",
        (("refused = part.pending.announce(part.session.xid)", "refused = None"),),
        f"{PUBLISHED_TESTS}::test_both_sides_of_a_distributed_transaction_are_announced",
    ),
    Guard(
        "redis backplane: a new line may have missed anything",
        "cache/published.py",
        (("        self.begin_hearing(ended.latest, ended.history)\n", ""),),
        f"{OUTAGES}::test_what_is_missed_while_the_line_is_cut_is_not_served_after",
    ),
    Guard(
        "redis backplane: what cannot be announced is refused",
        "cache/published.py",
        (("if not self._refuses:", "if True:"),),
        f"{OUTAGES}::test_without_redis_reads_go_on_and_writes_are_refused",
    ),
    Guard(
        "redis backplane: what was committed unannounced is announced",
        "cache/published.py",
        (("            self._owed[message] = None\n", ""),),
        f"{OUTAGES}::test_what_is_committed_unannounced_is_announced_when_redis_can_be_reached",
    ),
    Guard(
        "redis backplane: a child's own line",
        "cache/subscribing.py",
        (("            listener.renew()\n", "            pass\n"),),
        f"{OUTAGES}::test_a_fork_listens_on_a_line_of_its_own",
    ),
)
