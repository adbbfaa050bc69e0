"""A model of a whole sync: people in a sheet, an app in a database, and a pass that dies anywhere.

What the package merges and plans is the real thing. The sheet, the database and the order of
effects are modelled: a transaction, an atomic batch behind a marker, a transaction. A script is
a seed.

What may be overwritten is judged by descent, not by the merge's own rules: each edit writes a value
of its own that descends from the one its author saw. A pass may write w over u only if w descends
from u, or if a conflict of the two was reported. It may delete a row only if whoever deleted it on
the other side saw all that it holds, or if a note was left. Nor may it cry wolf: what it reports as
a conflict, or as an edit that beat a deletion, must be edits that did not know of each other.

One thing is left out, because no API of spreadsheets can keep it: a person who edits the very cell,
or deletes the very row, that a batch on its way is about to write.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from tierline.sync.changes import Decision, Insert
from tierline.sync.merge import Rules
from tierline.sync.operations import Operation, operation, outcome, settled
from tierline.sync.plan import Plan, plan
from tierline.sync.policies import (
    Policy,
    Take,
    Verdict,
    database_wins,
    decided,
    manual,
    per_field,
    sheet_wins,
)
from tierline.sync.rows import BaseRow, Cells, Conflict, DatabaseRow, SheetRow, Side, Sides

FIELDS = ("tag", "a", "b")
EDITED = ("a", "b")
RESTARTS_MAX = 50


class CrashError(Exception):
    """The process that syncs dies here."""


class FasterError(Exception):
    """The app has written a row meanwhile: the transaction is rolled back."""


def taken_from_both(conflict: Conflict) -> Verdict:
    """A person's own policy."""
    return Take(f"{conflict.sheet}&{conflict.database}")


POLICIES: tuple[Policy, ...] = (
    sheet_wins,
    database_wins,
    manual,
    per_field({"a": database_wins, "b": sheet_wins}),
    per_field({"a": manual}, otherwise=taken_from_both),
    taken_from_both,
)


class Row:
    """A row of the sheet; the object is the row, wherever it stands."""

    def __init__(self, id_: str | None, cells: dict[str, str]) -> None:
        self.id = id_
        self.cells = cells


class Batch(NamedTuple):
    """What is sent to the sheet."""

    operation: Operation
    plan: Plan
    rows: dict[int, Row]
    ids: dict[int, str]

    def targets(self) -> set[Row]:
        """The rows that it writes."""
        places = [birth.place for birth in self.plan.births]
        places += [one.at for one in (*self.plan.sheet.updates, *self.plan.sheet.deletes)]
        return {self.rows[place] for place in places}


