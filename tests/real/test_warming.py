"""Warming on real servers: what is filled, how fast, and what ends it; the file of hot keys."""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import io
import time
import uuid
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.real.helpers import PAGES, Page, failure, page

import tierline as tl
from tierline.store import warming
from tierline.store.hot_key_file import hot_table, key_type, keys_of

Pages = tl.Repository[Page, int]
COUNT = 1_200


@pytest.fixture
def pages(store: tl.Store) -> Pages:
    """A cached repository of many rows, with nothing in its cache."""
    store.create_table(PAGES).unwrap()
    tl.repository(store, PAGES).create_many(page(n) for n in range(COUNT)).unwrap()
    return tl.repository(store, PAGES, cache=tl.read_through(ttl_s=600))


def reads(store: tl.Store) -> int:
    """Rows of L3 that were asked for."""
    return store.stats().tiers[-1].hits


def entries(store: tl.Store) -> int | None:
    return store.stats().tables["pages"].entries


def test_the_rows_of_a_query_are_in_the_cache(store: tl.Store, pages: Pages) -> None:
    wanted = tl.select(PAGES, where=lambda p: p.id < tl.param("below", int))
    report = store.warm(wanted, below=700).unwrap()
    assert (report.keys, report.rows, report.stopped, report.uncached) == (700, 700, None, ())
    assert report.took_s > 0
    before = reads(store)
    assert all(pages.get_by_id(n) == tl.Success(page(n)) for n in range(700))
    assert reads(store) == before
    assert entries(store) == 700


def test_keys_are_read_in_bounded_batches_as_far_as_needed(store: tl.Store, pages: Pages) -> None:
    asked: list[int] = []

    def keys() -> Iterator[int]:
        for n in range(COUNT + 10):
            asked.append(n)
            yield n

    batches: list[int] = []
    behind: list[int] = []

    def progress(count: int) -> None:
        batches.append(count)
        behind.append(len(asked) - sum(batches))

    report = store.warm(PAGES, keys(), progress=progress).unwrap()
    assert (report.keys, report.rows) == (COUNT + 10, COUNT)
    assert batches == [500, 500, 210]
    assert set(behind) == {0}


def test_no_more_rows_are_read_than_l1_holds(store: tl.Store, pages: Pages) -> None:
    other = tl.table(Page, name="pages", key=lambda p: p.id)
    kept = tl.repository(store, other, cache=tl.read_through(ttl_s=60, max_entries=30))
    assert store.warm(tl.select(other)).unwrap().keys == 30
    assert kept.get_by_id(0) == tl.Success(page(0))


def test_composite_keys_are_warmed(store: tl.Store) -> None:
    both = tl.table(Page, name="both", key=lambda p: (p.id, p.slug))
    store.create_table(both).unwrap()
    kept = tl.repository(store, both, cache=tl.read_through(ttl_s=60))
    kept.create(page(1)).unwrap()
    assert store.warm(tl.select(both)).unwrap().rows == 1
    assert store.warm(both, [(1, "page-1"), (2, "no")]).unwrap().rows == 1


