"""A circuit breaker for each spreadsheet: one that does not answer is not waited for by everybody.

Google answers 503 for a spreadsheet that is too complex, or asked too often, while others work. A
call that ends so has tried for a while already; after some of them in a row the next ones fail at
once, but for one a pause that tries once.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Literal, TypeAlias

from tierline.circuit import Circuit
from tierline.errors import ConnectionError  # noqa: A004 (the field's word)

Turn: TypeAlias = Literal["free", "probe", "refused"]
"""Whether a call may ask as it likes, once, or not at all."""

_BOOK = re.compile(
    r"https://(?:sheets|www)\.googleapis\.com/(v4/spreadsheets|drive/v3/files)/([^/:?]+)"
)

CALLS_MAX = 5
"""Calls in a row that end without an answer, each with all its attempts, before others pay."""

PATIENT_S = 10.0
"""A limit of less than this that is over says nothing of Google."""


def place_of(endpoint: str) -> str | None:
    """What a request's circuit goes by: the API and the spreadsheet; None if it names none."""
    found = _BOOK.match(endpoint)
    return None if found is None else f"{found[1]}/{found[2]}"


def is_down() -> ConnectionError:
    """The error of a call that is not made."""
    return ConnectionError(
        "Google did not answer for this spreadsheet again and again, so it is asked once a second "
        "at most until it does; wait, or ask less of it at once"
    )


class Circuits:
    """The circuits of the spreadsheets that do not answer; safe to share between threads.

    Args:
        clock: Counts seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # Those that work have none.
        self._circuits: dict[str, Circuit] = {}

    def begin(self, place: str | None) -> Turn:
        """Whether a call may ask; a probe must be ended by `end`."""
        if place is None or place not in self._circuits:
            return "free"
        with self._lock:
            circuit = self._circuits.get(place, Circuit())
            now_s = self._clock()
            if not circuit.allows(now_s):
                return "refused"
            if circuit.state == "closed":
                return "free"
            self._circuits[place] = circuit.attempted(now_s)
            return "probe"

    def end(self, place: str | None, *, works: bool | None) -> None:
        """A call has ended.

        Args:
            place: As `begin` got it.
            works: Whether Google answered at last; None if it was not asked, or not patiently.
        """
        if place is None or (works is not False and place not in self._circuits):
            return
        with self._lock:
            circuit = self._circuits.get(place, Circuit())
            if works:
                self._circuits.pop(place, None)
            elif works is False:
                self._circuits[place] = circuit.failed(self._clock(), CALLS_MAX)
            elif circuit.probing:
                # The next may probe in its place.
                self._circuits[place] = Circuit(
                    circuit.failures, circuit.next_s, opened_s=circuit.opened_s
                )
