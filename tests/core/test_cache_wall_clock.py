"""A wall clock that is moved, by hand or by a time server, is not the clock of a cache."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.core.scenarios import Scenarios

from tierline._core import Cache, advance_clock

scenario = Scenarios("test_cache_wall_clock")

HOUR_S = 3_600
# Moves the wall clock, as C code sees it, by what it is told; the monotonic clocks stay.
SHIFT = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile long shift_s;

void shift_wall_clock(long seconds) { shift_s = seconds; }

int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += shift_s;
    return failed;
}

time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


def shift_wall_clock(seconds: int) -> None:
    before = time.time() - time.monotonic()
    ctypes.CDLL(os.environ["LD_PRELOAD"]).shift_wall_clock(ctypes.c_long(seconds))
    moved = time.time() - time.monotonic() - before
    assert abs(moved - (seconds - shift_wall_clock.now)) < 60  # type: ignore[attr-defined]
    shift_wall_clock.now = seconds  # type: ignore[attr-defined]


shift_wall_clock.now = 0  # type: ignore[attr-defined]


@scenario
def a_moved_wall_clock_changes_nothing() -> None:
    told: list[Any] = []
    cache: Cache[str, int] = Cache(
        8, ttl_s=60, stale_if_error_s=60, idle_s=60, listener=lambda *left: told.append(left)
    )
    for shift_s in (0, HOUR_S, -HOUR_S, 0):
        cache["before"] = 1
        shift_wall_clock(shift_s)
        cache["after"] = 2
        assert cache.get_many(["before", "after"]) == {"before": 1, "after": 2}
        assert cache.expire() == []
        cache.serve_until(time.monotonic() + 30)
        assert "before" in cache
    cache.serve_until(None)
    advance_clock(200)
    shift_wall_clock(-HOUR_S)
    assert sorted(cache.expire()) == [("after", 2), ("before", 1)]


@scenario
def a_wall_clock_that_moves_all_the_time_changes_nothing() -> None:
    cache: Cache[int, int] = Cache(64, ttl_s=60)
    done = threading.Event()

    def move() -> None:
        move_to = ctypes.CDLL(os.environ["LD_PRELOAD"]).shift_wall_clock
        while not done.is_set():
            for shift_s in (HOUR_S, -HOUR_S, 0):
                move_to(ctypes.c_long(shift_s))

    mover = threading.Thread(target=move)
    mover.start()
    for turn in range(20_000):
        cache[turn % 50] = turn
        assert cache.get(turn % 50) == turn
    done.set()
    mover.join()
    assert cache.stats().misses == cache.stats().expirations == 0


@scenario
def a_snapshot_is_as_old_as_the_wall_clock_says_and_never_younger() -> None:
    cache: Cache[str, int] = Cache(8, policy="lru")
    cache.set("short", 1, ttl_s=HOUR_S / 2)
    cache.set("long", 2, ttl_s=HOUR_S * 2)
    data = cache.snapshot()
    for shift_s, left in ((0, ["short", "long"]), (HOUR_S, ["long"]), (3 * HOUR_S, [])):
        shift_wall_clock(shift_s)
        other: Cache[str, int] = Cache(8, policy="lru")
        assert other.restore(data) == len(left)
        assert list(other) == left
    # Set back, it makes nothing live for longer than it was to.
    shift_wall_clock(-HOUR_S)
    other = Cache(8, policy="lru")
    assert other.restore(data) == 2
    advance_clock(HOUR_S)
    assert list(other) == ["long"]
    advance_clock(HOUR_S)
    assert list(other) == []


@pytest.fixture(scope="module")
def shifting_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that, loaded first, moves the wall clock of a process."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("moving the wall clock of one process takes Linux and a C compiler")
    folder = tmp_path_factory.mktemp("clock")
    source, library = folder / "shift.c", folder / "shift.so"
    source.write_text(SHIFT, encoding="utf-8")
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(source)]
    subprocess.run(command, check=True, timeout=60)
    return library


@pytest.mark.parametrize("name", scenario.functions)
def test_in_a_child_process(name: str, shifting_library: Path) -> None:
    scenario.run(name, LD_PRELOAD=str(shifting_library))


if __name__ == "__main__":
    scenario.main()
