"""Entities and small tools that the tests against real servers share."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Generator
from typing import Annotated, Any, TypeVar

import msgspec
import psycopg

import tierline as tl
from tierline.testing.tcp_proxy import TcpProxy

E = TypeVar("E", bound=tl.RepositoryError)

WAIT_S = 20.0

OpenStore = Callable[..., tl.Store]
"""What the fixture `open_store` gives: `(url=…, *, redis=…) -> Store`."""


class Owner(msgspec.Struct, frozen=True):
    """What others refer to."""

    id: int
    name: str


class Item(msgspec.Struct, frozen=True):
    """An entity with a rule on almost every field."""

    id: int
    sku: Annotated[str, msgspec.Meta(min_length=2, max_length=40)]
    quantity: Annotated[int, msgspec.Meta(ge=0)] = 0
    note: str | None = None
    owner: int | None = None


class Page(msgspec.Struct, frozen=True):
    """An entity of the cache tests; its version tells the writes apart."""

    id: int
    slug: str
    version: int = 0
    parent: int | None = None


PAGES = tl.table(Page, name="pages", key=lambda p: p.id)
OWNERS = tl.table(Owner, name="owners", key=lambda o: o.id)
ITEMS = (
    tl.table(Item, name="items", key=lambda i: i.id)
    .foreign_key(lambda i: i.owner, OWNERS)
    .unique(lambda i: i.sku)
)


def page(id_: int, version: int = 0, parent: int | None = None) -> Page:
    """A page in a version."""
    return Page(id_, f"page-{id_}", version, parent)


def item(id_: int, **changes: Any) -> Item:
    """An item that fits, apart from the changes."""
    return msgspec.structs.replace(Item(id_, f"sku-{id_}"), **changes)


def items(count: int) -> list[Item]:
    """Items that fit, counted from 0."""
    return [item(n) for n in range(count)]


def failure(result: Any, kind: type[E], *says: str) -> E:
    """The error of a Failure of exactly this class, whose message says all of `says`."""
    assert isinstance(result, tl.Failure), f"expected a Failure of {kind.__name__}, got {result!r}"
    error = result.failure()
    assert type(error) is kind, f"expected {kind.__name__}, got {error!r}"
    for words in says:
        assert words in error.message, f"{words!r} is not in {error.message!r}"
    return error


L2_COMMANDS = ("get", "mget", "set", "del", "eval", "evalsha", "scan", "ping", "info", "select")
"""All that a store asks of Redis; a cluster's slots besides, and what a backplane's scripts use."""


def wait_until(holds: Callable[[], object], limit_s: float = WAIT_S) -> None:
    """Wait until a condition holds, in short steps.

    Raises:
        AssertionError: It does not hold in time.
    """
    deadline_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline_s, f"it did not happen in {limit_s} s"
        time.sleep(0.005)


def before_commit(store: tl.Store, action: Callable[[], object]) -> tl.EventSubscription:
    """Do something once, when the next transaction with an idempotency key has kept its result."""
    kept = 0

    def note(event: tl.Event) -> None:
        nonlocal kept
        if isinstance(event, tl.Ran) and event.operation == "idempotency":
            kept += 1
            if kept == 2:
                action()

    return store.on_event(note)


def noted(proxy: TcpProxy, words: bytes) -> threading.Event:
    """Set when a proxy has taken a message with these words, on lines that are opened later."""
    found = threading.Event()
    delayed = proxy._delayed

    def watched(source: socket.socket) -> Generator[bytes]:
        for data in delayed(source):
            if words in data:
                found.set()
            yield data

    proxy._delayed = watched  # type: ignore[method-assign]
    return found


def hold_and_cut(proxy: TcpProxy, taken: threading.Event) -> None:
    """Let the lines carry nothing more, and cut them when the message was taken that is noted."""

    def cut() -> None:
        assert taken.wait(WAIT_S)
        proxy.cut()
        proxy.thaw()

    taken.clear()
    proxy.freeze()
    threading.Thread(target=cut).start()


def is_idle(store: tl.Store) -> bool:
    """Whether every pooled connection was given back."""
    return store.database.stats().in_use == 0


def still_works(store: tl.Store) -> None:
    """The pool is at rest and the next call succeeds."""
    assert is_idle(store)
    probe = tl.table(Owner, name="still_works", key=lambda o: o.id)
    owners = tl.repository(store, probe)
    assert store.create_table(probe, exist_ok=True) == tl.Success(None)
    assert owners.create(Owner(1, "one")) == tl.Success(Owner(1, "one"))
    assert owners.delete(1) == tl.Success(None)
    assert is_idle(store)


def backends(raw: psycopg.Connection[Any], application: str) -> list[int]:
    """The process ids of the server's sessions of an application."""
    rows = raw.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = %s", (application,)
    ).fetchall()
    return [pid for (pid,) in rows]


def end_sessions(raw: psycopg.Connection[Any], application: str) -> None:
    """End every session of an application; those that a pool opens meanwhile too."""

    def all_ended() -> bool:
        pids = backends(raw, application)
        for pid in pids:
            raw.execute("SELECT pg_terminate_backend(%s)", (pid,))
        return not pids

    wait_until(all_ended)


def with_application(url: str, application: str) -> str:
    """The URL with an application name, by which its sessions are found."""
    return f"{url}{'&' if '?' in url else '?'}application_name={application}"
