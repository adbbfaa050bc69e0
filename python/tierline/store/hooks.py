"""What is called after a transaction has ended."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from typing import TypeAlias, cast

Hook: TypeAlias = Callable[[], object]


class Hooks:
    """The functions that one run of a transaction registers."""

    def __init__(self) -> None:
        self._committed: list[Hook] = []
        self._rolled_back: list[Hook] = []
        self._undone: list[Hook] = []

    def on_commit(self, function: Hook) -> None:
        """Register a function for the end of a transaction that is kept."""
        self._committed.append(_called(function, "on_commit"))

    def on_rollback(self, function: Hook) -> None:
        """Register a function for the end of one that is not."""
        self._rolled_back.append(_called(function, "on_rollback"))

    def mark(self) -> tuple[int, int]:
        """What is registered now, for `undo`."""
        return len(self._committed), len(self._rolled_back)

    def undo(self, mark: tuple[int, int]) -> None:
        """A part was rolled back: what it registered for that is called at the end, no more."""
        committed, rolled_back = mark
        del self._committed[committed:]
        self._undone += self._rolled_back[rolled_back:]
        del self._rolled_back[rolled_back:]

    def run(self, *, committed: bool) -> None:
        """Call what is due; an exception goes to `threading.excepthook` and stops nothing."""
        due = self._committed if committed else self._rolled_back
        _run([*self._undone, *due])


def _run(functions: Iterable[Hook]) -> None:
    for function in functions:
        try:
            function()
        except Exception:  # noqa: BLE001 (whatever a hook raises is reported)
            # The transaction has ended: an exception in its caller would say that it had not.
            report = threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread()))
            threading.excepthook(report)


def _called(function: Hook, verb: str) -> Hook:
    if not callable(cast("object", function)):
        raise TypeError(f"{verb} takes a function without arguments, not {function!r:.80}")
    return function
