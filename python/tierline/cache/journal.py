"""The journal of one table: a stream in Redis, and beside it what is pending a key.

All keys of a table have one hash tag, so that they lie in one slot of a cluster:

| key | what it is |
|---|---|
| `…:journal` | the stream of operations that are acknowledged and not yet known to be in L3 |
| `…:pending` | by key: the id of its latest operation in the journal |
| `…:applied` | the last operation that L3 is known to have |
| `…:dead` | the stream of operations that L3 refused, with the reason |
| `…:lease` | who writes to L3 now; it saves work and decides nothing |
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from returns.result import Failure, Success

from tierline.cache.journal_keeping import keeps
from tierline.cache.journal_line import Line, Script
from tierline.cache.operations import NOTHING, Entry, OperationId, Written, read_id
from tierline.errors import (
    ConnectionError,  # noqa: A004
    PoolExhaustedError,
    RepositoryError,
)

OPERATIONS_MAX = 10_000
"""The most operations that are journalled at once: Redis does nothing else meanwhile."""

_APPEND = Script(
    b"""
local limit, adding = tonumber(ARGV[1]), (#ARGV - 1) / 3
local held = redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[4])
if held + adding > limit then return {held, false, ''} end
local ids = {}
for n = 2, #ARGV, 3 do
  -- What the first is refused for is the answer: no memory, no permission, a replica.
  local id = redis.pcall('XADD', KEYS[1], '*', 'o', ARGV[n], 'k', ARGV[n + 1], 'p', ARGV[n + 2])
  if type(id) == 'table' and id.err then return id end
  redis.call('HSET', KEYS[2], ARGV[n + 1], id)
  ids[#ids + 1] = id
end
return {held + adding, ids, redis.call('GET', KEYS[3]) or ''}
""",
    writes=True,
)

# The ids of a stream must go beyond what L3 has applied: a Redis that came back without its last
# operations, or without any, would otherwise give an id again, and L3 would take it for done.
_RAISE = Script(
    b"""
local added = redis.pcall('XADD', KEYS[1], ARGV[1], 'o', '')
if type(added) == 'string' then redis.call('XDEL', KEYS[1], added) end
return 1
""",
    writes=True,
)

_READ = Script(
    b"""
local now = redis.call('TIME')
return {
  redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[1]),
  redis.call('XLEN', KEYS[1]),
  redis.call('XLEN', KEYS[3]),
  redis.call('GET', KEYS[2]) or '',
  now[1] * 1000 + math.floor(now[2] / 1000),
}
""",
    writes=False,
)

_PENDING = Script(
    b"""
local found = {}
for n = 1, #ARGV do
  local id = redis.call('HGET', KEYS[2], ARGV[n])
  found[n] = id and redis.call('XRANGE', KEYS[1], id, id)[1] or false
end
return found
""",
    writes=False,
)

_SETTLE = Script(
    b"""
local function later(a, b)
  local a1, a2 = string.match(a, '^(%d+)-(%d+)$')
  local b1, b2 = string.match(b, '^(%d+)-(%d+)$')
  a1, b1 = tonumber(a1), tonumber(b1)
  return a1 > b1 or (a1 == b1 and tonumber(a2) > tonumber(b2))
end
for n = 2, #ARGV, 3 do
  local id, name, reason = ARGV[n], ARGV[n + 1], ARGV[n + 2]
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry then
    if reason ~= '' then
      redis.call('XADD', KEYS[4], '*', 'id', id, 'reason', reason, unpack(entry[2]))
    end
    redis.call('XDEL', KEYS[1], id)
  end
  if redis.call('HGET', KEYS[2], name) == id then redis.call('HDEL', KEYS[2], name) end
end
local before = redis.call('GET', KEYS[3])
if not before or later(ARGV[1], before) then redis.call('SET', KEYS[3], ARGV[1]) end
return 1
""",
    writes=True,
)

_RETRY = Script(
    b"""
local done = 0
for n = 1, #ARGV do
  local entry = redis.call('XRANGE', KEYS[4], ARGV[n], ARGV[n])[1]
  if entry then
    local at = {}
    for m = 1, #entry[2], 2 do at[entry[2][m]] = entry[2][m + 1] end
    local id = redis.call('XADD', KEYS[1], '*', 'o', at['o'] or '', 'k', at['k'] or '',
      'p', at['p'] or '')
    redis.call('HSET', KEYS[2], at['k'] or '', id)
    redis.call('XDEL', KEYS[4], ARGV[n])
    done = done + 1
  end
