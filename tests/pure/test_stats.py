"""Statistics read well as text and in a notebook, where a table's name is no markup."""

from __future__ import annotations

import math
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tierline as tl
from tierline.cache.tallies import QUERIES_MAX, Tallies
from tierline.store.backplane import BackplaneHealth
from tierline.store.stats import shown_bytes

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


FULL = tl.Stats(
    (
        tl.TierStats(
            "L1 rows", hits=3, misses=1, entries=2, table="rows", stale=1, stale_age_s_max=2.5
        ),
        tl.TierStats("L1 rows", hits=1, entries=1, table="rows", stale=1, stale_age_s_max=1.0),
        tl.TierStats("L1 queries", hits=1),
        tl.TierStats("L2", round_trips=7, bytes_read=10, bytes_written=2_048, payload_bytes=8_192),
    ),
    queries=(
        tl.CachedQueryStats("count", "rows", "SELECT count(*)\n FROM rows", 3, 1, 0, 0.002),
        tl.CachedQueryStats("fetch_all", None, "x" * 100, 0, 0, 0, 0.0),
        tl.CachedQueryStats("", None, "", 1, 2, 3, 1.0),
    ),
    backplane=BackplaneHealth(math.inf, 2.0, 1_000, 1, 9, ("public.silent",)),
)


def test_columns_that_say_nothing_of_any_tier_are_left_out() -> None:
    heading, *lines = repr(FULL).split("\n\n")[0].splitlines()
    shown = ["entries", "stale", "stalest", "round", "trips", "read", "written", "compression"]
    assert heading.split()[-8:] == shown
    assert "refused" not in heading
    assert lines[0].split()[-9:-6] == ["1", "2.5", "s"]
    assert lines[-1].split()[-6:] == ["7", "10", "B", "2.0", "KiB", "4.00x"]


def test_queries_and_the_horizon_have_tables_of_their_own() -> None:
    _, queries, horizon = repr(FULL).split("\n\n")
    assert "count SELECT count(*) FROM rows" in queries
    assert queries.splitlines()[1].split()[-6:] == ["3", "1", "75.0%", "0", "2.00", "ms"]
    assert "x" * 59 + "…" in queries
    assert "x" * 60 not in queries
    assert "all others" in queries
    assert horizon.splitlines()[1].split() == [
        "never",
        "2",
        "s",
        "1,000",
        "9",
        "1",
        "public.silent",
    ]
    assert _parsed(FULL).tags.count("table") == 3


def test_what_is_written_behind_has_a_line_beneath_the_tables() -> None:
    stats = tl.Stats((), (tl.WriteBehindStats("<rows>", pending=1_000, lag_s=2.0),))
    assert repr(stats).splitlines()[-1] == (
        "write-behind <rows>: 1,000 pending for 2.0 s, 0 dead letters"
    )
    assert "<p>write-behind &lt;rows&gt;: 1,000 pending" in stats._repr_html_()


def test_a_table_is_the_sum_of_its_caches() -> None:
    (rows,) = FULL.tables.values()
    assert rows == tl.TierStats(
        "rows", hits=4, misses=1, entries=3, table="rows", stale=2, stale_age_s_max=2.5
    )
    assert FULL.tables["rows"].hit_ratio == 0.8


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1_023, "1,023 B"),
        (1_024, "1.0 KiB"),
        (5 * 2**20, "5.0 MiB"),
        (2**41, "2,048.0 GiB"),
    ],
)
def test_bytes_are_shown_as_people_read_them(count: int, shown: str) -> None:
    assert shown_bytes(count) == shown


def test_statistics_travel() -> None:
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(FULL), type=tl.Stats)
    assert decoded == FULL


def test_queries_beyond_a_thousand_are_counted_together() -> None:
    tallies = Tallies()
    for n in range(QUERIES_MAX + 10):
        tallies.of((n, 60, "value")).loads += 1
    assert tallies.of((3, 1)) is tallies.of((3, 2))
    counted = list(tallies)
    assert len(counted) == QUERIES_MAX + 1
    form, others = counted[-1]
    assert (form, others.loads) == (None, 10)
