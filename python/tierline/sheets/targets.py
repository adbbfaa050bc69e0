"""Rows that a batch is to change, told by their keys: which rows it changed, and what that leaves.

A batch names rows by number. Between the read that gave the numbers and the batch, people sort,
insert and delete. So each batch first copies every row that it names, with the header, to a hidden
worksheet of its own: those copies tell which rows it did change, and hold what was in them. A row
that was changed by mistake gets back what it had, and the row that was meant is looked for by its
key. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from tierline.entity import Sheet
from tierline.entity.validation import BadFieldsError
from tierline.sheets.copies import (
    Content,
    Copies,
    Header,
    Removed,
    Saved,
    bringing_back,
    cell_at,
    copying,
    putting_back,
    still_wrong,
)
from tierline.sheets.edits import Edit, Request, Updated, Values, requests_of
from tierline.sheets.grid import Row
from tierline.sheets.layout import Layout
from tierline.sheets.reading_cells import UnfitCellError, cell_reader
from tierline.sheets.snapshot import KEPT, Snapshot

Identity: TypeAlias = tuple[Any, ...]
"""A row's key as it travels: one value a key column."""

_NOTHING = Content()


class Target(NamedTuple):
    """A row, and what is to become of it.

    Attributes:
        number: Where it stood when it was last seen, counted from 1.
        identity: Its key; None for a row without one, which is told by its content.
        content: What tells a row without key.
        restored: What it gets back first.
        changed: Its values before and after, if they are to change.
        removed: Whether it goes.
        version: The version that it must have had; None where its table counts none.
        is_hidden: Whether its key was written over, so that it has to come back before the row can
            be found by it.
    """

    number: int
    identity: Identity | None
    content: Content = _NOTHING
    restored: tuple[Saved, ...] = ()
    changed: Updated | None = None
    removed: bool = False
    version: int | None = None
    is_hidden: bool = False


class Task(NamedTuple):
    """What one batch is to do.

    Attributes:
        created: New rows.
        targets: Rows that change or go.
        removed: Rows that come back.
        stale: Keys of rows that others had changed before, whose change is taken back.
    """

    created: Sequence[Values] = ()
    targets: Sequence[Target] = ()
    removed: Sequence[Removed] = ()
    stale: tuple[Identity, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.created or self.targets or self.removed)


def split(task: Task) -> tuple[Task, Task]:
    """What is to be done first, and what only then: its rows may not be found before."""
    if task.removed:
        return Task(removed=task.removed), task._replace(removed=())
    hidden = [target for target in task.targets if target.is_hidden]
    others = [target for target in task.targets if not target.is_hidden]
    if hidden:
        return Task(targets=hidden), task._replace(targets=others)
    return task, Task()


def joined(task: Task, later: Task) -> Task:
    """Both tasks as one."""
    return Task(
        [*task.created, *later.created],
        [*task.targets, *later.targets],
        [*task.removed, *later.removed],
    )


Reader: TypeAlias = Callable[[Row, Layout], "Identity | None"]


def identity_reader(sheet: Sheet[Any, Any], zone: ZoneInfo) -> Reader:
    """What reads the key of a row; None where it has none that can be read."""
    key = [
        (n, cell_reader(column, zone, computed=column.field in sheet.computed), column.field)
        for n, column in enumerate(sheet.columns)
        if column.name in sheet.key
    ]
    key.sort(key=lambda part: sheet.key.index(sheet.columns[part[0]].name))

    def read(row: Row, layout: Layout) -> Identity | None:
        try:
            values = [
                msgspec.convert(
                    reader(cell_at(row, layout.columns[n])),
                    sheet.annotations[field],
                    builtin_types=KEPT,
                )
                for n, reader, field in key
            ]
            return sheet.read_key(values[0] if len(values) == 1 else tuple(values))
        except (UnfitCellError, msgspec.ValidationError, BadFieldsError):
            return None

    return read


def copied(task: Task, found: Snapshot[Any], sheet_id: int, title: str) -> Copies | None:
    """The copies that a task needs; None if it changes no row that is there."""
    numbers = tuple(sorted({target.number for target in task.targets}))
    return Copies(sheet_id, title, numbers, found.column_count) if numbers else None


