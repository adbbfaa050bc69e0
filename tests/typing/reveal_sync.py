"""The types of what two-way sync decides, and mistakes that both checkers must find; never run."""

from __future__ import annotations

from typing import assert_type

import msgspec

import tierline as tl
from tierline.sync.merge import Rules, rules
from tierline.sync.operations import Operation, Outcome, operation, outcome
from tierline.sync.plan import Plan, plan
from tierline.sync.policies import (
    Decided,
    PerField,
    Take,
    Verdict,
    database_wins,
    decided,
    manual,
    per_field,
    sheet_wins,
)
from tierline.sync.rails import Rails, rails, refusal
from tierline.sync.rows import Conflict, Sides


class Bird(msgspec.Struct, frozen=True):
    id: int
    name: str


BIRDS = tl.table(Bird, name="birds", key=lambda b: b.id)


def own(conflict: Conflict) -> Verdict:
    return Take("owl") if conflict.sheet == conflict.base else "wait"


assert_type(rules(BIRDS, policy=own, owners={"name": "sheet"}), Rules)
assert_type(per_field({"name": sheet_wins}, otherwise=database_wins), PerField)
assert_type(decided({"token": "sheet"}, otherwise=manual), Decided)
assert_type(rails(max_deletes=0.1), Rails)


def planning(sides: Sides, made: Rules) -> None:
    found = plan(made, sides)
    assert_type(found, Plan)
    assert_type(refusal(rails(), sides, found), tl.ConfigurationError | None)
    sent = operation(found, id="o1", after="o0")
    assert_type(sent, Operation | None)
    if sent is not None:
        assert_type(outcome(sent, "o1"), Outcome)


def no_name(conflict: Conflict) -> str:
    return conflict.field


def mistakes(sides: Sides) -> None:
    rules(BIRDS, policy="sheet_wins")  # rejected
    rules(BIRDS, policy=no_name)  # rejected
    rules(BIRDS, deletions="newest_wins")  # rejected
    rules(BIRDS, owners={"name": "redis"})  # rejected
    per_field({"name": "sheet"})  # rejected
    decided({"token": "newest"})  # rejected
    rails(0.5)  # rejected
    plan(sides)  # rejected
