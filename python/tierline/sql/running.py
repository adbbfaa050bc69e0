"""Which transactions have ended: what is announced before COMMIT stands until then."""

from __future__ import annotations

from typing import NamedTuple

from tierline.entity.types import TEXT
from tierline.sql.statement import ResultColumn, Statement

RUNNING = Statement(
    "backplane",
    "SELECT pg_current_snapshot()::text",
    (),
    None,
    (ResultColumn("snapshot", TEXT),),
    "scalar",
)
"""The snapshot of this moment."""

BEGUN = Statement(
    "backplane",
    "SELECT pg_current_xact_id()::text || ' ' || pg_current_snapshot()::text",
    (),
    None,
    (ResultColumn("snapshot", TEXT),),
    "scalar",
)
"""The same behind an id of its own, below which are all that were given out before.

A snapshot alone does not name the latest that run: it ends behind the latest that has ended.
"""


class Ended(NamedTuple):
    """Which transactions had ended at a moment, committed or not.

    Attributes:
        below: All of lower ids had.
        until: None of these and higher ids had.
        running: Of those between, these had not.
    """

    below: int
    until: int
    running: tuple[int, ...]

    def has(self, xid: int) -> bool:
        """Whether a transaction had ended."""
        return xid < self.below or (xid < self.until and xid not in self.running)

    @property
    def latest(self) -> int:
        """The latest that had."""
        xid = self.until - 1
        while xid in self.running:
            xid -= 1
        return xid


def read_ended(text: str) -> Ended:
    """What a snapshot's text says; `BEGUN` names all that run."""
    own, _, snapshot = text.rpartition(" ")
    below, until, listed = snapshot.split(":")
    running = [int(xid) for xid in listed.split(",") if xid]
    running += range(int(until), int(own or until))
    return Ended(int(below), int(until), tuple(running))
