"""Drive tells of changes: channels are opened, proved, renewed and stopped."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.real.helpers import wait_until
from tests.sheets.birds import Bird, birds_of
from tests.sheets.watching import NEVER_S, SOON_S, Watching, birds, watching

import tierline as tl
from tierline.sheets.channels import LIFE_S, Notice, check_address, is_from, notice_of
from tierline.store.sheet_watches import Watches
from tierline.testing.sheets import Fault, SheetsServer, unavailable
from tierline.testing.sheets.errors import drive_error
from tierline.testing.sheets.exchange import error_reply, json_reply

__all__ = ["birds", "watching"]


class Web:
    """A person's web application: it gives what Drive sends to the store."""

    def __init__(self) -> None:
        self.stores: list[Any] = []
        self.seen: list[dict[str, str]] = []
        self.answered: list[bool] = []
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                headers = dict(self.headers.items())
                is_ours = any(store.notified(headers) for store in web.stores)
                web.seen.append(headers)
                web.answered.append(is_ours)
                self.send_response(204 if is_ours else 404)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}/drive"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def web(watching: Watching) -> Iterator[Web]:
    made = Web()
    made.stores.append(watching.store)
    try:
        yield made
    finally:
        watching.store.close()
        # Before the receiver goes, what still waits is posted.
        watching.server.close()
        made.close()


