"""The guards of the local Sheets server; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

FAULTS = "sheets/test_faults.py"
PEOPLE = "sheets/test_people.py"
RENDERINGS = "sheets/test_renderings.py"
SHEETS = "testing/sheets"

# Each request is kept before the batch is known to be good.
_ONE_BY_ONE = """\
    for one in body.get("requests", ()):
        context = call.state.context(call.user)
        call.keep(batch_update(call.book, {"requests": [one]}, context)[0])
    changed, replies = batch_update("""

# The answer is written while others wait.
_LOCKED = """\
        with self.lock:
            reply = reply.written(request, user, self._renderings)"""

SHEETS_SERVER = (
    Guard(
        "Sheets server: what is not shared",
        f"{SHEETS}/state.py",
        (("if role is None or (write and not may_write(role)):", "if False:"),),
        f"{FAULTS}::test_what_is_not_shared_is_not_seen",
    ),
    Guard(
        "Sheets server: the signature of a key",
        f"{SHEETS}/oauth.py",
        (("            key.verify(", "            (lambda *_: None)("),),
        f"{FAULTS}::test_a_key_of_another_server_is_refused",
    ),
    Guard(
        "Sheets server: the project's quota",
        f"{SHEETS}/quotas.py",
        (("if len(counters[1]) >= whole:", "if False:"),),
        f"{FAULTS}::test_a_project_has_a_limit_of_all_its_users",
    ),
    Guard(
        "Sheets server: the window of a quota",
        f"{SHEETS}/quotas.py",
        (('fixed = self._quotas.window == "fixed"', "fixed = True"),),
        f"{FAULTS}::test_a_window_is_fixed_or_slides",
    ),
    Guard(
        "Sheets server: protected cells",
        f"{SHEETS}/spreadsheet.py",
        (("            if box.meets(bounds):", "            if False:"),),
        f"{FAULTS}::test_a_protected_cell_is_only_for_its_editors",
    ),
    Guard(
        "Sheets server: batches of all or nothing",
        f"{SHEETS}/sheets_api.py",
        (
            (
                "    changed, replies = batch_update(",
                _ONE_BY_ONE,
            ),
        ),
        "sheets/test_batch.py::test_a_batch_is_all_or_nothing",
    ),
    Guard(
        "Sheets server: a named range's id is given once",
        f"{SHEETS}/batch_marks.py",
        (("    if range_id in taken:", "    if False:"),),
        f"{PEOPLE}::test_a_named_range_of_a_taken_id_undoes_the_batch",
    ),
    Guard(
        "Sheets server: where a table ends",
        f"{SHEETS}/tables.py",
        (("    while any_in_row(bottom):\n", "    while False:\n"),),
        "sheets/test_values.py::test_appending_finds_the_table_that_google_finds",
    ),
    Guard(
        "Sheets server: cut answers are not zipped",
        f"{SHEETS}/http.py",
        (("outcome.body_bytes is None and reply.body and", "reply.body and"),),
        f"{PEOPLE}::test_a_cut_answer_is_not_zipped",
    ),
    Guard(
        "Sheets server: loopback only",
        f"{SHEETS}/http.py",
        (('HOST = "127.0.0.1"', 'HOST = "0.0.0.0"'),),
        f"{PEOPLE}::test_a_server_listens_on_loopback_only",
    ),
    Guard(
        "Sheets server: a visit is for the requests it names",
        f"{SHEETS}/people.py",
        (("        if visit.meets(request):", "        if True:"),),
        f"{PEOPLE}::test_a_person_sorts_between_a_read_and_a_write",
    ),
    Guard(
        "Sheets server: what is kept is of the spreadsheet as it is",
        f"{SHEETS}/renderings.py",
        (("kept is not None and kept.source is source:", "kept is not None:"),),
        f"{RENDERINGS}::test_a_change_is_seen_at_once",
    ),
    Guard(
        "Sheets server: what is kept was for the same user",
        f"{SHEETS}/exchange.py",
        (("kept.body((user, request.path, query),", "kept.body((request.path, query),"),),
        f"{RENDERINGS}::test_each_user_is_shown_what_is_theirs",
    ),
    Guard(
        "Sheets server: what is kept is bounded",
        f"{SHEETS}/renderings.py",
        (("                while self._bytes > self._bytes_max:", "                while False:"),),
        f"{RENDERINGS}::test_what_is_kept_is_bounded",
    ),
    Guard(
        "Sheets server: rendering keeps nobody waiting",
        f"{SHEETS}/service.py",
        (
            (
                "        reply = reply.written(request, user, self._renderings)",
                _LOCKED,
            ),
        ),
        f"{RENDERINGS}::test_rendering_keeps_nobody_waiting",
    ),
)
