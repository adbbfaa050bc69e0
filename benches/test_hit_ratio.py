"""What the hit-ratio script computes, on generated keys and on files of every format."""

from __future__ import annotations

import gzip
import lzma
import random
from array import array
from pathlib import Path

import pytest

import hit_ratio
import traces
from hit_ratio import OURS, Cell


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
    assert hit_ratio.optimum(pages, 3) == pytest.approx(55.0)
    assert hit_ratio.lru(pages, 3) == pytest.approx(40.0)


def _cell(trace: str, ours: float, lru: float, theine: float) -> Cell:
    hits = {OURS: ours, "LRU": lru, "theine": theine}
    return Cell(trace=trace, share=10, capacity=1, requests=1, hits=hits)


def test_each_clause_of_the_budget_can_be_missed() -> None:
    good = [_cell("web07", 50, 40, 45), _cell("loop", 8, 0, 7)]
    assert [verdict.holds for verdict in hit_ratio.verdicts(good)] == [True, True, True]
    bad = [_cell("web07", 50, 52, 60), _cell("loop", 4, 0, 7)]
    assert [verdict.holds for verdict in hit_ratio.verdicts(bad)] == [False, False, False]


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
