"""Guards of the application's cache, of warming and of statistics; see `sabotage_python.py`."""

from __future__ import annotations

from sabotage_guard import Guard

CORE = "core/test_application_cache.py"
REAL = "real/test_application_cache.py"
WARM = "real/test_warming.py"
TOP = "real/test_top.py"
BESIDE = "real/test_cache_beside_backplanes.py"
TOPOLOGIES = "real/test_redis_topologies.py"

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
    Guard(
        "warming: the rate counts a batch before it is read",
        "store/warming.py",
        (("self._began_s + (self._keys + count) / self._rate", "self._began_s"),),
        f"{WARM}::test_no_more_rows_a_second_than_the_rate",
    ),
    Guard(
        "warming: the deadline",
        "store/warming.py",
        (("if pause_s >= rest_s:", "if False:"), ("        time.sleep(pause_s)\n", "")),
        f"{WARM}::test_a_deadline_keeps_what_is_done",
    ),
    Guard(
        "warming: Ctrl-C",
        "store/warming.py",
        (("except KeyboardInterrupt:", "except ZeroDivisionError:"),),
        f"{WARM}::test_ctrl_c_keeps_what_is_done",
    ),
    Guard(
        "warming: no more than L1 holds",
        "store/warming.py",
        (("return Success(Work(table, keys[:room]))", "return Success(Work(table, keys))"),),
        f"{WARM}::test_no_more_rows_are_read_than_l1_holds",
    ),
    Guard(
        "hot keys: checksum",
        "store/hot_key_file.py",
        (('digest != _digest(text) + b"\\n"', "False"),),
        f"{WARM}::test_a_broken_file_is_a_failure_and_loses_nothing",
    ),
    Guard(
        "hot keys: a file is replaced as a whole",
        "store/hot_key_file.py",
        (
            ('beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")', "beside = path"),
            ('beside.open("xb")', 'beside.open("wb")'),
        ),
        f"{WARM}::test_a_file_that_cannot_be_written_leaves_the_old_one",
    ),
    Guard(
        "hot keys: nothing hot writes nothing",
        "store/caching.py",
        (("        if not count:\n            return Success(0)\n", ""),),
        f"{WARM}::test_nothing_hot_leaves_the_old_file",
    ),
    Guard(
        "hot keys: keys that JSON would make others",
        "store/hot_key_file.py",
        (("if _survives(key, encode, decode)", "if key == key"),),
        f"{WARM}::test_a_key_that_json_would_make_another_is_left_out",
    ),
    Guard(
        "statistics: queries are counted by themselves up to a bound",
        "cache/tallies.py",
        (("if len(self._by_form) >= QUERIES_MAX:", "if False:"),),
        "pure/test_stats.py::test_queries_beyond_a_thousand_are_counted_together",
    ),
    Guard(
        "top: statistics of another version",
        "cli/top_stores.py",
        (("except (msgspec.DecodeError, ValueError):", "except ZeroDivisionError:"),),
        f"{TOP}::test_what_is_no_statistic_is_left_out",
    ),
    Guard(
        "top: what is no statistic at all",
        "cache/board.py",
        (
            (
                "except (msgspec.DecodeError, ValueError, RecursionError):",
                "except ZeroDivisionError:",
            ),
        ),
        f"{TOP}::test_what_is_no_statistic_is_left_out",
    ),
    Guard(
        "top: a process that died",
        "cache/board.py",
        ((', "PX", int(ttl_s * 1_000)', ""),),
        f"{TOP}::test_a_process_that_dies_is_shown_for_seconds_only",
    ),
    Guard(
        "top: a reader that has gone",
        "cli/top.py",
        (("except BrokenPipeError:", "except ZeroDivisionError:"),),
        f"{TOP}::test_a_reader_that_has_enough_ends_it_quietly",
    ),
    Guard(
        "statistics: round trips",
        "cache/redis_node.py",
        (("is not None)\n            self._trips.add()", "is not None)"),),
        f"{TOPOLOGIES}::test_every_topology_counts_its_round_trips_and_bytes",
    ),
    Guard(
        "statistics: bytes of one value",
        "cache/redis.py",
        (('read_bytes = len(reply.value or b"")', "read_bytes = 0"),),
        f"{BESIDE}::test_one_read_counts_its_bytes_as_many_do",
    ),
    Guard(
        "statistics: bytes of a value under a lease",
        "cache/leases.py",
        (("read_bytes=len(answer)", "read_bytes=0"),),
        f"{BESIDE}::test_one_read_counts_its_bytes_as_many_do",
    ),
    Guard(
        "statistics: bytes of many values",
        "cache/redis.py",
        (("read_bytes = sum(map(len, filter(None, answer.values)))", "pass"),),
        f"{BESIDE}::test_what_one_process_warms_the_other_finds_in_l2",
    ),
    Guard(
        "statistics: bytes of many values beside a floor",
        "cache/floors.py",
        (("read_bytes=sum(map(len, filter(None, answer.values)))", "read_bytes=0"),),
        f"{BESIDE}::test_what_one_process_warms_the_other_finds_in_l2",
    ),
    Guard(
        "statistics: payloads beside a floor",
        "cache/hearing.py",
        ((", payload_bytes)", ")"),),
        f"{BESIDE}::test_one_read_counts_its_bytes_as_many_do",
    ),
    Guard(
        "statistics: a floor's refusals",
        "cache/floors.py",
        (('self._redis.count("refused_fills", stored.count(False))', "pass"),),
        f"{BESIDE}::test_a_fill_that_came_too_late_is_counted",
    ),
    Guard(
        "statistics: the oldest stale answer of several caches",
        "store/stats.py",
        ((", stale_age_s_max=oldest_s", ""),),
        "pure/test_stats.py::test_a_table_is_the_sum_of_its_caches",
    ),
    Guard(
        "a look through all keys: no server known",
        "cache/redis_routes.py",
        (("    if not nodes:\n", "    if 0:\n"),),
        f"{TOPOLOGIES}::test_keys_are_not_looked_for_where_servers_are_not_known",
    ),
    Guard(
        "a look through all keys: slots without an owner",
        "cache/redis_routes.py",
        (("return None not in self._owners", "return True"),),
        f"{TOPOLOGIES}::test_keys_of_a_cluster_are_not_looked_for_while_slots_have_no_owner",
    ),
)
