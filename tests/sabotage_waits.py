"""The guards of loads that are waited for; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

WAITS_TEST = "real/test_load_waits.py"

RESILIENT = "real/test_resilient_reads.py"
STANDS_IN = f"{RESILIENT}::test_what_is_old_by_time_stands_in_for_a_read_that_failed"

WAITS = (
    Guard(
        "fail-safe: what was invalidated during the read",
        "cache/resilience.py",
        (("return found if stand_in is None else stand_in", "return value"),),
        f"{RESILIENT}::test_what_a_write_made_stale_is_never_served",
    ),
    Guard(
        "fail-safe: its window",
        "cache/resilience.py",
        (("stand_in = self.stale(key, strategy.stale_if_error_s)", "stand_in = value"),),
        f"{RESILIENT}::test_what_a_write_made_stale_is_never_served",
    ),
    Guard(
        "fail-safe: its throttle",
        "cache/resilience.py",
        (("if overdue_s <= strategy.stale_if_error_s and not may_try:", "if False:"),),
        STANDS_IN,
    ),
    Guard(
        "fail-safe: a row that is gone",
        "cache/resilience.py",
        (("            self._l1.invalidate(key)\n", "            pass\n"),),
        f"{RESILIENT}::test_an_answer_stands_in_for_nothing_and_nothing_for_it",
    ),
    Guard(
        "background reads that a write overtook",
        "cache/resilience.py",
        (("task is not None and self._l1.is_current(key, task.token)", "task is not None"),),
        f"{RESILIENT}::test_a_read_in_the_background_that_a_write_overtook_is_nobodys",
    ),
    Guard(
        "the deadline over a background read",
        "cache/resilience.py",
        (("min(limit_s, remaining_s())", "limit_s"),),
        f"{RESILIENT}::test_the_deadline_holds_for_a_read_in_the_background",
    ),
    Guard(
        "fresh reads: loads that began before",
        "cache/reading.py",
        (("            l1.refuse_loads(key)\n            return", "            return"),),
        f"{RESILIENT}::test_a_read_that_began_before_a_fresh_one_does_not_replace_it",
    ),
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
