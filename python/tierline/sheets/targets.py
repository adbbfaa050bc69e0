"""Rows that a batch is to change, told by their keys: which rows it changed, and what that leaves.

A batch names rows by number. Between the read that gave the numbers and the batch, people sort,
insert and delete. So each batch first copies every row that it names, with the header, to a hidden
worksheet of its own: those copies tell which rows it did change, and hold what was in them. A row
that was changed by mistake gets back what it had, and the row that was meant is looked for by its
key. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from tierline.entity import Sheet
from tierline.entity.validation import BadFieldsError
from tierline.sheets.copies import (
    Cells,
    Content,
    Copies,
    Header,
    Removed,
    Saved,
    appended,
    bringing_back,
    copying,
    inserted_at,
    putting_back,
    written,
)
from tierline.sheets.edits import Edit, Request, Updated, Values, requests_of
from tierline.sheets.grid import Cell, CellValue, Row
from tierline.sheets.layout import Layout, bind, texts
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
        is_hidden: Whether its key was written over, so that it has to come back before the row can
            be found by it.
    """

    number: int
    identity: Identity | None
    content: Content = _NOTHING
    restored: tuple[Saved, ...] = ()
    changed: Updated | None = None
    removed: bool = False
    is_hidden: bool = False


class Task(NamedTuple):
    """What one batch is to do.

    Attributes:
        created: New rows.
        targets: Rows that change or go.
        removed: Rows that come back.
    """

    created: Sequence[Values] = ()
    targets: Sequence[Target] = ()
    removed: Sequence[Removed] = ()

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


_EMPTY = Cell()


def cell_at(row: Row, column: int) -> Cell:
    """A cell of a row, which ends with its last one that has anything."""
    return row.values[column] if column < len(row.values) else _EMPTY


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


def is_as(row: Row, content: Content, header: Header) -> bool:
    """Whether cells of a row have a content, under these headers."""
    values = content.under(header)
    return all(cell_at(row, n).effectiveValue == value for n, value in values.items())


class Sent(NamedTuple):
    """A batch that has taken effect.

    Attributes:
        found: The worksheet as it was read before.
        task: What the batch was to do.
        requests: Its requests.
        copies: Where it kept the rows that it named.
    """

    found: Snapshot[Any]
    task: Task
    requests: Sequence[Request]
    copies: Copies


def missed(sheet: Sheet[Any, Any], sent: Sent, kept: Sequence[Row]) -> Task:
    """What a batch did to other rows than it meant, as the task that makes it good.

    Args:
        sheet: The table.
        sent: The batch.
        kept: The rows of its copies.
    """
    found, task, copies = sent.found, sent.task, sent.copies
    read = identity_reader(sheet, found.zone)
    header = texts(kept[0]) if kept else ()
    layout = bind(sheet, [Row()] * (sheet.header_row - 1) + list(kept[:1]))
    is_moved = not isinstance(layout, Layout) or layout.columns != found.layout.columns
    wrote = written(sent.requests, found.sheet_id)
    key = [n for n, column in enumerate(sheet.columns) if column.name in sheet.key]
    pending: list[Target] = []
    victims: list[Target] = []
    removed: list[Removed] = []
    for target in task.targets:
        place = copies.numbers.index(target.number) + 1
        row = kept[place] if place < len(kept) else Row()
        identity = read(row, layout) if isinstance(layout, Layout) else None
        is_met = identity is not None and identity == target.identity
        if target.identity is None:
            is_met = is_as(row, target.content, header)
        if is_met and (target.removed or not (is_moved or _is_moved(target, found, header))):
            continue
        pending.append(target)
        number = number_after(task, target)
        if target.removed:
            whole = {n: cell.effectiveValue for n, cell in enumerate(row.values)}
            if any(value is not None for value in whole.values()):
                saved = Saved(copies.sheet_id, place, Content(header, whole))
                removed.append(Removed(number, saved))
            continue
        put = _put(target, found.layout.header, wrote.get(target.number, {}))
        before = {n: cell_at(row, n).effectiveValue for n in put}
        saved = Saved(copies.sheet_id, place, Content(header, before))
        is_hidden = isinstance(layout, Layout) and any(layout.columns[n] in put for n in key)
        if identity is None or is_hidden:
            # What is empty tells it, too: its key is.
            whole = {n: cell_at(row, n).effectiveValue for n in range(copies.width)}
            now = Content(header, {**whole, **put})
            victims.append(Target(number, None, now, (saved,), is_hidden=is_hidden))
        else:
            victims.append(Target(number, identity, restored=(saved,)))
    created: Sequence[Values] = ()
    if is_moved and task.created:
        # They stand in the wrong columns, at the end.
        created = task.created
        pending += [
            Target(found.row_count, None, Content(header, values), removed=True)
            for values in appended(sent.requests)
        ]
    # What was done last is undone first.
    return Task(created, _merged([*victims, *pending]), removed)


