"""A process that syncs is killed at any of its requests, and another one goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
from returns.result import Failure, Success
from tests.real.helpers import wait_until
from tests.sync.real.places import Bird, Place

import tierline as tl

_ROOT = Path(__file__).resolve().parents[3]


def child(place: Place, pg_url: str) -> subprocess.Popen[str]:
    """A process that syncs once."""
    command = [sys.executable, "-m", "tests.sync.real.syncing_once"]
    return subprocess.Popen(
        [*command, pg_url, place.server.url, place.book],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def synced(place: Place) -> tl.SyncReport | None:
    """Sync, once the lock of the dead is free."""
    done = place.store.sync(place.pair(policy=tl.sheet_wins))
    if isinstance(done, Failure):
        assert isinstance(done.failure(), tl.ConflictError), done
        return None
    return done.unwrap()


@pytest.mark.parametrize(
    ("on", "nth"), [("reads", 1), ("reads", 2), ("writes", 1), ("writes", 2), ("writes", 3)]
)
def test_a_killed_process_leaves_nothing_half_done(
    place: Place, pg_url: str, on: Literal["reads", "writes"], nth: int
) -> None:
    place.birds.create_many([Bird(n, f"bird {n}", n) for n in range(1, 5)]).unwrap()
    place.type(B2="wren", C2=7)
    killed: list[subprocess.Popen[str]] = []
    process = child(place, pg_url)

    def kill() -> None:
        # The request has arrived, and its sender dies before the answer.
        process.kill()
        process.wait()
        killed.append(process)

    try:
        for _ in range(nth - 1):
            place.server.before_next(lambda: None, on=on)
        place.server.before_next(kill, on=on)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert killed == [process]
    place.server.rest()
    # Whoever is not told goes on where it ended.
    wait_until(lambda: synced(place) is not None)
    assert [row[1:] for row in place.in_sheet()] == [["wren", 7]] + [
        [f"bird {n}", n] for n in range(1, 5)
    ]
    assert sorted(tuple(row) for row in place.in_sheet()) == place.in_table()
    again = synced(place)
    assert again is not None
    assert again.plans[-1].is_empty


def test_what_had_landed_unheard_is_told(place: Place, pg_url: str) -> None:
    place.birds.create(Bird(1, "heron", 1)).unwrap()
    process = child(place, pg_url)
    place.server.before_next(lambda: None)
    place.server.before_next(lambda: (process.kill(), process.wait()))
    process.communicate(timeout=60)
    reports: list[tl.SyncReport] = []

    def is_done() -> bool:
        found = synced(place)
        reports.extend([] if found is None else [found])
        return found is not None

    wait_until(is_done)
    assert reports[0].resumed == "landed"
    assert place.in_sheet() == [[1, "heron", 1]]
    assert isinstance(place.store.sync(place.pair()), Success)
