"""An ideal database, for small histories: runs them, and says by trying whether it could have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.histories.history import Append, History, Operation, Read, Transaction

Lists = dict[int, tuple[int, ...]]


def performed(transaction: Transaction, lists: Lists) -> tuple[Transaction, Lists]:
    """A transaction with what it reads from some lists, and the lists after it."""
    after = dict(lists)
    operations: list[Operation] = []
    for operation in transaction.operations:
        key = operation.key
        if isinstance(operation, Append):
            after[key] = (*after.get(key, ()), operation.value)
            operations.append(operation)
        else:
            operations.append(Read(key, after.get(key, ())))
    return transaction._replace(operations=tuple(operations)), after


def appended(transaction: Transaction) -> Lists:
    """What a transaction puts at the end of each list."""
    return performed(transaction, {})[1]


class _Running(NamedTuple):
    """A transaction under way: the lists as they were when it began."""

    number: int
    snapshot: Lists


def is_serializable(history: History) -> bool:
    """Whether some order, one after another, gives each transaction what it read."""
    return _is_possible(history, {}, (), frozenset(range(len(history))), overlap=False)


def is_snapshot_isolated(history: History) -> bool:
    """Whether they could have run on snapshots, the first committer of a list winning."""
    return _is_possible(history, {}, (), frozenset(range(len(history))), overlap=True)


def _is_possible(
    history: History,
    lists: Lists,
    running: tuple[_Running, ...],
    waiting: frozenset[int],
    *,
    overlap: bool,
) -> bool:
    """Try every next step: a transaction begins, or one that runs commits."""
    if not waiting and not running:
        return True
    for ends in running:
        after = _after_commit(history[ends.number], ends.snapshot, lists)
        rest = tuple(other for other in running if other != ends)
        if after is not None and _is_possible(history, after, rest, waiting, overlap=overlap):
            return True
    if running and not overlap:
        return False
    for number in waiting:
        # What it reads is settled when it begins.
        if performed(history[number], lists)[0].operations != history[number].operations:
            continue
        begun = (*running, _Running(number, lists))
        if _is_possible(history, lists, begun, waiting - {number}, overlap=overlap):
            return True
    return False


def _after_commit(transaction: Transaction, snapshot: Lists, lists: Lists) -> Lists | None:
    """The lists after a commit, None if another transaction appended to one of them meanwhile."""
    found = dict(lists)
    for key, values in appended(transaction).items():
        if lists.get(key, ()) != snapshot.get(key, ()):
            return None
        found[key] = (*lists.get(key, ()), *values)
    return found


def run_serially(
    transactions: Sequence[Transaction], is_kept: Sequence[bool]
) -> tuple[list[Transaction], Lists]:
    """Perform transactions one after another; what is not kept leaves no trace."""
    lists: Lists = {}
    done: list[Transaction] = []
    for transaction, kept in zip(transactions, is_kept, strict=True):
        seen, after = performed(transaction, lists)
        done.append(seen)
        lists = after if kept else lists
    return done, lists


def run_on_snapshots(
    transactions: Sequence[Transaction], steps: Sequence[int]
) -> tuple[list[Transaction], Lists]:
    """Perform transactions on snapshots; each number in `steps` begins one, or ends it.

    Returns:
        Those that committed, and the lists after them: the first committer of a list wins.
    """
    lists: Lists = {}
    running: dict[int, Lists] = {}
    kept: dict[int, Transaction] = {}
    begun: set[int] = set()
    for number in (*steps, *range(len(transactions)), *range(len(transactions))):
        if number in running:
            snapshot = running.pop(number)
            after = _after_commit(transactions[number], snapshot, lists)
            if after is not None:
                kept[number] = performed(transactions[number], snapshot)[0]
                lists = after
        elif number not in begun:
            begun.add(number)
            running[number] = lists
    return list(kept.values()), lists
