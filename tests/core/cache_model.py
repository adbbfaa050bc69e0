"""The cache with everything that entries can have, as plainly as it can be written.

Least recently used first, every entry of weight one, time in whole seconds. Slots matter for one
thing: each new key looks whether the entry whose turn it is has ended, and removes it if so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

MISSING = object()


@dataclass(frozen=True)
class Options:
    """Seconds, as in `Cache`; `inf` where there is no limit."""

    maxsize: int
    ttl_s: float = inf
    idle_s: float = inf
    stale_if_error_s: float = 0
    negative_ttl_s: float | None = None
    retry_s: float = 100


@dataclass
class Item:
    key: Any
    value: Any
    fresh_until: float
    error_until: float
    idle_until: float
    slot: int
    absent: bool = False
    tags: frozenset[str] = frozenset()
    outdated: bool = False
    retry_at: float = 0


@dataclass
class Model:
    options: Options
    now: float = 0
    horizon: float = inf
    items: list[Item] = field(default_factory=list)
    told: list[tuple[Any, Any, str]] = field(default_factory=list)
    reported: list[type[BaseException]] = field(default_factory=list)
    counted: Counter[str] = field(default_factory=Counter)
    slots: int = 0
    free: list[int] = field(default_factory=list)
    hand: int | None = None
    mortal: bool = False

    # How far entries are in their lives.

    def find(self, key: Any) -> Item | None:
        return next((item for item in self.items if item.key == key), None)

    def cause_of_death(self, item: Item) -> str | None:
        if item.outdated:
            return "invalidated"
        fresh_or_spare = self.now < max(item.fresh_until, item.error_until)
        return None if self.now < item.idle_until and fresh_or_spare else "expired"

    def is_fresh(self, item: Item | None) -> bool:
        """Fresh and within the horizon; perhaps absent."""
        return (
            item is not None
            and self.now < self.horizon
            and self.cause_of_death(item) is None
            and self.now < item.fresh_until
        )

    def is_live(self, item: Item | None) -> bool:
        return item is not None and self.is_fresh(item) and not item.absent

    def live(self) -> list[Item]:
        return [item for item in self.items if self.is_live(item)]

    # How they come and go.

    def use(self, item: Item) -> None:
        self.items.remove(item)
        self.items.append(item)
        item.idle_until = self.now + self.options.idle_s

    def count(self, cause: str) -> None:
        names = {"capacity": "evictions", "expired": "expirations", "replaced": "replacements"}
        self.counted[names.get(cause, "invalidations")] += 1

    def tell(self, item: Item, cause: str) -> None:
        if not item.absent:
            self.told.append((item.key, item.value, cause))

    def take(self, item: Item) -> None:
        self.items.remove(item)
        self.free.append(item.slot)

    def drop(self, item: Item, cause: str) -> None:
        self.take(item)
        self.count(cause)
        self.tell(item, cause)

    def drop_if_dead(self, item: Item | None) -> bool:
        cause = self.cause_of_death(item) if item else None
        if item and cause:
            self.drop(item, cause)
        return cause is not None

    def sweep(self) -> None:
        if not self.mortal:
            return
        turn = 0 if self.hand is None else self.hand + 1
        self.hand = turn if turn < self.slots else 0
        self.drop_if_dead(next((item for item in self.items if item.slot == self.hand), None))

    def store(
        self,
        key: Any,
        value: Any,
        ttl_s: float | None = None,
        tags: frozenset[str] = frozenset(),
        *,
        absent: bool = False,
    ) -> None:
        old = self.find(key)
        if old:
            cause = self.cause_of_death(old) or "replaced"
            self.count(cause)
            self.items.remove(old)
            slot, key = old.slot, old.key
        else:
            cause = ""
            self.sweep()
            if len(self.items) == self.options.maxsize:
                first = self.items[0]
                self.drop(first, self.cause_of_death(first) or "capacity")
            slot = self.free.pop() if self.free else self.slots
            self.slots = max(self.slots, slot + 1)
        fresh_until = self.now + (self.options.ttl_s if ttl_s is None else ttl_s)
        window_s = 0 if absent else self.options.stale_if_error_s
        idle_until = self.now + self.options.idle_s
        item = Item(key, value, fresh_until, fresh_until + window_s, idle_until, slot, absent, tags)
        self.items.append(item)
        self.note_mortality(item)
        if old:
            self.tell(old, cause)

    def note_mortality(self, item: Item) -> None:
        ends = min(item.fresh_until, item.idle_until) < inf
        self.mortal |= ends or item.absent or bool(item.tags)

    # What the cache can be asked for.

    def get(self, key: Any) -> Any:
        item = self.find(key)
        found = self.is_fresh(item)
        self.counted["hits" if found else "misses"] += 1
        if item and found:
            self.use(item)
            self.counted["negative_hits"] += item.absent
            return MISSING if item.absent else item.value
        if item and self.now < self.horizon:
            self.drop_if_dead(item)
        return MISSING

    def get_or_load(self, key: Any, loaded: Any, ttl_s: float | None, tags: frozenset[str]) -> Any:
        """What it answers, or the type of what it raises; the loader may raise what it loads."""
        item = self.find(key)
        if self.now >= self.horizon:
            item = None
        spare = item and not self.cause_of_death(item) and self.now >= item.fresh_until
        if item and (self.is_fresh(item) or (spare and self.now < item.retry_at)):
            self.counted["hits"] += 1
            self.counted["stale_hits"] += bool(spare)
            self.counted["negative_hits"] += item.absent
            self.use(item)
            return KeyError if item.absent else item.value
        self.counted["misses"] += 1
        self.drop_if_dead(item)
        self.counted["loads"] += 1
        if not isinstance(loaded, Exception):
            self.counted["fills"] += 1
            self.store(key, loaded, ttl_s, tags)
            return loaded
        self.counted["failed_loads"] += 1
        if isinstance(loaded, KeyError) and self.options.negative_ttl_s:
            self.counted["fills"] += 1
            self.store(key, None, self.options.negative_ttl_s, absent=True, tags=tags)
        elif item and spare:
            self.counted["stale_hits"] += 1
            self.reported.append(type(loaded))
            item.retry_at = self.now + self.options.retry_s
            return item.value
        return type(loaded)

    def touch(self, key: Any, ttl_s: float | None) -> bool:
        item = self.find(key)
        if not item or not self.is_live(item):
            return False
        fresh_until = self.now + (self.options.ttl_s if ttl_s is None else ttl_s)
        error_until = fresh_until + self.options.stale_if_error_s
        self.use(item)
        self.items[-1] = replace(
            item, fresh_until=fresh_until, error_until=error_until, idle_until=item.idle_until
        )
        self.note_mortality(self.items[-1])
        return True

    def pop(self, key: Any) -> Any:
        item = self.find(key)
        if item and self.is_live(item):
            self.take(item)
            return item.value
        self.drop_if_dead(item)
        return MISSING

    def popitem(self) -> Any:
        item = next(iter(self.live()), None)
        if item is None:
            return KeyError
        self.take(item)
        return item.key, item.value

    def setdefault(self, key: Any, default: Any) -> Any:
        value = self.get(key)
        if value is MISSING:
            self.store(key, default)
            return default
        return value

    def invalidate(self, key: Any) -> bool:
        item = self.find(key)
        if item is None or self.drop_if_dead(item):
            return False
        live = self.is_live(item)
        self.drop(item, "invalidated")
        return live

    def invalidate_tag(self, tag: str) -> None:
        for item in self.items:
            item.outdated |= tag in item.tags

    def expire(self) -> list[tuple[Any, Any]]:
        dead = [item for item in self.items if self.cause_of_death(item)]
        gone = [(item, self.cause_of_death(item)) for item in dead]
        for item in dead:
            self.drop_if_dead(item)
        return [(i.key, i.value) for i, cause in gone if cause == "expired" and not i.absent]

    def empty(self, cause: str) -> int:
        count = len(self.items)
        self.counted["cleared" if cause == "cleared" else "invalidations"] += count
        for item in sorted(self.items, key=lambda item: item.slot):
            self.tell(item, cause)
        self.items, self.slots, self.free, self.mortal = [], 0, [], False
        return count
