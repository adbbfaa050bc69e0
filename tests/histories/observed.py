"""What a history shows by itself: who appended what, who committed, in which order lists grew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.histories.anomalies import Anomaly, Kind
from tests.histories.history import Append, History, Outcome, Read, Transaction

Values = tuple[int, ...]
Slot = tuple[int, int]
"""A key and a value."""


class Appends(NamedTuple):
    """Where each value comes from: its transaction, and whether that appended more to the key."""

    writer: dict[Slot, int]
    overwritten: set[Slot]


class View(NamedTuple):
    """One read by a committed transaction.

    Attributes:
        reader: Its number.
        key: What was read.
        values: The whole list.
        foreign: The list without what the reader itself had appended.
        own: Whether the reader had appended before.
    """

    reader: int
    key: int
    values: Values
    foreign: Values
    own: bool


def appends(history: History) -> Appends:
    """Index the appends.

    Raises:
        ValueError: A value was appended to one key twice, so that no order can be recovered.
    """
    writer: dict[Slot, int] = {}
    overwritten: set[Slot] = set()
    for number, transaction in enumerate(history):
        last: dict[int, int] = {}
        for operation in transaction.operations:
            if isinstance(operation, Read):
                continue
            slot = (operation.key, operation.value)
            if slot in writer:
                raise ValueError(f"{operation} is in T{writer[slot]} and in T{number}")
            writer[slot] = number
            if operation.key in last:
                overwritten.add((operation.key, last[operation.key]))
            last[operation.key] = operation.value
    return Appends(writer, overwritten)


def committed(history: History, made: Appends) -> set[int]:
    """The transactions that are committed, with those of unknown outcome that one of these read.

    What nobody saw of an unknown transaction is left out: it may not have happened.
    """
    found = {n for n, ended in enumerate(history) if ended.outcome is Outcome.COMMITTED}
    waiting = list(found)
    while waiting:
        for operation in history[waiting.pop()].operations:
            if isinstance(operation, Append):
                continue
            for value in operation.values:
                writer = made.writer.get((operation.key, value))
                if (
                    writer is not None
                    and writer not in found
                    and history[writer].outcome is Outcome.UNKNOWN
                ):
                    found.add(writer)
                    waiting.append(writer)
    return found


def views(
    number: int, transaction: Transaction, made: Appends, found: list[Anomaly]
) -> Iterator[View]:
    """The reads of a transaction that are lists at all; what is wrong in itself goes to `found`."""
    own: dict[int, Values] = {}
    before: dict[int, Values] = {}
    for operation in transaction.operations:
        if isinstance(operation, Append):
            own[operation.key] = (*own.get(operation.key, ()), operation.value)
            continue
        key, values = operation
        if len(set(values)) < len(values):
            found.append(Anomaly(Kind.DUPLICATE, (number,), f"T{number} read {key} as {values}"))
            continue
        mine = own.get(key, ())
        foreign = values[: len(values) - len(mine)]
        if values[len(foreign) :] != mine or any(
            made.writer.get((key, value)) == number for value in foreign
        ):
            text = f"T{number} appended {mine} to {key} and read {values}"
            found.append(Anomaly(Kind.INTERNAL, (number,), text))
            continue
        if before.setdefault(key, foreign) != foreign:
            text = f"T{number} read {key} as {before[key]}, then as {foreign}"
            found.append(Anomaly(Kind.FUZZY_READ, (number,), text))
        yield View(number, key, values, foreign, bool(mine))


def version_orders(seen: list[View], found: list[Anomaly]) -> tuple[dict[int, Values], list[View]]:
    """The longest list read of each key, and the reads that agree with it."""
    longest: dict[int, View] = {}
    for view in seen:
        if view.key not in longest or len(view.values) > len(longest[view.key].values):
            longest[view.key] = view
    agreeing: list[View] = []
    for view in seen:
        best = longest[view.key]
        if best.values[: len(view.values)] == view.values:
            agreeing.append(view)
        else:
            text = f"{view.key} was read as {view.values} and as {best.values}"
            pair = (view.reader, best.reader)
            found.append(Anomaly(Kind.INCOMPATIBLE_ORDER, pair, text))
    return {key: view.values for key, view in longest.items()}, agreeing
