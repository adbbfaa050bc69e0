"""L2 under a backplane: values, floors, and scripts that keep the one right by the other.

Two keys a row, in one hash slot. The value says in front of its frame which snapshot it was read
under; the floor holds the transactions announced for the row, and outlives every epoch. A script
raises the floor and drops the value unless it includes the transaction; another fills if
everything on the floor is settled in the value's snapshot. Transaction ids stay under 2^53, which
Lua's numbers hold exactly.

A value's key names its epoch, and the last transaction that changed the table as a whole: a fill
goes where its snapshot belongs, whatever happens meanwhile. The value itself is bound to the reign
of the server that had the key when its read began: after a failover or a restart, floors may be
missing, and what lacks them is a miss. What is known of a table as a whole is kept by reign, so
that after one everybody begins anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from tierline._core import pack_frame, unpack_frames
from tierline.cache.leases import Asked, Leases
from tierline.cache.redis import RedisTier
from tierline.cache.redis_calls import Reply, Script, Values
from tierline.cache.redis_faults import RedisFaultError
from tierline.cache.redis_frames import COMPRESS_FROM_BYTES, decoded_many

FLOOR_MS = 90_000
"""How long a floor is kept: longer than any fill takes, and than any process is behind."""

FILL_AGE_S_MAX = 30.0
"""A fill that took longer is dropped."""

_PRIMARY, _STANDBY = b"P", b"S"
_HEAD_BYTES_MIN = 21
_SPOTS_A_CALL = 1_000
_REIGNS_TRIED = 2

# The snapshot is in PostgreSQL's binary form, behind one byte that says who took it. Beyond 32
# transactions a floor is one number, below which everything must be settled.
_SETTLED = """
local function settled(head, floor)
  local running = struct.unpack('>I4', head, 2)
  local xmin, xmax = struct.unpack('>I8I8', head, 6)
  local below, several = string.match(floor, '^(%d+);(.*)$')
  if tonumber(below) >= xmin then return false end
  for text in string.gmatch(several, '%d+') do
    local xid = tonumber(text)
    if xid >= xmin then
      if xid >= xmax or string.sub(head, 1, 1) ~= 'P' then return false end
      for n = 1, running do
        if struct.unpack('>I8', head, 14 + 8 * n) == xid then return false end
      end
    end
  end
  return true
end
"""

_RAISE = (
    _SETTLED
    + """
