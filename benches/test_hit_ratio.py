"""What the hit-ratio script computes, on generated keys and on files of every format."""

from __future__ import annotations

import gzip
import lzma
import random
from array import array
from pathlib import Path

import pytest

import hit_ratio
import hits
import hits_page
import hits_plot
import simulators
import traces
from hits import OURS, Cell


def skewed(count: int) -> list[int]:
    """Small numbers far more often than large ones."""
    chosen = random.Random(1)
    return [int(500 ** chosen.random()) for _ in range(count)]


def test_ours_is_between_lru_and_the_optimum_and_our_lru_is_lru() -> None:
    for cell in hit_ratio.measure("skewed", skewed(5_000), hit_ratio.contenders(quick=True)):
        assert cell.hits["tierline lru"] == cell.hits["LRU"]
        # The optimum of those that keep what they are given: one that refuses it may do better.
        assert cell.hits["LRU"] < cell.hits[OURS] < cell.hits["optimum"]


def test_the_optimum_is_that_of_the_textbook() -> None:
    # Bélády 1966 by way of every operating-systems course: 9 faults of 20 with three frames.
    pages = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1]
    assert simulators.optimum(pages, 3) == pytest.approx(55.0)
    assert simulators.lru(pages, 3) == pytest.approx(40.0)


def _sieve_on_a_list(trace: list[int], capacity: int) -> float:
    """Newest first, as the paper draws it."""
    queue: list[int] = []
    visited: set[int] = set()
    hand, hits = -1, 0
    for key in trace:
        if key in queue:
            visited.add(key)
            hits += 1
            continue
        if len(queue) == capacity:
            at = hand if hand >= 0 else capacity - 1
            while queue[at] in visited:
                visited.remove(queue[at])
                at = at - 1 if at > 0 else capacity - 1
            del queue[at]
            hand = at - 1
        queue.insert(0, key)
        hand += hand >= 0
    return 100 * hits / len(trace)


@pytest.mark.parametrize("capacity", [1, 2, 3, 17])
def test_sieve_does_as_it_is_drawn(capacity: int) -> None:
    keys = skewed(2_000)
    assert simulators.sieve(keys, capacity) == _sieve_on_a_list(keys, capacity)


def test_s3fifo_keeps_what_is_used_twice_from_a_scan_and_remembers_what_left() -> None:
    used, scan = [1, 1, 1], list(range(100, 150))
    assert simulators.s3fifo([*used, *scan, 1], 20) == pytest.approx(100 * 3 / 54)
    assert simulators.lru([*used, *scan, 1], 20) == pytest.approx(100 * 2 / 54)
    # 100 came, left and comes back: it goes into the main queue, which a scan leaves alone.
    again = [*range(100, 125), 100, *range(200, 250), 100]
    assert simulators.s3fifo(again, 20) == pytest.approx(100 * 1 / 77)
    assert simulators.s3fifo([1, 1, 2, 1], 1) == pytest.approx(25.0)


def _cell(trace: str, ours: float, lru: float, theine: float) -> Cell:
    found = {OURS: ours, "LRU": lru, "theine": theine}
    return Cell(trace=trace, share=10, keys=10, capacity=1, requests=1, hits=found)


def test_each_clause_of_the_budget_can_be_missed() -> None:
    good = [_cell("web07", 50, 40, 45), _cell("loop", 8, 0, 7)]
    assert [verdict.holds for verdict in hits.verdicts(good)] == [True, True, True]
    bad = [_cell("web07", 50, 52, 60), _cell("loop", 4, 0, 7)]
    assert [verdict.holds for verdict in hits.verdicts(bad)] == [False, False, False]


def test_the_page_says_who_is_ahead_and_who_is_as_lru() -> None:
    cells = [
        Cell(trace=trace, share=10, keys=20, capacity=2, requests=90, hits=found)
        for trace, found in (
            ("web07", {OURS: 50, "optimum": 60, "LRU": 40, "theine": 52.5, "lru-dict": 40}),
            ("loop", {OURS: 8, "optimum": 9, "LRU": 0, "theine": 8.01, "lru-dict": 0}),
        )
    ]
    page = hits_page.page(cells)
    assert "| web07 10 % | 2 | 60.0 | 50.0 | **52.5** | 40.0 |" in page
    assert "| loop 10 % | 2 | 9.0 | **8.0** | **8.0** | 0.0 |" in page
    assert "have no column: lru-dict." in page
    assert "In 1 of 2 cells" in page
    assert "| web07 10 % | 50.0 | theine +2.5 |" in page
    assert "MISSED: mean above everybody else's" in page


def test_the_same_figures_make_the_same_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    cells = hit_ratio.measure("web07", skewed(2_000), hit_ratio.contenders(quick=True))
    for name in ("one.svg", "other.svg"):
        hits_plot.draw(cells, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()


def test_every_format_is_read(tmp_path: Path) -> None:
    keys = [5, 5, 300, 70_000, 5]
    for code, name, opened in (
        ("i", "orm-busy.trace.xz", lzma.open),
        ("q", "trace_vaultservice.gz", gzip.open),
    ):
        integers = array(code, keys)
        integers.byteswap()
        with opened(tmp_path / name, "wb") as file:
            file.write(integers.tobytes())
    with gzip.open(tmp_path / "gli.trace.gz", "wb") as file:
        file.write(b"5\n5\n*\n300\n70000\n5\n")
    found = dict(traces.available(tmp_path))
    assert found == {name: [0, 0, 1, 2, 0] for name in ("orm-busy", "corda", "gli")}
