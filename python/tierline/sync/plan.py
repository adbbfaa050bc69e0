"""The plan of a pass: what is to be done on both sides, as a frozen value that people can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from tierline.sync.changes import Birth, Decision, Delete, Insert, Note, Update
from tierline.sync.identity import identified
from tierline.sync.merge import NOTHING, MergedRow, Rules, merged_row
from tierline.sync.rows import BaseRow, Sides

T = TypeVar("T")

_LINES_MAX = 20
"""Lines of one kind that a plan shows: a whole table would help nobody."""


class SideChanges(msgspec.Struct, frozen=True):
    """What is done on one side.

    Attributes:
        inserts: New rows; the sheet gets them at its end.
        updates: Changed cells.
        deletes: Rows that go.
    """

    inserts: tuple[Insert, ...] = ()
    updates: tuple[Update, ...] = ()
    deletes: tuple[Delete, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.inserts or self.updates or self.deletes)


class Plan(msgspec.Struct, frozen=True):
    """What a pass does; `str` tells it line by line.

    Attributes:
        sheet: What is done in the sheet.
        database: What is done in the database.
        births: Rows of the sheet that get an id there.
        decisions: Every conflict, with the policy's verdict.
        notes: What people may want to know.
        base_now: Rows of the base that change with the database.
        base_after: Rows of the base that change once the sheet has been written, too.
    """

    sheet: SideChanges
    database: SideChanges
    births: tuple[Birth, ...]
    decisions: tuple[Decision, ...]
    notes: tuple[Note, ...]
    base_now: dict[str, BaseRow]
    base_after: dict[str, BaseRow]

    @property
    def waiting(self) -> tuple[Decision, ...]:
        """The conflicts on which somebody has to decide."""
        return tuple(one for one in self.decisions if one.verdict == "wait")

    @property
    def writes_sheet(self) -> bool:
        """Whether the sheet is sent anything."""
        return bool(self.sheet or self.births)

    @property
    def is_empty(self) -> bool:
        """Whether both sides and the base are as they should be; conflicts may wait."""
        return not (self.writes_sheet or self.database or self.base_now or self.base_after)

    def __str__(self) -> str:
        lines = [
            *_listed("sheet", self.births),
            *_side("sheet", self.sheet),
            *_side("database", self.database),
            *_listed("conflict", self.decisions),
            *_listed("note", self.notes),
        ]
        return "\n".join(lines) or "nothing to do"

    def __repr__(self) -> str:
        counts = [
            *(f"sheet {text}" for text in _counts(self.sheet, self.births)),
            *(f"database {text}" for text in _counts(self.database)),
            *_count(self.decisions, "conflict"),
            *_count(self.waiting, "waiting"),
            *_count(self.notes, "note"),
        ]
        return f"<Plan: {', '.join(counts) or 'nothing to do'}>"


def plan(rules: Rules, sides: Sides) -> Plan:
    """The plan of a pass. Pure: the same sides have the same plan.

    Rows come in the order in which the sheet has them, then those that only the database has in its
    own order, then those that only the base has.

    Args:
        rules: How rows are merged.
        sides: What both sides and the base have. To build the base anew, leave it empty: rows that
            both sides have are joined, and their differences are conflicts.

    Raises:
        TypeError: The policy answers no verdict.
    """
    found = identified(sides, makes_ids=rules.makes_ids)
    merged: dict[str, MergedRow] = {}
    for id_ in dict.fromkeys((*found.rows, *sides.database, *sides.base)):
        row = found.rows.get(id_)
        if row is None and not found.is_complete:
            # One of the rows whose id cannot be read may be this one.
            continue
        merged[id_] = merged_row(rules, id_, sides.base.get(id_), row, sides.database.get(id_))
    rows = [row for row in merged.values() if row is not NOTHING]
    return Plan(
        _changes([row.sheet for row in rows]),
        _changes([row.database for row in rows]),
        found.births,
        tuple(one for row in rows for one in row.decisions),
        (*found.notes, *(note for row in rows for note in row.notes)),
        {id_: row.base_now for id_, row in merged.items() if row.base_now is not None},
        _after(merged, sides.base),
    )


def _after(merged: Mapping[str, MergedRow], base: Mapping[str, BaseRow]) -> dict[str, BaseRow]:
    """The rows of the base that the sheet's batch changes, on top of those the database changes."""
    after: dict[str, BaseRow] = {}
    for id_, row in merged.items():
        now = base.get(id_) if row.base_now is None else row.base_now
        then = base.get(id_) if row.base_after is None else row.base_after
        if then is not None and then != now:
            after[id_] = then
    return after


def _changes(found: Sequence[Insert | Update | Delete | None]) -> SideChanges:
    return SideChanges(_only(Insert, found), _only(Update, found), _only(Delete, found))


def _only(kind: type[T], found: Sequence[object]) -> tuple[T, ...]:
    return tuple(one for one in found if isinstance(one, kind))


def _side(name: str, side: SideChanges) -> list[str]:
    return [
        line for kind in (side.inserts, side.updates, side.deletes) for line in _listed(name, kind)
    ]


def _listed(name: str, found: Sequence[object]) -> list[str]:
    lines = [f"{name}: {one}" for one in found[:_LINES_MAX]]
    more = len(found) - len(lines)
    return [*lines, f"{name}: … and {more} more"] if more else lines


def _counts(side: SideChanges, births: Sequence[Birth] = ()) -> list[str]:
    return [
        *_count(births, "id"),
        *_count(side.inserts, "insert"),
        *_count(side.updates, "update"),
        *_count(side.deletes, "delete"),
    ]


def _count(found: Sequence[object], name: str) -> list[str]:
    plural = "" if len(found) == 1 or name == "waiting" else "s"
    return [f"{len(found)} {name}{plural}"] if found else []
