"""The readings of cached queries of one table, found by the rows that concern them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

from tierline.cache.intervals import Intervals
from tierline.query.changes import Row, RowChange
from tierline.query.expressions import ColumnRef
from tierline.query.lookups import (
    Between,
    Bound,
    OneOf,
    Place,
    looked_up,
    lookups_of,
    place_of,
)
from tierline.query.readings import Reading, Test, tests_of, touches

COMPANY_MAX = 16
"""Results with one value of a column, from which on another is looked up by a range instead."""

_numbers = itertools.count()


class Slot:
    """One reading of a cached result, and where the index holds it.

    Attributes:
        owner: The result.
        reading: What it reads of the table.
        number: Tells slots with equal ranges apart.
        lookup: By what it is found; None if every change is looked at.
    """

    def __init__(self, owner: Any, reading: Reading) -> None:
        self.owner = owner
        self.reading = reading
        self.number = next(_numbers)
        self.lookup: OneOf | Between | None = None

    @cached_property
    def _tests(self) -> tuple[Test, ...]:
        # Made when a change comes by: most results are never looked at.
        return tests_of(self.reading)

    def is_touched(self, change: RowChange) -> bool:
        """Whether a change may change the result."""
        return touches(self._tests, self.reading.columns, change)


class TableIndex:
    """The slots of one table; not safe to share between threads.

    Attributes:
        owners: The results, with how many slots each has.
    """

    def __init__(self) -> None:
        self.owners: dict[Any, int] = {}
        self._exact: dict[Place, _Exact] = {}
        self._ranges: dict[Place, _Ranges] = {}
        # A dict for its order and its quick removal.
        self._others: dict[Slot, None] = {}

    def __len__(self) -> int:
        return len(self.owners)

    def add(self, slot: Slot) -> None:
        """Add a slot, where the fewest others will be found with it."""
        exact, ranges = lookups_of(slot.reading)
        self.owners[slot.owner] = self.owners.get(slot.owner, 0) + 1
        chosen = min(exact, key=self._company, default=None)
        narrow = max(ranges, key=_ends, default=None)
        if narrow is not None and chosen is not None and _ends(narrow) == 2:
            # A value that many share tells fewer apart than a range does.
            chosen = chosen if self._company(chosen)[0] < COMPANY_MAX else None
        if chosen is not None:
            slot.lookup = chosen
            place = place_of(chosen.column)
            if place not in self._exact:
                self._exact[place] = _Exact(chosen.column)
            self._exact[place].add(slot, chosen.values)
        elif narrow is not None:
            slot.lookup = narrow
            place = place_of(narrow.column)
            if place not in self._ranges:
                self._ranges[place] = _Ranges(narrow.column)
            self._ranges[place].add(slot, narrow)
        else:
            self._others[slot] = None

    def remove(self, slot: Slot) -> None:
        """Remove a slot that was added."""
        self.owners[slot.owner] -= 1
        if not self.owners[slot.owner]:
            del self.owners[slot.owner]
        match slot.lookup:
            case OneOf(column, values):
                self._exact[place_of(column)].remove(slot, values)
            case Between(column) as narrow:
                self._ranges[place_of(column)].remove(slot, narrow)
            case None:
                del self._others[slot]

    def concerned(self, change: RowChange) -> list[Slot]:
        """The slots that a change may touch; each of them is still to be asked."""
        # By identity and in order: a slot is found by both rows, and by several values.
        found: dict[Slot, None] = {}
        for row in (change.old, change.new):
            if row is not None:
                for part in self._parts():
                    found.update(dict.fromkeys(part.of(row)))
        found.update(self._others)
        return list(found)

    def __iter__(self) -> Iterator[Slot]:
        for part in self._parts():
            yield from part
        yield from self._others

    def _parts(self) -> Iterator[_Exact | _Ranges]:
        yield from self._exact.values()
        yield from self._ranges.values()

    def _company(self, lookup: OneOf) -> tuple[int, int]:
        part = self._exact.get(place_of(lookup.column))
        company = 0 if part is None else part.count(lookup.values)
        # Of equals that which has told more of them apart.
        return company, 0 if part is None else -part.width


class _Exact:
    """Slots by the values that a column must have."""

    def __init__(self, column: ColumnRef) -> None:
        self._find = looked_up(column)
        self._by_value: dict[Any, dict[Slot, None]] = {}

    @property
    def width(self) -> int:
        """How many values tell slots apart."""
        return len(self._by_value)

    def count(self, values: Iterable[Any]) -> int:
        """How many slots some values have."""
        return sum(len(self._by_value.get(value, ())) for value in values)

    def add(self, slot: Slot, values: Iterable[Any]) -> None:
        for value in values:
            self._by_value.setdefault(value, {})[slot] = None

    def remove(self, slot: Slot, values: Iterable[Any]) -> None:
        for value in dict.fromkeys(values):
            slots = self._by_value[value]
            del slots[slot]
            if not slots:
                del self._by_value[value]

    def of(self, row: Row) -> Iterable[Slot]:
        try:
            return self._by_value.get(self._find(row), ())
        except Exception:  # noqa: BLE001 (not known, or of another type: all may be meant)
            return self

    def __iter__(self) -> Iterator[Slot]:
        return itertools.chain.from_iterable(self._by_value.values())


class _Ranges:
    """Slots by the range that a column's value must lie in."""

    def __init__(self, column: ColumnRef) -> None:
        self._find: Callable[[Row], Any] = looked_up(column)
        self._intervals: Intervals[Slot] = Intervals()

    def add(self, slot: Slot, lookup: Between) -> None:
        self._intervals.add((*lookup.low, slot.number), _last(lookup.high), slot)

    def remove(self, slot: Slot, lookup: Between) -> None:
        self._intervals.remove((*lookup.low, slot.number))

    def of(self, row: Row) -> Iterable[Slot]:
        try:
            value = self._find(row)
            # NULL lies in no range.
            return () if value is None else list(self._intervals.at(_last((1, value))))
        except Exception:  # noqa: BLE001 (not known, or of another type: all may be meant)
            return self

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._intervals)


def _last(bound: Bound) -> tuple[Any, ...]:
    """Behind everything that begins at the same value."""
    return (*bound, math.inf)


def _ends(lookup: Between) -> int:
    return (len(lookup.low) > 1) + (len(lookup.high) > 1)
