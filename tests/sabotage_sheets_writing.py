"""The guards of writing sheets; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

MOVING = "sheets/test_moving_people.py"
VERBS = "sheets/test_repository.py"
TRANSACTIONS = "sheets/test_sheet_transactions.py"

SHEETS_WRITING = (
    Guard(
        "sheet writing: whose rows were met",
        "sheets/missed.py",
        (("        if read(row, found.layout) != target.identity:", "        if False:"),),
        MOVING,
    ),
    Guard(
        "sheet writing: where the columns stood",
        "sheets/missed.py",
        (("    if not has_headers(found, header):", "    if False:"),),
        MOVING,
    ),
    Guard(
        "sheet writing: what was removed comes back first",
        "sheets/targets.py",
        (("    if task.removed:\n        return Task(", "    if False:\n        return Task("),),
        MOVING,
    ),
    Guard(
        "sheet writing: a hidden key comes back first",
        "sheets/targets.py",
        (("if target.is_hidden]\n    others", "if False]\n    others"),),
        MOVING,
    ),
    Guard(
        "sheet writing: the last is undone first",
        "sheets/missed.py",
        (("_merged([*victims, *pending])", "_merged([*pending, *victims])"),),
        MOVING,
    ),
    Guard(
        "sheet writing: columns that moved again",
        "sheets/missed.py",
        (
            (
                "        if not one.saved.content.stands_alike(found.layout.header, header)",
                "        if False",
            ),
        ),
        f"{MOVING}::test_columns_may_move_while_a_row_comes_back",
    ),
    Guard(
        "sheet writing: a cell that people have changed since is theirs",
        "sheets/copies.py",
        (("== over.get(place):", "is not ...:"),),
        f"{MOVING}::test_a_cell_that_people_change_before_it_is_put_back_is_theirs",
    ),
    Guard(
        "sheet writing: new rows come behind deletions",
        "sheets/edits.py",
        (
            ("    requests += [_deletion(found.sheet_id, span) for span in spans]\n", ""),
            (
                "    return requests\n",
                "    return requests + [_deletion(found.sheet_id, span) for span in spans]\n",
            ),
        ),
        MOVING,
    ),
    Guard(
        "sheet writing: a grid keeps a row",
        "sheets/edits.py",
        (
            (
                "    if sum(end - start for start, end in spans) >=",
                "    if False and sum(end - start for start, end in spans) >=",
            ),
        ),
        f"{VERBS}::test_every_row_of_a_tight_grid_may_go",
    ),
    Guard(
        "sheet writing: a marker lies on what stays",
        "sheets/marker.py",
        ((' or "deleteSheet" in request', ""),),
        "sheets/test_exactly_once.py::test_a_marker_lies_on_a_worksheet_that_stays",
    ),
    Guard(
        "sheet writing: people may delete copies",
        "sheets/writing.py",
        (
            (
                "    if old and isinstance(answered, Failure)",
                "    if False and isinstance(answered, Failure)",
            ),
        ),
        f"{VERBS}::test_people_may_delete_the_copies",
    ),
    Guard(
        "sheet writing: a row outside of the grid",
        "sheets/writing.py",
        (("        elif isinstance(sent.failure(), QueryError):", "        elif False:"),),
        f"{VERBS}::test_a_row_may_leave_the_grid_before_it_is_written",
    ),
    Guard(
        "sheet writing: a version at the very batch",
        "sheets/missed.py",
        (("            and version(row, layout) != target.version", "            and False"),),
        f"{VERBS}::test_a_version_is_checked_at_the_very_write",
    ),
    Guard(
        "sheet writing: versions are looked at",
        "sheets/missed.py",
        (("        if target.version is not None:\n            return False\n", ""),),
        f"{VERBS}::test_a_version_is_checked_at_the_very_write",
    ),
    Guard(
        "sheet writing: a row that is gone is told",
        "store/sheet_writes.py",
        (("dict.fromkeys(done.lost, _deleted())", "dict[Identity, RepositoryError]()"),),
        f"{VERBS}::test_a_row_that_people_delete_before_its_change_arrives_is_told",
    ),
    Guard(
        "sheet writing: a key that does not fit is there",
        "store/sheet_writes.py",
        (("            elif key in self.held:", "            elif False:"),),
        f"{VERBS}::test_a_row_that_does_not_fit_is_not_written_twice",
    ),
    Guard(
        "sheet writing: own writes are read",
        "store/sheet_writes.py",
        (("            self._forget(sheet)\n", ""),),
        f"{VERBS}::test_own_writes_are_read_though_a_cache_keeps_worksheets",
    ),
    Guard(
        "sheet writing: what was read before is not kept",
        "store/sheet_views.py",
        (
            (
                "            if self._writes.get(sheet.spreadsheet, 0) == writes:",
                "            if True:",
            ),
        ),
        "sheets/test_views.py::test_what_was_read_before_an_own_write_is_not_kept",
    ),
    Guard(
        "sheet writing: subscribers write no tables",
        "store/sheet_writes.py",
        (("        if base.rows.emitted:", "        if False:"),),
        f"{VERBS}::test_subscribers_hear_and_may_refuse",
    ),
    Guard(
        "sheet writing: a key stays",
        "repository/sheet.py",
        (("        if self.rows.identity(entity) != identity:", "        if False:"),),
        f"{VERBS}::test_bad_values_are_refused_before_anything_is_written",
    ),
    Guard(
        "sheet writing: one write at a time",
        "store/sheet_writes.py",
        (
            ("        is_mine = lock.acquire(", "        is_mine = True or lock.acquire("),
            ("                lock.release()", "                pass"),
        ),
        f"{VERBS}::test_verbs_of_many_threads_are_lost_nowhere_and_share_batches",
    ),
    Guard(
        "sheet writing: copies of a dead process are kept for a week",
        "sheets/writing.py",
        (("_made_at_s(one.title, oldest_s) < oldest_s", "_made_at_s(one.title, oldest_s) > 0"),),
        f"{VERBS}::test_copies_whose_process_died_are_deleted_after_a_week",
    ),
    Guard(
        "shared cells: of the version that was told",
        "sheets/shared_cells.py",
        (
            (
                "            if entry is None or entry.version != version:",
                "            if entry is None:",
            ),
        ),
        "sheets/test_views.py::test_processes_share_cells_through_redis",
    ),
    Guard(
        "sheet writing: none is refused for another",
        "store/sheet_writes.py",
        (("        elif len(writing) > 1 and", "        elif False and"),),
        f"{VERBS}::test_none_of_several_joined_verbs_is_refused_for_another",
    ),
    Guard(
        "sheet transaction: nobody waits for itself",
        "store/sheet_writes.py",
        (("            if self._owners.get(spreadsheet) == me:", "            if False:"),),
        f"{TRANSACTIONS}::test_who_would_wait_for_itself_is_told",
    ),
    Guard(
        "sheet transaction: another write came first",
        "store/sheet_transaction.py",
        (
            (
                "        if self._writes.sent(spreadsheet) != self._bases[base.sheet][1]:",
                "        if False:",
            ),
        ),
        f"{TRANSACTIONS}::test_it_runs_again_if_another_write_of_the_store_came_first",
    ),
    Guard(
        "sheet transaction: one worksheet",
        "store/sheet_transaction.py",
        (("        elif self._written is not base:", "        elif False:"),),
        f"{TRANSACTIONS}::test_it_writes_one_worksheet_and_reads_others",
    ),
    Guard(
        "sheet transaction: its handle is of no use behind it",
        "store/sheet_transaction.py",
        (("        if self._is_over:", "        if False:"),),
        f"{TRANSACTIONS}::test_its_handle_is_of_no_use_behind_it",
    ),
)
