"""Plans that nobody is likely to have meant are refused, with the reason and the way out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tierline.entity import sheet, table
from tierline.errors import ConfigurationError
from tierline.sync.merge import Rules, rules
from tierline.sync.plan import plan
from tierline.sync.policies import database_wins, manual
from tierline.sync.rails import Rails, changed_mapping, fingerprint, rails, refusal
from tierline.sync.rows import BaseRow, DatabaseRow, SheetRow, Sides

RULES = Rules(("a",), manual, "edit_wins", {}, makes_ids=True)


def refused(limits: Rails, *, known: int, sheet: int, database: int) -> str | None:
    """Why the plan is refused if so many rows are left."""
    cells = {"a": "1"}
    sides = Sides(
        {str(n): BaseRow(cells) for n in range(known)},
        tuple(SheetRow(n + 2, str(n), cells) for n in range(sheet)),
        {str(n): DatabaseRow(0, cells) for n in range(database)},
    )
    found = refusal(limits, sides, plan(RULES, sides))
    assert found is None or isinstance(found, ConfigurationError)
    return None if found is None else str(found)


def test_a_side_that_is_suddenly_empty_is_refused() -> None:
    for side in ("sheet", "database"):
        counts = {"sheet": 10, "database": 10, side: 0}
        words = refused(rails(max_deletes=1), known=10, **counts)
        assert words is not None
        assert f"the {side} has no rows, and there were 10" in words
        assert "may_be_empty=True" in words
        assert refused(rails(max_deletes=1, may_be_empty=True), known=10, **counts) is None


def test_what_is_empty_from_the_start_may_be() -> None:
    assert refused(rails(), known=0, sheet=10, database=0) is None
    assert refused(rails(), known=0, sheet=0, database=0) is None
    assert refused(rails(), known=10, sheet=0, database=0) is None


def test_no_more_than_a_part_is_deleted() -> None:
    assert refused(rails(), known=10, sheet=5, database=10) is None
    words = refused(rails(), known=10, sheet=4, database=10)
    assert words is not None
    assert "6 of 10 rows would be deleted in the database, more than the part 0.5" in words
    words = refused(rails(max_deletes=0.1), known=10, sheet=10, database=8)
    assert words is not None
    assert "2 of 10 rows would be deleted in the sheet" in words
    assert refused(rails(max_deletes=0.1), known=5, sheet=4, database=5) is None
    assert refused(rails(max_deletes=0), known=5, sheet=4, database=5) is not None


def test_limits_that_cannot_be_are_refused() -> None:
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(ValueError, match="from 0 to 1"):
            rails(max_deletes=wrong)
    given: dict[str, Any]
    for given in ({"max_deletes": "50%"}, {"max_deletes": True}, {"may_be_empty": 1}):
        with pytest.raises(TypeError, match=next(iter(given))):
            rails(**given)


class Bird(msgspec.Struct, frozen=True):
    id: int
    name: str
    seen: int | None = None


class Bird2(msgspec.Struct, frozen=True):
    id: int
    name: str
    seen: float | None = None


def mapping(
    entity: Any = Bird, *, worksheet: str = "Birds", name: str = "birds", **made: Any
) -> str:
    headers = made.pop("headers", None)
    key = made.pop("key", lambda b: b.id)
    found = table(entity, name=name, key=key)
    return fingerprint(
        sheet("1AbC", worksheet, entity, key=key, headers=headers), found, rules(found, **made)
    )


def test_a_base_is_used_for_the_mapping_that_it_was_made_for() -> None:
    made = mapping()
    assert changed_mapping(made, mapping()) is None
    assert changed_mapping(made, mapping(policy=database_wins)) is None
    others = [
        mapping(Bird2),
        mapping(worksheet="Other"),
        mapping(name="other"),
        mapping(headers={"name": "Name"}),
        mapping(key=lambda b: (b.id, b.name)),
        mapping(owners={"seen": "sheet"}),
    ]
    assert len({made, *others}) == len(others) + 1
    for other in others:
        found = changed_mapping(made, other)
        assert isinstance(found, ConfigurationError)
        assert "resync" in str(found)
