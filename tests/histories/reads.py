"""What can be wrong with single reads: of nothing, of what was undone, too early, too late."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from tests.histories.anomalies import Anomaly, Kind
from tests.histories.history import Append, History, Outcome
from tests.histories.observed import Appends, Values, View


def wrong_reads(
    history: History, made: Appends, seen: list[View], orders: dict[int, Values]
) -> Iterator[Anomaly]:
    """Garbage, G1a and G1b, and commits on top of what was rolled back."""
    for view in seen:
        text = f"T{view.reader} read {view.key} as {view.values}"
        for value in view.values:
            writer = made.writer.get((view.key, value))
            if writer is None:
                yield Anomaly(Kind.GARBAGE_READ, (view.reader,), f"{text}; nobody wrote {value}")
            elif history[writer].outcome is Outcome.ABORTED:
                yield Anomaly(
                    Kind.ABORTED_READ, (view.reader, writer), f"{text}; {value} was rolled back"
                )
        if view.foreign and (view.key, view.foreign[-1]) in made.overwritten:
            writer = made.writer[view.key, view.foreign[-1]]
            yield Anomaly(
                Kind.INTERMEDIATE_READ, (view.reader, writer), f"{text}; T{writer} went on"
            )
    for key, order in orders.items():
        for below, above in pairwise(order):
            under, over = made.writer.get((key, below)), made.writer.get((key, above))
            if (
                under is not None
                and over is not None
                and history[under].outcome is Outcome.ABORTED
                and history[over].outcome is not Outcome.ABORTED
            ):
                text = f"T{over} appended {above} to {key} after {below} of T{under}, rolled back"
                yield Anomaly(Kind.DIRTY_UPDATE, (under, over), text)


def lost_updates(history: History, seen: list[View]) -> Iterator[Anomaly]:
    """Two transactions that read the same version of a key, then both appended to it."""
    updaters: dict[tuple[int, Values], dict[int, None]] = defaultdict(dict)
    writes = {
        reader: {op.key for op in history[reader].operations if isinstance(op, Append)}
        for reader in {view.reader for view in seen}
    }
    for view in seen:
        if not view.own and view.key in writes[view.reader]:
            updaters[view.key, view.foreign][view.reader] = None
    for (key, values), numbers in updaters.items():
        if len(numbers) > 1:
            text = f"each read {key} as {values} and appended to it"
            yield Anomaly(Kind.LOST_UPDATE, tuple(numbers), text)


def stale_reads(
    history: History, alive: set[int], seen: list[View], orders: dict[int, Values]
) -> Iterator[Anomaly]:
    """Reads that began after a commit was acknowledged and do not show its appends.

    Commits and reads of a key are gone through in the order of time, with the last place that a
    read must reach by now; what no read ever showed stands after every place.
    """
    events = _commits(history, alive, orders)
    for view in seen:
        began_s = history[view.reader].began_s
        if began_s is not None:
            events[view.key].append(_Event(began_s, False, len(view.foreign), view.reader))
    for key, happened in events.items():
        must, writer = -1, -1
        for event in sorted(happened):
            if event.is_commit:
                must, writer = max((must, writer), (event.place, event.number))
            elif event.place <= must:
                text = f"T{event.number} began after T{writer} had ended and read {key} without it"
                yield Anomaly(Kind.STALE_READ, (writer, event.number), text)


class _Event(NamedTuple):
    """A commit or a read of a key; at the same instant the read is first: nobody can tell."""

    at_s: float
    is_commit: bool
    place: int
    number: int


def _commits(
    history: History, alive: set[int], orders: dict[int, Values]
) -> dict[int, list[_Event]]:
    """When each append to a key that is read was acknowledged, and its place in the list."""
    found: dict[int, list[_Event]] = defaultdict(list)
    places = {key: {value: n for n, value in enumerate(order)} for key, order in orders.items()}
    for number in alive:
        ended_s = history[number].ended_s
        if ended_s is None or history[number].outcome is not Outcome.COMMITTED:
            continue
        for operation in history[number].operations:
            if isinstance(operation, Append) and operation.key in orders:
                order = places[operation.key]
                place = order.get(operation.value, len(order))
                found[operation.key].append(_Event(ended_s, True, place, number))
    return found
