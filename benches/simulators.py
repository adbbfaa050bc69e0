"""Eviction policies as short as they can be written, and the best that any could do.

Each answers the share of hits in percent. Keys are small numbers, as `traces` makes them.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque

from traces import Trace

# What two bits count to.
_USES_MOST = 3


def lru(trace: Trace, capacity: int) -> float:
    """Least recently used."""
    held: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for key in trace:
        if key in held:
            held.move_to_end(key)
            hits += 1
        else:
            if len(held) == capacity:
                held.popitem(last=False)
            held[key] = None
    return 100 * hits / len(trace)


def sieve(trace: Trace, capacity: int) -> float:
    """A queue, and a hand that goes from old to new and takes the first not visited since.

    (Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE is simpler than LRU", NSDI 2024.)
    """
    held, visited = set[int](), bytearray(max(trace) + 1)
    # Of each key the next newer and the next older one; the last place stands for both ends.
    end = len(visited)
    newer, older = [end] * (end + 1), [end] * (end + 1)
    hand = end
    hits = 0
    for key in trace:
        if key in held:
            visited[key] = 1
            hits += 1
            continue
        if len(held) == capacity:
            if hand == end:
                hand = newer[end]
            while visited[hand]:
                visited[hand] = 0
                hand = newer[hand]
                if hand == end:
                    hand = newer[end]
            held.remove(hand)
            newer[older[hand]], older[newer[hand]] = newer[hand], older[hand]
            hand = newer[hand]
        held.add(key)
        newer[key], older[key] = end, older[end]
        newer[older[end]] = older[end] = key
    return 100 * hits / len(trace)


class S3Fifo:
    """As in the paper: a small queue of a tenth, a main queue, a ghost queue as long as the main.

    (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023.)
    """

    def __init__(self, capacity: int) -> None:
        self.uses: dict[int, int] = {}
        self._capacity = capacity
        self._small_most = max(1, capacity // 10)
        self._main_most = capacity - self._small_most
        self._small, self._main = deque[int](), deque[int]()
        self._ghost: OrderedDict[int, None] = OrderedDict()

    def insert(self, key: int) -> None:
        """Keep a key that is not there, in the place of another if need be."""
        while len(self.uses) >= self._capacity:
            if len(self._small) >= self._small_most or not self._main:
                self._evict_from_small()
            else:
                self._evict_from_main()
        self.uses[key] = 0
        if key in self._ghost:
            del self._ghost[key]
            self._main.append(key)
        else:
            self._small.append(key)

    def _evict_from_small(self) -> None:
        while self._small:
            key = self._small.popleft()
            if self.uses[key] <= 1:
                del self.uses[key]
                self._ghost[key] = None
                if len(self._ghost) > self._main_most:
                    self._ghost.popitem(last=False)
                return
            self.uses[key] = 0
            self._main.append(key)
            if len(self._main) > self._main_most:
                self._evict_from_main()

    def _evict_from_main(self) -> None:
        while self.uses[key := self._main.popleft()]:
            self.uses[key] -= 1
            self._main.append(key)
        del self.uses[key]


def s3fifo(trace: Trace, capacity: int) -> float:
    """S3-FIFO, with a use counted in two bits."""
    cache = S3Fifo(capacity)
    hits = 0
    for key in trace:
        used = cache.uses.get(key)
        if used is None:
            cache.insert(key)
        else:
            cache.uses[key] = min(used + 1, _USES_MOST)
            hits += 1
    return 100 * hits / len(trace)


def optimum(trace: Trace, capacity: int) -> float:
    """Bélády's: what is asked for last goes first."""
    following, seen = [0] * len(trace), dict[int, int]()
    for at in range(len(trace) - 1, -1, -1):
        following[at] = seen.get(trace[at], len(trace))
        seen[trace[at]] = at
    due: dict[int, int] = {}
    latest: list[tuple[int, int]] = []
    hits = 0
    for key, later in zip(trace, following, strict=True):
        if key in due:
            hits += 1
        elif len(due) == capacity:
            while True:
                at, last = heapq.heappop(latest)
                # Older notes of a key that has been asked for since are passed over.
                if due.get(last) == -at:
                    break
            del due[last]
        due[key] = later
        heapq.heappush(latest, (-later, key))
    return 100 * hits / len(trace)