class Day:
    """The time of day, as a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


def _channels(server: SheetsServer) -> list[Any]:
    return [channel for channel, _ in server._service.channels._channels.values()]


def _asked(server: SheetsServer, part: str) -> int:
    return sum(part in one.path for one in server.requests)


def test_drive_says_when_to_look(watching: Watching, birds: tl.Sheet[Bird, int], web: Web) -> None:
    watch = watching.start(birds, every_s=NEVER_S, safety_net_s=NEVER_S, address=web.address)
    assert "told by Drive, and asking every 3600 s" in repr(watch)
    watching.server.set_values(birds.spreadsheet, {"B2": "crane"})
    assert watching.heard.next()[:2] == ("update", 1)
    wait_until(lambda: len(web.answered) == 2)
    assert web.answered == [True, True]
    assert [one["X-Goog-Resource-State"] for one in web.seen] == ["sync", "update"]
    (channel,) = _channels(watching.server)
    assert len(channel.token) >= 32
    watch.close()
    assert _channels(watching.server) == []
    assert _asked(watching.server, "/channels/stop") == 1


def test_several_watches_share_an_address(
    watching: Watching, birds: tl.Sheet[Bird, int], web: Web
) -> None:
    other = birds_of(watching.server)
    quiet = {"every_s": NEVER_S, "safety_net_s": NEVER_S, "address": web.address}
    watching.start(birds, **quiet)
    second = Watching(watching.server, watching.store)
    second.start(other, **quiet)
    watching.server.set_values(other.spreadsheet, {"B2": "crane"})
    assert second.heard.next()[:2] == ("update", 1)
    watching.server.set_values(birds.spreadsheet, {"B3": "gull"})
    assert watching.heard.next()[:2] == ("update", 2)
    assert len({channel.token for channel in _channels(watching.server)}) == 2


def _headers(channel: Any, **changed: str) -> dict[str, str]:
    return {
        "X-Goog-Channel-ID": channel.id,
        "X-Goog-Channel-Token": channel.token,
        "X-Goog-Resource-State": "update",
        **{f"X-Goog-{name.replace('_', '-')}": value for name, value in changed.items()},
    }


def test_who_cannot_prove_itself_is_not_heard(
    watching: Watching, birds: tl.Sheet[Bird, int], web: Web
) -> None:
    watch = watching.start(birds, every_s=NEVER_S, safety_net_s=NEVER_S, address=web.address)
    wait_until(lambda: len(web.answered) == 1)
    (channel,) = _channels(watching.server)
    looks = watching.looks()
    store = watching.store
    for headers in (
        {},
        {"Content-Type": "text/plain"},
        _headers(channel, Channel_ID="another"),
        _headers(channel, Channel_Token="guess"),
        _headers(channel, Channel_Token=""),
        _headers(channel, Channel_Token=channel.token[:-1]),
        _headers(channel, Channel_Token="\udcff"),
    ):
        assert not store.notified(headers)
    # The first notice of a channel says nothing new.
    assert store.notified(_headers(channel, Resource_State="sync"))
    assert not watch._hinted
    assert watching.looks() == looks
    assert store.notified(_headers(channel))
    wait_until(lambda: watching.looks() > looks)
    watch.close()
    assert not store.notified(_headers(channel))


def test_headers_are_known_however_they_are_written() -> None:
    wanted = Notice("a", "b", "update")
    written = {"X-Goog-Channel-ID": "a", "x-goog-channel-token": "b"}
    assert notice_of({**written, "X-GOOG-RESOURCE-STATE": "update"}) == wanted
    environ: dict[str, Any] = {
        "HTTP_X_GOOG_CHANNEL_ID": "a",
        "HTTP_X_GOOG_CHANNEL_TOKEN": "b",
        "HTTP_X_GOOG_RESOURCE_STATE": "update",
        "wsgi.input": object(),
    }
    assert notice_of(environ) == wanted
    assert notice_of({"Host": "example.com"}) is None
    assert is_from(wanted, frozenset({"a"}), "b")
    assert not is_from(wanted, frozenset(), "b")


def test_a_channel_is_renewed_before_it_ends(
    watching: Watching, birds: tl.Sheet[Bird, int], web: Web
) -> None:
    day = Day()
    watches = Watches(watching.store._http, clock=day)
    web.stores.append(watches)
    # The server knows the true time, and gives a channel no more than a day of it.
    opened: list[dict[str, str]] = []

    def bodies() -> list[dict[str, Any]]:
        return [
            json.loads(one.body) for one in watching.server.requests if one.path.endswith("/watch")
        ]

    watching.server.inject(*(_opened(day.now_s + n * LIFE_S + LIFE_S, f"r{n}") for n in range(1)))
    watch = tl.unwrap(
        watches.open(
            birds,
            watching.heard.events.put,
            every_s=NEVER_S,
            on_error=watching.heard.errors.put,
            known=None,
            address=web.address,
            safety_net_s=NEVER_S,
        )
    )
    assert opened == []
    channel = watch._channel
    assert channel is not None
    assert channel.due_s() == pytest.approx(0.8 * LIFE_S)
    assert int(bodies()[0]["expiration"]) == (day.now_s + LIFE_S) * 1000
    day.now_s += 0.79 * LIFE_S
    watch._wake.set()
    wait_until(lambda: watching.looks() >= 3)
    assert len(bodies()) == 1
    old = channel.ids
    day.now_s += 0.02 * LIFE_S
    watching.server.inject(_opened(day.now_s + LIFE_S, "r1"))
    watch._wake.set()
    wait_until(lambda: _asked(watching.server, "/channels/stop") == 1)
    assert len(bodies()) == 2
    assert bodies()[0]["token"] == bodies()[1]["token"]
    wait_until(lambda: channel.ids == {bodies()[1]["id"]})
    assert channel.ids.isdisjoint(old)
    assert channel.due_s() == pytest.approx(0.8 * LIFE_S)
    # Opened before the old one was stopped.
    paths = [one.path for one in watching.server.requests]
    stopped = next(n for n, path in enumerate(paths) if path.endswith("/channels/stop"))
    assert sum(path.endswith("/watch") for path in paths[:stopped]) == 2
    watches.close()


def _opened(until_s: float, resource: str) -> Fault:
    """Drive's answer to `files.watch`, at a time of day that is not the server's."""
    body = {"resourceId": resource, "expiration": str(round(until_s * 1000))}
    return Fault(name="opened", path="/watch", reply=json_reply(body))


def test_who_is_not_told_is_asked_all_the_same(
    watching: Watching, birds: tl.Sheet[Bird, int], web: Web
) -> None:
    """Notices go astray: there is nobody at the address."""
    web.stores.clear()
    watching.start(birds, every_s=NEVER_S, safety_net_s=SOON_S, address=web.address)
    watching.server.set_values(birds.spreadsheet, {"B2": "crane"})
    assert watching.heard.next()[:2] == ("update", 1)


def test_until_there_is_a_channel_it_looks_often(
    watching: Watching,
    birds: tl.Sheet[Bird, int],
    web: Web,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tierline.sheets.retrying.ATTEMPTS_MAX", 1)
    refused = unavailable().reply
    watching.server.inject(Fault(name="no channel", times=100_000, path="/watch", reply=refused))
    watch = watching.start(birds, every_s=SOON_S, safety_net_s=NEVER_S, address=web.address)
    assert isinstance(watch.error, tl.ConnectionError)
    watching.server.set_values(birds.spreadsheet, {"B2": "crane"})
    assert watching.heard.next()[:2] == ("update", 1)
    watching.server.clear_faults()
    wait_until(lambda: watch.error is None)
    assert "told by Drive" in repr(watch)
    assert len(_channels(watching.server)) == 1
    assert watching.heard.is_quiet()


def test_an_address_that_drive_does_not_take_is_told(
    watching: Watching, birds: tl.Sheet[Bird, int], web: Web
) -> None:
    unauthorized = error_reply(
        drive_error(401, "push.webhookUrlUnauthorized", "Unauthorized WebHook callback channel")
    )
    fault = Fault(name="not ours", path="/watch", times=1000, reply=unauthorized)
    watching.server.inject(fault)
    error = watching.store.watch(birds, print, address=web.address).failure()
    assert isinstance(error, tl.ConfigurationError)
    assert "address" in str(error)
    watching.server.clear_faults()
    # Later on, the watch goes on by asking, and says once that it is not told any more.
    watch = watching.start(birds, every_s=SOON_S, safety_net_s=SOON_S, address=web.address)
    watching.server.inject(fault)
    assert watch._channel is not None
    watch._channel._open = None
    assert isinstance(watching.heard.next_error(), tl.ConfigurationError)
    watching.looked_again(4)
    assert watch.is_open
    assert watching.heard.is_quiet()
    watching.server.set_values(birds.spreadsheet, {"B2": "crane"})
    assert watching.heard.next()[:2] == ("update", 1)
    assert isinstance(watch.error, tl.ConfigurationError)


@pytest.mark.parametrize(
    "address", ["http://example.com/drive", "ftp://example.com", "https://", "example.com", ""]
)
def test_an_address_is_one_of_https(
    watching: Watching, birds: tl.Sheet[Bird, int], address: str
) -> None:
    with pytest.raises(ValueError, match="Drive tells of changes over HTTPS only"):
        watching.store.watch(birds, print, address=address)
    check_address("https://example.com/drive")
