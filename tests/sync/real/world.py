"""People in a real sheet, an app on a real database, and a sync that dies at any request.

A script is a seed. Each edit writes a value of its own, that descends from the one its author saw;
so at the end each value that is no ancestor of what both sides have then was lost: it must be in a
reported conflict, or its row deleted by somebody who had seen it.

Two things are left out. A person who edits or deletes the very row that a batch on its way is about
to write, because no API of spreadsheets can keep that. And people who move rows in the moment in
which a sender dies while there are rows that no sync has seen: what such a row had is in no base.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import msgspec
from returns.result import Failure
from tests.sync.real.places import sheets_of

import tierline as tl
from tierline.sheets.http import SheetsHttp
from tierline.testing import SheetsServer
from tierline.testing.sheets.faults import (
    cut_body,
    error_after_apply,
    reset_after_apply,
    reset_before_apply,
    unavailable,
)

HEADER: list[Any] = ["id", "tag", "a", "b"]
EDITED = ("a", "b")
FAULTS = (
    error_after_apply,
    reset_after_apply,
    reset_before_apply,
    unavailable,
    lambda: cut_body(20),
)


class Thing(msgspec.Struct, frozen=True):
    """A row of either side."""

    id: int
    tag: str
    a: str
    b: str


THINGS = tl.table(Thing, name="things", key=lambda t: t.id)


class CrashError(Exception):
    """The process that syncs dies here."""


def both(conflict: tl.Conflict) -> tl.Take:
    """A person's own policy."""
    return tl.Take(f"{conflict.sheet}&{conflict.database}")


POLICIES: tuple[Any, ...] = (
    tl.sheet_wins,
    tl.database_wins,
    tl.manual,
    tl.per_field({"a": tl.database_wins, "b": tl.sheet_wins}),
    both,
)


