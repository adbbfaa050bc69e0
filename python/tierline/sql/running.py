"""Which transactions have ended: what is announced before COMMIT stands until then."""

from __future__ import annotations

from typing import NamedTuple

from tierline.entity.types import TEXT
from tierline.sql.backplane import HISTORY_SQL
from tierline.sql.statement import ResultColumn, Statement

RUNNING = Statement(
    "backplane",
    f"SELECT {HISTORY_SQL} || ' ' || pg_current_snapshot()::text",
    (),
    None,
    (ResultColumn("snapshot", TEXT),),
    "scalar",
)
"""Which life of the database this is, and the snapshot of this moment."""

BEGUN = Statement(
    "backplane",
    f"SELECT {HISTORY_SQL} || ' ' || pg_current_xact_id()::text || ' ' || "
    "pg_current_snapshot()::text",
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
        history: Which life of the database their ids belong to.
    """

    below: int
    until: int
    running: tuple[int, ...]
    history: str

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
    """What the text of an answer says; that of `BEGUN` names all that run."""
    history, _, rest = text.partition(" ")
    own, _, snapshot = rest.rpartition(" ")
    below, until, listed = snapshot.split(":")
    running = [int(xid) for xid in listed.split(",") if xid]
    running += range(int(until), int(own or until))
    return Ended(int(below), int(until), tuple(running), history)