class World:
    """Sheet, database, and what is known of all edits."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rows: list[Row] = []
        self.marker = "m0"
        self.database: dict[str, tuple[int, dict[str, str]]] = {}
        self.base: dict[str, BaseRow] = {}
        self.operation: Operation | None = None
        self.in_flight: Batch | None = None
        self.reported: dict[str, Decision] = {}
        self.counts: Counter[str] = Counter()
        self.rules = Rules(
            FIELDS,
            self.random.choice(POLICIES),
            self.random.choice(("edit_wins", "edit_wins", "delete_wins")),
            {},
            makes_ids=True,
        )
        self._next = 0
        self._parents: dict[str, set[str]] = {}
        self._touched: set[Row] = set()
        self._removed: list[Row] = []
        # Ids of which old values came back or both sides had the same idea, so that nobody can
        # say who knew of what.
        self._unclear: set[str | None] = set()
        self._copies: Counter[str] = Counter()
        # By side and id: what those who deleted the row saw.
        self._deleted: dict[tuple[Side, str], list[dict[str, str]]] = {}
        self._gone_from_database: dict[str, dict[str, str]] = {}

    # --- values and their descent

    def _fresh(self, prefix: str) -> str:
        self._next += 1
        return f"{prefix}{self._next}"

    def _descends(self, value: str, ancestor: str) -> bool:
        seen: set[str] = set()
        waiting = [value]
        while waiting:
            one = waiting.pop()
            if one == ancestor:
                return True
            if one not in seen:
                seen.add(one)
                waiting += self._parents.get(one, ())
        return False

    def _child(self, value: str, *parents: str) -> str:
        self._parents.setdefault(value, set()).update(parents)
        return value

    def _edited(self, id_: str | None, value: str, other: str | None) -> str:
        """Mostly a new value; sometimes the one that the other side has, too."""
        if other is not None and self.random.random() < 0.1:
            self._unclear.add(id_)
            return self._child(other, value)
        return self._child(self._fresh("v"), value)

    def _new_cells(self, tag: str) -> dict[str, str]:
        return {"tag": self._fresh(tag), **{field: self._fresh("v") for field in EDITED}}

    # --- people

    def person(self, *, busy: set[Row] | None = None) -> None:
        """A person does something in the sheet."""
        free = [row for row in self.rows if not busy or row not in busy]
        doing = self.random.choice(
            ("edit", "edit", "edit", "sort", "insert", "delete", "paste", "undo", "clear")
        )
        if doing == "sort":
            self.random.shuffle(self.rows)
        elif doing == "insert":
            self._place(Row(None, self._new_cells("sheet")))
        elif doing == "undo" and busy is None:
            self._undo()
        elif not free:
            return
        elif doing == "edit":
            row = self.random.choice(free)
            field = self.random.choice(EDITED)
            other = self.database.get(row.id or "")
            row.cells[field] = self._edited(row.id, row.cells[field], other and other[1][field])
            self._touched.add(row)
        elif doing == "delete":
            self._remove(self.random.choice(free))
        elif doing == "paste":
            row = self.random.choice(free)
            self._unclear.add(row.id)
            self._copies[row.cells["tag"]] += 1
            self._place(Row(row.id, dict(row.cells)))
        elif doing == "clear" and self.random.random() < 0.3:
            row = self.random.choice(free)
            if row.id is not None:
                self._copies[row.cells["tag"]] += 1
                self._note_deletion("sheet", row.id, row.cells)
                self._forget(row.id)
                self._unclear.add(row.id)
                self._prefer_others(row)
                row.id = None
                self._touched.add(row)

    def _undo(self) -> None:
        """Put a row back that was deleted, unless a pass has done so or is about to."""
        there = {row.id for row in self.rows} | (
            self.operation.base.keys() if self.operation else set()
        )
        gone = [row for row in self._removed if row.id is None or row.id not in there]
        if gone:
            row = self.random.choice(gone)
            self._removed.remove(row)
            self._unclear.add(row.id)
            self._copies[row.cells["tag"]] += 1
            self._place(Row(row.id, dict(row.cells)))

    def _place(self, row: Row) -> None:
        self.rows.insert(self.random.randint(0, len(self.rows)), row)

    def _remove(self, row: Row) -> None:
        self.rows.remove(row)
        self._touched.add(row)
        self._forget(row.id)
        self._removed.append(row)
        if row.id is not None:
            self._note_deletion("sheet", row.id, row.cells)
            self._prefer_others(row)

    def _prefer_others(self, row: Row) -> None:
        """Whoever takes the id from one of two rows has seen the other, and wants that one."""
        for other in self.rows:
            if other.id == row.id and other is not row:
                for field in EDITED:
                    self._child(other.cells[field], row.cells[field])

    def _forget(self, id_: str | None) -> None:
        """Nobody puts a row back that has been there since in another form."""
        self._removed = [one for one in self._removed if one.id is None or one.id != id_]

    def _note_deletion(self, side: Side, id_: str, cells: dict[str, str]) -> None:
        self._deleted.setdefault((side, id_), []).append(dict(cells))

    # --- the app

    def app(self) -> None:
        """The app does something in the database."""
        doing = self.random.choice(("insert", "update", "update", "update", "delete", "again"))
        if doing == "insert":
            self.database[self._fresh("p")] = 0, self._new_cells("app")
        elif doing == "again" and self._gone_from_database:
            id_, gone = self.random.choice(list(self._gone_from_database.items()))
            if id_ not in self.database:
                cells = dict(gone)
                self._unclear.add(id_)
                self._copies[cells["tag"]] += 1
                cells["a"] = self._child(self._fresh("v"), cells["a"])
                self.database[id_] = 0, cells
        elif not self.database:
            return
        elif doing == "update":
            id_ = self.random.choice(list(self.database))
            version, cells = self.database[id_]
            field = self.random.choice(EDITED)
            other = next((row.cells[field] for row in self.rows if row.id == id_), None)
            self.database[id_] = (
                version + 1,
                {**cells, field: self._edited(id_, cells[field], other)},
            )
        elif doing == "delete":
            id_ = self.random.choice(list(self.database))
            cells = self.database.pop(id_)[1]
            self._note_deletion("database", id_, cells)
            self._gone_from_database[id_] = cells

    # --- a pass

    def sync(self, step: Callable[[str], None]) -> Plan:
        """One pass; `step` is told of each point at which the process may die."""
        self._recover(step)
        for _ in range(RESTARTS_MAX):
            marker = self.marker
            sides, places = self._read()
            step("read")
            made = plan(self.rules, sides)
            sent = operation(made, id=self._fresh("o"), after=marker)
            batch = None if sent is None else self._batch(sent, made, places)
            busy = batch.targets() if batch else set()
            self._between(step, busy)
            try:
                self._transact(made, sent)
            except FasterError:
                self.counts["restarts"] += 1
                step("rolled back")
                continue
            step("database written")
            self._between(step, busy)
            if batch is not None:
                self._send(batch, step)
                step("sheet written")
                self._settle()
            step("settled")
            return made
        raise AssertionError("the app was always faster")

    def _between(self, step: Callable[[str], None], busy: set[Row]) -> None:
        if step is not quiet:
            if self.random.random() < 0.2:
                self.app()
            if self.random.random() < 0.2:
                self.person(busy=busy)

    def _read(self) -> tuple[Sides, dict[int, Row]]:
        places = dict(enumerate(self.rows, 2))
        sheet = tuple(SheetRow(n, row.id, dict(row.cells)) for n, row in places.items())
        database = {id_: DatabaseRow(*row) for id_, row in self.database.items()}
        return Sides(dict(self.base), sheet, database), places

    def _batch(self, sent: Operation, made: Plan, places: dict[int, Row]) -> Batch:
        return Batch(sent, made, places, {one.place: self._fresh("s") for one in made.births})

    def _recover(self, step: Callable[[str], None]) -> None:
        while self.operation is not None:
            if self.random.random() < 0.5:
                self.land()
            found = outcome(self.operation, self.marker)
            step("probed")
            if found == "landed":
                self.counts["landed unheard"] += 1
                self._settle()
                step("recovered")
            elif found == "never":
                self.operation = None
                step("dropped")
            else:
                self.land()
                if self.marker == self.operation.after:
                    self.marker = self.operation.cancellation
                    self.counts["cancelled"] += 1
                step("cancelled")

    def _transact(self, made: Plan, sent: Operation | None) -> None:
        work = dict(self.database)
        notes = {(note.kind, note.id) for note in made.notes}
        for insert in made.database.inserts:
            if insert.id in work:
                raise FasterError
            work[insert.id] = 0, dict(insert.cells)
        for update in made.database.updates:
            if update.id not in work or work[update.id][0] != update.at:
                raise FasterError
            work[update.id] = update.at + 1, {**work[update.id][1], **update.cells}
        for delete in made.database.deletes:
            if delete.id not in work or work[delete.id][0] != delete.at:
                raise FasterError
            del work[delete.id]
        self._report(made.decisions)
        for insert in made.database.inserts:
            self._may_insert("database", insert, notes)
        for update in made.database.updates:
            self._may_write(update.id, self.database[update.id][1], update.cells, notes)
        for delete in made.database.deletes:
            self._may_delete("sheet", delete.id, self.database[delete.id][1], notes)
        self.database = work
        self.base = settled(self.base, made.base_now)
        self.operation = sent

    def _report(self, decisions: tuple[Decision, ...]) -> None:
        for decision in decisions:
            conflict, verdict = decision.conflict, decision.verdict
            self.counts["conflicts"] += 1
            s, p = str(conflict.sheet), str(conflict.database)
            if conflict.token not in self.reported and conflict.id not in self._unclear:
                assert not self._descends(s, p), f"no conflict: {conflict}"
                assert not self._descends(p, s), f"no conflict: {conflict}"
            self.reported[conflict.token] = decision
            # Whoever reads the report sees both values.
            if isinstance(verdict, Take):
                self._child(verdict.cell, conflict.sheet, conflict.database)
            elif verdict == "sheet":
                self._child(conflict.sheet, conflict.database)
            elif verdict == "database":
                self._child(conflict.database, conflict.sheet)

    def _send(self, batch: Batch, step: Callable[[str], None]) -> None:
        self.in_flight, self._touched = batch, set()
        fate = (
            "heard" if step is quiet else self.random.choice(("heard", "heard", "unheard", "late"))
        )
        if fate != "late":
            assert self.land()
        if fate != "heard":
            raise CrashError(fate)

    def land(self) -> bool:
        """Let a batch that is on its way arrive; whether it was accepted."""
        batch, self.in_flight = self.in_flight, None
        if batch is None or self.marker != batch.operation.after:
            return False
        if batch.targets() & self._touched:
            return False
        self.marker = batch.operation.id
        notes = {(note.kind, note.id) for note in batch.plan.notes}
        for place, id_ in batch.ids.items():
            if batch.rows[place] in self.rows:
                batch.rows[place].id = id_
        for update in batch.plan.sheet.updates:
            row = batch.rows[update.at]
            self._may_write(update.id, row.cells, update.cells, notes)
            row.cells.update(update.cells)
        for delete in batch.plan.sheet.deletes:
            row = batch.rows[delete.at]
            self._may_delete("database", delete.id, row.cells, notes)
            self.rows.remove(row)
        for insert in batch.plan.sheet.inserts:
            self._may_insert("sheet", insert, notes)
            self.rows.append(Row(insert.id, dict(insert.cells)))
            self._forget(insert.id)
        return True

    def _settle(self) -> None:
        assert self.operation is not None
        self.base = settled(self.base, self.operation.base)
        self.operation = None

    # --- what a pass may do

    def _may_write(
        self, id_: str, old: dict[str, str], new: dict[str, str], notes: set[tuple[str, str | None]]
    ) -> None:
        for field, value in new.items():
            self.counts["overwritten"] += 1
            if ("pasted", id_) in notes:
                # The note tells which row is the id's now; the other lives on as a row of its own.
                self._child(value, old[field])
            assert self._descends(value, old[field]), f"{value} silently over {old[field]}"

    def _may_delete(
        self, seen_on: Side, id_: str, cells: dict[str, str], notes: set[tuple[str, str | None]]
    ) -> None:
        self.counts["deleted"] += 1
        if ("overruled", id_) in notes:
            assert self.rules.deletions == "delete_wins"
            return
        deletions = self._deleted.get((seen_on, id_), ())
        assert any(self._saw_all(seen, cells) for seen in deletions), (
            f"{id_} was deleted, and nobody who deleted it had seen {cells}"
        )

    def _may_insert(self, side: Side, insert: Insert, notes: set[tuple[str, str | None]]) -> None:
        self.counts["inserted"] += 1
        id_ = insert.id
        deletions = self._deleted.pop((side, id_), None)
        if deletions is None:
            return
        assert {("revived", id_), ("restored", id_)} & notes, f"{id_} came back silently"
        if ("revived", id_) in notes and id_ not in self._unclear:
            assert not any(self._saw_all(seen, insert.cells) for seen in deletions), (
                f"{id_} came back, and who deleted it had seen all of it"
            )

    def _saw_all(self, seen: Cells, cells: Cells) -> bool:
        return all(self._descends(str(seen[field]), str(cells[field])) for field in FIELDS)

    # --- the end

    def check(self) -> None:
        """Both sides and the base are equal, but for conflicts that wait; nothing was doubled."""
        assert self.operation is None
        ids = [row.id for row in self.rows]
        assert None not in ids, "a row has no id"
        assert len(set(ids)) == len(ids), f"two rows have one id: {ids}"
        assert set(ids) == set(self.database), (ids, list(self.database))
        live = {id_: row.cells for id_, row in self.base.items() if not row.is_deleted}
        assert set(ids) == set(live), (ids, list(live))
        for row in self.rows:
            assert row.id is not None
            database = self.database[row.id][1]
            for field in FIELDS:
                s, p, b = row.cells[field], database[field], live[row.id].get(field)
                if s == p == b:
                    continue
                conflict = Conflict(row.id, field, b, s, p)
                queued = self.reported.get(conflict.token)
                assert queued is not None, f"not equal: {conflict}"
                assert queued.verdict == "wait", f"not equal: {queued}"
        tags = Counter(cells["tag"] for _, cells in self.database.values())
        for tag, count in tags.items():
            assert count <= 1 + self._copies[tag], f"{tag} was born {count} times"

    def decide(self) -> None:
        """A person decides on every conflict that waits, by chance."""
        decisions: dict[str, Verdict] = {}
        for token, decision in self.reported.items():
            if decision.verdict == "wait":
                conflict = decision.conflict
                both = Take(f"{conflict.sheet}+{conflict.database}")
                decisions[token] = self.random.choice(("sheet", "database", both))
        self.rules = Rules(
            FIELDS,
            decided(decisions, otherwise=self.rules.policy),
            self.rules.deletions,
            {},
            makes_ids=True,
        )


def quiet(point: str) -> None:
    """Nothing happens."""
    del point


def run(seed: int) -> Counter[str]:
    """Run one script.

    Raises:
        AssertionError: A promise was broken.
    """
    world = World(seed)

    def dangerous(point: str) -> None:
        if world.random.random() < 0.08:
            raise CrashError(point)

    for _ in range(world.random.randint(4, 14)):
        for _ in range(world.random.randint(0, 4)):
            (world.person if world.random.random() < 0.5 else world.app)()
        if world.random.random() < 0.1:
            world.land()
        if world.random.random() < 0.7:
            try:
                world.sync(dangerous)
            except CrashError as crash:
                world.counts[f"crash: {crash}"] += 1
    for last in (False, True):
        world.sync(quiet)
        world.sync(quiet)
        world.check()
        third = world.sync(quiet)
        assert third.is_empty, f"a third pass has something to do:\n{third}"
        if not last:
            world.decide()
    assert not third.waiting, third.waiting
    return world.counts
