"""The guards of reading sheets; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

READING, ASKING, VIEWS = "sheets/test_reading.py", "sheets/test_asking.py", "sheets/test_views.py"
COLUMNS = "sheets/test_columns.py"
MANY = f"{COLUMNS}::test_many_cells_are_read_as_one_by_one"
CELLS = f"{READING}::test_cells_that_do_not_fit_are_told_by_their_place"
HEADERS = f"{READING}::test_headers_that_do_not_fit_are_told_by_their_place"

_LATER = """\
        read = sheets.read(sheet)
        version = sheets.version(sheet.spreadsheet).value_or(None)
"""

SHEETS = (
    Guard(
        "sheets: a formula is no value",
        "sheets/reading_cells.py",
        (("if not computed and cell.formula is not None:", "if False:"),),
        CELLS,
    ),
    Guard(
        "sheets: an error is no value",
        "sheets/reading_cells.py",
        (
            ("        if value.errorValue is not None:", "        if False:"),
            (
                "    if value.numberValue is None or cell.format_type in DATE_FORMATS:",
                "    if False:",
            ),
        ),
        f"{READING}::test_computed_fields_are_read_and_their_errors_told",
    ),
    Guard(
        "sheets: a number is no date",
        "sheets/reading_cells.py",
        (("or cell.format_type not in formats:", "or False:"),),
        CELLS,
    ),
    Guard(
        "sheets: seventeen digits are not exact",
        "sheets/reading_cells.py",
        (
            (
                "        if abs(number) > EXACT_MAX:\n            raise _unfit(\n",
                "        if False:\n            raise _unfit(\n",
            ),
        ),
        CELLS,
    ),
    Guard(
        "sheets: a key is there once",
        "sheets/snapshot.py",
        (("    if len(set(keys)) == len(keys):", "    if True:"),),
        CELLS,
    ),
    Guard(
        "sheets: a header is there once",
        "sheets/layout.py",
        (("        if len(places) == 1:", "        if places:"),),
        HEADERS,
    ),
    Guard(
        "sheets: merged cells",
        "sheets/snapshot.py",
        (("if place in columns and merge.endRowIndex > sheet.header_row:", "if False:"),),
        f"{READING}::test_merged_cells_are_told",
    ),
    Guard(
        "sheets: a write that may have happened",
        "sheets/retrying.py",
        (('if fault.again == "unsure" and not may_repeat:', "if False:"),),
        f"{ASKING}::test_a_write_that_may_have_happened_is_not_repeated_unless_it_may",
    ),
    Guard(
        "sheets: reading only",
        "sheets/http.py",
        (('if self._read_only and repeat != "read":', "if False:"),),
        f"{ASKING}::test_what_is_opened_for_reading_writes_nothing",
    ),
    Guard(
        "sheets: the quota of a minute",
        "sheets/limiter.py",
        (("max(quota - burst, quota / 2 if quota < 2 else 1.0) / MINUTE_S", "quota / MINUTE_S"),),
        f"{ASKING}::test_no_minute_sees_more_than_the_quota",
    ),
    Guard(
        "sheets: what Google says of the quota",
        "sheets/limiter.py",
        (("_s, self.blocked_until_s - now_s)", "_s, 0.0)"),),
        f"{ASKING}::test_a_quota_of_google_ends_all_passing",
    ),
    Guard(
        "sheets: attempts are bounded",
        "sheets/retrying.py",
        (("if attempt >= ATTEMPTS_MAX or", "if"),),
        f"{ASKING}::test_attempts_and_time_are_bounded",
    ),
    Guard(
        "sheets: no second burst",
        "sheets/shared_limiter.py",
        (("                self._local.empty()", "                pass"),),
        "sheets/test_shared_limiter.py::test_who_loses_redis_has_no_second_burst",
    ),
    Guard(
        "sheets: a slow body",
        "sheets/bodies.py",
        (
            (
                "        if clock() >= end_s:\n            response.close()",
                "        if False:\n            response.close()",
            ),
        ),
        f"{ASKING}::test_a_body_that_comes_too_slowly_is_not_waited_for",
    ),
    Guard(
        "sheets: a page is no answer",
        "sheets/http.py",
        (("            if wants_json and not", "            if False and not"),),
        f"{ASKING}::test_a_page_in_place_of_an_answer_is_told",
    ),
    Guard(
        "sheets: an error of TLS is no proof",
        "sheets/faults.py",
        (
            (
                "        case http.ConnectTimeout():",
                "        case http.ConnectTimeout() | http.SSLError():",
            ),
        ),
        f"{ASKING}::test_a_broken_record_of_tls_is_no_proof_that_nothing_happened",
    ),
    Guard(
        "sheets: the shared quota",
        "sheets/shared_limiter.py",
        (("then tokens = tokens - 1 end", "then end"),),
        "sheets/test_shared_limiter.py::test_users_share_the_projects_quota",
    ),
    Guard(
        "sheets: the version is older than the cells",
        "store/sheet_views.py",
        (
            (
                "        read = sheets.read(sheet, version)\n",
                _LATER,
            ),
        ),
        f"{VIEWS}::test_what_changes_while_it_is_read_is_read_again",
    ),
    Guard(
        "sheets: a wait ends with the deadline",
        "store/sheet_views.py",
        (("acquire(timeout=left_s if left_s < threading.TIMEOUT_MAX else -1)", "acquire()"),),
        f"{VIEWS}::test_who_waits_for_another_waits_until_the_deadline",
    ),
    Guard(
        "sheets: what reads anew lets go",
        "store/sheet_views.py",
        (
            (
                "caller may try again.\n            lock.release()",
                "caller may not.\n            pass",
            ),
        ),
        f"{VIEWS}::test_without_a_thread_the_old_one_is_still_served",
    ),
    Guard(
        "sheets: a formula in a column is no value",
        "sheets/reading_columns.py",
        (("or (not may_be_computed and _has_formula(cells)):", "or False:"),),
        MANY,
    ),
    Guard(
        "sheets: formulas of a large worksheet",
        "sheets/grid.py",
        (("    if b'\"formulaValue\"' not in body:", "    if True:"),),
        f"{COLUMNS}::test_a_formula_is_found_wherever_it_is",
    ),
    Guard(
        "sheets: a column of dates is none of numbers",
        "sheets/reading_columns.py",
        (("and not DATE_FORMATS.isdisjoint(map(_FORMAT_TYPE, cells)):", "and False:"),),
        MANY,
    ),
    Guard(
        "sheets: a column of numbers is none of dates",
        "sheets/reading_columns.py",
        (("if None in numbers or not shown <= DAY_FORMATS:", "if None in numbers:"),),
        MANY,
    ),
    Guard(
        "sheets: seventeen digits in a column are not exact",
        "sheets/reading_columns.py",
        (("if max(found, default=0) > EXACT_MAX or min(found, default=0) < -EXACT_MAX:", "if 0:"),),
        MANY,
    ),
    Guard(
        "sheets: rules of an entity's own",
        "sheets/reading_columns.py",
        (('if hasattr(entity, "__post_init__"):', "if False:"),),
        f"{COLUMNS}::test_entities_with_rules_are_checked",
    ),
    Guard(
        "sheets: rules of a field's type",
        "sheets/reading_columns.py",
        (
            (
                "        without_none(annotation)[0] in _PLAIN for",
                "        annotation is not None for",
            ),
        ),
        f"{COLUMNS}::test_entities_with_rules_are_checked",
    ),
    Guard(
        "sheets: blank rows among others",
        "sheets/snapshot.py",
        (("    if any(map(all, values)):", "    if True:"),),
        f"{READING}::test_blank_rows_are_nothing",
    ),
    Guard(
        "sheets: what is no row",
        "sheets/grid.py",
        (
            (
                "        except msgspec.DecodeError as error:\n            broken",
                "        except KeyError as error:\n            broken",
            ),
        ),
        f"{COLUMNS}::test_what_is_no_row_is_a_failure_of_the_read",
    ),
)
