"""L2 under a backplane: values, floors, and scripts that keep the one right by the other.

Two keys a row, in one hash slot. The value says in front of its frame which snapshot it was read
under; the floor holds the transactions announced for the row, and outlives every epoch. A script
raises the floor and drops the value unless it includes the transaction; another fills if
everything on the floor is settled in the value's snapshot. Transaction ids stay under 2^53, which
Lua's numbers hold exactly.

A value's key names its epoch, and the last transaction that changed the table as a whole: a fill
goes where its snapshot belongs, whatever happens meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from tierline._core import pack_frame, unpack_frame
from tierline.cache.redis import RedisTier

T = TypeVar("T")

FLOOR_MS = 90_000
"""How long a floor is kept: longer than any fill takes, and than any process is behind."""

FILL_AGE_S_MAX = 30.0
"""A fill that took longer is dropped."""

_PRIMARY, _STANDBY = b"P", b"S"
_HEAD_BYTES_MIN = 21

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
    """Where a row's value and floor are kept."""

    value: str
    floor: str


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
        make = redis.script
        self._raise, self._fill, self._turn = make(_RAISE), make(_FILL), make(_TURN)
        self._trust, self._answer, self._join = make(_TRUST), make(_ANSWER), make(_JOIN)

    def spot(self, name: str, epoch: str, turn: int) -> Spot | None:
        """Where the value of a name is kept in an epoch, on the server as it is now."""
        space = self._redis.space
        if space is None:
            return None
        at = f"{space}:{{{name}}}"
        return Spot(f"{at}:{epoch}:{turn}", f"{at}:f")

    def get(
        self, spot: Spot, fingerprint: int, decode: Callable[[bytes], Any], ttl_s: float
    ) -> Found | None:
        """The value there; whatever is not whole, of this schema and in time is none."""
        data = self._call(lambda client: client.get(spot.value) or b"")
        found = None if not data else read_value(data, fingerprint, decode, ttl_s)
        self._redis.count("misses" if found is None else "hits")
        self._redis.count("bytes_read", len(data or b""))
        return found

    def fill(self, spot: Spot, value: bytes, ttl_s: float, payload_bytes: int = 0) -> bool | None:
        """Keep a value, unless the floor refuses it; whether it is kept.

        Args:
            spot: Where.
            value: From `write_value`.
            ttl_s: Seconds that it is kept.
            payload_bytes: What it was made of, for the statistics.
        """
        args = [value, max(1, int(ttl_s * 1000))]
        stored = self._call(lambda _: self._fill(keys=list(spot), args=args))
        if stored is not None:
            self._redis.count("fills" if stored else "refused_fills")
            self._redis.count("bytes_written", len(value))
            self._redis.count("payload_bytes", payload_bytes)
        return None if stored is None else bool(stored)

    def raise_floor(self, spot: Spot, xids: Sequence[int]) -> bool | None:
        """Put transactions on a floor; whether a value had to go."""
        dropped = self._call(lambda _: self._raise(keys=list(spot), args=[FLOOR_MS, *xids]))
        if dropped:
            self._redis.count("invalidations")
        return None if dropped is None else bool(dropped)

    def turn(self, table: str, xid: int) -> bool | None:
        """A transaction changed a whole table."""
        keys = [self._meta(table, "turn"), self._meta(table, f"turned:{xid}")]
        found = self._call(lambda _: self._turn(keys=keys, args=[xid, 2 * FLOOR_MS]))
        return None if found is None else bool(found)

    def trust(self, table: str, epoch: str, for_s: float) -> bool | None:
        """Say that somebody trusts an epoch; False if another has begun."""
        keys = [self._meta(table, "epoch"), self._meta(table, "trusted")]
        args = [epoch, max(1, int(for_s * 1000))]
        found = self._call(lambda _: self._trust(keys=keys, args=args))
        return None if found is None else bool(found)

    def answer(self, table: str, newcomer: str, epoch: str, for_s: float) -> bool | None:
        """Tell a newcomer that everything announced before it asked has been passed on."""
        keys = [self._meta(table, "epoch"), self._meta(table, f"join:{newcomer}")]
        args = [epoch, max(1, int(for_s * 1000))]
        found = self._call(lambda _: self._answer(keys=keys, args=args))
        return None if found is None else bool(found)

    def join(self, table: str, newcomer: str, fresh: str, for_s: float) -> tuple[str, int] | None:
        """The epoch that a newcomer may trust, and the last turn; an empty one if none yet."""
        names = ("epoch", "trusted", f"join:{newcomer}", "turn")
        args = [fresh, max(1, int(for_s * 1000))]
        keys = [self._meta(table, name) for name in names]
        found = self._call(lambda _: self._join(keys=keys, args=args))
        return None if found is None else (found[0].decode(), int(found[1]))

    def _meta(self, table: str, name: str) -> str:
        return f"{self._redis.space or '-'}:{{{table}}}:{name}"

    def _call(self, call: Callable[[Any], Any]) -> Any:
        return self._redis.ask(call)


def wall_ms() -> int:
    """The wall clock in milliseconds, by which others judge a value's age."""
    return time.time_ns() // 1_000_000


def write_value(
    payload: bytes, *, fingerprint: int, read_at_ms: int, snapshot: bytes, standby: bool
) -> bytes:
    """A value as L2 keeps it."""
    frame = pack_frame(payload, fingerprint=fingerprint, written_at_ms=read_at_ms)
    return (_STANDBY if standby else _PRIMARY) + snapshot + frame


def read_value(
    data: bytes, fingerprint: int, decode: Callable[[bytes], Any], ttl_s: float
) -> Found | None:
    """What L2 kept, if it is whole and in time."""
    if len(data) < _HEAD_BYTES_MIN or data[:1] not in (_PRIMARY, _STANDBY):
        return None
    end = _HEAD_BYTES_MIN + 8 * int.from_bytes(data[1:5], "big")
    unpacked = unpack_frame(data[end:], fingerprint=fingerprint)
    if unpacked is None:
        return None
    payload, read_at_ms = unpacked
    rest_s = min(ttl_s, ttl_s - (time.time() - read_at_ms / 1000))
    if rest_s <= 0:
        return None
    try:
        return Found(decode(payload), data[1:end], data[:1] == _STANDBY, rest_s)
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError):
        return None
