"""The guards of watching sheets, of circuits and of priorities; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

WATCH, ERRORS = "sheets/test_watch.py", "sheets/test_watch_errors.py"
CHANNEL = "sheets/test_watch_channel.py"
CIRCUITS, PRIORITIES = "sheets/test_circuits.py", "sheets/test_priorities.py"
HELD = f"{WATCH}::test_what_does_not_fit_is_told_and_its_rows_are_held"
PROVED = f"{CHANNEL}::test_who_cannot_prove_itself_is_not_heard"

_ASKED_AGAIN = """\
            told = self._sheets.version(self._sheet.spreadsheet)
            self._version = told.value_or(None)
"""
_TOLD_LATER = "                # What was not told is told to who goes on with `rows`.\n"
_REPORTED = "            _report(error)\n            return\n        try:"

SHEETS_LIVE = (
    Guard(
        "watch: rows that do not fit are held",
        "store/sheet_changes.py",
        (("for key in gone if key not in seen.held]", "for key in gone]"),),
        HELD,
    ),
    Guard(
        "watch: a row without a key may be any",
        "store/sheet_changes.py",
        (("[] if seen.is_vague else [key", "[key"),),
        HELD,
    ),
    Guard(
        "watch: two rows of one key",
        "sheets/observing.py",
        (("for key, row in rows.items() if key not in held}", "for key, row in rows.items()}"),),
        f"{WATCH}::test_of_two_rows_with_one_key_neither_is_believed",
    ),
    Guard(
        "watch: merged cells are no values",
        "sheets/observing.py",
        (("        if number not in merged\n", ""),),
        f"{WATCH}::test_merged_cells_are_no_changes",
    ),
    Guard(
        "watch: the version is older than the cells",
        "store/sheet_watch.py",
        (("            self._version = version\n", _ASKED_AGAIN),),
        f"{WATCH}::test_what_changes_while_it_is_read_is_seen_the_next_time",
    ),
    Guard(
        "watch: unchanged is not read",
        "store/sheet_watch.py",
        (("        if version is not None and version == self._version:", "        if False:"),),
        f"{WATCH}::test_cells_are_read_only_if_the_spreadsheet_has_changed",
    ),
    Guard(
        "watch: what was told is known, and no more",
        "store/sheet_watch.py",
        ((_TOLD_LATER, "                self._known = dict(seen.rows)\n"),),
        f"{WATCH}::test_what_was_not_told_is_told_to_who_goes_on",
    ),
    Guard(
        "watch: what is kept is forgotten first",
        "store/sheet_watch.py",
        (("            self._options.changed(self._sheet)\n", ""),),
        f"{WATCH}::test_who_hears_of_a_change_reads_no_older_rows",
    ),
    Guard(
        "watch: errors that pass end nothing",
        "store/sheet_watch.py",
        (("        elif isinstance(error, _FINAL):", "        elif error:"),),
        f"{ERRORS}::test_errors_that_pass_are_seen_and_nothing_is_missed",
    ),
    Guard(
        "watch: what is lost for good ends it",
        "store/sheet_watch.py",
        (("        elif isinstance(error, _FINAL):", "        elif not error:"),),
        f"{ERRORS}::test_what_is_lost_for_good_ends_the_watch_and_deletes_nothing",
    ),
    Guard(
        "watch: pauses grow",
        "store/sheet_watch.py",
        (("options.every_s * 2.0 ** min(self._failures, 30)", "options.every_s"),),
        f"{ERRORS}::test_pauses_grow_and_are_bounded",
    ),
    Guard(
        "watch: a handler that fails",
        "store/sheet_watch.py",
        (
            (
                "raises is reported)\n            _report(error)\n            return",
                "raises is reported)\n            raise error",
            ),
        ),
        f"{ERRORS}::test_a_handler_that_fails_ends_nothing",
    ),
    Guard(
        "watch: no silence",
        "store/sheet_watch.py",
        ((_REPORTED, "            return\n        try:"),),
        f"{ERRORS}::test_what_nobody_wants_to_hear_is_reported",
    ),
    Guard(
        "watch: no thread outlives it",
        "store/sheet_watch.py",
        (("            self._thread.join()", "            pass"),),
        f"{ERRORS}::test_closing_waits_for_the_handler",
    ),
    Guard(
        "watch: a store closes it",
        "store/sheet_store.py",
        (("        self.watches.close()\n", ""),),
        f"{ERRORS}::test_a_store_closes_what_watches",
    ),
    Guard(
        "watch: closing cuts waits short",
        "sheets/background.py",
        (("        work.stop.wait(seconds)", "        sleep(seconds)"),),
        f"{ERRORS}::test_closing_waits_for_no_wait",
    ),
    Guard(
        "watch: it lets others go first",
        "store/sheet_watch.py",
        (("deadline(_LOOK_S), in_background(self._stop):", "deadline(_LOOK_S):"),),
        f"{ERRORS}::test_a_look_leaves_others_their_share_of_the_quota",
    ),
    Guard(
        "channel: its token",
        "sheets/channels.py",
        (("return notice.channel in ids and ", "return notice.channel in ids or "),),
        PROVED,
    ),
    Guard(
        "channel: its id",
        "sheets/channels.py",
        (("return notice.channel in ids and ", "return "),),
        PROVED,
    ),
    Guard(
        "channel: renewed in time",
        "sheets/channels.py",
        (("until_s - life_s * _RENEWED, until_s)", "until_s, until_s)"),),
        f"{CHANNEL}::test_a_channel_is_renewed_before_it_ends",
    ),
    Guard(
        "channel: opened before the old one is stopped",
        "store/sheet_channel.py",
        (
            (
                "        # Its first notice may be here before the answer.\n",
                "        if old is not None:\n            stop_channel(self._http, old)\n",
            ),
        ),
        f"{CHANNEL}::test_a_channel_is_renewed_before_it_ends",
    ),
    Guard(
        "channel: stopped at the end",
        "store/sheet_watch.py",
        (("                self._channel.stop()", "                pass"),),
        f"{CHANNEL}::test_drive_says_when_to_look",
    ),
    Guard(
        "channel: asked all the same",
        "store/sheet_watch.py",
        (("else options.safety_net_s\n        return", "else 3600.0\n        return"),),
        f"{CHANNEL}::test_who_is_not_told_is_asked_all_the_same",
    ),
    Guard(
        "channel: an address of HTTPS",
        "sheets/channels.py",
        (('parts.scheme == "https" or is_local', 'parts.scheme in ("http", "https", "ftp")'),),
        f"{CHANNEL}::test_an_address_is_one_of_https",
    ),
    Guard(
        "circuit: fails at once",
        "sheets/http.py",
        (('        if turn == "refused":', "        if False:"),),
        f"{CIRCUITS}::test_after_some_calls_that_fail_the_next_fail_at_once",
    ),
    Guard(
        "circuit: a probe tries once",
        "sheets/http.py",
        (("(once and works is not True)", "False"),),
        f"{CIRCUITS}::test_after_some_calls_that_fail_the_next_fail_at_once",
    ),
    Guard(
        "circuit: an answer is no failure",
        "sheets/http.py",
        (("works = not isinstance(answered.error, ConnectionError)", "works = False"),),
        f"{CIRCUITS}::test_who_gets_an_answer_has_not_failed",
    ),
    Guard(
        "circuit: who is in a hurry",
        "sheets/http.py",
        (("now_s - sent_s < PATIENT_S:", "now_s < sent_s:"),),
        f"{CIRCUITS}::test_who_is_in_a_hurry_says_nothing_of_google",
    ),
    Guard(
        "circuit: a probe that was not sent",
        "sheets/circuits.py",
        (("            elif circuit.probing:", "            elif False:"),),
        f"{CIRCUITS}::test_a_probe_that_is_not_sent_lets_another_probe",
    ),
    Guard(
        "priorities: in a process",
        "sheets/limiter.py",
        (("if background else 1.0", "if False else 1.0"),),
        f"{PRIORITIES}::test_the_background_leaves_half_of_the_burst",
    ),
    Guard(
        "priorities: among processes",
        "sheets/shared_limiter.py",
        (("math.min(burst - 1, burst * reserve)", "0"),),
        f"{PRIORITIES}::test_processes_leave_it_to_each_other",
    ),
    Guard(
        "priorities: what is revalidated",
        "store/sheet_views.py",
        (("with deadline(_REVALIDATION_S), in_background():", "with deadline(_REVALIDATION_S):"),),
        f"{PRIORITIES}::test_what_is_revalidated_leaves_others_their_share",
    ),
)
