"""Which markers of batches a spreadsheet holds, and which of them nobody needs any more.

A marker must stay for as long as somebody may ask for it, or may send its batch again: without it,
the batch would take effect twice.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Mapping

PREFIX = "tierline_"

KEEP_S = 86_400.0
"""How long a marker is there for whoever was told that the outcome is unknown, or has crashed."""

IN_FLIGHT_S = 600.0
"""How long a request may be on its way after its answer was given up. Google cuts one at 180 s."""

_NAME = re.compile(r"tierline_(\d{1,12})_(void_)?[0-9a-f]{16}")


def marker_of(op_id: str) -> str:
    """The id of an operation's marker."""
    return PREFIX + op_id


def name_of(op_id: str, at_s: float, *, void: bool = False) -> str:
    """The name of a marker, which tells when it was made; `void` for what must never happen.

    Names begin with a letter and hold letters, digits and underscores, which ids need not.
    """
    digest = hashlib.sha256(op_id.encode()).hexdigest()[:16]
    return f"{PREFIX}{int(at_s)}_{'void_' if void else ''}{digest}"


def is_void(name: str) -> bool:
    """Whether a marker says that its operation must never happen."""
    found = _NAME.fullmatch(name)
    return found is not None and found[2] is not None


def made_at_s(marker: str, name: str) -> float | None:
    """When a named range was made as a marker; None if it is none, or a person renamed it."""
    found = _NAME.fullmatch(name) if marker.startswith(PREFIX) else None
    return None if found is None else float(found[1])


class Marks:
    """The markers that may be deleted, by spreadsheet; safe to share between threads.

    Args:
        now_s: The time of day, since processes tell each other by names when markers were made.
    """

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self.now_s = now_s
        self._lock = threading.Lock()
        self._free_at_s: dict[str, dict[str, float]] = {}

    def knows(self, spreadsheet: str) -> bool:
        """Whether the spreadsheet was looked at for markers that others left."""
        with self._lock:
            return spreadsheet in self._free_at_s

    def learn(self, spreadsheet: str, names: Mapping[str, str]) -> None:
        """What a spreadsheet holds: the names of its named ranges by their ids."""
        made = {marker: made_at_s(marker, name) for marker, name in names.items()}
        with self._lock:
            self._free_at_s.setdefault(
                spreadsheet,
                {marker: at_s + KEEP_S for marker, at_s in made.items() if at_s is not None},
            )

    def settle(self, spreadsheet: str, marker: str, *, in_flight: bool) -> None:
        """The outcome of a batch is known; it is `in_flight` if a request may still arrive."""
        free_at_s = self.now_s() + (IN_FLIGHT_S if in_flight else 0.0)
        with self._lock:
            self._free_at_s.setdefault(spreadsheet, {})[marker] = free_at_s

    def take(self, spreadsheet: str) -> dict[str, float]:
        """The markers to delete now, which nobody else is given meanwhile."""
        now_s = self.now_s()
        with self._lock:
            kept = self._free_at_s.setdefault(spreadsheet, {})
            taken = {marker: at_s for marker, at_s in kept.items() if at_s <= now_s}
            for marker in taken:
                del kept[marker]
            return taken

    def give_back(self, spreadsheet: str, taken: Mapping[str, float]) -> None:
        """They were not deleted."""
        with self._lock:
            self._free_at_s.setdefault(spreadsheet, {}).update(taken)
