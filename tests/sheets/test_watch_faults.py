"""People and a bad network at once: in the end the events have led to what is there."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from tests.real.helpers import wait_until
from tests.sheets.birds import BIRDS, Bird
from tests.sheets.watching import Watching, birds, watching

import tierline as tl
from tierline.testing.sheets import (
    Fault,
    cut_body,
    error_after_apply,
    reset_after_apply,
    reset_before_apply,
    robot_page,
    too_many_requests,
    unavailable,
)

__all__ = ["birds", "watching"]

_FAULTS: tuple[Callable[[], Fault], ...] = (
    unavailable,
    lambda: unavailable(3, status=502),
    lambda: too_many_requests(retry_after_s=0),
    robot_page,
    reset_before_apply,
    lambda: reset_after_apply(on="reads"),
    lambda: error_after_apply(2, on="reads"),
    lambda: cut_body(40, 2),
)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_missed_and_nothing_is_made_up(
    watching: Watching, birds: tl.Sheet[Bird, int], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A look tries once, and the next comes soon.
    monkeypatch.setattr("tierline.sheets.retrying.ATTEMPTS_MAX", 1)
    monkeypatch.setattr("tierline.store.sheet_watch._PAUSE_MAX_S", 0.01)
    monkeypatch.setattr("tierline.circuit.PAUSE_S", 0.01)
    chance, server, book = random.Random(seed), watching.server, birds.spreadsheet
    rows = {bird.id: bird for bird in BIRDS}
    wrong: list[Any] = []

    def handler(event: tl.Changed[Bird]) -> None:
        if event.old != rows.get(event.key):
            wrong.append(event)
        if event.new is None:
            del rows[event.key]
        else:
            rows[event.key] = event.new

    watch = tl.unwrap(watching.store.watch(birds, handler, every_s=0.001, on_error=lambda _: None))
    http = watching.store._http
    # The quota is another test's.
    monkeypatch.setattr(http._limiter, "wait_s", lambda *_, **__: 0.0)
    for n in range(60):
        row = chance.randrange(2, 8)
        chance.choice(
            (
                lambda row=row, n=n: server.set_values(
                    book, {f"A{row}": row * 10, f"B{row}": f"bird {n}"}
                ),
                lambda row=row: server.delete_rows(book, at=row),
                lambda: server.sort_rows(book, column=chance.choice((1, 2))),
                lambda row=row: server.set_values(book, {f"C{row}": chance.choice(("soon", ""))}),
                lambda row=row: server.insert_rows(book, at=row),
            )
        )()
        if chance.random() < 0.5:
            server.inject(chance.choice(_FAULTS)())
        if chance.random() < 0.3:
            watching.looked_again(chance.randrange(1, 4))
    server.clear_faults()
    last = range(2, len(server.values(book)) + 1)
    cleared = {f"{column}{row}": "" for row in last for column in "ABC"}
    server.set_values(book, {**cleared, "A2": 10, "B2": "owl", "A3": 70, "B3": "wren"})
    there = {10: Bird(10, "owl", None), 70: Bird(70, "wren", None)}
    wait_until(lambda: {bird.id: bird for bird in watch.rows} == there)
    wait_until(lambda: watch.error is None)
    assert rows == there
    assert wrong == []
    assert watch.is_open
