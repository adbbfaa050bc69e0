"""The types that users of deadlines, pools, servers and events see; never run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, assert_type

import msgspec

import tierline as tl


class Stop(msgspec.Struct, frozen=True):
    id: int
    name: str


STOPS = tl.table(Stop, name="stops", key=lambda s: s.id)
Circuit = Literal["closed", "open", "half-open"]


def named(stop: Stop, *, loudly: bool) -> str:
    return stop.name.upper() if loudly else stop.name


def deadlines(stop: Stop) -> None:
    with tl.deadline(2.0) as nothing:
        assert_type(nothing, None)
    with tl.deadline(2):
        assert_type(tl.remaining_s(), float)
    assert_type(tl.carried(named)(stop, loudly=True), str)
    assert_type(tl.carried(lambda: 3)(), int)


def following(token: str) -> None:
    assert_type(tl.write_token(), str)
    with tl.read_after(token) as nothing:
        assert_type(nothing, None)


def opening() -> None:
    pool = tl.PoolOptions(size=8, size_min=2, waiting_max=100, lifetime_s=600, idle_s=60)
    assert_type(pool, tl.PoolOptions)
    assert_type(pool.size, int)
    reads = tl.reads("weighted", max_lag_s=5, weights=[1, 0.5], wait_s=0.1)
    assert_type(reads, tl.ReadPolicy)

    def credentials() -> dict[str, str]:
        return {"password": "one"}

    store = tl.open(
        "postgresql://h/d",
        replicas=["host=h2"],
        reads=reads,
        pool=pool,
        credentials=credentials,
    )
    assert_type(store, tl.Store)
    opened = tl.connect("postgresql://h/d", replicas=("host=h2",), reads=tl.reads("nearest"))
    assert_type(opened, tl.Result[tl.Store, tl.RepositoryError])
    announcing = tl.open(
        "postgresql://h/d",
        redis="redis://h",
        backplane="redis",
        max_staleness_s=2,
        unannounced_writes="commit",
    )
    assert_type(announcing, tl.Store)


def managing(store: tl.Store) -> None:
    assert_type(store.warm_up(), tl.Result[None, tl.RepositoryError])
    assert_type(store.install_backplane([STOPS]), tl.Result[None, tl.RepositoryError])
    assert_type(store.uninstall_backplane([STOPS]), tl.Result[None, tl.RepositoryError])
    assert_type(store.drain(), None)
    assert_type(store.resize(tl.PoolOptions(size=4)), None)
    assert_type(store.cursor_secret, bytes)
    assert_type(
        store.atomically(lambda tx: tl.repository(tx, STOPS).get_by_id(1)),
        tl.Result[Stop, tl.RepositoryError],
    )


def looking(store: tl.Store) -> None:
    health = store.health()
    assert_type(health, tl.Health)
    assert_type(health.ok, bool)
    assert_type(health.nodes, tuple[tl.NodeHealth, ...])
    node = health.nodes[0]
    assert_type(node.role, Literal["primary", "replica", "outdated", "unknown"])
    assert_type(node.circuit, Circuit)
    assert_type(node.lag_bytes, int | None)
    assert_type(node.lag_s, float)
    assert_type(node.version, str | None)
    assert_type(node.last_error, str | None)
    assert_type(node.pool, tl.PoolStats)
    assert_type(node.pool.waiting, int)


def encrypting(key: bytes) -> None:
    keys = tl.EncryptionKeys(current="2026-11", keys={"2026-11": key})
    assert_type(keys, tl.EncryptionKeys)
    assert_type(keys.current, str)
    assert_type(keys.keys, Mapping[str, bytes])
    assert_type(tl.open(redis="redis+cluster://a,b", encryption=keys), tl.Store)


def note(event: tl.Event) -> str:
    match event:
        case tl.Ran():
            assert_type(event.table, str | None)
            assert_type(event.error, str | None)
            assert_type(event.total_s, float)
            return event.operation
        case tl.Acquired():
            assert_type(event.waited_s, float)
            return event.node
        case tl.Retried():
            assert_type(event.attempt, int)
            return event.error
        case tl.FailedOver():
            assert_type(event.before, str | None)
            return event.after
        case tl.CircuitChanged():
            assert_type(event.after, Circuit)
            return event.node
        case tl.WroteBehind():
            assert_type(event.operations, int)
            return event.table
        case tl.DeadLettered():
            return event.error


def hearing(store: tl.Store) -> None:
    assert_type(store.on_event(note), tl.EventSubscription)
    note_too: Callable[[object], None] = print
    with store.on_event(note_too) as subscription:
        assert_type(subscription, tl.EventSubscription)
        assert_type(subscription.close(), None)
