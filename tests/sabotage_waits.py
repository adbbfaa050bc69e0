"""The guards of loads that are waited for; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

WAITS_TEST = "real/test_load_waits.py"

WAITS = (
    Guard(
        "single flight of entities",
        "cache/sharing.py",
        (("return l1.load_shared(key, led)", "return led(key)"),),
        f"{WAITS_TEST}::test_a_key_that_everybody_asks_for_is_read_once",
    ),
    Guard(
        "own deadlines of entities",
        "cache/sharing.py",
        (("        and due_s() < math.inf\n", "        and False\n"),),
        f"{WAITS_TEST}::test_a_load_that_ends_with_its_own_deadline_is_not_the_answer_of_others",
    ),
    Guard(
        "own deadlines of cached queries",
        "cache/query_cache.py",
        (
            (
                "raise (OwnDeadlineError if own else _NotLoadedError)(found)",
                "raise _NotLoadedError(found)",
            ),
        ),
        f"{WAITS_TEST}::test_a_load_that_ends_with_its_own_deadline_is_not_the_answer_of_others",
    ),
    Guard(
        "the deadline of who waits for an entity",
        "cache/sharing.py",
        (("            return late(error, operation, table)", "            raise"),),
        f"{WAITS_TEST}::test_who_waits_for_a_load_that_hangs_ends_by_the_deadline",
    ),
    Guard(
        "the deadline of who waits for a cached query",
        "cache/query_cache.py",
        (
            (
                "except TimeoutError as error:\n                return Failure(error)",
                "except TimeoutError:\n                raise",
            ),
        ),
        f"{WAITS_TEST}::test_who_waits_for_a_load_that_hangs_ends_by_the_deadline",
    ),
    Guard(
        "the deadline of who waits at all",
        "deadline.py",
        (("    return max(0.0, _DUE.get() - time.monotonic())", "    return math.inf"),),
        "core/test_load_deadlines.py::test_a_wait_ends_with_the_deadline_and_the_load_goes_on",
    ),
    Guard(
        "the deadline of who awaits a coroutine",
        "cache/coroutines.py",
        (("    if remaining == math.inf:", "    if True:"),),
        "core/test_load_deadlines.py::test_a_cached_coroutine_is_awaited_until_the_deadline",
    ),
    Guard(
        "a coroutine's own timeout",
        "cache/coroutines.py",
        (("        if limit.expired():", "        if True:"),),
        "core/test_load_deadlines.py::test_a_timeout_of_the_coroutines_own_is_its_own",
    ),
)
