"""The guards of batches that take effect once; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

ONCE = "sheets/test_exactly_once.py"
RUNS = f"{ONCE}::test_no_row_is_lost_or_doubled_whatever_the_network_does"

_LANDED = """\
            return _landed(batch, found.unwrap(), end_s)
        if _forget_gone("""
_NOT_LOOKED_FOR = (
    f"        if batch.marker in found.unwrap():\n{_LANDED}",
    f"        if False:\n{_LANDED}",
)

SHEETS_ONCE = (
    Guard(
        "once: the marker",
        "sheets/marker.py",
        (("            _adds_marker(batch, void=False),\n", ""),),
        RUNS,
    ),
    Guard(
        "once: the marker is looked for",
        "sheets/marker.py",
        (_NOT_LOOKED_FOR,),
        RUNS,
    ),
    Guard(
        "once: after a crash",
        "sheets/marker.py",
        (_NOT_LOOKED_FOR, ("        if batch.marker in found.unwrap():", "        if False:")),
        f"{ONCE}::test_what_is_sent_again_after_a_crash_happens_once",
    ),
    Guard(
        "once: what has not happened never will",
        "sheets/marker.py",
        (
            ("        if name is not None:", "        if name is None or name:"),
            ("return not is_void(name)", "return name is not None and not is_void(name)"),
        ),
        f"{ONCE}::test_what_is_told_not_to_have_happened_never_will",
    ),
    Guard(
        "once: what was given up",
        "sheets/marker.py",
        (("    if is_void(there[batch.marker]):", "    if False:"),),
        f"{ONCE}::test_what_is_told_not_to_have_happened_never_will",
    ),
    Guard(
        "once: the marker of what may still arrive",
        "sheets/marker.py",
        (("batch.marker, in_flight=in_flight)", "batch.marker, in_flight=False)"),),
        f"{ONCE}::test_the_marker_of_what_may_still_arrive_is_kept",
    ),
    Guard(
        "once: young markers of others",
        "sheets/marks.py",
        (("{marker: at_s + KEEP_S for marker", "{marker: at_s for marker"),),
        f"{ONCE}::test_markers_of_others_stay_for_a_day_and_other_ranges_for_ever",
    ),
    Guard(
        "once: ranges that are no markers",
        "sheets/marks.py",
        (
            (
                "_NAME.fullmatch(name) if marker.startswith(PREFIX) else None",
                "_NAME.fullmatch(name)",
            ),
        ),
        f"{ONCE}::test_markers_of_others_stay_for_a_day_and_other_ranges_for_ever",
    ),
    Guard(
        "once: markers are taken by one",
        "sheets/marks.py",
        (("                del kept[marker]", "                pass"),),
        f"{ONCE}::test_what_is_not_ambiguous_costs_one_request",
    ),
    Guard(
        "once: markers that others deleted",
        "sheets/marker.py",
        (("if _forget_gone(old, found.unwrap()) and refused:", "if False:"),),
        f"{ONCE}::test_a_marker_that_others_have_deleted_stops_no_batch",
    ),
    Guard(
        "once: a certain failure after an ambiguous one",
        "sheets/marker.py",
        (("in_flight = in_flight or isinstance(", "in_flight = isinstance("),),
        f"{ONCE}::test_a_certain_failure_after_an_ambiguous_one_is_ambiguous",
    ),
    Guard(
        "once: a refusal after an ambiguous attempt",
        "sheets/marker.py",
        (("(not in_flight or _resolved(batch, end_s) is False)", "not in_flight"),),
        f"{ONCE}::test_a_refusal_is_one_and_nothing_happened",
    ),
    Guard(
        "once: an answer that cannot be read",
        "sheets/marker.py",
        (("            return Failure(lost)\n", "            return answered\n"),),
        f"{ONCE}::test_an_answer_that_cannot_be_read_is_a_lost_one",
    ),
    Guard(
        "once: landed and not read back",
        "sheets/marker.py",
        (("error.resolved_by(lambda _: True)", "pass"),),
        f"{ONCE}::test_what_has_landed_and_cannot_be_read_back_is_no_failure_to_write",
    ),
    Guard(
        "once: after a day",
        "sheets/marker.py",
        (("if marks.now_s() - batch.began_s >= KEEP_S:", "if False:"),),
        f"{ONCE}::test_after_a_day_nobody_can_say",
    ),
    Guard(
        "once: an outcome stays",
        "errors.py",
        (("        self.resolved_by(lambda _: found)\n", ""),),
        f"{ONCE}::test_an_outcome_that_nobody_tells_is_told_later",
    ),
    Guard(
        "once: a worksheet that is there",
        "sheets/marker.py",
        (("if one not in passing), 0)", "), 0)"),),
        f"{ONCE}::test_the_marker_lies_on_a_worksheet_that_is_there",
    ),
)
