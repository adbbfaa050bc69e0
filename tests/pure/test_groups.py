"""Groups are ordered by what each has one value of."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

import tierline as tl
from tierline.sql import compile_query


class Row(msgspec.Struct, frozen=True):
    id: int
    name: str
    size: int


ROWS = tl.table(Row, name="rows", key=lambda r: r.id)
BY_ID = tl.select(ROWS, order_by=lambda r: r.id)
BY_NAME = tl.select(ROWS, order_by=lambda r: tl.desc(r.name))

REFUSED: list[Callable[[], object]] = [
    lambda: tl.project(BY_ID, lambda r: (r.name, tl.count()), group_by=lambda r: r.name),
    lambda: tl.project(
        tl.select(ROWS),
        lambda r: (r.name, tl.count()),
        group_by=lambda r: r.name,
        order_by=lambda r: (tl.count(), r.size + 1),
    ),
    lambda: tl.project(BY_NAME, lambda r: tl.count(), group_by=lambda r: r.name.lower()),
]


@pytest.mark.parametrize("build", REFUSED)
def test_an_order_that_groups_do_not_have_is_refused(build: Callable[[], object]) -> None:
    with pytest.raises(TypeError, match="a group has no one value of what it is ordered by"):
        build()


TAKEN: list[Callable[[], tl.Query[object]]] = [
    lambda: tl.project(BY_NAME, lambda r: (r.name, tl.count()), group_by=lambda r: r.name),
    lambda: tl.project(BY_ID, lambda r: (r.name, tl.count()), group_by=lambda r: (r.id, r.name)),
    # A key has one row, with one value of everything.
    lambda: tl.project(BY_NAME, lambda r: (r.id, r.name), group_by=lambda r: r.id),
    lambda: tl.project(
        BY_ID,
        lambda r: tl.count(),
        group_by=lambda r: r.name.lower(),
        order_by=lambda r: (r.name.lower() + "!", tl.desc(tl.sum(r.size))),
    ),
]


@pytest.mark.parametrize("build", TAKEN)
def test_keys_and_aggregates_order_groups(build: Callable[[], tl.Query[object]]) -> None:
    assert "ORDER BY" in compile_query(build()).statement.sql
