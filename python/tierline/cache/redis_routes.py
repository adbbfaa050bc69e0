"""Which server has a key: the one there is, the sentinels' master, or the owner of its slot."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterable
from typing import Any, Protocol

import redis
from redis.crc import REDIS_CLUSTER_HASH_SLOTS as SLOTS
from redis.crc import key_slot

from tierline.cache.redis_faults import RedisFaultError
from tierline.cache.redis_limits import LIMIT_S
from tierline.cache.redis_node import Node
from tierline.cache.redis_url import Login, Place, RedisAddress
from tierline.cache.redis_wire import Wire, pack

_CLUSTER_SLOTS = pack("CLUSTER", "SLOTS")

MakeNode = Callable[[Place, Login], Node]


class Route(Protocol):
    """Where keys are."""

    def node_of(self, key: str) -> Node:
        """Who has a key.

        Raises:
            RedisFaultError: Nobody is known to.
        """
        ...

    def nodes(self) -> list[Node]:
        """Every server that has keys."""
        ...

    def find(self, until_s: float = math.inf) -> None:
        """Find out anew where keys are, until then at most.

        Raises:
            RedisFaultError: Nobody could be asked.
        """
        ...

    def moved(self, slot: int, place: Place) -> Node:
        """Note that a slot has another owner."""
        ...

    def node_at(self, place: Place) -> Node:
        """The server at a place."""
        ...


class OneServer:
    """A server that does not change."""

    def __init__(self, address: RedisAddress, make: MakeNode) -> None:
        self._node = make(address.places[0], address.login)

    def node_of(self, key: str) -> Node:  # noqa: ARG002
        """The server."""
        return self._node

    def nodes(self) -> list[Node]:
        """The server."""
        return [self._node]

    def find(self, until_s: float = math.inf) -> None:
        """Nothing: it is where it is."""

    def moved(self, slot: int, place: Place) -> Node:  # noqa: ARG002
        """No server of its own has slots.

        Raises:
            RedisFaultError: Always: the URL should say that it is a cluster.
        """
        raise RedisFaultError("moved")

    def node_at(self, place: Place) -> Node:  # noqa: ARG002
        """The server."""
        return self._node


class Sentinels:
    """The master of a service, as its sentinels tell."""

    def __init__(self, address: RedisAddress, make: MakeNode) -> None:
        self._address = address
        self._make = make
        self._ask = pack("SENTINEL", "get-master-addr-by-name", address.service)
        self._node: Node | None = None

    def node_of(self, key: str) -> Node:  # noqa: ARG002
        """The master."""
        if self._node is None:
            raise RedisFaultError("open")
        return self._node

    def nodes(self) -> list[Node]:
        """The master."""
        return [] if self._node is None else [self._node]

    def find(self, until_s: float = math.inf) -> None:
        """Ask the sentinels in turn, until one knows."""
        address = self._address
        for found in _answers(address.places, address.sentinel_login, self._ask, until_s):
            # A sentinel that does not know the service answers with nothing.
            if found:
                host, port = found
                place = Place(host.decode(), int(port))
                node = self._node
                if node is None or node.place != place:
                    self._node = self._make(place, self._address.login)
                    if node is not None:
                        node.drop_connections()
                return
        raise RedisFaultError("gone")

    def moved(self, slot: int, place: Place) -> Node:  # noqa: ARG002
        """As of a single server.

        Raises:
            RedisFaultError: Always.
        """
        raise RedisFaultError("moved")

    def node_at(self, place: Place) -> Node:  # noqa: ARG002
        """The master."""
        return self.node_of("")


class Cluster:
    """The owners of a cluster's slots."""

    def __init__(self, address: RedisAddress, make: MakeNode) -> None:
        self._address = address
        self._make = make
        self._owners: list[Node | None] = [None] * SLOTS
        self._nodes: dict[Place, Node] = {}

    def node_of(self, key: str) -> Node:
        """The owner of the key's slot."""
        node = self._owners[key_slot(key.encode())]
        if node is None:
            raise RedisFaultError("down" if self._nodes else "open")
        return node

    def nodes(self) -> list[Node]:
        """Every owner."""
        return list({id(node): node for node in self._owners if node is not None}.values())

    def is_whole(self) -> bool:
        """Whether each slot has an owner."""
        return None not in self._owners

    def find(self, until_s: float = math.inf) -> None:
        """Ask the nodes in turn, those that are well first, who owns which slots."""
        known = sorted(self._nodes.values(), key=lambda node: node.circuit.opened_s is not None)
        places = list(dict.fromkeys([*(node.place for node in known), *self._address.places]))
        answers = _answers(places, self._address.login, _CLUSTER_SLOTS, until_s)
        for asked, found in zip(places, answers, strict=True):
            if found:
                self._take(found, asked)
                return
        raise RedisFaultError("gone")

    def moved(self, slot: int, place: Place) -> Node:
        """Note that a slot has another owner."""
        node = self._owners[slot] = self.node_at(place)
        return node

    def node_at(self, place: Place) -> Node:
        """The node at a place, known or not."""
        node = self._nodes.get(place)
        if node is None:
            node = self._nodes.setdefault(place, self._make(place, self._address.login))
        return node

    def _take(self, ranges: list[Any], asked: Place) -> None:
        owners: list[Node | None] = [None] * SLOTS
        for first, last, owner, *_ in ranges:
            place = Place((owner[0] or b"").decode() or asked.host, owner[1])
            owners[first : last + 1] = [self.node_at(place)] * (last + 1 - first)
        self._owners = owners
        used = {id(node) for node in owners}
        for place, node in list(self._nodes.items()):
            if id(node) not in used:
                del self._nodes[place]
                node.drop_connections()


def every_node(route: Route) -> list[Node]:
    """The nodes that have all keys among them.

    Raises:
        RedisFaultError: They are not known, or nobody has some of the slots.
    """
    nodes = route.nodes()
    if not nodes:
        raise RedisFaultError("open")
    if isinstance(route, Cluster) and not route.is_whole():
        raise RedisFaultError("down")
    return nodes


def _answers(
    places: Iterable[Place], login: Login, request: bytes, until_s: float
) -> Generator[Any]:
    """What each place answers, given the time of a call; None for those that do not."""
    for place in places:
        now_s = time.monotonic()
        yield _answer(place, login, request, now_s, min(until_s, now_s + LIMIT_S))


def _answer(place: Place, login: Login, request: bytes, now_s: float, until_s: float) -> Any:
    try:
        wire = Wire(place, login, until_s, None)
        (answer,) = wire.exchange(request, 1, now_s, until_s)
    except (OSError, redis.RedisError):
        return None
    wire.close()
    return None if isinstance(answer, redis.ResponseError) else answer
