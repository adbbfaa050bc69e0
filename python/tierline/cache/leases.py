"""One load of a cold key at a time across processes: a lease in Redis that only saves work.

Who finds no value in L2 takes the lease in the same call, and loads. The others ask again and
again, until the value is there, the holder has given up, or the lease has run out: then one of
them takes it. Nobody waits longer than a lease lives, or than half of what a deadline leaves.

It decides nothing about what is right: whoever loads fills as ever, under the write mark or the
floor of the key. A lease that is lost or held twice costs a load. It names the mark or the floor
that it was taken under and is worth nothing under another: what its holder loads is refused then.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from tierline.cache.redis import RedisTier
from tierline.cache.redis_calls import Reply, Script
from tierline.cache.redis_faults import RedisFaultError
from tierline.deadline import remaining_s

R = TypeVar("R")

_PAUSE_S_MIN = 0.002
_PAUSE_S_MAX = 0.05
_JITTER = 0.5
# Longer than anybody pauses, so that all who wait learn that there is nothing to wait for.
_NOTHING_MS = 100

# Answers with the value; else with 1 if the caller has the lease, 2 if nobody is to wait for it,
# and 0 while another has it. Where fills want a mark there is one from here on. It may be sent
# twice, and then finds what it did itself.
_TAKE = """
local value = redis.call('GET', KEYS[1])
if value then return value end
local guard = redis.call('GET', KEYS[2])
if not guard and ARGV[3] ~= '' then
  guard = ARGV[3]
  redis.call('SET', KEYS[2], guard, 'PX', ARGV[4])
end
guard = guard or ''
local holder = redis.call('GET', KEYS[3])
if holder == '-' then return 2 end
local mine = ARGV[1] .. guard
if holder == mine then return 1 end
if holder and string.sub(holder, 9) == guard then return 0 end
redis.call('SET', KEYS[3], mine, 'PX', ARGV[2])
return 1
"""

_GIVE_UP = """
local holder = redis.call('GET', KEYS[1])
if holder and string.sub(holder, 1, 8) == ARGV[1] then
  redis.call('SET', KEYS[1], '-', 'PX', ARGV[2])
end
return 1
"""


class Lease(NamedTuple):
    """A lease that was taken.

    Attributes:
        key: Where it is.
        token: Whose it is.
    """

    key: str
    token: bytes


class Asked(NamedTuple, Generic[R]):
    """What asking L2 came to.

    Attributes:
        found: The value, if there is one.
        lease: What the caller has to load under; None if it has none.
        waited: Whether another's load was waited for.
    """

    found: R | None
    lease: Lease | None = None
    waited: bool = False


class Leases:
    """The leases of one table.

    Args:
        redis: L2.
        lease_s: How long one lives.
        mark_ms: How long a mark lives that fills want; 0 where they want none.
    """

    def __init__(self, redis: RedisTier, lease_s: float, *, mark_ms: int = 0) -> None:
        self._redis = redis
        self._lease_s = lease_s
        self._mark_ms = mark_ms
        self._take = Script(_TAKE)
        self._give_up = Script(_GIVE_UP)

    def get(self, value: str, guard: str, read: Callable[[Reply], R | None]) -> Asked[R]:
        """The value of a key in L2, or the lease on it.

        Args:
            value: Where it is kept.
            guard: Where its write mark or its floor is.
            read: Makes of what is kept there the value, or None if it is none.
        """
        lease = Lease(f"{guard}l", os.urandom(8))
        mark = os.urandom(8) if self._mark_ms else b""
        keys = [value, guard, lease.key]
        args: list[bytes | int] = [
            lease.token, max(1, int(self._lease_s * 1000)), mark, self._mark_ms
        ]  # fmt: skip
        until_s, pause_s = 0.0, _PAUSE_S_MIN
        while True:
            waited = until_s > 0
            try:
                reply = self._redis.client.run(self._take, keys, args)
            except RedisFaultError as fault:
                self._redis.failed(fault)
                return Asked(None, None, waited)
            answer = reply.value
            if isinstance(answer, bytes):
                found = read(reply)
                is_hit = found is not None
                self._redis.counters.answered(
                    hits=is_hit, misses=not is_hit, read_bytes=len(answer)
                )
                return Asked(found, None, waited)
            now_s = time.monotonic()
            if not waited:
                until_s = now_s + min(self._lease_s, remaining_s() / 2)
            if answer or now_s >= until_s:
                self._redis.count("misses")
                return Asked(None, lease if answer == 1 else None, waited)
            # Not in step with the others who wait.
            pause_s = min(_PAUSE_S_MAX, 2 * pause_s)
            jitter = random.uniform(_JITTER, 1)  # noqa: S311 - nothing secret
            time.sleep(max(0.0, min(pause_s * jitter, until_s - now_s)))

    def give_up(self, lease: Lease) -> None:
        """Nothing will be filled: let nobody wait for it."""
        try:
            self._redis.client.run(self._give_up, [lease.key], [lease.token, _NOTHING_MS])
        except RedisFaultError as fault:
            self._redis.failed(fault)


def ask(
    leases: Leases | None,
    redis: RedisTier,
    name: str,
    fingerprint: int,
    *,
    decode: Callable[[bytes], R],
    ttl_s: float,
) -> Asked[tuple[R, float]]:
    """As `redis.get`; with leases, what another loaded meanwhile, or the lease to load it under."""
    spot = None if leases is None else redis.spot(name)
    if leases is None or spot is None:
        return Asked(redis.get(name, fingerprint, decode, ttl_s))
    return leases.get(*spot, lambda reply: redis.read(spot[0], reply, fingerprint, decode, ttl_s))
