"""The guards of two-way sync; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

MODEL = "sync/test_model.py"
MERGE, CELLS, RAILS = "sync/test_merge.py", "sync/test_cells.py", "sync/test_rails.py"

SYNC = (
    Guard(
        "sync: both made the same change",
        "sync/merge.py",
        (("        if same(s, p):", "        if False:"),),
        MODEL,
    ),
    Guard(
        "sync: an edit of the sheet",
        "sync/merge.py",
        (
            (
                "    elif sheet_is_old:\n        return",
                "    elif sheet_is_old or is_known:\n        return",
            ),
        ),
        MODEL,
    ),
    Guard(
        "sync: an edit of the database",
        "sync/merge.py",
        (
            (
                "    elif database_is_old:\n        return",
                "    elif database_is_old or is_known:\n        return",
            ),
        ),
        MODEL,
    ),
    Guard(
        "sync: a conflict without a base",
        "sync/merge.py",
        (
            (
                "sheet_is_old = is_known and same(cell.sheet, cell.base)",
                "sheet_is_old = not is_known or same(cell.sheet, cell.base)",
            ),
        ),
        MODEL,
    ),
    Guard(
        "sync: conflicts are reported",
        "sync/merge.py",
        (("    if is_conflict:\n", "    if False:\n"),),
        MODEL,
    ),
    Guard(
        "sync: a cell that waits keeps its base",
        "sync/merge.py",
        (
            (
                "    if field in base:\n        found.base_now",
                "    if False:\n        found.base_now",
            ),
        ),
        f"{MERGE}::test_a_cell_that_waits_keeps_its_base",
    ),
    Guard(
        "sync: the base before the sheet has been written",
        "sync/merge.py",
        (
            (
                "found.base_now[field], found.base_after[field] = s, p",
                "found.base_now[field], found.base_after[field] = p, p",
            ),
        ),
        MODEL,
    ),
    Guard(
        "sync: the base after the database has been written",
        "sync/merge.py",
        (
            (
                "found.database[field] = s\n                found.base_now[field] =",
                "found.database[field] = s\n                found.base_after[field] =",
            ),
        ),
        MODEL,
    ),
    Guard(
        "sync: an edit beats a deletion in the database",
        "sync/merge.py",
        (('if not _is_edited(rules, base, sheet.cells, "sheet"):', "if True:"),),
        MODEL,
    ),
    Guard(
        "sync: an edit beats a deletion in the sheet",
        "sync/merge.py",
        (('if not _is_edited(rules, base, database.cells, "database"):', "if True:"),),
        MODEL,
    ),
    Guard(
        "sync: a deletion reaches the database",
        "sync/merge.py",
        (
            (
                'if not _is_edited(rules, base, database.cells, "database"):',
                "if False:",
            ),
        ),
        MODEL,
    ),
    Guard(
        "sync: a row that both have put back",
        "sync/merge.py",
        (("{} if base is None or base.is_deleted else", "{} if base is None else"),),
        f"{MERGE}::test_a_row_that_is_back_comes_back",
    ),
    Guard(
        "sync: tombstones",
        "sync/merge.py",
        (("    if base is not None and not base.is_deleted:", "    if False:"),),
        MODEL,
    ),
    Guard(
        "sync: what cannot be read",
        "sync/merge.py",
        (("    if not _is_whole(rules, sheet.cells):", "    if False:"),),
        f"{MERGE}::test_what_cannot_be_read_is_left_alone",
    ),
    Guard(
        "sync: owners are no editors",
        "sync/merge.py",
        (("if rules.owners.get(field, side) == side", "if True"),),
        f"{MERGE}::test_what_the_other_side_owns_is_no_edit",
    ),
    Guard(
        "sync: ids that cannot be read",
        "sync/plan.py",
        (("        if row is None and not found.is_complete:", "        if False:"),),
        f"{MERGE}::test_a_row_whose_id_cannot_be_read_may_be_any_row",
    ),
    Guard(
        "sync: the base of what the sheet is still to get",
        "sync/plan.py",
        (
            (
                "row.base_now for id_, row in merged.items() if row.base_now is not None",
                "row.base_after for id_, row in merged.items() if row.base_after is not None",
            ),
        ),
        MODEL,
    ),
    Guard(
        "sync: a pasted row is a row of its own",
        "sync/identity.py",
        (
            (
                "            if makes_ids:\n                births.append(Birth(copy.place, id_))",
                "            if False:\n                births.append(Birth(copy.place, id_))",
            ),
        ),
        MODEL,
    ),
    Guard(
        "sync: which pasted row is the original",
        "sync/identity.py",
        (("else _original(id_, found, sides)", "else found[0]"),),
        f"{MERGE}::test_of_pasted_rows_the_one_that_is_as_it_was_keeps_the_id",
    ),
    Guard(
        "sync: a batch that may still land",
        "sync/operations.py",
        (('"open" if marker == operation.after else "never"', '"never"'),),
        MODEL,
    ),
    Guard(
        "sync: a batch that has landed",
        "sync/operations.py",
        (('        return "landed"', '        return "never"'),),
        MODEL,
    ),
    Guard(
        "sync: a decision on other values",
        "sync/rows.py",
        (("msgspec.json.encode(tuple(self))", "msgspec.json.encode((self.id, self.field))"),),
        f"{MERGE}::test_a_decision_holds_for_the_values_that_were_seen",
    ),
    Guard(
        "sync: true is not one",
        "sync/cells.py",
        (("type(left) is type(right) and left == right", "left == right"),),
        f"{CELLS}::test_true_is_not_one",
    ),
    Guard(
        "sync: fifteen digits",
        "sync/cells.py",
        (('f"{value + 0.0:.15g}"', "repr(value + 0.0)"),),
        f"{CELLS}::test_equal_values_have_one_form",
    ),
    Guard(
        "sync: an empty side",
        "sync/rails.py",
        (("if known and not rows and lost and", "if False and"),),
        f"{RAILS}::test_a_side_that_is_suddenly_empty_is_refused",
    ),
    Guard(
        "sync: the part that may be deleted",
        "sync/rails.py",
        (("    if deletes <= allowed or", "    if True or"),),
        f"{RAILS}::test_no_more_than_a_part_is_deleted",
    ),
    Guard(
        "sync: a base of another mapping",
        "sync/rails.py",
        (("    if stored == now:", "    if True:"),),
        f"{RAILS}::test_a_base_is_used_for_the_mapping_that_it_was_made_for",
    ),
)
