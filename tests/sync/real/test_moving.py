"""People sort, insert and delete rows between the read of a sync and its write."""

from __future__ import annotations

import os
import random

from tests.conftest import LONG
from tests.sync.real.places import Bird, Place

import tierline as tl

RUNS = 500 if os.environ.get(LONG) == "1" else 25


def test_rows_that_people_move_get_what_was_meant_for_them(place: Place) -> None:
    seed = random.SystemRandom().randrange(2**31) if os.environ.get(LONG) == "1" else 7
    chance = random.Random(seed)
    place.birds.create_many([Bird(n, f"bird {n}", n) for n in range(1, 13)]).unwrap()
    pair = place.pair(policy=tl.sheet_wins)
    place.store.sync(pair).unwrap()
    actions = (
        lambda: place.server.sort_rows(place.book, column=2, descending=chance.random() < 0.5),
        lambda: place.server.sort_rows(place.book, column=3, descending=chance.random() < 0.5),
        lambda: place.server.insert_rows(place.book, at=chance.randint(2, 12)),
        lambda: place.server.move_rows(place.book, at=2, to=chance.randint(4, 12)),
    )
    for run in range(RUNS):
        rows = place.birds.list().unwrap()
        chosen = chance.sample(rows, 2)
        for bird in chosen:
            changed = tl.change(bird, count=chance.randint(100, 999))
            place.birds.update(changed).unwrap()
        place.birds.create(Bird(100 + run, f"new {run}", run)).unwrap()
        for _ in range(chance.randint(1, 2)):
            place.server.before_next(chance.choice(actions))
        place.store.sync(pair).unwrap()
        place.server.rest()
        sheet = sorted((row[0], row[1], row[2]) for row in place.in_sheet() if row)
        assert sheet == place.in_table(), f"seed {seed}, run {run}"
