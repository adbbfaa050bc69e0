"""Histories with one anomaly each, as small as they come; a last transaction reads every list."""

from __future__ import annotations

from typing import NamedTuple

from tests.histories.anomalies import Kind
from tests.histories.history import Append, Operation, Outcome, Read, Transaction

X, Y, Z = 1, 2, 3

ABORTED, UNKNOWN = Outcome.ABORTED, Outcome.UNKNOWN


class Planted(NamedTuple):
    """A history and the anomalies that a checker must find in it, no others."""

    name: str
    kinds: frozenset[Kind]
    history: tuple[Transaction, ...]


def a(key: int, value: int) -> Append:
    """An append."""
    return Append(key, value)


def r(key: int, *values: int) -> Read:
    """A read."""
    return Read(key, values)


def t(*operations: Operation, outcome: Outcome = Outcome.COMMITTED) -> Transaction:
    """A transaction whose times nobody took."""
    return Transaction(operations, outcome)


def _at(began_s: float, ended_s: float, *operations: Operation) -> Transaction:
    return Transaction(operations, Outcome.COMMITTED, began_s, ended_s)


def _planted(name: str, kinds: Kind | set[Kind], *history: Transaction) -> Planted:
    return Planted(name, frozenset({kinds} if isinstance(kinds, Kind) else kinds), history)


PLANTED = (
    _planted("a value from nowhere", Kind.GARBAGE_READ, t(a(X, 1)), t(r(X, 1, 9))),
    _planted("an append applied twice", Kind.DUPLICATE, t(a(X, 1)), t(r(X, 1, 1))),
    _planted("its own append unseen", Kind.INTERNAL, t(a(X, 1), r(X)), t(r(X, 1))),
    _planted(
        "its own appends in another order",
        Kind.INTERNAL,
        t(a(X, 1), a(X, 2), r(X, 2, 1)),
        t(r(X, 1, 2)),
    ),
    _planted("its own append seen before", Kind.INTERNAL, t(r(X, 1), a(X, 1)), t(r(X, 1))),
    _planted(
        "read twice, appended to between",
        # The first read was before the other transaction, the second after it.
        {Kind.FUZZY_READ, Kind.G_SINGLE},
        t(r(X), r(X, 1)),
        t(a(X, 1)),
    ),
    _planted(
        "two lists that forked", Kind.INCOMPATIBLE_ORDER, t(a(X, 1)), t(a(X, 2)), t(r(X, 1)),
        t(r(X, 2)),
    ),
    _planted("a read of what was rolled back", Kind.ABORTED_READ, t(a(X, 1), outcome=ABORTED),
        t(r(X, 1))),
    _planted(
        "a read of an unknown commit's read of what was rolled back",
        Kind.ABORTED_READ,
        t(a(X, 1), outcome=ABORTED),
        t(r(X, 1), a(Y, 1), outcome=UNKNOWN),
        t(r(Y, 1)),
    ),
    _planted(
        "a commit on top of what was rolled back",
        {Kind.DIRTY_UPDATE, Kind.ABORTED_READ},
        t(a(X, 1), outcome=ABORTED),
        t(a(X, 2)),
        t(r(X, 1, 2)),
    ),
    _planted(
        "a read in the middle of another's appends",
        # It saw the first append, and not the second.
        {Kind.INTERMEDIATE_READ, Kind.G_SINGLE},
        t(a(X, 1), a(X, 2)),
        t(r(X, 1)),
        t(r(X, 1, 2)),
    ),
    _planted(
        "two lists written in opposite orders",
        Kind.G0,
        t(a(X, 1), a(Y, 1)),
        t(a(X, 2), a(Y, 2)),
        t(r(X, 1, 2)),
        t(r(Y, 2, 1)),
    ),
    _planted("each read the other's append", Kind.G1C, t(a(X, 1), r(Y, 1)), t(a(Y, 1), r(X, 1))),
    _planted(
        "written over, then read, by three",
        Kind.G1C,
        t(a(X, 1), r(Z, 1)),
        t(a(X, 2), a(Y, 1)),
        t(r(Y, 1), a(Z, 1)),
        t(r(X, 1, 2)),
    ),
    _planted(
        "two appends to the same version read",
        {Kind.LOST_UPDATE, Kind.G_SINGLE},
        t(r(X), a(X, 1)),
        t(r(X), a(X, 2)),
        t(r(X, 1, 2)),
    ),
    _planted(
        "two appends to the same version read, one commit unknown",
        {Kind.LOST_UPDATE, Kind.G_SINGLE},
        t(r(X), a(X, 1)),
        t(r(X), a(X, 2), outcome=UNKNOWN),
        t(r(X, 1, 2)),
    ),
    _planted(
        "half of another transaction read", Kind.G_SINGLE, t(a(X, 1), a(Y, 1)), t(r(X, 1), r(Y)),
        t(r(X, 1), r(Y, 1)),
    ),
    _planted(
        "an old list with a new one, by three",
        Kind.G_SINGLE,
        t(a(X, 1)),
        t(r(X, 1), a(Y, 1)),
        t(r(Y, 1), r(X)),
    ),
    _planted(
        "a long fork: two readers disagree on the order of two appends",
        Kind.G_NONADJACENT,
        t(a(X, 1)),
        t(a(Y, 1)),
        t(r(X, 1), r(Y)),
        t(r(X), r(Y, 1)),
        t(r(X, 1), r(Y, 1)),
    ),
    _planted(
        "write skew", Kind.G2_ITEM, t(r(X), a(Y, 1)), t(r(Y), a(X, 1)), t(r(X, 1), r(Y, 1))
    ),
    _planted(
        "write skew of three",
        Kind.G2_ITEM,
        t(r(X), a(Y, 1)),
        t(r(Y), a(Z, 1)),
        t(r(Z), a(X, 1)),
        t(r(X, 1), r(Y, 1), r(Z, 1)),
    ),
    _planted(
        "a reader that shows two transactions out of order",
        Kind.G2_ITEM,
        t(r(X), r(Y), a(X, 1)),
        t(a(Y, 1)),
        t(r(X), r(Y, 1)),
        t(r(X, 1), r(Y, 1)),
    ),
    _planted(
        "write skew that only appends without readers show", Kind.G2_ITEM, t(r(X), a(Y, 1)),
        t(r(Y), a(X, 1)),
    ),
    _planted("an acknowledged append lost", Kind.STALE_READ, _at(1, 2, a(X, 1)), _at(3, 4, r(X))),
    _planted(
        "an acknowledged append not seen yet",
        Kind.STALE_READ,
        _at(1, 2, a(X, 1)),
        _at(3, 4, r(X)),
        _at(5, 6, r(X, 1)),
    ),
)  # fmt: skip
