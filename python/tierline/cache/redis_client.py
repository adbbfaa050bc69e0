"""Redis behind one face, whatever the topology: short waits, no retries, and help from beside.

A call asks the server that has the key, once, and follows a cluster's redirections. If the server
fails, its circuit opens: further calls are told at once, while a thread looks for the server, or
for whoever took its place, until it is found. Nobody who reads waits for that.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, cast
from weakref import WeakSet

import redis
from redis.exceptions import AskError

from tierline.cache.redis_calls import Answer, Reply, Script, Values
from tierline.cache.redis_faults import RedisFaultError, fault_of
from tierline.cache.redis_limits import LIMIT_S, LIMIT_S_MIN
from tierline.cache.redis_node import Node
from tierline.cache.redis_routes import Cluster, MakeNode, OneServer, Route, Sentinels, every_node
from tierline.cache.redis_url import Login, Place, RedisAddress, read_redis_url
from tierline.cache.redis_wire import pack
from tierline.cache.round_trips import RoundTrips

_REDIRECTIONS_MAX = 5
_ASKING = pack("ASKING")
_HEAL_PAUSE_S = 0.1
_HEAL_PAUSE_S_MAX = 1.0
_AGAIN_PAUSE_S = 0.005
_JOIN_S = 0.5
_ROUTES: dict[str, Callable[[RedisAddress, MakeNode], Route]] = {
    "standalone": OneServer,
    "sentinel": Sentinels,
    "cluster": Cluster,
}


class RedisClient:
    """Calls of Redis; safe to share between threads, and with what a process forks.

    Attributes:
        address: What the URL says.
        trips: How often it asked a server.

    Args:
        url: See `tierline.cache.redis_url`.

    Raises:
        ValueError: The URL cannot be read.
    """

    def __init__(self, url: str) -> None:
        self.address: RedisAddress = read_redis_url(url)
        self.trips = RoundTrips()
        self._route: Route = _ROUTES[self.address.topology](self.address, self._make)
        self._is_found = self.address.topology == "standalone"
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._healer: threading.Thread | None = None
        _clients.add(self)

    def execute(
        self, *words: str | bytes | float, key: str, within_s: float | None = None
    ) -> Reply:
        """What the server of a key answers to any command, sent once: it need not bear a repeat.

        Args:
            words: The command and its arguments.
            key: The key that it is about, or any of one hash tag.
            within_s: Time that it may take, whatever the caller's deadline is; 0.2 without. For one
                that blocks (`XREADGROUP … BLOCK`) longer than it blocks.

        Raises:
            RedisFaultError: Redis did not answer, or with an error: `fault` says why. Unless it is
                `"open"` or an error that Redis answers with, it may have been done.
        """
        limit_s = LIMIT_S if within_s is None else within_s
        return self._ask(key, pack(*words), within_s=limit_s)

    def reign_of(self, key: str) -> str:
        """The reign, as far as is known, of the server that has a key.

        Raises:
            RedisFaultError: The server cannot be asked.
        """
        return self._node_of(key).known_reign()

    def get(self, key: str) -> Reply:
        """The value of a key, or None.

        Raises:
            RedisFaultError: Redis did not answer.
        """
        return self._ask(key, pack("GET", key))

    def get_many(self, keys: Sequence[str]) -> list[Values | RedisFaultError]:
        """The values of keys, by their servers; a fault for each server that did not answer."""
        if not isinstance(self._route, Cluster):
            try:
                values, reign = self._ask(keys[0], pack("MGET", *keys))
            except RedisFaultError as fault:
                return [fault]
            return [Values(list(range(len(keys))), values, reign)]
        found: list[Values | RedisFaultError] = []
        by_reign: dict[str, Values] = {}
        for index, reply in enumerate(self._ask_many(keys, [pack("GET", key) for key in keys])):
            if isinstance(reply, RedisFaultError):
                found.append(reply)
            else:
                values = by_reign.setdefault(reply.reign, Values([], [], reply.reign))
                values.indices.append(index)
                values.values.append(reply.value)
        return [*found, *by_reign.values()]

    def run(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[str | bytes | int],
        *,
        least_s: float = 0.0,
    ) -> Reply:
        """What a script answers whose keys are all of one hash tag; it must bear being run twice.

        Args:
            script: The script.
            keys: Its keys.
            args: Its arguments.
            least_s: Time that it is given whatever the caller's deadline is.

        Raises:
            RedisFaultError: Redis did not run it, or it ended with an error.
        """
        words = (len(keys), *keys, *args)
        try:
            return self._ask(keys[0], pack("EVALSHA", script.sha, *words), least_s=least_s)
        except RedisFaultError as error:
            if error.fault != "unknown script":
                raise
        return self._ask(keys[0], pack("EVAL", script.text, *words), least_s=least_s)

    def run_many(
        self,
        script: Script,
        calls: Sequence[tuple[Sequence[str], Sequence[str | bytes | int]]],
        *,
        least_s: float = 0.0,
    ) -> Sequence[Answer]:
        """What a script answers to each of many calls, which are sent at once.

        Args:
            script: The script.
            calls: Keys, all of one hash tag, and arguments of each.
            least_s: As in `run`.

        Returns:
            Its answer, or why it was not run, in the order of the calls.
        """
        firsts = [keys[0] for keys, _ in calls]
        requests = [pack("EVALSHA", script.sha, len(keys), *keys, *args) for keys, args in calls]
        replies = self._ask_many(firsts, requests, least_s)
        for index, (keys, args) in enumerate(calls):
            reply = replies[index]
            if isinstance(reply, RedisFaultError) and reply.fault in ("unknown script", "again"):
                replies[index] = self._run_again(script, keys, args, least_s)
        return replies

    def run_for_each(
        self,
        script: Script,
        groups: Sequence[Sequence[str]],
        args: Sequence[str | bytes | int],
        *,
        least_s: float = 0.0,
    ) -> Sequence[Answer]:
        """Run a script that takes any number of groups of keys, each of one hash tag.

        Returns:
            For each group an answer, or why it was not run.
        """
        if isinstance(self._route, Cluster):
            return self.run_many(script, [(group, args) for group in groups], least_s=least_s)
        try:
            keys = [key for group in groups for key in group]
            reply = self.run(script, keys, args, least_s=least_s)
        except RedisFaultError as fault:
            return [fault] * len(groups)
        return [reply] * len(groups)

    def scan(self, pattern: str, *, within_s: float | None = None) -> set[bytes]:
        """Every key that matches, on every server; slow. `within_s` is of each call to one.

        Raises:
            RedisFaultError: A server did not answer.
        """
        if not self._is_found:
            self._find()
        found: set[bytes] = set()
        for node in every_node(self._route):
            cursor = b"0"
            while True:
                request = pack("SCAN", cursor, "MATCH", pattern, "COUNT", 1_000)
                (reply,), _ = node.ask(request, 1, least_s=LIMIT_S_MIN, within_s=within_s)
                if isinstance(reply, redis.ResponseError):
                    raise RedisFaultError(fault_of(reply))
                cursor, keys = reply
                found.update(keys)
                if cursor == b"0":
                    break
        return found

    def close(self) -> None:
        """Close the connections; calls are refused from now on."""
        self._closed.set()
        healer = self._healer
        if healer is not None and healer is not threading.current_thread():
            healer.join(_JOIN_S)
        for node in self._route.nodes():
            node.drop_connections()

    def renew(self) -> None:
        """Begin anew in a child process."""
        self._lock = threading.Lock()
        self._closed = _copy(self._closed)
        self.trips.renew()
        self._healer = None
        for node in self._route.nodes():
            node.renew()

    def _ask(
        self, key: str, request: bytes, *, least_s: float = 0.0, within_s: float | None = None
    ) -> Reply:
        node = self._node_of(key)
        (reply,), reign = node.ask(request, 1, least_s=least_s, within_s=within_s)
        if isinstance(reply, redis.ResponseError):
            return self._follow(reply, request, within_s)
        return Reply(reply, reign)

    def _follow(
        self, reply: redis.ResponseError, request: bytes, within_s: float | None = None
    ) -> Reply:
        """The answer of whom an error leads to."""
        for _ in range(_REDIRECTIONS_MAX):
            fault = fault_of(reply)
            if not isinstance(reply, AskError):
                raise RedisFaultError(fault)
            host: str = cast("Any", reply).host
            place = Place(host or self.address.places[0].host, reply.port)
            if fault == "moved":
                node = self._route.moved(reply.slot_id, place)
                self._heal()
                found, reign = node.ask(request, 1, within_s=within_s)
            else:
                node = self._route.node_at(place)
                found, reign = node.ask(_ASKING + request, 2, within_s=within_s)
            answer = found[-1]
            if not isinstance(answer, redis.ResponseError):
                return Reply(answer, reign)
            reply = answer
        raise RedisFaultError("moved")

    def _ask_many(
        self, keys: Sequence[str], requests: Sequence[bytes], least_s: float = 0.0
    ) -> list[Answer]:
        """Send what each node has to answer at once."""
        by_node: dict[int, tuple[Node, list[int]]] = {}
        found: dict[int, Answer] = {}
        for index, key in enumerate(keys):
            try:
                node = self._node_of(key)
            except RedisFaultError as fault:
                found[index] = fault
            else:
                by_node.setdefault(id(node), (node, []))[1].append(index)
        for node, indices in by_node.values():
            request = b"".join([requests[index] for index in indices])
            try:
                replies, reign = node.ask(request, len(indices), least_s=least_s)
            except RedisFaultError as fault:
                found.update(dict.fromkeys(indices, fault))
                continue
            for index, reply in zip(indices, replies, strict=True):
                found[index] = self._settled(reply, reign, requests[index])
        return [found[index] for index in range(len(keys))]

    def _settled(self, reply: Any, reign: str, request: bytes) -> Answer:
        if not isinstance(reply, redis.ResponseError):
            return Reply(reply, reign)
        try:
            return self._follow(reply, request)
        except RedisFaultError as fault:
            return fault

    def _run_again(
        self,
        script: Script,
        keys: Sequence[str],
        args: Sequence[str | bytes | int],
        least_s: float,
    ) -> Answer:
        """Run it whole: it was unknown there, or its keys were on their way to another node."""
        until_s = time.monotonic() + LIMIT_S
        while True:
            try:
                return self.run(script, keys, args, least_s=least_s)
            except RedisFaultError as error:
                if error.fault != "again" or time.monotonic() >= until_s:
                    return error
                time.sleep(_AGAIN_PAUSE_S)

    def _node_of(self, key: str) -> Node:
        if not self._is_found:
            self._find()
        try:
            return self._route.node_of(key)
        except RedisFaultError:
            self._heal()
            raise

    def _find(self) -> None:
        """Look for the servers, for the first time."""
        with self._lock:
            if self._is_found:
                return
            # Whatever comes of it: nobody waits again, who looks further does it from beside.
            self._is_found = True
            try:
                self._route.find(time.monotonic() + LIMIT_S)
            except RedisFaultError:
                is_lost = True
            else:
                is_lost = False
        if is_lost:
            self._heal()
            raise RedisFaultError("gone")

    def _make(self, place: Place, login: Login) -> Node:
        return Node(place, login, self._heal, self.trips)

    def _heal(self) -> None:
        """Have a thread look after what fails, unless one does."""
        with self._lock:
            if self._healer is not None or self._closed.is_set():
                return
            name = "tierline-redis-heal"
            self._healer = threading.Thread(target=self._look_after, name=name, daemon=True)
            self._healer.start()

    def _look_after(self) -> None:
        pause_s = _HEAL_PAUSE_S
        while not self._closed.wait(self._until_a_probe(pause_s)):
            pause_s = min(2 * pause_s, _HEAL_PAUSE_S_MAX)
            if self._is_well():
                with self._lock:
                    self._healer = None
                # What failed in between found this thread at work.
                if any(node.circuit.opened_s is not None for node in self._route.nodes()):
                    self._heal()
                return

    def _until_a_probe(self, pause_s: float) -> float:
        """How long to wait: no longer than until a server may be tried again."""
        now_s = time.monotonic()
        circuits = [node.circuit for node in self._route.nodes()]
        waits = [one.next_s - now_s for one in circuits if one.opened_s is not None]
        return min([pause_s, *(wait_s for wait_s in waits if wait_s > 0)])

    def _is_well(self) -> bool:
        try:
            self._route.find()
        except Exception:  # noqa: BLE001 (whatever it is, they are looked for again)
            return False
        nodes = self._route.nodes()
        well = [node.circuit.opened_s is None or node.probe() for node in nodes]
        return bool(well) and all(well)

    def __repr__(self) -> str:
        return f"<RedisClient {self.address}>"


_clients: WeakSet[RedisClient] = WeakSet()


def _copy(event: threading.Event) -> threading.Event:
    copied = threading.Event()
    if event.is_set():
        copied.set()
    return copied


def _renew_all() -> None:
    for client in tuple(_clients):
        client.renew()


os.register_at_fork(after_in_child=_renew_all)
