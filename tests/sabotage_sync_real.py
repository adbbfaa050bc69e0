"""The guards of performing a sync; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

GUARDS, LIMITS = "sync/real/test_guards.py", "sync/real/test_limits.py"
DYING, MOVING = "sync/real/test_dying.py", "sync/real/test_moving.py"

SYNC_REAL = (
    Guard(
        "sync: one pass at a time",
        "sync/performing.py",
        (("        if not locked.unwrap():", "        if False:"),),
        f"{LIMITS}::test_only_one_at_a_time",
    ),
    Guard(
        "sync: a pass that lost its lock",
        "sql/sync.py",
        (('    "WHERE p.generation = $4",', '    "WHERE p.generation >= $4",'),),
        f"{GUARDS}::test_a_pass_that_lost_its_lock_begins_anew",
    ),
    Guard(
        "sync: a marker is taken away",
        "sync/fences.py",
        (
            (
                '*({"deleteNamedRange": {"namedRangeId": one}} for one in old),',
                '*({"deleteNamedRange": {"namedRangeId": one}} for one in old[:0]),',
            ),
        ),
        f"{GUARDS}::test_a_batch_that_arrives_late_does_nothing",
    ),
    Guard(
        "sync: what may still land is cancelled",
        "sync/performing.py",
        (('        if became == "open":', "        if False:"),),
        f"{GUARDS}::test_a_batch_that_arrives_late_does_nothing",
    ),
    Guard(
        "sync: what the sheet is sent is noted",
        "sync/performing.py",
        (("Success(0) if sent is None else note(", "Success(0) if True else note("),),
        f"{GUARDS}::test_a_batch_that_arrives_before_anybody_looks_has_landed",
    ),
    Guard(
        "sync: what has landed is the base",
        "sync/keeping.py",
        (
            (
                "        lambda: keep_base(database, pair, base),\n        lambda: (",
                "        lambda: (",
            ),
        ),
        f"{GUARDS}::test_a_batch_that_arrives_before_anybody_looks_has_landed",
    ),
    Guard(
        "sync: the app is not written over",
        "sync/performing.py",
        (('work, isolation="repeatable read")', "work)"),),
        f"{GUARDS}::test_the_app_is_not_written_over_without_a_version_either",
    ),
    Guard(
        "sync: limits are asked for",
        "sync/performing.py",
        (
            ("            if refused := refusal(", "            if False and (refused := refusal("),
            ("sync.rails, sides, made):", "sync.rails, sides, made)):"),
        ),
        f"{LIMITS}::test_a_sheet_that_is_suddenly_empty_empties_no_table",
    ),
    Guard(
        "sync: a base for another mapping",
        "sync/preparing.py",
        (("    if known is None or resync:\n", "    if True:\n"),),
        f"{LIMITS}::test_another_mapping_takes_a_resync",
    ),
    Guard(
        "sync: a base that was lost",
        "sync/preparing.py",
        (("    if known is not None or resync or not was_synced(sync, side):", "    if True:"),),
        f"{LIMITS}::test_a_database_that_forgot_the_pair_is_told",
    ),
    Guard(
        "sync: merged cells",
        "sync/sheet_side.py",
        (("            if place not in merged:", "            if True:"),),
        f"{GUARDS}::test_merged_cells_are_left_alone",
    ),
    Guard(
        "sync: an id in merged cells",
        "sync/sheet_side.py",
        (("        if merged.intersection(places):", "        if False:"),),
        f"{GUARDS}::test_merged_cells_are_left_alone",
    ),
    Guard(
        "sync: what no cell can hold",
        "sync/database_side.py",
        (
            (
                "    except UnstorableError:\n        return False",
                "    except UnstorableError:\n        return True",
            ),
        ),
        f"{LIMITS}::test_what_no_cell_can_hold_is_held",
    ),
    Guard(
        "sync: who may only read",
        "sync/performing.py",
        (("    if sheets.http.read_only:", "    if False:"),),
        f"{LIMITS}::test_whoever_may_only_read_writes_nothing",
    ),
    Guard(
        "sync: what was kept of a sheet",
        "store/syncing.py",
        (("                sheets.views.forget(given.sheet)", "                pass"),),
        f"{GUARDS}::test_what_is_kept_of_a_sheet_is_read_anew",
    ),
    Guard(
        "sync: conflicts that are over",
        "sync/keeping.py",
        (
            (
                "    return database.execute(sql.OBSOLETE, (pair, list(by_token)))",
                "    return Success(0)",
            ),
        ),
        f"{GUARDS}::test_a_conflict_that_is_over_leaves_the_queue",
    ),
    Guard(
        "sync: ids of the sequence",
        "sync/preparing.py",
        (("    if len(taken) < len(places):", "    if True:"),),
        f"{GUARDS}::test_a_sequence_gives_the_ids",
    ),
    Guard(
        "sync: rows that were met by mistake",
        "sync/performing.py",
        (("        if found.is_right:", "        if True:"),),
        f"{GUARDS}::test_rows_that_moved_while_a_sender_died_are_put_right",
    ),
    Guard(
        "sync: a row that was deleted by mistake",
        "sync/repairs.py",
        (("    if not missed:", "    if True:"),),
        f"{GUARDS}::test_a_row_that_was_deleted_by_mistake_comes_back",
    ),
    Guard(
        "sync: an id that was written over",
        "sync/repairs.py",
        (("    renamed = _renamed(expected, operation, rows)", "    renamed = dict[int, str]()"),),
        f"{GUARDS}::test_an_id_that_was_written_over_comes_back",
    ),
    Guard(
        "sync: what was written on a blank row",
        "sync/repairs.py",
        (("                    strays.append(row.place)", "                    pass"),),
        f"{GUARDS}::test_what_was_written_on_a_blank_row_goes",
    ),
)