end
return done
""",
    writes=True,
)

_DROP = Script(
    b"""
local done = 0
for n = 1, #ARGV do done = done + redis.call('XDEL', KEYS[4], ARGV[n]) end
return done
""",
    writes=True,
)

_LEASE = Script(
    b"""
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
""",
    writes=True,
)

_RELEASE = Script(
    b"if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1",
    writes=True,
)


class Appended(NamedTuple):
    """What a journal took.

    Attributes:
        ids: Of each operation.
        held: How many operations the journal holds, dead letters included.
        applied: The last operation that L3 is known to have.
    """

    ids: list[OperationId]
    held: int
    applied: OperationId


class View(NamedTuple):
    """What a journal holds.

    Attributes:
        entries: The first of them, in order.
        pending: How many there are.
        dead: How many dead letters there are.
        applied: The last operation that L3 is known to have.
        now_ms: Redis's clock, by which ids are given.
    """

    entries: list[Entry]
    pending: int
    dead: int
    applied: OperationId
    now_ms: int


class Buried(NamedTuple):
    """A dead letter: its own id, the operation, and why L3 refused it, as JSON."""

    id: str
    entry: Entry
    reason: bytes


class Settled(NamedTuple):
    """An operation that is to leave the journal; as a dead letter if there is a reason."""

    entry: Entry
    reason: str = ""


class Journal:
    """The journal of one table.

    Args:
        line: Leads to the Redis that keeps it.
        name: Begins its keys; ends with the hash tag of the table.
        durable: Whether a Redis that may lose it is refused.
        applied: The last operation that L3 has, by L3's own word.
    """

    def __init__(
        self,
        line: Line,
        name: str,
        *,
        durable: bool,
        applied: Callable[[], Success[OperationId] | Failure[RepositoryError]],
    ) -> None:
        self.name = name
        self._line = line
        self._durable = durable
        self._applied = applied
        self._trusted = b""
        self._lock = threading.Lock()
        parts = ("journal", "pending", "applied", "dead", "lease")
        self._journal, self._pending, self._last, self._dead, self._lease = (
            f"{name}:{part}".encode() for part in parts
        )
        self._keys = [self._journal, self._pending, self._last, self._dead]

    def renew(self) -> None:
        """Begin anew in a forked child, where the lock may have been held by another thread."""
        self._lock = threading.Lock()

    def check(self) -> Success[bytes] | Failure[RepositoryError]:
        """Whether this run of Redis may be given operations; which it is.

        Errors: `ConfigurationError` if it may lose them; those of `Line.run_script`.
        """
        asked = self._line.ask("PING")
        if isinstance(asked, Failure):
            return asked
        with self._lock:
            run = self._line.run
            if run == self._trusted:
                return Success(run)
            if self._durable:
                kept = keeps(self._line)
                if isinstance(kept, Failure):
                    return kept
            applied = self._applied()
            if isinstance(applied, Failure):
                return applied
            if applied.unwrap() > NOTHING:
                raised = self._line.run_script(
                    _RAISE, self._keys, [str(applied.unwrap())], on_run=run
                )
                if isinstance(raised, Failure):
                    return raised
            self._trusted = run
            return Success(run)

    def append(
        self, operations: Sequence[Written], limit: int
    ) -> Success[Appended] | Failure[RepositoryError]:
        """Write operations down, all or none.

        Args:
            operations: At most `OPERATIONS_MAX`.
            limit: The most operations that the journal may hold then.

        Errors: `PoolExhaustedError` if it is full; those of `check`.
        """
        words: list[Any] = [limit]
        for operation in operations:
            words += operation
        answered = self._send(words)
        if isinstance(answered, Failure):
            if self._line.run == self._trusted or not _is_unsent(answered.failure()):
                return answered
            # The connection led to a server that was started anew.
            answered = self._send(words)
            if isinstance(answered, Failure):
                return answered
        held, ids, applied = answered.unwrap()
        if ids is None:
            return Failure(
                PoolExhaustedError(
                    f"the journal holds {held:,} operations, dead letters included, and may hold "
                    f"{limit:,}; wait until L3 has taken some, or settle the dead letters",
                    operation="write_behind",
                )
            )
        return Success(Appended([read_id(id_) for id_ in ids], held, _read_applied(applied)))

    def _send(self, words: list[Any]) -> Success[Any] | Failure[RepositoryError]:
        run = self._trusted
        if not run or self._line.run != run:
            checked = self.check()
            if isinstance(checked, Failure):
                return checked
            run = checked.unwrap()
        return self._line.run_script(_APPEND, self._keys, words, on_run=run)

    def read(self, count: int) -> Success[View] | Failure[RepositoryError]:
        """The first operations, and how many there are."""
        keys = [self._journal, self._last, self._dead]
        answered = self._line.run_script(_READ, keys, [count])
        if isinstance(answered, Failure):
            return answered
        entries, pending, dead, applied, now_ms = answered.unwrap()
        found = [_read_entry(entry) for entry in entries]
        return Success(View(found, pending, dead, _read_applied(applied), now_ms))

    def last(self) -> Success[OperationId] | Failure[RepositoryError]:
        """The last operation that is in it; the one before every other if there is none."""
        answered = self._line.ask("XREVRANGE", self._journal, "+", "-", "COUNT", 1)
        if isinstance(answered, Failure):
            return answered
        found = answered.unwrap()
        return Success(_read_entry(found[0]).id if found else NOTHING)

    def pending(self, names: Iterable[bytes]) -> Success[list[Entry | None]] | Failure[Any]:
        """The latest operation that is pending for each of these keys."""
        answered = self._line.run_script(_PENDING, self._keys[:2], list(names))
        if isinstance(answered, Failure):
            return answered
        return Success([None if one is None else _read_entry(one) for one in answered.unwrap()])

    def settle(
        self, settled: Sequence[Settled], applied: OperationId
    ) -> Success[Any] | Failure[RepositoryError]:
        """Take operations out, and say up to which one L3 has all; harmless if it was done."""
        words: list[Any] = [str(applied)]
        for entry, reason in settled:
            words += [str(entry.id), entry.written.name, reason]
        return self._line.run_script(_SETTLE, self._keys, words)

    def dead(self, limit: int) -> Success[list[Buried]] | Failure[RepositoryError]:
        """The first dead letters."""
        answered = self._line.ask("XRANGE", self._dead, "-", "+", "COUNT", limit)
        if isinstance(answered, Failure):
            return answered
        found: list[Buried] = []
        for id_, words in answered.unwrap():
            fields = _fields(words)
            entry = _read_entry((fields.get(b"id", b"0-0"), words))
            found.append(Buried(id_.decode(), entry, fields.get(b"reason", b"{}")))
        return Success(found)

    def retry(self, ids: Sequence[str]) -> Success[int] | Failure[RepositoryError]:
        """Put dead letters at the journal's end; how many there were."""
        return self._line.run_script(_RETRY, self._keys, list(ids))

    def drop(self, ids: Sequence[str]) -> Success[int] | Failure[RepositoryError]:
        """Forget dead letters; how many there were."""
        return self._line.run_script(_DROP, self._keys, list(ids))

    def lease(self, holder: bytes, for_s: float) -> bool:
        """Take the lease, or hold it for longer; whether it is held."""
        answered = self._line.run_script(_LEASE, [self._lease], [holder, int(for_s * 1000)])
        return isinstance(answered, Success) and bool(answered.unwrap())

    def release(self, holder: bytes) -> None:
        """Give the lease back."""
        self._line.run_script(_RELEASE, [self._lease], [holder])


def _is_unsent(error: RepositoryError) -> bool:
    return isinstance(error, ConnectionError)


def _read_entry(found: Any) -> Entry:
    id_, words = found
    fields = _fields(words)
    written = Written(fields.get(b"o", b""), fields.get(b"k", b""), fields.get(b"p", b""))
    return Entry(read_id(id_), written)


def _fields(words: Any) -> dict[bytes, bytes]:
    # redis-py reads no structure into what a script answers.
    return dict(zip(words[::2], words[1::2], strict=False))


def _read_applied(text: bytes) -> OperationId:
    return read_id(text) if text else NOTHING