def test_no_more_rows_a_second_than_the_rate(
    store: tl.Store, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A clock of the test's own, which only waiting moves: what a busy machine does to the other
    # one says nothing of the rate.
    clock = [100.0]
    told: list[tuple[int, float]] = []
    monkeypatch.setattr(warming, "time", _Clock(clock))
    report = store.warm(
        PAGES, range(100), rate=40, progress=lambda count: told.append((count, clock[0] - 100.0))
    ).unwrap()
    done = 0
    for count, passed_s in told:
        done += count
        assert done <= 40 * passed_s + 1e-6
        assert count <= 4
    assert report.took_s == pytest.approx(100 / 40)


class _Clock:
    def __init__(self, now: list[float]) -> None:
        self._now = now

    def monotonic(self) -> float:
        return self._now[0]

    def sleep(self, seconds: float) -> None:
        self._now[0] += seconds


def test_ctrl_c_keeps_what_is_done(store: tl.Store, pages: Pages) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    try:
        report = store.warm(PAGES, range(COUNT), progress=interrupted).unwrap()
    except KeyboardInterrupt:
        pytest.fail("Ctrl-C came out of it")
    assert (report.stopped, report.keys, report.rows) == ("interrupt", 500, 500)
    assert entries(store) == 500


def test_a_deadline_keeps_what_is_done(store: tl.Store, pages: Pages) -> None:
    with tl.deadline(7):
        # The first row is due after 4 s, the second after 8.
        report = store.warm(PAGES, range(10), rate=1 / 4).unwrap()
    assert (report.stopped, report.keys) == ("deadline", 1)
    assert report.took_s < 7


def test_an_error_of_the_database_is_a_failure(store: tl.Store, pages: Pages) -> None:
    store.drop_table(PAGES).unwrap()
    failure(store.warm(PAGES, [1]), tl.QueryError)
    failure(store.warm(tl.select(PAGES)), tl.QueryError)


def test_what_is_written_meanwhile_is_not_cached_as_it_was(store: tl.Store, pages: Pages) -> None:
    plain = tl.repository(store, PAGES)
    written: list[int] = []

    def write(_: int) -> None:
        plain.update(page(3, version=7)).unwrap()
        written.append(3)

    store.warm(PAGES, range(COUNT), progress=write).unwrap()
    assert pages.get_by_id(3) == tl.Success(page(3, version=7))


@pytest.mark.parametrize("what", ["query", "keys"])
def test_a_table_that_nobody_caches_is_a_mistake(store: tl.Store, what: str) -> None:
    store.create_table(PAGES).unwrap()
    with pytest.raises(ValueError, match="no repository of this store caches pages"):
        _ = store.warm(tl.select(PAGES)) if what == "query" else store.warm(PAGES, [1])


def test_what_cannot_be_warmed_is_a_mistake(store: tl.Store, pages: Pages) -> None:
    with pytest.raises(TypeError, match="a query of whole entities"):
        store.warm(tl.project(tl.select(PAGES), lambda p: p.id))
    for nothing in (PAGES, "hot_keys.txt", None):
        with pytest.raises(
            TypeError, match=r"takes a query, a table and its keys, or tl\.hot_keys"
        ):
            store.warm(nothing)  # type: ignore[call-overload]
    for rate in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="rate must be positive"):
            store.warm(PAGES, [1], rate=rate)


def test_bars_are_shown(store: tl.Store, pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out = io.StringIO()
    with redirect_stdout(out):
        store.warm(PAGES, list(range(COUNT)), progress=True).unwrap()
    assert "pages" in out.getvalue()
    assert f"{COUNT}/{COUNT}" in out.getvalue()


def test_without_rich_bars_are_a_failure(
    store: tl.Store, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "find_spec", lambda _: None)
    failure(store.warm(PAGES, [1], progress=True), tl.ConfigurationError, "pip install rich")


# The file of hot keys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hot_keys.txt"


def heated(store: tl.Store, pages: Pages) -> None:
    for n in (*range(50), 7, 7, 7, 9, 9):
        pages.get_by_id(n).unwrap()


def test_the_next_run_begins_with_the_hottest_keys(
    store: tl.Store, pages: Pages, pg_url: str, path: Path
) -> None:
    heated(store, pages)
    assert store.save_hot_keys(path, top=2) == tl.Success(2)
    with tl.open(pg_url) as second:
        again = tl.repository(second, PAGES, cache=tl.read_through(ttl_s=600))
        report = second.warm(tl.hot_keys(path)).unwrap()
        assert (report.keys, report.rows) == (2, 2)
        before = reads(second)
        again.get_by_id(7).unwrap()
        again.get_by_id(9).unwrap()
        assert reads(second) == before


def test_the_file_is_text_as_the_guide_says(store: tl.Store, pages: Pages, path: Path) -> None:
    heated(store, pages)
    store.save_hot_keys(path, top=3).unwrap()
    first, table, last = path.read_text(encoding="utf-8").splitlines()
    schema = store.database.schema
    assert first == "tierline hot keys 1"
    assert table.startswith(f'{{"table":"{schema}.pages","key":["id"],"keys":[')
    assert set(msgspec.json.decode(table)["keys"]) > {7, 9}
    assert last.startswith("sha256 ")
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data[:-1], "checksum"),
        (lambda data: data[:40], "checksum"),
        (lambda data: data.replace(b"7", b"8", 1), "checksum"),
        (lambda data: data + b"\n", "checksum"),
        (lambda _: b"", "does not begin with"),
        (lambda _: b"\x80\x04pickle", "does not begin with"),
    ],
)
def test_a_broken_file_is_a_failure_and_loses_nothing(
    store: tl.Store, pages: Pages, path: Path, change: Any, says: str
) -> None:
    heated(store, pages)
    store.save_hot_keys(path).unwrap()
    broken = change(path.read_bytes())
    path.write_bytes(broken)
    before = entries(store)
    failure(store.warm(tl.hot_keys(path)), tl.DecodeError, says)
    assert entries(store) == before
    assert path.read_bytes() == broken


