"""The rules of a merge, one by one, and the plan they give."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tierline.entity import table
from tierline.sync.changes import Birth, Delete, Insert, Update
from tierline.sync.merge import Rules, merged_cells, rules
from tierline.sync.operations import operation, outcome, settled
from tierline.sync.plan import Plan, plan
from tierline.sync.policies import (
    Policy,
    Take,
    database_wins,
    decided,
    manual,
    per_field,
    sheet_wins,
)
from tierline.sync.rows import BaseRow, Cells, Conflict, DatabaseRow, SheetRow, Sides


def of(policy: Policy = manual, **options: Any) -> Rules:
    given: dict[str, Any] = {"deletions": "edit_wins", "owners": {}, "makes_ids": True, **options}
    return Rules(("a", "b"), policy, **given)


def cells(a: str, b: str = "x") -> Cells:
    return {"a": a, "b": b}


def sides(
    base: dict[str, BaseRow] | None = None,
    sheet: tuple[tuple[str | None, Cells], ...] = (),
    database: dict[str, Cells] | None = None,
) -> Sides:
    return Sides(
        base or {},
        tuple(SheetRow(place, id_, row) for place, (id_, row) in enumerate(sheet, 2)),
        {id_: DatabaseRow(7, row) for id_, row in (database or {}).items()},
    )


def merged(b: str | None, s: str, p: str, policy: Policy = manual) -> tuple[object, object, int]:
    """What the sheet gets, what the database gets, and the number of conflicts."""
    base = {} if b is None else {"a": b}
    found = merged_cells(of(policy), "1", base, {"a": s}, {"a": p})
    return found.sheet.get("a"), found.database.get("a"), len(found.decisions)


def test_a_cell_follows_the_side_that_has_changed_it() -> None:
    assert merged("1", "1", "1") == (None, None, 0)
    assert merged("1", "2", "2") == (None, None, 0)
    assert merged("1", "1", "2") == ("2", None, 0)
    assert merged("1", "2", "1") == (None, "2", 0)
    assert merged(None, "2", "2") == (None, None, 0)


@pytest.mark.parametrize("b", ["1", None])
def test_a_conflict_goes_as_the_policy_says(b: str | None) -> None:
    assert merged(b, "2", "3", sheet_wins) == (None, "2", 1)
    assert merged(b, "2", "3", database_wins) == ("3", None, 1)
    assert merged(b, "2", "3", manual) == (None, None, 1)
    assert merged(b, "2", "3", lambda _: Take("4")) == ("4", "4", 1)
    assert merged(b, "2", "3", per_field({"a": sheet_wins})) == (None, "2", 1)
    assert merged(b, "2", "3", per_field({"b": sheet_wins})) == (None, None, 1)


def test_a_decision_holds_for_the_values_that_were_seen() -> None:
    seen = Conflict("1", "a", "1", "2", "3")
    policy = decided({seen.token: "sheet"})
    assert policy(seen) == "sheet"
    assert policy(seen._replace(sheet="4")) == "wait"
    assert policy(seen._replace(database="4")) == "wait"
    assert policy(seen._replace(base=None)) == "wait"


def test_a_cell_that_waits_keeps_its_base() -> None:
    found = merged_cells(of(), "1", cells("1"), cells("2", "y"), cells("3"))
    assert found.base_after == cells("1", "y")
    assert found.database == {"b": "y"}


def test_a_value_that_lost_is_no_new_edit_after_a_crash() -> None:
    found = merged_cells(of(database_wins), "1", cells("1"), cells("2"), cells("3"))
    again = merged_cells(of(database_wins), "1", found.base_now, cells("2"), cells("3"))
    assert again.sheet == {"a": "3"}
    assert again.decisions == []


def test_what_cannot_be_read_is_left_alone() -> None:
    base = {"1": BaseRow(cells("1"))}
    made = plan(of(), sides(base, (("1", {"b": "y"}),), {"1": cells("2")}))
    assert made.sheet.updates == ()
    assert made.database.updates == (Update("1", 7, {"b": "y"}),)
    assert made.base_now == {"1": BaseRow(cells("1", "y"))}
    gone = plan(of(), sides(base, (("1", {"b": "x"}),)))
    assert not gone.sheet
    assert not gone.database
    assert [note.kind for note in gone.notes] == ["held"]


def test_a_row_whose_id_cannot_be_read_may_be_any_row() -> None:
    base = {"1": BaseRow(cells("1"))}
    unknown = (SheetRow(2, None, cells("1"), id_is_unknown=True),)
    made = plan(of(), Sides(base, unknown, {"1": DatabaseRow(7, cells("1"))}))
    assert not made.database
    assert made.births == ()
    assert [note.kind for note in made.notes] == ["held"]


def test_the_owner_of_a_field_is_right_and_the_other_is_told() -> None:
    owned = of(owners={"a": "sheet", "b": "database"})
    found = merged_cells(owned, "1", cells("1"), cells("1", "y"), cells("2"))
    assert (found.sheet, found.database) == ({"b": "x"}, {"a": "1"})
    assert [decision.verdict for decision in found.decisions] == ["sheet", "database"]
    quiet = merged_cells(owned, "1", cells("1"), cells("2"), cells("1", "y"))
    assert (quiet.sheet, quiet.database, quiet.decisions) == ({"b": "y"}, {"a": "2"}, [])


def test_rows_are_born_where_they_are_written() -> None:
    made = plan(of(), sides(sheet=((None, cells("1")),), database={"5": cells("2")}))
    assert made.births == (Birth(2, None),)
    assert made.sheet.inserts == (Insert("5", cells("2")),)
    assert not made.database
    assert made.base_now == {}
    later = plan(of(), sides(sheet=(("9", cells("1")),)))
    assert later.database.inserts == (Insert("9", cells("1")),)
    assert later.base_now == {"9": BaseRow(cells("1"))}


def test_a_row_deleted_on_one_side_goes_on_the_other() -> None:
    base = {"1": BaseRow(cells("1"))}
    tombstone = {"1": BaseRow(cells("1"), is_deleted=True)}
    made = plan(of(), sides(base, (), {"1": cells("1")}))
    assert made.database.deletes == (Delete("1", 7),)
    assert made.base_now == tombstone
    made = plan(of(), sides(base, (("1", cells("1")),)))
    assert made.sheet.deletes == (Delete("1", 2),)
    assert (made.base_now, made.base_after) == ({}, tombstone)
    assert plan(of(), sides(base)).base_now == tombstone
    assert plan(of(), sides(tombstone)).is_empty


def test_an_edit_beats_a_deletion_unless_told_otherwise() -> None:
    base = {"1": BaseRow(cells("1"))}
    in_database, in_sheet = sides(base, (), {"1": cells("2")}), sides(base, (("1", cells("2")),))
    revived = plan(of(), in_database)
    assert revived.sheet.inserts == (Insert("1", cells("2")),)
    assert plan(of(), in_sheet).database.inserts == (Insert("1", cells("2")),)
    assert [note.kind for note in revived.notes] == ["revived"]
    strict = of(deletions="delete_wins")
    assert plan(strict, in_database).database.deletes == (Delete("1", 7),)
    assert plan(strict, in_sheet).sheet.deletes == (Delete("1", 2),)
    assert [note.kind for note in plan(strict, in_sheet).notes] == ["overruled"]


def test_what_the_other_side_owns_is_no_edit() -> None:
    base = {"1": BaseRow(cells("1"))}
    made = plan(of(owners={"a": "database"}), sides(base, (("1", cells("2")),)))
    assert made.sheet.deletes == (Delete("1", 2),)


def test_a_row_that_is_back_comes_back() -> None:
    tombstone = {"1": BaseRow(cells("1"), is_deleted=True)}
    made = plan(of(), sides(tombstone, (("1", cells("1")),)))
    assert made.database.inserts == (Insert("1", cells("1")),)
    assert [note.kind for note in made.notes] == ["restored"]
    both = plan(of(), sides(tombstone, (("1", cells("1")),), {"1": cells("2")}))
    assert not both.sheet
    assert [str(one.conflict) for one in both.waiting] == [
        "row 1, a: was empty, sheet '1', database '2'"
    ]


def test_of_pasted_rows_the_one_that_is_as_it_was_keeps_the_id() -> None:
    base, database = {"1": BaseRow(cells("1"))}, {"1": cells("1")}
    edited, whole = ("1", cells("2")), ("1", cells("1"))
    made = plan(of(), sides(base, (edited, whole), database))
    assert made.births == (Birth(2, "1"),)
    assert not made.database
    assert plan(of(), sides(base, (whole, edited), database)).births == (Birth(3, "1"),)
    assert plan(of(), sides({}, (edited, whole), database)).births == (Birth(2, "1"),)
    assert plan(of(), sides({}, (edited, whole))).births == (Birth(3, "1"),)
    unnamed = plan(of(makes_ids=False), sides(base, (edited, whole, (None, cells("3"))), database))
    assert unnamed.births == ()
    assert {note.kind for note in unnamed.notes} == {"pasted", "unidentified"}


def test_the_base_moves_with_the_side_that_was_written() -> None:
    base = {"1": BaseRow(cells("1"))}
    made = plan(of(), sides(base, (("1", cells("1", "y")),), {"1": cells("2")}))
    assert made.base_now == {"1": BaseRow(cells("1", "y"))}
    assert made.base_after == {"1": BaseRow(cells("2", "y"))}
    sent = operation(made, id="o1", after="o0")
    assert sent is not None
    assert settled(settled(base, made.base_now), sent.base) == made.base_after
    assert operation(plan(of(), sides()), id="o1", after="o0") is None


def test_the_marker_says_what_became_of_an_operation() -> None:
    sent = operation(plan(of(), sides(database={"1": cells("1")})), id="o1", after="o0")
    assert sent is not None
    assert outcome(sent, "o1") == "landed"
    assert outcome(sent, "o0") == "open"
    assert outcome(sent, sent.cancellation) == "never"
    assert outcome(sent, "") == "never"


def busy_plan() -> Plan:
    base = {id_: BaseRow(cells("1")) for id_ in ("1", "2", "3")}
    sheet = (("1", cells("2")), (None, cells("5")), ("3", cells("4")))
    return plan(of(), sides(base, sheet, {"1": cells("3", "y"), "2": cells("1"), "4": cells("9")}))


def test_a_plan_can_be_read() -> None:
    made = busy_plan()
    assert str(made).splitlines() == [
        "sheet: give row 3 an id",
        "sheet: insert 4: a = '9', b = 'x'",
        "sheet: update 1: b = 'y'",
        "database: insert 3: a = '4', b = 'x'",
        "database: delete 2",
        "conflict: row 1, a: was '1', sheet '2', database '3'; waits for a decision",
        "note: 3 was deleted in the database and changed in the sheet; it comes back",
    ]
    assert repr(made) == (
        "<Plan: sheet 1 id, sheet 1 insert, sheet 1 update, database 1 insert, database 1 delete, "
        "1 conflict, 1 waiting, 1 note>"
    )
    nothing = plan(of(), sides())
    assert (str(nothing), repr(nothing)) == ("nothing to do", "<Plan: nothing to do>")


def test_a_plan_of_a_whole_table_is_cut() -> None:
    made = plan(of(), sides(database={str(n): cells("1") for n in range(50)}))
    assert str(made).splitlines()[-1] == "sheet: … and 30 more"
    assert len(str(made).splitlines()) == 21


def test_the_same_sides_have_the_same_plan() -> None:
    assert str(busy_plan()) == str(busy_plan())


class Bird(msgspec.Struct, frozen=True):
    id: int
    name: str
    seen: int | None = None
    version: int = 0


BIRDS = table(Bird, name="birds", key=lambda b: b.id, version=lambda b: b.version)


def test_rules_are_those_of_the_table() -> None:
    made = rules(BIRDS, policy=sheet_wins, owners={"seen": "database"})
    assert made.fields == ("name", "seen")
    assert made.makes_ids
    codes = table(Bird, name="birds", key=lambda b: b.name)
    assert not rules(codes).makes_ids


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"policy": "sheet_wins"}, "no function"),
        ({"policy": per_field({"nmae": sheet_wins})}, "no field nmae"),
        ({"owners": {"nmae": "sheet"}}, "no field nmae"),
        ({"owners": {"id": "sheet"}}, "no field id"),
    ],
)
def test_rules_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        rules(BIRDS, **options)


def test_options_that_cannot_be_are_refused() -> None:
    options: dict[str, Any] = {"deletions": "newest_wins"}
    with pytest.raises(ValueError, match="edit_wins"):
        rules(BIRDS, **options)
    options = {"owners": {"name": "redis"}}
    with pytest.raises(ValueError, match="redis"):
        rules(BIRDS, **options)
    verdicts: dict[str, Any] = {"token": "newest"}
    with pytest.raises(TypeError, match="no verdict"):
        decided(verdicts)
    policies: dict[str, Any] = {"name": "sheet"}
    with pytest.raises(TypeError, match="no function"):
        per_field(policies)
    answer: Any = "newest"
    with pytest.raises(TypeError, match="no verdict"):
        merged("1", "2", "3", lambda _: answer)
