"""What keeps tiers right in whichever order their users come: each guard must be missed."""

from __future__ import annotations

from sabotage_guard import Guard

_TEST = "real/test_schedules.py::test_every_order_ends_with_tiers_equal_to_the_source_or_empty[{}]"
_LEASES = "real/test_leases.py"
_FRESH = f"{_LEASES}::test_a_fresh_read_takes_no_lease_and_waits_for_none"
_FILL = "            Success(seen.row),\n            load.token,\n            ttl_s=rest_s,\n"
_LIFTED = "lifted({}.snapshot, self._lift)"
# A snapshot that has everything settled.
_ALL = "snapshot={0}[:4] + b'\\x10' * 16 + {0}[20:],"
_HEARD, _ALONE = _TEST.format("heard"), _TEST.format("alone")

SCHEDULES = (
    Guard(
        "load token of L1",
        "cache/tables.py",
        (
            (
                "self.l1.fill(key, result, token, ttl_s=rest_s, ",
                "self.l1.fill(key, result, self.l1.begin(key), ttl_s=rest_s, ",
            ),
        ),
        _ALONE,
    ),
    Guard(
        "write mark of L2",
        "cache/redis.py",
        (("if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end\n", ""),),
        _ALONE,
    ),
    Guard(
        "floor of L2 on filling",
        "cache/floors.py",
        (("if floor and not settled(ARGV[1], floor) then return 0 end\n", ""),),
        _HEARD,
    ),
    Guard(
        "floor of L2 on raising",
        "cache/floors.py",
        (("redis.call('DEL', KEYS[1])\nreturn 1", "return 1"),),
        _HEARD,
    ),
    Guard(
        "snapshot of a read in L1",
        "cache/hearing.py",
        (
            (
                f"{_FILL}            snapshot={_LIFTED.format('seen')},",
                f"{_FILL}            {_ALL.format(_LIFTED.format('seen'))}",
            ),
        ),
        _HEARD,
    ),
    Guard(
        "snapshot of a value of L2",
        "cache/hearing.py",
        (
            (
                f"                snapshot={_LIFTED.format('found')},",
                f"                {_ALL.format(_LIFTED.format('found'))}",
            ),
        ),
        _HEARD,
    ),
    Guard(
        "own writes on the own floor",
        "cache/hearing_caches.py",
        (("        if last is None:\n            return", "        if True:\n            return"),),
        _HEARD,
    ),
    Guard(
        "own writes out of L1",
        "cache/caches.py",
        (("                cache.l1.invalidate_many(keys)", "                pass"),),
        _ALONE,
    ),
    Guard(
        "a lease under another mark",
        "cache/leases.py",
        (("holder and string.sub(holder, 9) == guard", "holder"),),
        f"{_LEASES}::test_a_write_ends_the_lease_on_its_row",
    ),
    Guard(
        "a lease given up",
        "cache/tables.py",
        (("asked.lease is not None and not is_shared:", "False:"),),
        f"{_LEASES}::test_what_is_not_there_is_not_waited_for",
    ),
    Guard(
        "a lease given up where changes are heard",
        "cache/hearing.py",
        (("lease is not None and not is_shared:", "False:"),),
        f"{_LEASES}::test_what_cannot_be_shared_is_not_waited_for[heard]",
    ),
    Guard(
        "no lease for a fresh read",
        "cache/tables.py",
        (("if not options.fresh:\n            fingerprint", "if True:\n            fingerprint"),),
        f"{_FRESH}[alone]",
    ),
    Guard(
        "no lease for a fresh read where changes are heard",
        "cache/hearing.py",
        (("load.spot is not None and not options.fresh:", "load.spot is not None:"),),
        f"{_FRESH}[heard]",
    ),
    Guard(
        "a lease asked for twice",
        "cache/leases.py",
        (("if holder == mine then return 1 end\n", ""),),
        f"{_LEASES}::test_a_lease_asked_for_twice_is_ones_own",
    ),
    Guard(
        "a lease given up by who has it",
        "cache/leases.py",
        (("if holder and string.sub(holder, 1, 8) == ARGV[1] then", "do"),),
        f"{_LEASES}::test_a_lease_that_is_lost_or_not_ours_is_left_alone",
    ),
    Guard(
        "no more than half of a deadline for a lease",
        "cache/leases.py",
        (("min(self._lease_s, remaining_s() / 2)", "self._lease_s"),),
        f"{_LEASES}::test_a_deadline_leaves_half_for_the_database",
    ),
    Guard(
        "the end of a lease",
        "cache/leases.py",
        (("if answer or now_s >= until_s:", "if answer:"),),
        f"{_LEASES}::test_a_lease_is_waited_for_no_longer_than_it_lives",
    ),
    Guard(
        "the lease itself",
        "cache/leases.py",
        (("if holder and string.sub(holder, 9) == guard then return 0 end\n", ""),),
        f"{_LEASES}::test_one_process_loads_a_cold_key_for_all",
    ),
)
