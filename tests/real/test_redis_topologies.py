"""L2 on one server, behind sentinels, on a cluster, over a socket, and under a small account."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import redis
from tests.real.helpers import L2_COMMANDS, PAGES, OpenStore, Page, failure, page, wait_until

import tierline as tl
from tierline.cache.board import StatsBoard
from tierline.cache.l2_names import value_key
from tierline.cache.redis_client import RedisClient
from tierline.cache.redis_faults import RedisFaultError
from tierline.cache.redis_routes import Cluster
from tierline.cli import main
from tierline.testing import (
    RedisCluster,
    RedisSentinels,
    RedisServer,
    redis_cluster,
    redis_sentinel,
    redis_server,
)

pytestmark = pytest.mark.usefixtures("patient_redis")


@pytest.fixture(scope="module")
def sentinels() -> Generator[RedisSentinels]:
    with redis_sentinel() as group:
        yield group


@pytest.fixture(scope="module")
def cluster() -> Generator[RedisCluster]:
    with redis_cluster() as six:
        yield six


@pytest.fixture(params=["standalone", "sentinel", "cluster", "socket"])
def url(request: pytest.FixtureRequest, redis_url: str, tmp_path: Any) -> Generator[str]:
    match request.param:
        case "standalone":
            yield f"{redis_url.removesuffix('/0')}/3"
        case "socket":
            path = f"/tmp/tierline-{os.getpid()}.sock"
            with redis_server(settings={"unixsocket": path}):
                yield f"unix://{path}?db=1"
        case "sentinel":
            yield request.getfixturevalue("sentinels").url
        case _:
            yield request.getfixturevalue("cluster").url


def l2(store: tl.Store) -> Any:
    assert store.caches.l2 is not None
    return store.caches.l2.stats()


def uncached(store: tl.Store) -> tl.Repository[Page, int]:
    """A repository whose L1 forgets at once."""
    return tl.repository(store, PAGES, cache=tl.read_through(ttl_s=60, max_entries=1))


def test_every_topology_fills_serves_and_forgets(open_store: OpenStore, url: str) -> None:
    store, other = open_store(redis=url), open_store(redis=url)
    here, there = uncached(store), uncached(other)
    here.create_many(page(n) for n in range(40)).unwrap()
    for n in range(40):
        assert here.get_by_id(n) == tl.Success(page(n))
    assert l2(store).fills == 40
    for n in range(40):
        assert there.get_by_id(n) == tl.Success(page(n))
    assert (l2(other).hits, l2(other).misses, l2(other).errors) == (40, 0, 0)
    everything = {n: page(n) for n in range(40)}
    assert there.get_many(range(40)) == tl.Success(everything)
    assert l2(other).hits >= 79
    assert here.update(page(7, 1)) == tl.Success(page(7, 1))
    assert there.get_by_id(7) == tl.Success(page(7, 1))
    here.delete(8).unwrap()
    failure(there.get_by_id(8), tl.NotFoundError)
    store.drop_table(PAGES).unwrap()
    store.create_table(PAGES).unwrap()
    failure(there.get_by_id(9), tl.NotFoundError)
    assert l2(store).errors == l2(other).errors == 0
    assert there.get_many([1, 2]) == tl.Success({})


def test_get_many_fills_l2_and_asks_l3_for_the_rest_only(open_store: OpenStore, url: str) -> None:
    store = open_store(redis=url)
    pages = uncached(store)
    pages.create_many(page(n) for n in range(10)).unwrap()
    assert pages.get_many(range(5)) == tl.Success({n: page(n) for n in range(5)})
    assert l2(store).fills == 5
    reads = store.stats().tiers[-1].hits
    assert pages.get_many(range(5)) == tl.Success({n: page(n) for n in range(5)})
    assert store.stats().tiers[-1].hits == reads
    assert pages.get_many([3, 4, 5, 99]) == tl.Success({n: page(n) for n in (3, 4, 5)})
    assert l2(store).fills == 6
    pages.update(page(3, 1)).unwrap()
    assert pages.get_many([3, 4]) == tl.Success({3: page(3, 1), 4: page(4)})


def test_a_fill_by_get_many_that_a_write_overtakes_is_refused(
    open_store: OpenStore, url: str
) -> None:
    store = open_store(redis=url)
    pages = uncached(store)
    pages.create_many([page(1), page(2)]).unwrap()
    cache = store.caches.open(PAGES, tl.read_through(ttl_s=60, max_entries=1))

    def fetch(keys: list[int]) -> Any:
        rows = {key: page(key) for key in keys}
        pages.update(page(1, 1)).unwrap()
        return tl.Success(rows)

    cache.read_many([1, 2], fetch).unwrap()
    assert pages.get_by_id(2) == tl.Success(page(2))
    assert pages.get_by_id(1) == tl.Success(page(1, 1))


def clients(request: pytest.FixtureRequest, kind: str) -> list[redis.Redis]:
    """A client of each server of a topology."""
    if kind == "standalone":
        return [redis.Redis.from_url(request.getfixturevalue("redis_url"))]
    fixture = "sentinels" if kind == "sentinel" else "cluster"
    servers: tuple[RedisServer, ...] = request.getfixturevalue(fixture).servers
    return [redis.Redis.from_url(server.url) for server in servers]


@pytest.mark.parametrize("kind", ["standalone", "sentinel", "cluster"])
def test_a_small_account_is_enough(
    request: pytest.FixtureRequest,
    open_store: OpenStore,
    redis_url: str,
    redis_prefix: str,
    kind: str,
) -> None:
    everywhere = clients(request, kind)
    allowed = [f"+{name}" for name in (*L2_COMMANDS, *(["cluster|slots"] * (kind == "cluster")))]
    rules = ("reset", "on", ">sesame", f"~{redis_prefix}*", *allowed)
    for client in everywhere:
        client.execute_command("ACL", "SETUSER", "small", *rules)
    try:
        whole = {"standalone": redis_url}.get(kind) or request.getfixturevalue(
            "sentinels" if kind == "sentinel" else "cluster"
        ).url
        store = open_store(redis=whole.replace("://", "://small:sesame@"))
        pages = uncached(store)
        pages.create_many(page(n) for n in range(20)).unwrap()
        for _ in range(2):
            assert pages.get_many(range(20)) == tl.Success({n: page(n) for n in range(20)})
        pages.update(page(1, 1)).unwrap()
        for _ in range(2):
            assert pages.get_by_id(1) == tl.Success(page(1, 1))
            assert pages.get_by_id(2) == tl.Success(page(2))
        store.drop_table(PAGES).unwrap()
        assert l2(store).errors == 0
        assert l2(store).hits >= 20
        assert "sesame" not in f"{store!r} {store.caches.l2!r} {store.caches.l2.client!r}"  # type: ignore[union-attr]
    finally:
        for client in everywhere:
            client.execute_command("ACL", "DELUSER", "small")
            client.close()


def test_an_account_that_may_not_ask_for_the_role_goes_without_that_guard(
    open_store: OpenStore, redis_url: str, redis_prefix: str
) -> None:
    with redis.Redis.from_url(redis_url) as client:
        rules = ("reset", "on", ">sesame", f"~{redis_prefix}*", "+@all", "-info")
        client.execute_command("ACL", "SETUSER", "small", *rules)
        store = open_store(redis=redis_url.replace("://", "://small:sesame@"))
        pages = uncached(store)
        pages.create_many([page(1), page(2)]).unwrap()
        for n in (1, 2, 1, 2):
            assert pages.get_by_id(n) == tl.Success(page(n))
        assert l2(store).hits == 2
        client.execute_command("ACL", "DELUSER", "small")


@pytest.mark.parametrize(
    "url", ["redis+sentinel://127.0.0.1:1,127.0.0.1:2/main", "redis+cluster://127.0.0.1:1"]
)
def test_servers_that_are_not_there_are_no_error(open_store: OpenStore, url: str) -> None:
    store = open_store(redis=url)
    pages = uncached(store)
    pages.create_many([page(1), page(2)]).unwrap()
    for n in (1, 2, 1, 2):
        assert pages.get_by_id(n) == tl.Success(page(n))
    assert pages.get_many([1, 2]) == tl.Success({1: page(1), 2: page(2)})
    assert l2(store).errors > 0


@pytest.mark.parametrize("url", ["http://cache", "redis+sentinel://a:1", "redis://cache/x"])
def test_a_url_that_is_none_is_a_configuration_error(pg_url: str, url: str) -> None:
    found = failure(tl.connect(pg_url, redis=url), tl.ConfigurationError)
    assert "redis+cluster" in str(found)


# Encryption


def encrypted(pg_url: str, redis_url: str, prefix: str, current: str, *ids: str) -> tl.Store:
    keys = {id_: id_[:1].encode() * 32 for id_ in (current, *ids)}
    encryption = tl.EncryptionKeys(current=current, keys=keys)
    return tl.open(pg_url, redis=redis_url, prefix=prefix, encryption=encryption)


def test_what_redis_keeps_is_encrypted_and_keys_rotate(
    open_store: OpenStore, pg_url: str, redis_url: str, redis_prefix: str
) -> None:
    plain = open_store()
    uncached(plain).create_many([page(1), page(2)]).unwrap()
    with (
        encrypted(pg_url, redis_url, redis_prefix, "a") as old,
        encrypted(pg_url, redis_url, redis_prefix, "b", "a") as new,
        encrypted(pg_url, redis_url, redis_prefix, "c") as stranger,
        redis.Redis.from_url(redis_url) as client,
    ):
        for n in (1, 2):
            uncached(old).get_by_id(n).unwrap()
        values = [client.get(key) or b"" for key in client.scan_iter(f"{redis_prefix}*")]
        assert not any(b"page-" in value for value in values)
        assert uncached(new).get_by_id(1) == tl.Success(page(1))
        assert (l2(new).hits, l2(new).misses) == (1, 0)
        for store in (stranger, plain):
            assert uncached(store).get_by_id(2) == tl.Success(page(2))
            assert (l2(store).hits, l2(store).errors) == (0, 0)
            assert l2(store).misses == 1


def test_a_value_that_was_copied_to_another_key_is_a_miss(
    open_store: OpenStore, redis_url: str, redis_prefix: str
) -> None:
    store = open_store()
    pages = uncached(store)
    pages.create_many([page(1), page(2)]).unwrap()
    for n in (1, 2):
        pages.get_by_id(n).unwrap()
    with redis.Redis.from_url(redis_url) as client:
        first, second = sorted(
            key for key in client.scan_iter(f"{redis_prefix}*") if key.endswith(b"]}")
        )
        client.copy(first, second, replace=True)
    misses = l2(store).misses
    assert pages.get_by_id(1) == tl.Success(page(1))
    assert pages.get_by_id(2) == tl.Success(page(2))
    assert l2(store).misses == misses + 1


# Deadlines, forks, threads


def test_a_deadline_that_leaves_no_time_says_nothing_of_the_server(
    open_store: OpenStore, url: str
) -> None:
    store = open_store(redis=url)
    pages = uncached(store)
    pages.create_many([page(1), page(2)]).unwrap()
    for n in (1, 2):
        pages.get_by_id(n).unwrap()
    l2_ = store.caches.l2
    assert l2_ is not None
    before = l2(store)
    with tl.deadline(0.01):
        assert l2_.get("x", 0, bytes, 1) is None
        l2_.get_many([value_key(l2_.base, "x"), value_key(l2_.base, "y")], taken_by(None))
        assert l2_.begin("x") is None
    assert l2(store).errors == before.errors
    assert l2(store).skipped > before.skipped
    pages.get_by_id(1).unwrap()
    assert l2(store).hits == before.hits + 1


def taken_by(taken: dict[int, bytes | None] | None) -> Any:
    """Takes frames, or may not be called."""

    def take(places: Sequence[int], frames: list[bytes | None], _: str) -> int:
        assert taken is not None
        taken.update(zip(places, frames, strict=True))
        return len(frames)

    return take


def test_a_child_process_has_connections_of_its_own(open_store: OpenStore, url: str) -> None:
    store = open_store(redis=url)
    l2_ = store.caches.l2
    assert l2_ is not None
    names = [f"n{number}" for number in range(20)]
    tokens = l2_.begin_many(names)
    l2_.fill_many([(name, name.encode(), tokens[name]) for name in names], 7, 60)

    def reads_all() -> bool:
        taken: dict[int, bytes | None] = {}
        l2_.get_many([value_key(l2_.base, name) for name in names], taken_by(taken))
        # A payload is at the end of its frame.
        return all((taken[at] or b"").endswith(names[at].encode()) for at in range(len(names)))

    assert reads_all()
    child = os.fork()
    if child == 0:
        kept = [node._idle for node in l2_.client._route.nodes()]
        os._exit(0 if not any(kept) and all(reads_all() for _ in range(50)) else 1)
    assert all(reads_all() for _ in range(50))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_threads_do_not_get_each_others_answers(open_store: OpenStore, url: str) -> None:
    store = open_store(redis=url)
    l2_ = store.caches.l2
    assert l2_ is not None
    names = [f"n{number}" for number in range(16)]
    tokens = l2_.begin_many(names)
    l2_.fill_many([(name, name.encode(), tokens[name]) for name in names], 7, 60)
    answers: list[bool] = []

    def work(name: str) -> None:
        for _ in range(200):
            # A machine that does other things too may let one wait for too long.
            found = l2_.get(name, 7, bytes, 60)
            answers.extend([] if found is None else [found[0] == name.encode()])

    run_all([lambda name=name: work(name) for name in names])
    assert len(answers) > 100
    assert all(answers)


def run_all(calls: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_every_topology_keeps_the_application_s_values(open_store: OpenStore, url: str) -> None:
    one, other = open_store(redis=url), open_store(redis=url)
    spaces = [store.cache.space("numbers", int, ttl_s=60) for store in (one, other)]
    for n in range(20):
        spaces[0].put(n, n, tags=[f"tag{n % 2}"])
    one.cache.invalidate_tag("tag1")
    spaces[0].invalidate(0, 2)
    assert [spaces[1].get(n) for n in range(6)] == [None, None, None, None, 4, None]
    spaces[0].clear()
    assert spaces[1].get(6) is None
    assert l2(one).errors == l2(other).errors == 0


def test_every_topology_counts_its_round_trips_and_bytes(open_store: OpenStore, url: str) -> None:
    one, other = open_store(redis=url), open_store(redis=url)
    tl.repository(one, PAGES).create_many(page(n) for n in range(50)).unwrap()
    here, there = (uncached(store) for store in (one, other))
    here.get_many(range(50)).unwrap()
    there.get_many(range(50)).unwrap()
    assert (l2(one).fills, l2(other).hits) == (50, 50)
    # One to each server that has some of the keys.
    assert 1 <= l2(other).round_trips <= 3
    assert l2(other).bytes_read == l2(one).bytes_written > l2(one).payload_bytes > 0


def test_every_topology_shows_what_stores_publish(
    pg_url: str, url: str, redis_prefix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as opened:
        for _ in range(2):
            opened.enter_context(
                tl.open(pg_url, redis=url, prefix=redis_prefix, publish_stats=True)
            )
        board = StatsBoard(url, prefix=redis_prefix)
        opened.callback(board.close)
        wait_until(lambda: len(board.all()) == 2)
        assert main(["top", url, "--prefix", redis_prefix, "--once"]) == 0
        assert capsys.readouterr().out.count(f":{os.getpid()}:") == 2
        opened.pop_all().close()
    assert main(["top", url, "--prefix", redis_prefix, "--once"]) == 0
    assert "No store shows its statistics" in capsys.readouterr().out


@pytest.mark.parametrize(
    "kind", ["redis+sentinel://127.0.0.1:1/main", "redis+cluster://127.0.0.1:1"]
)
def test_keys_are_not_looked_for_where_servers_are_not_known(kind: str) -> None:
    client = RedisClient(kind)
    for _ in range(2):
        with pytest.raises(RedisFaultError):
            client.scan("*")
    client.close()
    assert main(["top", kind, "--once"]) == 1


def test_keys_of_a_cluster_are_not_looked_for_while_slots_have_no_owner(
    cluster: RedisCluster,
) -> None:
    client = RedisClient(cluster.url)
    assert client.scan("no such key") == set()
    route = client._route
    assert isinstance(route, Cluster)
    route._owners[7] = None
    with pytest.raises(RedisFaultError, match="down"):
        client.scan("no such key")
    client.close()
