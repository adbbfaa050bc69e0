"""The names of what can go wrong between transactions, and which level forbids what.

The G-names are Adya's ("Weak Consistency", 1999), the others those of Elle (Kingsbury and Alvaro,
"Inferring Isolation Anomalies from Experimental Observations", VLDB 2020).
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple

Level = Literal["read committed", "repeatable read", "serializable"]


class Kind(Enum):
    """A kind of anomaly."""

    GARBAGE_READ = "garbage read: a value that nobody appended"
    DUPLICATE = "duplicate: one append, seen twice in a list"
    INTERNAL = "internal: a transaction misses appends of its own, or sees them before"
    FUZZY_READ = "fuzzy read: a key read twice, with another transaction's append between"
    INCOMPATIBLE_ORDER = "incompatible order: two reads of which neither begins with the other"
    STALE_READ = "stale read: begun after a commit was acknowledged, without its append"
    DIRTY_UPDATE = "dirty update: a commit on top of what was rolled back"
    ABORTED_READ = "G1a: a read of what was rolled back"
    INTERMEDIATE_READ = "G1b: a read of what its writer then wrote over"
    LOST_UPDATE = "lost update: two transactions read one version and both appended to it"
    G0 = "G0: a cycle of writes"
    G1C = "G1c: a cycle of writes and reads of them"
    G_SINGLE = "G-single: read skew, a cycle with one anti-dependency"
    G_NONADJACENT = "G-nonadjacent: a cycle without two anti-dependencies in a row"
    G2_ITEM = "G2-item: write skew, a cycle with anti-dependencies in a row"


class Anomaly(NamedTuple):
    """Something that went wrong.

    Attributes:
        kind: What it is.
        transactions: Their numbers; of a cycle in its order.
        text: What was seen, for people.
    """

    kind: Kind
    transactions: tuple[int, ...]
    text: str


# PostgreSQL's repeatable read is snapshot isolation, which has write skew and nothing worse.
_SNAPSHOT_ONLY = {Kind.FUZZY_READ, Kind.LOST_UPDATE, Kind.G_SINGLE, Kind.G_NONADJACENT}

FORBIDDEN: dict[Level, frozenset[Kind]] = {
    "read committed": frozenset(Kind) - _SNAPSHOT_ONLY - {Kind.G2_ITEM},
    "repeatable read": frozenset(Kind) - {Kind.G2_ITEM},
    "serializable": frozenset(Kind),
}


def forbidden(found: tuple[Anomaly, ...], level: Level) -> tuple[Anomaly, ...]:
    """Those of some anomalies that a level does not allow.

    A stale read counts at every level: it is what one server promises, and how a commit that was
    acknowledged and then lost shows.
    """
    return tuple(anomaly for anomaly in found if anomaly.kind in FORBIDDEN[level])