def _is_moved(target: Target, found: Snapshot[Any], header: Header) -> bool:
    """Whether what a row got back went into other columns."""
    now = found.layout.header
    return not all(saved.content.stands_alike(now, header) for saved in target.restored)


def misplaced(sent: Sent, header: Header) -> Task:
    """The rows that came back under other headers than they were under: they go, and come again.

    Args:
        sent: The batch that brought rows back.
        header: The header under which it did.
    """
    found = sent.found
    removed = [
        one
        for one in sent.task.removed
        if not one.saved.content.stands_alike(found.layout.header, header)
    ]
    targets = [
        Target(
            inserted_at(found, one),
            None,
            Content(header, one.saved.content.under(found.layout.header)),
            removed=True,
        )
        for one in removed
    ]
    return Task((), targets, removed)


def is_as_meant(
    sheet: Sheet[Any, Any], sent: Sent, header: Header, keys: Mapping[int, Row]
) -> bool:
    """Whether an answer shows that a batch changed the rows that it meant.

    Of rows that were removed, and of those without key, it shows nothing.

    Args:
        sheet: The table.
        sent: The batch.
        header: The header behind it.
        keys: Rows behind it, by number, with their keys at least.
    """
    found = sent.found
    if not has_headers(found, header):
        return False
    read = identity_reader(sheet, found.zone)
    for target in sent.task.targets:
        if target.removed or target.identity is None or _is_moved(target, found, header):
            return False
        row = keys.get(number_after(sent.task, target), Row())
        if read(row, found.layout) != target.identity:
            return False
    return True


def has_headers(found: Snapshot[Any], header: Header) -> bool:
    """Whether the table's columns stand where they were read."""
    return all(
        place < len(header) and header[place] == found.layout.header[place]
        for place in found.layout.columns
    )


def number_after(task: Task, target: Target) -> int:
    """Where a row stands behind a batch, if nobody has moved it."""
    return target.number - sum(one.number < target.number for one in task.targets if one.removed)


def _put(target: Target, header: Header, wrote: Cells) -> Cells:
    """What a batch has put into the row that it took for a target's."""
    restored: dict[int, CellValue | None] = {}
    for saved in target.restored:
        restored |= saved.content.under(header)
    return {**restored, **wrote}


def _merged(targets: Sequence[Target]) -> list[Target]:
    """One target for each row: what it gets back comes before what it becomes."""
    by_key: dict[object, Target] = {}
    for n, target in enumerate(targets):
        key: object = n if target.identity is None else target.identity
        other = by_key.get(key)
        by_key[key] = (
            target
            if other is None
            else target._replace(
                restored=(*other.restored, *target.restored),
                changed=other.changed or target.changed,
                removed=other.removed or target.removed,
            )
        )
    return list(by_key.values())


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
            targets.append(target._replace(number=place))
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