def test_lines_that_are_no_keys_are_a_failure_whatever_the_checksum(
    store: tl.Store, pages: Pages, path: Path
) -> None:
    for line in (b"junk", b'{"table":1}', b"[]"):
        text = b"tierline hot keys 1\n" + line + b"\n"
        path.write_bytes(text + b"sha256 " + hashlib.sha256(text).hexdigest().encode() + b"\n")
        failure(store.warm(tl.hot_keys(path)), tl.DecodeError, "no table's keys")


def test_a_key_of_another_type_is_a_failure(
    store: tl.Store, pages: Pages, pg_url: str, path: Path
) -> None:
    class Named(msgspec.Struct, frozen=True):
        id: str

    heated(store, pages)
    store.save_hot_keys(path).unwrap()
    named = tl.table(Named, name="pages", key=lambda n: n.id)
    with tl.open(pg_url) as second:
        tl.repository(second, named, cache=tl.read_through(ttl_s=60))
        failure(second.warm(tl.hot_keys(path)), tl.DecodeError, "another type than its key")


def test_a_file_that_is_not_there_is_a_failure(store: tl.Store, path: Path) -> None:
    failure(store.warm(tl.hot_keys(path)), tl.ConfigurationError, "cannot be read: No such file")
    failure(store.warm(tl.hot_keys("a\0b")), tl.ConfigurationError, "cannot be read")


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    store: tl.Store, pages: Pages, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heated(store, pages)
    store.save_hot_keys(path, top=1).unwrap()
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    failure(store.save_hot_keys(path), tl.ConfigurationError, "cannot be written: No space left")
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    failure(store.save_hot_keys(path.parent / "no" / "x"), tl.ConfigurationError, "be written")


def test_nothing_hot_leaves_the_old_file(
    store: tl.Store, pages: Pages, pg_url: str, path: Path
) -> None:
    heated(store, pages)
    store.save_hot_keys(path).unwrap()
    before = path.read_bytes()
    with tl.open(pg_url) as second:
        tl.repository(second, PAGES, cache=tl.read_through(ttl_s=60))
        assert second.save_hot_keys(path) == tl.Success(0)
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match="top must be at least 1"):
        store.save_hot_keys(path, top=0)


def test_tables_that_this_run_does_not_cache_are_named(
    store: tl.Store, pages: Pages, pg_url: str, path: Path
) -> None:
    heated(store, pages)
    store.save_hot_keys(path).unwrap()
    with tl.open(pg_url) as second:
        report = second.warm(tl.hot_keys(path)).unwrap()
        assert (report.keys, report.uncached) == (0, (f"{store.database.schema}.pages",))


class Kind(enum.Enum):
    A = "a"


@pytest.mark.parametrize(
    ("annotation", "keys"),
    [
        (str, ["", "é", '"', "\n"]),
        (uuid.UUID, [uuid.UUID(int=1)]),
        (dt.date, [dt.date(2013, 1, 1)]),
        (dt.datetime, [dt.datetime(2013, 1, 1, tzinfo=dt.UTC)]),
        (bytes, [b"\x00\xff"]),
        (float, [0.1, -0.0, 1e300]),
        (Kind, [Kind.A]),
    ],
)
def test_keys_of_every_type_come_back(annotation: Any, keys: list[Any]) -> None:
    entity = msgspec.defstruct("Row", [("id", annotation)], frozen=True)
    table = tl.table(entity, name="rows", key=lambda r: r.id)
    assert keys_of(hot_table("x.rows", table, keys), table) == tl.Success(keys)
    assert key_type(table) is annotation


def test_a_key_that_json_would_make_another_is_left_out() -> None:
    entity = msgspec.defstruct("Row", [("id", float)], frozen=True)
    table = tl.table(entity, name="rows", key=lambda r: r.id)
    hot = hot_table("x.rows", table, [float("inf"), 1.5, float("nan"), "\ud800"])
    assert keys_of(hot, table) == tl.Success([1.5])


def test_a_report_says_how_long_it_took(store: tl.Store, pages: Pages) -> None:
    began_s = time.monotonic()
    report = store.warm(PAGES, range(10)).unwrap()
    assert 0 < report.took_s <= time.monotonic() - began_s
