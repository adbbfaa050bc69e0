"""Counters of each cached query, beside those of all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

QUERIES_MAX = 1_000
"""Queries that are counted by themselves; the others are counted together."""


class Tally:
    """Counters of one cached query, whatever its parameters, since the store was opened.

    Attributes:
        hits: Reads answered with a kept result, or with a load that others had begun.
        loads: Results that were read.
        invalidated: Results dropped because a change concerned them.
        load_s: Seconds that the loads took together.
    """

    __slots__ = ("hits", "invalidated", "load_s", "loads")

    def __init__(self) -> None:
        self.hits = 0
        self.loads = 0
        self.invalidated = 0
        self.load_s = 0.0


class Tallies:
    """The tally of each query; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_form: dict[Any, Tally] = {}
        self._others = Tally()

    def of(self, key: Any) -> Tally:
        """The tally of a result's query."""
        form: Any = cast("Any", key)[0] if isinstance(key, tuple) else key
        with self._lock:
            found = self._by_form.get(form)
            if found is None:
                if len(self._by_form) >= QUERIES_MAX:
                    return self._others
                found = self._by_form[form] = Tally()
            return found

    def __iter__(self) -> Iterator[tuple[Any, Tally]]:
        """Each query with its tally; None stands for all those that are counted together."""
        with self._lock:
            known: list[tuple[Any, Tally]] = list(self._by_form.items())
        return iter([*known, *([(None, self._others)] if self._others.loads else [])])