class Crashes:
    """Where the process dies: before or after a request of either kind, once it is told to."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.rate = 0.0
        self.crashed: Counter[str] = Counter()
        self.late: list[tuple[Callable[[], object], set[object]]] = []
        self.busy: set[object] = set()

    @contextmanager
    def around(self, what: str) -> Generator[None]:
        """A request, and the two moments around it."""
        self._maybe(f"before {what}")
        yield
        self._maybe(f"after {what}")

    def _maybe(self, when: str) -> None:
        if self.rate and self.chance.random() < self.rate / 2:
            self.crashed[when] += 1
            raise CrashError(when)


class World:
    """Both sides, and what is known of all edits."""

    def __init__(self, seed: int, server: SheetsServer, store: tl.Store, crashes: Crashes) -> None:
        self.random = random.Random(seed)
        self.server, self.store, self.crashes = server, store, crashes
        crashes.chance, crashes.late, crashes.busy = self.random, [], set()
        self.book = server.add_spreadsheet("Things", [HEADER])
        sheet = tl.sheet(self.book, "Sheet1", Thing, key=lambda t: t.id)
        self.things = tl.repository(store, THINGS)
        self.pair = tl.sync(
            sheet, THINGS, policy=self.random.choice(POLICIES), max_deletes=1, may_be_empty=True
        )
        self.counts: Counter[str] = Counter()
        self._next = 0
        # By tag and field: each value, and those it descends from.
        self.parents: dict[tuple[str, str], dict[str, set[str]]] = {}
        self.deleted: dict[str, list[dict[str, str]]] = {}
        # Rows that people have touched since a request was sent that has not arrived.
        self.touched: set[object] = set()
        self.has_moved_new = False

    def _fresh(self, prefix: str) -> str:
        self._next += 1
        return f"{prefix}{self._next}"

    def _new(self, side: str) -> dict[str, str]:
        tag = self._fresh(side)
        cells = {"tag": tag, **{field: self._fresh("v") for field in EDITED}}
        for field in EDITED:
            self.parents[tag, field] = {cells[field]: set()}
        return cells

    def _edited(self, tag: str, field: str, seen: str) -> str:
        value = self._fresh("v")
        self.parents[tag, field][value] = {seen}
        return value

    # --- people and the app

    def rows(self) -> list[list[Any]]:
        """The rows of the sheet."""
        return [[*row, *[""] * (4 - len(row))] for row in self.server.values(self.book)[1:]]

    def meanwhile(self) -> None:
        """A person does something in the sheet while a request is on its way."""
        self.person(busy=self.crashes.busy)

    def person(self, *, busy: set[object] = frozenset()) -> None:  # type: ignore[assignment]
        """A person does something in the sheet."""
        rows = self.rows()
        full = [n for n, row in enumerate(rows, 2) if row[1] and not busy.intersection(row[:2])]
        doing = self.random.choice(("edit", "edit", "edit", "sort", "insert", "delete", "blank"))
        if doing in ("sort", "blank", "delete") and any(row[1] and not row[0] for row in rows):
            if self.crashes.rate:
                return
            self.has_moved_new = True
        if doing == "sort":
            # By what nobody needs to know.
            column, falls = self.random.choice((1, 2, 3, 4)), self.random.random() < 0.5
            self.server.sort_rows(self.book, column=column, descending=falls)
        elif doing == "insert":
            cells = self._new("sheet")
            at = len(rows) + 2
            self.server.set_values(
                self.book, {f"B{at}": cells["tag"], f"C{at}": cells["a"], f"D{at}": cells["b"]}
            )
        elif doing == "blank":
            self.server.insert_rows(self.book, at=self.random.randint(2, len(rows) + 2))
        elif full and doing == "edit":
            n = self.random.choice(full)
            tag, field = rows[n - 2][1], self.random.choice(EDITED)
            self.touched |= {tag, rows[n - 2][0]}
            place = HEADER.index(field)
            value = self._edited(tag, field, rows[n - 2][place])
            self.server.set_values(self.book, {f"{'ABCD'[place]}{n}": value})
        elif full and doing == "delete" and self.random.random() < 0.6:
            n = self.random.choice(full)
            _, tag, a, b = rows[n - 2]
            self.deleted.setdefault(tag, []).append({"a": a, "b": b})
            self.server.delete_rows(self.book, at=n)

    def app(self) -> None:
        """The app does something in the database."""
        rows = self.things.list(order_by=lambda t: t.id).unwrap()
        doing = self.random.choice(("insert", "update", "update", "update", "delete"))
        if doing == "insert":
            # Far from the ids that new rows of the sheet get.
            id_ = 1_000_000 - self.random.randint(0, 900_000)
            self.things.create(Thing(id_, **self._new("app"))).unwrap()
        elif rows and doing == "update":
            row = self.random.choice(rows)
            field = self.random.choice(EDITED)
            value = self._edited(row.tag, field, getattr(row, field))
            self.things.update(tl.change(row, **{field: value})).unwrap()
        elif rows and doing == "delete":
            row = self.random.choice(rows)
            self.deleted.setdefault(row.tag, []).append({"a": row.a, "b": row.b})
            self.things.delete(row.id).unwrap()

    # --- passes

    def sync(self, *, rate: float) -> None:
        """One call, which may die."""
        self.crashes.rate = rate
        if not self.crashes.late:
            self.touched, self.has_moved_new = set(), False
        try:
            done = self.store.sync(self.pair)
        except CrashError as crash:
            self.counts[f"crash {crash}"] += 1
            self.store.sheets = sheets_of(self.server)
            return
        finally:
            self.crashes.rate = 0
        if isinstance(done, Failure):
            assert rate, done
            error = done.failure()
            assert isinstance(
                error, (tl.OutcomeUnknownError, tl.ConflictError, tl.ConnectionError)
            ), repr(error)
            self.counts[type(error).__name__] += 1
        else:
            self.counts["done"] += 1

    def land_late(self) -> None:
        """Let a request arrive whose sender has died long ago."""
        for arrives, busy in self.crashes.late:
            if not (self.has_moved_new or self.touched & busy):
                self.counts["late"] += 1
                arrives()
        self.crashes.late = []

    # --- the end

    def check(self) -> None:
        """Both sides are equal but for conflicts that wait, and nothing was lost or doubled."""
        table = {row.id: row for row in self.things.list().unwrap()}
        sheet = {row[0]: Thing(int(row[0]), *row[1:]) for row in self.rows() if row[1]}
        assert len(sheet) == sum(bool(row[1]) for row in self.rows()), "two rows have one id"
        assert sheet.keys() == table.keys(), (sheet, table)
        conflicts = self.store.sync_conflicts(self.pair, settled=True).unwrap()
        reported = {str(one.conflict.sheet) for one in conflicts}
        reported |= {str(one.conflict.database) for one in conflicts}
        waiting = {
            (one.conflict.id, one.conflict.field) for one in conflicts if one.verdict == "wait"
        }
        tags = Counter(row.tag for row in table.values())
        assert all(times == 1 for times in tags.values()), f"doubled: {tags}"
        live = {row.tag: row for row in table.values()}
        for id_, row in table.items():
            for field in EDITED:
                if (str(id_), field) not in waiting:
                    assert getattr(sheet[id_], field) == getattr(row, field), (sheet[id_], row)
        for (tag, field), values in self.parents.items():
            kept: list[set[str]] = []
            if tag in live:
                row = live[tag]
                kept += [
                    self._known(tag, field, getattr(one, field)) for one in (row, sheet[row.id])
                ]
            else:
                assert tag in self.deleted, f"{tag} is gone, and nobody deleted it"
            # Who deletes a row has seen what it held.
            kept += [self._known(tag, field, seen[field]) for seen in self.deleted.get(tag, ())]
            # Whoever reads a report sees the values, and what they were made of is theirs to know.
            kept += [self._known(tag, field, value) for value in reported]
            lost = values.keys() - set[str]().union(*kept)
            assert not lost, f"{tag}.{field}: lost {lost}; {live.get(tag)}, {self.deleted.get(tag)}"

    def _known(self, tag: str, field: str, value: str) -> set[str]:
        """A value and all that it descends from; what a policy took from both holds both."""
        seen: set[str] = set()
        waiting = value.replace("&", "+").split("+")
        while waiting:
            one = waiting.pop()
            if one not in seen:
                seen.add(one)
                for parent in self.parents[tag, field].get(one, ()):
                    waiting += parent.replace("&", "+").split("+")
        return seen

    def decide(self) -> None:
        """A person decides on every conflict that waits, by chance."""
        decisions: dict[str, Any] = {}
        for one in self.store.sync_conflicts(self.pair).unwrap():
            joined = f"{one.conflict.sheet}+{one.conflict.database}"
            decisions[one.token] = self.random.choice(("sheet", "database", tl.Take(joined)))
        assert self.store.sync_decide(self.pair, decisions).unwrap() == len(decisions)


def run(seed: int, server: SheetsServer, store: tl.Store, crashes: Crashes) -> Counter[str]:
    """Run one script.

    Raises:
        AssertionError: A promise was broken.
    """
    store.execute(tl.sql("DELETE FROM things")).unwrap()
    world = World(seed, server, store, crashes)
    for _ in range(world.random.randint(3, 7)):
        for _ in range(world.random.randint(1, 4)):
            (world.person if world.random.random() < 0.5 else world.app)()
        if world.random.random() < 0.3:
            server.inject(world.random.choice(FAULTS)())
        if world.random.random() < 0.3:
            server.before_next(world.meanwhile, on=world.random.choice(("reads", "writes")))
        if world.random.random() < 0.2:
            world.land_late()
        if world.random.random() < 0.8:
            world.sync(rate=world.random.choice((0, 0.15, 0.15)))
            server.rest()
    server.clear_faults()
    world.land_late()
    for last in (False, True):
        for _ in range(2):
            world.sync(rate=0)
        world.check()
        third = store.sync(world.pair).unwrap()
        assert all(plan.is_empty for plan in third.plans), str(third)
        if not last:
            world.decide()
    assert not third.waiting
    world.counts["seeds"] += 1
    return world.counts


@contextmanager
def dying(crashes: Crashes) -> Generator[None]:
    """Have requests of either kind die where `crashes` says so."""
    from tierline.postgres.session import Session  # noqa: PLC0415
    from tierline.sync import performing  # noqa: PLC0415

    write = performing.write

    def written(sheets: Any, sheet: Any, found: Any, task: Any, **options: Any) -> Any:
        crashes.busy = {
            told
            for target in task.targets
            for told in (
                [one.stringValue for one in target.content.values.values() if one is not None]
                if target.identity is None
                else target.identity
            )
        }
        try:
            return write(sheets, sheet, found, task, **options)
        finally:
            crashes.busy = set()

    performing.write = written
    ask = SheetsHttp.ask
    kept = {name: getattr(Session, name) for name in ("fetch", "execute", "copy_in", "commit")}

    def asked(self: SheetsHttp, method: str, endpoint: str, **options: Any) -> Any:
        if crashes.rate and method == "POST" and crashes.chance.random() < crashes.rate / 2:
            # It is on its way when its sender dies.
            late = SheetsHttp(self.session, self._limiter, timeout_s=10, sleep=lambda _: None)
            sent = {**options, "end_s": None}
            arrives = lambda: ask(late, method, endpoint, **sent)
            crashes.late.append((arrives, crashes.busy))
            crashes.crashed["late"] += 1
            raise CrashError("late")
        with crashes.around("request"):
            return ask(self, method, endpoint, **options)

    def of(name: str) -> Any:
        def called(self: Any, *arguments: Any, **options: Any) -> Any:
            with crashes.around(name):
                return kept[name](self, *arguments, **options)

        return called

    SheetsHttp.ask = asked  # type: ignore[method-assign]
    for name in kept:
        setattr(Session, name, of(name))
    try:
        yield
    finally:
        performing.write = write
        SheetsHttp.ask = ask  # type: ignore[method-assign]
        for name, method in kept.items():
            setattr(Session, name, method)