local below, several = 0, {}
local before = redis.call('GET', KEYS[2])
if before then
  local first, rest = string.match(before, '^(%d+);(.*)$')
  below = tonumber(first)
  for text in string.gmatch(rest, '%d+') do several[#several + 1] = text end
end
for n = 2, #ARGV do
  local known = false
  for _, text in ipairs(several) do known = known or text == ARGV[n] end
  if not known then several[#several + 1] = ARGV[n] end
end
if #several > 32 then
  for _, text in ipairs(several) do below = math.max(below, tonumber(text)) end
  several = {}
end
local floor = string.format('%.0f', below) .. ';' .. table.concat(several, ',')
redis.call('SET', KEYS[2], floor, 'PX', ARGV[1])
local head = redis.call('GETRANGE', KEYS[1], 0, 4)
if #head < 5 then return 0 end
local running = struct.unpack('>I4', head, 2)
head = redis.call('GETRANGE', KEYS[1], 0, 20 + 8 * running)
if #head == 21 + 8 * running and settled(head, floor) then return 0 end
redis.call('DEL', KEYS[1])
return 1
"""
)

_FILL = (
    _SETTLED
    + """
local floor = redis.call('GET', KEYS[2])
if floor and not settled(ARGV[1], floor) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)

# The first to pass on that a transaction changed a whole table moves it; the order is that of the
# commits, because everybody hears and passes on in that order.
_TURN = """
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[2]) then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
"""

_TRUST = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
return 1
"""

_ANSWER = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
"""

# Answers with the epoch to join; empty while somebody may still answer.
_JOIN = """
local answer = redis.call('GET', KEYS[3])
if answer then
  if redis.call('GET', KEYS[1]) == answer then
    return {answer, redis.call('GET', KEYS[4]) or '0'}
  end
  return {'', '0'}
end
if redis.call('EXISTS', KEYS[2]) == 1 then return {'', '0'} end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
return {ARGV[1], redis.call('GET', KEYS[4]) or '0'}
"""


class Spot(NamedTuple):
    """Where a row's value and floor are kept.

    Attributes:
        value: The key of the value.
        floor: The key of the floor, in the same hash slot.
        reign: Of the server that has them, as far as was known.
    """

    value: str
    floor: str
    reign: str


class Found(NamedTuple):
    """A value of L2.

    Attributes:
        entity: The row's.
        snapshot: Which it was read under.
        standby: Whether a standby took the snapshot.
        rest_s: How long it may be served.
    """

    entity: Any
    snapshot: bytes
    standby: bool
    rest_s: float


class FloorTier:
    """The calls of Redis that a backplane needs; each answers None if Redis does not.

    Args:
        redis: The store's L2.
    """

    def __init__(self, redis: RedisTier) -> None:
        self._redis = redis
        self._client = redis.client
        self._raise, self._fill, self._turn = Script(_RAISE), Script(_FILL), Script(_TURN)
        self._trust, self._answer, self._join = Script(_TRUST), Script(_ANSWER), Script(_JOIN)

    def spot(self, name: str, epoch: str, turn: int) -> Spot | None:
        """Where the value of a name is kept in an epoch, on the server as it is now."""
        at = f"{self._redis.base}:{{{name}}}"
        try:
            reign = self._client.reign_of(at)
        except RedisFaultError as fault:
            self._redis.failed(fault)
            return None
        return Spot(f"{at}:{epoch}:{turn}", f"{at}:f", reign)

    def get(
        self, spot: Spot, fingerprint: int, decode: Callable[[bytes], Any], ttl_s: float
    ) -> Found | None:
        """The value there; whatever is not whole, of this schema and in time is none."""
        return self.get_many([spot], fingerprint, decode, ttl_s)[0]

    def ask(
        self,
        leases: Leases | None,
        spot: Spot,
        fingerprint: int,
        decode: Callable[[bytes], Any],
        ttl_s: float,
    ) -> Asked[Found]:
        """As `get`; with leases, what another loaded meanwhile, or the lease to load it under."""
        if leases is None or not self._redis.may_fill():
            return Asked(self.get(spot, fingerprint, decode, ttl_s))

        def read(reply: Reply) -> Found | None:
            values = Values([0], [reply.value], reply.reign)
            return self._read([spot.value], values, fingerprint, decode, ttl_s)[0]

        return leases.get(spot.value, spot.floor, read)

    def leases(self, lease_s: float) -> Leases:
        """Leases on the values here."""
        return Leases(self._redis, lease_s)

    def get_many(
        self, spots: Sequence[Spot], fingerprint: int, decode: Callable[[bytes], Any], ttl_s: float
    ) -> list[Found | None]:
        """As `get`, of many in their order; all in one round trip to each server."""
        found: list[Found | None] = [None] * len(spots)
        for start in range(0, len(spots), _SPOTS_A_CALL):
            keys = [spot.value for spot in spots[start : start + _SPOTS_A_CALL]]
            for answer in self._client.get_many(keys):
                if isinstance(answer, RedisFaultError):
                    self._redis.failed(answer)
                    continue
                asked = [keys[index] for index in answer.indices]
                values = self._read(asked, answer, fingerprint, decode, ttl_s)
                hits = 0
                for index, value in zip(answer.indices, values, strict=True):
                    found[start + index] = value
                    hits += value is not None
                self._redis.counters.answered(
                    hits=hits,
                    misses=len(values) - hits,
                    read_bytes=sum(map(len, filter(None, answer.values))),
                )
        return found

    def _read(
        self,
        keys: Sequence[str],
        answer: Values,
        fingerprint: int,
        decode: Callable[[bytes], Any],
        ttl_s: float,
    ) -> list[Found | None]:
        """What a server answered, where it is whole."""
        heads = [_head(value) for value in answer.values]
        payloads, lives_s = unpack_frames(
            [
                value[len(head) :] if value is not None and head else None
                for value, head in zip(answer.values, heads, strict=True)
            ],
            [_place(key, head) for key, head in zip(keys, heads, strict=True)],
            fingerprint=fingerprint,
            beginning=f"{answer.reign} ",
            now_s=time.time(),
            ttl_s=ttl_s,
            keys=self._redis.keys,
        )
        return [
            None if entity is None else Found(entity, head[1:], head[:1] == _STANDBY, life_s)
            for entity, head, life_s in zip(
                decoded_many(payloads, decode), heads, lives_s, strict=True
            )
        ]

    def value(
        self,
        spot: Spot,
        payload: bytes,
        *,
        fingerprint: int,
        read_at_ms: int,
        snapshot: bytes,
        standby: bool,
    ) -> bytes:
        """A value as L2 keeps it: the frame is bound to its key, its reign and its snapshot."""
        head = (_STANDBY if standby else _PRIMARY) + snapshot
        return head + pack_frame(
            payload,
            fingerprint=fingerprint,
            written_at_ms=read_at_ms,
            place=f"{spot.reign} {_place(spot.value, head)}",
            compress_from=COMPRESS_FROM_BYTES,
            keys=self._redis.keys,
        )

    def fill(self, spot: Spot, value: bytes, ttl_s: float) -> bool | None:
        """Keep a value, unless the floor refuses it; whether it is kept, None if nobody said."""
        return self.fill_many([(spot, value)], ttl_s)[0]

    def fill_many(
        self, fills: Sequence[tuple[Spot, bytes]], ttl_s: float, payload_bytes: Sequence[int] = ()
    ) -> list[bool | None]:
        """As `fill`, of many in their order.

        Args:
            fills: Where, and what `value` made.
            ttl_s: Seconds for which it is kept.
            payload_bytes: The length of what each was made of, for the statistics.
        """
        if not self._redis.may_fill():
            self._redis.count("skipped", len(fills))
            return [None] * len(fills)
        for_ms = max(1, int(ttl_s * 1000))
        stored: list[bool | None] = []
        for start in range(0, len(fills), _SPOTS_A_CALL):
            calls = [
                ((spot.value, spot.floor), (value, for_ms))
                for spot, value in fills[start : start + _SPOTS_A_CALL]
            ]
            stored += map(self._told, self._client.run_many(self._fill, calls))
        self._redis.count("fills", stored.count(True))
        self._redis.count("refused_fills", stored.count(False))
        before = payload_bytes or [len(value) for _, value in fills]
        sizes = [(len(value), size) for (_, value), size in zip(fills, before, strict=True)]
        self._redis.counters.given(sizes, stored)
        return stored

    def raise_floor(self, spot: Spot, xids: Sequence[int]) -> bool | None:
        """Put transactions on a floor; whether a value had to go."""
        keys = (spot.value, spot.floor)
        dropped = self._told(self._client.run_many(self._raise, [(keys, (FLOOR_MS, *xids))])[0])
        if dropped:
            self._redis.count("invalidations")
        return dropped

    def turn(self, table: str, xid: int) -> bool | None:
        """A transaction changed a whole table."""
        found = self._call(self._turn, table, ("turn", f"turned:{xid}"), [xid, 2 * FLOOR_MS])
        return None if found is None else bool(found)

    def trust(self, table: str, epoch: str, for_s: float) -> bool | None:
        """Say that somebody trusts an epoch; False if another has begun."""
        args = (epoch, max(1, int(for_s * 1000)))
        found = self._call(self._trust, table, ("epoch", "trusted"), args)
        return None if found is None else bool(found)

    def answer(self, table: str, newcomer: str, epoch: str, for_s: float) -> bool | None:
        """Tell a newcomer that everything announced before it asked has been passed on."""
        args = (epoch, max(1, int(for_s * 1000)))
        found = self._call(self._answer, table, ("epoch", f"join:{newcomer}"), args)
        return None if found is None else bool(found)

    def join(self, table: str, newcomer: str, fresh: str, for_s: float) -> tuple[str, int] | None:
        """The epoch that a newcomer may trust, and the last turn; an empty one if none yet."""
        names = ("epoch", "trusted", f"join:{newcomer}", "turn")
        args = (fresh, max(1, int(for_s * 1000)))
        found = self._call(self._join, table, names, args)
        return None if found is None else (found[0].decode(), int(found[1]))

    def _call(
        self, script: Script, table: str, names: Iterable[str], args: Sequence[str | bytes | int]
    ) -> Any:
        """What a script says of a table; None if nobody answers under the reign that it names."""
        at = f"{self._redis.base}:{{{table}}}"
        try:
            for _ in range(_REIGNS_TRIED):
                reign = self._client.reign_of(at)
                keys = [f"{at}:{reign}:{name}" for name in names]
                reply = self._client.run(script, keys, args)
                if reply.reign == reign:
                    return reply.value
        except RedisFaultError as fault:
            self._redis.failed(fault)
        return None

    def _told(self, answer: Reply | RedisFaultError) -> bool | None:
        if isinstance(answer, RedisFaultError):
            self._redis.failed(answer)
            return None
        return bool(answer.value)


def wall_ms() -> int:
    """The wall clock in milliseconds, by which others judge a value's age."""
    return time.time_ns() // 1_000_000


def _place(key: str, head: bytes) -> str:
    return f"{key} {head.hex()}"


def _head(value: bytes | None) -> bytes:
    """What stands in front of a value's frame; nothing if it cannot be one of ours."""
    if value is None or len(value) < _HEAD_BYTES_MIN or value[:1] not in (_PRIMARY, _STANDBY):
        return b""
    end = _HEAD_BYTES_MIN + 8 * int.from_bytes(value[1:5], "big")
    return value[:end] if end <= len(value) else b""
