"""What a batch did to other rows than it meant, and the task that makes it good. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tierline.entity import Sheet
from tierline.sheets.copies import (
    Cells,
    Content,
    Copies,
    Header,
    Removed,
    Saved,
    appended,
    cell_at,
    inserted_at,
    still_wrong,
    written,
)
from tierline.sheets.edits import Request, Values
from tierline.sheets.grid import CellValue, Row
from tierline.sheets.layout import Layout, bind, texts
from tierline.sheets.snapshot import Snapshot
from tierline.sheets.targets import (
    Identity,
    Target,
    Task,
    identity_reader,
    is_as,
    version_reader,
)


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
    read, version = identity_reader(sheet, found.zone), version_reader(sheet, found.zone)
    header = texts(kept[0]) if kept else ()
    layout = bind(sheet, [Row()] * (sheet.header_row - 1) + list(kept[:1]))
    is_moved = not isinstance(layout, Layout) or layout.columns != found.layout.columns
    wrote = written(sent.requests, found.sheet_id)
    key = [n for n, column in enumerate(sheet.columns) if column.name in sheet.key]
    after = numbers_after(task)
    places = {number: place for place, number in enumerate(copies.numbers, 1)}
    pending: list[Target] = []
    victims: list[Target] = []
    removed: list[Removed] = []
    stale: list[Identity] = []
    for target in task.targets:
        place = places[target.number]
        row = kept[place] if place < len(kept) else Row()
        identity = read(row, layout) if isinstance(layout, Layout) else None
        is_met = identity is not None and identity == target.identity
        if target.identity is None:
            is_met = is_as(row, target.content, header)
        is_stale = (
            is_met
            and target.version is not None
            and isinstance(layout, Layout)
            and version(row, layout) != target.version
        )
        if is_met and target.removed and not is_stale:
            continue
        if is_met and not is_stale and not (is_moved or _is_moved(target, found, header)):
            victims += _edited(target, row, header, wrote.get(target.number, {}), copies, place)
            continue
        if is_stale and target.identity is not None:
            stale.append(target.identity)
        else:
            pending.append(target)
        number = after(target.number)
        if target.removed:
            removed += _whole(copies, place, number, row, header)
            continue
        put = _put(target, found.layout.header, wrote.get(target.number, {}))
        before = {n: cell_at(row, n).effectiveValue for n in put}
        saved = Saved(copies.sheet_id, place, Content(header, before), Content(header, put))
        hides = isinstance(layout, Layout) and any(layout.columns[n] in put for n in key)
        if identity is not None and not hides:
            victims.append(Target(number, identity, restored=(saved,)))
            continue
        # What is empty tells it, too: its key is.
        whole = {n: cell_at(row, n).effectiveValue for n in range(copies.width)}
        now = Content(header, {**whole, **put})
        victims.append(Target(number, None, now, (saved,), is_hidden=hides))
    created: Sequence[Values] = ()
    if is_moved and task.created:
        # They stand in the wrong columns, at the end.
        created = task.created
        pending += [
            Target(found.row_count, None, Content(header, values), removed=True)
            for values in appended(sent.requests)
        ]
    # What was done last is undone first.
    return Task(created, _merged([*victims, *pending]), removed, tuple(stale))


def _whole(copies: Copies, place: int, number: int, row: Row, header: Header) -> list[Removed]:
    """A row that is to come back, unless it had nothing."""
    values = {n: cell.effectiveValue for n, cell in enumerate(row.values)}
    if all(value is None for value in values.values()):
        return []
    return [Removed(number, Saved(copies.sheet_id, place, Content(header, values)))]


def _edited(  # noqa: PLR0917 (all of one row)
    target: Target, row: Row, header: Header, wrote: Cells, copies: Copies, place: int
) -> list[Target]:
    """The cells that people have changed just before they were put back get that again."""
    put = {n for saved in target.restored for n in saved.content.under(header)}
    wrong = {
        n
        for saved in still_wrong(row, target.restored, header)
        for n in saved.content.under(header)
    }
    theirs = {n: cell_at(row, n).effectiveValue for n in put - wrong - set(wrote)}
    if not theirs:
        return []
    over = Content(header, _put(target, header, wrote))
    saved = Saved(copies.sheet_id, place, Content(header, theirs), over)
    return [target._replace(restored=(saved,), changed=None, is_hidden=False)]


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
    read, after = identity_reader(sheet, found.zone), numbers_after(sent.task)
    for target in sent.task.targets:
        if target.removed or target.identity is None or target.restored:
            return False
        if target.version is not None:
            return False
        row = keys.get(after(target.number), Row())
        if read(row, found.layout) != target.identity:
            return False
    return True


def has_headers(found: Snapshot[Any], header: Header) -> bool:
    """Whether the table's columns stand where they were read."""
    return all(
        place < len(header) and header[place] == found.layout.header[place]
        for place in found.layout.columns
    )


def numbers_after(task: Task) -> Callable[[int], int]:
    """From the number of a row before a batch to the one behind it, if nobody has moved it."""
    removed = sorted(target.number for target in task.targets if target.removed)
    return lambda number: number - bisect_left(removed, number)


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
