"""What clients saw: transactions that append numbers to lists and read whole lists.

A number is appended once in a whole history, so that a list tells which transactions made it and in
which order: that is what makes the order of versions recoverable from what clients read.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple


class Append(NamedTuple):
    """A number put at the end of a key's list."""

    key: int
    value: int


class Read(NamedTuple):
    """A key's whole list, as the transaction saw it; empty where there is none."""

    key: int
    values: tuple[int, ...]


Operation = Append | Read


class Outcome(Enum):
    """How a transaction ended, as far as its client knows."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"


class Transaction(NamedTuple):
    """One run of a transaction; a retried function makes one for each run.

    Attributes:
        operations: What it did, in order, as far as it came.
        outcome: How it ended.
        began_s: Monotonic time before its first statement was sent, None if nobody looked.
        ended_s: Monotonic time after its client heard of the commit.
    """

    operations: tuple[Operation, ...]
    outcome: Outcome = Outcome.COMMITTED
    began_s: float | None = None
    ended_s: float | None = None


History = Sequence[Transaction]
"""Transactions in any order; a transaction's number is its place."""