def requests_for(
    sheet: Sheet[Any, Any], found: Snapshot[Any], task: Task, copies: Copies | None
) -> list[Request]:
    """The requests of the batch that does a task.

    Raises:
        ValidationError: Values that no cell can hold.
    """
    removed = [target.number for target in task.targets if target.removed]
    edit = Edit(
        task.created,
        [
            target.changed._replace(number=target.number)
            for target in task.targets
            if target.changed is not None and not target.removed
        ],
        removed,
    )
    edits = requests_of(sheet, found, edit)
    requests = [] if copies is None else copying(sheet, found.sheet_id, copies)
    for target in task.targets:
        if not target.removed:
            for saved in target.restored:
                requests += putting_back(found.sheet_id, target.number, saved, found.layout.header)
    requests += edits
    return [*requests, *bringing_back(found, task.removed)]


def version_reader(sheet: Sheet[Any, Any], zone: ZoneInfo) -> Callable[[Row, Layout], object]:
    """What reads the version of a row; None where it cannot be read."""
    if sheet.version is None:
        return lambda _row, _layout: None
    column = sheet.column(sheet.version)
    place, reader = sheet.columns.index(column), cell_reader(column, zone, computed=False)

    def read(row: Row, layout: Layout) -> object:
        try:
            return reader(cell_at(row, layout.columns[place]))
        except UnfitCellError:
            return None

    return read


def is_as(row: Row, content: Content, header: Header) -> bool:
    """Whether cells of a row have a content, under these headers."""
    values = content.under(header)
    return all(cell_at(row, n).effectiveValue == value for n, value in values.items())


class Located(NamedTuple):
    """What of a task can be done now.

    Attributes:
        task: What can, with rows named as they stand now.
        later: What cannot be done before that is.
        lost: Keys of rows that were to change and are no longer there.
    """

    task: Task
    later: Task = Task()
    lost: tuple[Identity, ...] = ()


def located(
    sheet: Sheet[Any, Any], found: Snapshot[Any], rows: Sequence[Row], task: Task
) -> Located:
    """Find the rows of a task where they stand now.

    Args:
        sheet: The table.
        found: The worksheet as it is now.
        rows: Its rows.
        task: The task.
    """
    first, rest = split(task)
    if first.removed:
        return Located(first, rest)
    now, unfound = _placed(sheet, found, rows, first)
    if not now and rest:
        # What hides those rows may be undone by the rest.
        now, others = _placed(sheet, found, rows, rest)
        unfound, rest = [*unfound, *others], Task()
    is_hidden = any(target.identity is None for target in (*unfound, *rest.targets))
    if now and is_hidden:
        return Located(now, joined(Task(targets=unfound), rest))
    gone = [one.identity for one in unfound if one.changed is not None and one.identity is not None]
    return Located(now, rest if now else Task(), tuple(gone))


def _placed(
    sheet: Sheet[Any, Any], found: Snapshot[Any], rows: Sequence[Row], task: Task
) -> tuple[Task, list[Target]]:
    """A task with the rows that can be found, and those that cannot."""
    read = identity_reader(sheet, found.zone)
    numbers: dict[Identity, int] = {}
    for number in range(len(rows), sheet.header_row, -1):
        identity = read(rows[number - 1], found.layout)
        if identity is not None:
            numbers[identity] = number
    targets: list[Target] = []
    unfound: list[Target] = []
    taken: set[int] = set()
    for target in task.targets:
        if target.identity is None:
            place = _by_content(rows, target, found.layout.header, sheet.header_row, taken)
        else:
            place = numbers.get(target.identity)
        if place is None:
            unfound.append(target)
        else:
            taken.add(place)
            restored = still_wrong(rows[place - 1], target.restored, found.layout.header)
            if restored or target.changed is not None or target.removed:
                targets.append(target._replace(number=place, restored=restored))
    return task._replace(targets=targets), unfound


def _by_content(
    rows: Sequence[Row], target: Target, header: Header, header_row: int, taken: set[int]
) -> int | None:
    """The row without key that has a content: where it was seen, or else the last one."""
    if all(value is None for value in target.content.values.values()):
        return None
    places: list[int] = [target.number, *range(len(rows), header_row, -1)]
    for number in places:
        is_row = header_row < number <= len(rows) and number not in taken
        if is_row and is_as(rows[number - 1], target.content, header):
            return number
    return None
