"""Guards of the application's cache, of warming and of statistics; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

CORE = "core/test_application_cache.py"
REAL = "real/test_application_cache.py"

WARMING = (
    Guard(
        "application's cache: types of keys in L1",
        "cache/application_keys.py",
        (("isinstance(key, str | int) and type(key) in (str, int)", "not isinstance(key, tuple)"),),
        f"{CORE}::test_keys_that_look_alike_have_names_of_their_own",
    ),
    Guard(
        "application's cache: types of keys in L2",
        "cache/application_keys.py",
        (("return {kind.__name__: spelled(key)}", "return spelled(key)"),),
        f"{CORE}::test_keys_that_look_alike_have_names_of_their_own",
    ),
    Guard(
        "application's cache: a put refuses loads of L1",
        "cache/shelves.py",
        (("            self.l1.invalidate(short)\n", ""),),
        f"{CORE}::test_what_is_forgotten_during_a_load_is_not_kept[put]",
    ),
    Guard(
        "application's cache: a put refuses loads of L2",
        "cache/shelves.py",
        (("                l2.invalidate([name])\n", "                pass\n"),),
        f"{REAL}::test_a_load_that_another_process_overtook_fills_nothing[put]",
    ),
    Guard(
        "application's cache: writers of one key",
        "cache/shelves.py",
        (("[nullcontext()] if l2 is None else", "[nullcontext()] if 1 else"),),
        f"{REAL}::test_writers_of_one_key_come_to_the_same_end_in_both_tiers",
    ),
    Guard(
        "application's cache: versions of tags",
        "cache/shelves.py",
        ((" or any(_version(l2, tag) != version for tag, version in versions)", ""),),
        f"{REAL}::test_what_is_forgotten_in_one_process_is_not_in_l2_for_another",
    ),
    Guard(
        "application's cache: tags that came from L2",
        "cache/shelves.py",
        (
            (
                "self.l1.fill(short, kept, token, tags=found.tags)",
                "self.l1.fill(short, kept, token)",
            ),
        ),
        f"{REAL}::test_a_tag_of_another_process_s_value_reaches_the_l1_it_came_to",
    ),
    Guard(
        "application's cache: tags that the caller does not name",
        "cache/shelves.py",
        ((" and set(found.tags) <= set(tags)", ""),),
        f"{REAL}::test_a_value_with_a_tag_that_the_caller_does_not_name_is_loaded_anew",
    ),
    Guard(
        "application's cache: a life as the writer gave it",
        "cache/shelves.py",
        (("rest_s = life_s - (_FOREVER_S - rest_s)", "rest_s = self.ttl_s"),),
        f"{REAL}::test_a_value_s_life_ends_where_the_writer_said",
    ),
    Guard(
        "application's cache: the type of a value",
        "cache/spaces.py",
        (("if self._classes and not isinstance(value, self._classes):", "if 0:"),),
        f"{CORE}::test_a_space_keeps_values_of_its_type",
    ),
    Guard(
        "application's cache: one name, one space",
        "cache/application.py",
        (("if its_type != into or (shelf.ttl_s, shelf.max_entries) != wanted:", "if 0:"),),
        f"{CORE}::test_a_name_is_one_space",
    ),
    Guard(
        "application's cache: fingerprint of the type",
        "cache/application.py",
        (("0 if into is None else _fingerprint(into)", "0"),),
        f"{REAL}::test_a_type_that_has_changed_is_a_miss",
    ),
    Guard(
        "cached function: arguments by position and by name",
        "cache/cached_functions.py",
        (
            (
                "return args, tuple(sorted(kwargs.items()))",
                "return (*args, *sorted(kwargs.items()))",
            ),
        ),
        f"{CORE}::test_positional_and_named_arguments_do_not_collide",
    ),
    Guard(
        "cached function: defined anew",
        "cache/application.py",
        (("        if known is not None:\n            shelf.clear()\n", ""),),
        f"{REAL}::test_a_function_defined_anew_does_not_find_the_old_results_in_redis",
    ),
)
