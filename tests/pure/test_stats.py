"""Statistics read well as text and in a notebook, where a table's name is no markup."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tierline as tl

STATS = tl.Stats(
    (
        tl.TierStats("L1 rows", hits=1_234_567, misses=1, loads=2, entries=10_000),
        tl.TierStats("L2", errors=3),
        tl.TierStats("L3", hits=1, misses=1, evictions=4, invalidations=5, spared=7),
    )
)


def test_statistics_are_a_table_of_aligned_columns() -> None:
    lines = repr(STATS).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [line.split() for line in lines] == [
        [
            "tier",
            "hits",
            "misses",
            "hit",
            "ratio",
            "loads",
            "evictions",
            "invalidations",
            "spared",
            "errors",
            "entries",
        ],
        ["L1", "rows", "1,234,567", "1", "100.0%", "2", "0", "0", "0", "0", "10,000"],
        ["L2", "0", "0", "-", "0", "0", "0", "0", "3", "-"],
        ["L3", "1", "1", "50.0%", "0", "4", "5", "7", "0", "-"],
    ]


def test_a_store_without_tiers_shows_the_header() -> None:
    assert repr(tl.Stats(())).startswith("tier  hits")


@pytest.mark.parametrize(("hits", "misses", "ratio"), [(0, 0, None), (3, 1, 0.75), (0, 2, 0.0)])
def test_the_hit_ratio_is_hits_by_reads(hits: int, misses: int, ratio: float | None) -> None:
    assert tl.TierStats("L1", hits=hits, misses=misses).hit_ratio == ratio


class _Cells(HTMLParser):
    """Takes a table apart as a browser does."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        self.cells[-1] += data


def _parsed(stats: tl.Stats) -> _Cells:
    parser = _Cells()
    parser.feed(stats._repr_html_())
    parser.close()
    return parser


def test_a_notebook_shows_the_same_cells() -> None:
    cells = _parsed(STATS).cells
    assert len(cells) == 4 * 10
    assert cells[:3] == ["tier", "hits", "misses"]
    assert cells[10:12] == ["L1 rows", "1,234,567"]


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))))
def test_a_name_is_never_markup(name: str) -> None:
    for nasty in (name, f"<script>{name}</script>", f"</td>{name}&amp;", f"\"{name}'"):
        parsed = _parsed(tl.Stats((tl.TierStats(nasty),)))
        assert set(parsed.tags) == {"table", "thead", "tbody", "tr", "th", "td"}
        assert parsed.cells[10] == nasty
