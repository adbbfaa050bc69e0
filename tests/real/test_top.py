"""`tierline top` beside running stores: what it shows, piped and not, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from typing import Any

import msgspec
import pytest
import redis
from tests.real.helpers import PAGES, OpenStore, failure, page, wait_until

import tierline as tl
from tierline.cache.board import Published, StatsBoard
from tierline.cli import main
from tierline.cli.top_stores import Stores
from tierline.store import publishing

DEAD_REDIS = "redis://127.0.0.1:1/0"
LIMIT_S = 60


@pytest.fixture
def published(
    open_store: OpenStore, pg_url: str, redis_url: str, redis_prefix: str
) -> Generator[tl.Store]:
    """A store that shows its statistics, with a page read twice."""
    open_store()
    with tl.open(pg_url, redis=redis_url, prefix=redis_prefix, publish_stats=True) as store:
        pages = tl.repository(store, PAGES, cache=tl.read_through(ttl_s=60))
        pages.create(page(1)).unwrap()
        pages.get_by_id(1).unwrap()
        pages.get_by_id(1).unwrap()
        yield store


def shown(redis_url: str, prefix: str) -> list[Any]:
    stores = Stores(redis_url, prefix)
    try:
        data, _ = stores.look()
    finally:
        stores.close()
    assert isinstance(data, list)
    return data


def wait_for_reads(redis_url: str, prefix: str) -> None:
    def read() -> bool:
        found = shown(redis_url, prefix)
        return bool(found) and any(tier.hits for tier in found[0].stats.tiers)

    wait_until(read, LIMIT_S)


def test_a_page_shows_the_stores_that_publish(
    published: tl.Store, redis_url: str, redis_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_for_reads(redis_url, redis_prefix)
    assert main(["top", redis_url, "--prefix", redis_prefix, "--once"]) == 0
    out = capsys.readouterr().out
    assert f":{os.getpid()}:" in out
    assert "L1 pages" in out
    assert "circuit closed" in out
    assert repr(published) in out
    assert "\x1b" not in out


def test_json_is_a_line_with_everything(
    published: tl.Store, redis_url: str, redis_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_for_reads(redis_url, redis_prefix)
    assert main(["top", redis_url, "--prefix", redis_prefix, "--once", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    (store,) = msgspec.json.decode(line)
    tiers = {tier["tier"]: tier for tier in store["stats"]["tiers"]}
    assert tiers["L1 pages"]["hits"] == 1
    assert store["stats"]["health"]["ok"] is True


def test_a_store_that_is_closed_is_shown_no_more(
    published: tl.Store, redis_url: str, redis_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wait_until(lambda: shown(redis_url, redis_prefix), LIMIT_S)
    published.close()
    assert shown(redis_url, redis_prefix) == []
    main(["top", redis_url, "--prefix", redis_prefix, "--once"])
    assert "open it with tl.open(…, redis=…, publish_stats=True)" in capsys.readouterr().out


def test_a_process_that_dies_is_shown_for_seconds_only(
    published: tl.Store, redis_url: str, redis_prefix: str
) -> None:
    wait_until(lambda: shown(redis_url, redis_prefix), LIMIT_S)
    with redis.Redis.from_url(redis_url) as client:
        (key,) = client.scan_iter(f"{redis_prefix}:stats:*")
        assert 0 < client.pttl(key) <= 10_000


def test_nothing_is_published_unless_asked_for(
    tiered: tl.Store, redis_url: str, redis_prefix: str
) -> None:
    assert tiered.publisher is None
    assert shown(redis_url, redis_prefix) == []


def test_a_store_that_is_dropped_without_close_ends_its_thread(
    published: tl.Store, redis_url: str, redis_prefix: str
) -> None:
    class Gone:
        def stats(self) -> tl.Stats:
            return tl.Stats(())

    publisher = publishing.Publisher(Gone(), StatsBoard(redis_url, prefix=redis_prefix))  # type: ignore[arg-type]
    publisher._thread.join(LIMIT_S)
    assert not publisher._thread.is_alive()
    publisher.close()


def test_a_dead_redis_disturbs_no_store(pg_url: str) -> None:
    with tl.open(pg_url, redis=DEAD_REDIS, publish_stats=True) as store:
        store.fetch_all(tl.sql("select 1", into=int)).unwrap()
        assert store.publisher is not None


def test_publishing_needs_redis(pg_url: str) -> None:
    failure(tl.connect(pg_url, publish_stats=True), tl.ConfigurationError, "give redis= too")


@pytest.mark.parametrize("junk", [b"junk", b"\x80", msgspec.msgpack.encode([1])])
def test_what_is_no_statistic_is_left_out(redis_url: str, redis_prefix: str, junk: bytes) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set(f"{redis_prefix}:stats:x", junk)
    other = Published("y", 1, 1, "a store", msgspec.Raw(msgspec.msgpack.encode("no statistics")))
    board = StatsBoard(redis_url, prefix=redis_prefix)
    assert board.put(other, ttl_s=60)
    assert [found.process for found in board.all()] == ["y"]
    board.close()
    assert shown(redis_url, redis_prefix) == []


def test_rates_are_those_between_two_pages(redis_url: str, redis_prefix: str) -> None:
    board = StatsBoard(redis_url, prefix=redis_prefix)
    stores = Stores(redis_url, redis_prefix)
    rates: list[float | None] = []
    for at_ms, hits in ((1_000, 10), (1_000, 10), (3_000, 50)):
        stats = tl.Stats((tl.TierStats("L1 x", hits=hits), tl.TierStats("L3", hits=10 * hits)))
        raw = msgspec.Raw(msgspec.msgpack.encode(stats))
        board.put(Published("p", at_ms, 0, "a store", raw), ttl_s=60)
        data, text = stores.look()
        assert isinstance(data, list)
        rates.append(data[0].reads_per_s)
    assert rates == [None, None, 20.0]
    assert "20 L1 reads/s" in text
    stores.close()
    board.close()


def test_postgresql_shows_servers_sessions_and_announcing_tables(
    store: tl.Store, pg_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store.create_table(PAGES).unwrap()
    store.install_backplane([PAGES]).unwrap()
    assert main(["top", pg_url, "--once"]) == 0
    out = capsys.readouterr().out
    assert "primary" in out
    assert "active" in out
    assert f"{store.database.schema}.pages" in out
    assert main(["top", pg_url, "--once", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    found = msgspec.json.decode(line)
    assert found["health"]["ok"] is True
    assert sum(each["sessions"] for each in found["sessions"]) >= 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (DEAD_REDIS, "Redis does not answer"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", "ConnectionError"),
    ],
)
def test_what_cannot_be_reached_is_said_and_the_exit_code_is_one(
    url: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", url, "--once"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert "secret" not in err


@pytest.mark.parametrize("arguments", [["mysql://x"], ["redis://x", "--interval", "0"]])
def test_what_is_no_question_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", *arguments]) == 2
    assert capsys.readouterr().err


def test_ctrl_c_ends_it_cleanly(published: tl.Store, redis_url: str, redis_prefix: str) -> None:
    command = [sys.executable, "-m", "tierline", "top", redis_url, "--prefix", redis_prefix]
    with subprocess.Popen(
        [*command, "--interval", "0.05"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        # It is drawing by then.
        child.stdout.readline()
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=LIMIT_S)
    assert (child.returncode, err) == (0, "")


def test_a_reader_that_has_enough_ends_it_quietly(redis_url: str, redis_prefix: str) -> None:
    command = [sys.executable, "-m", "tierline", "top", redis_url, "--prefix", redis_prefix]
    with subprocess.Popen(
        [*command, "--interval", "0.05"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        began_s = time.monotonic()
        err = child.stderr.read()
        assert child.wait(LIMIT_S) == 0
        assert time.monotonic() - began_s < LIMIT_S
    assert err == ""
