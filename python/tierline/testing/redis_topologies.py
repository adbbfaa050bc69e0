"""Redis as it is run: a master that sentinels watch, and a cluster, each of real servers."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Generator, Iterable, Mapping
from typing import Any, cast, final

from tierline import errors
from tierline.postgres.embedded.postmaster import wait_until
from tierline.testing.process import HOST, ServerProcess, free_port
from tierline.testing.redis_server import RedisServer, redis_program

_SERVICE = "tierline"
_DOWN_AFTER_MS = 500
_NODE_TIMEOUT_MS = 1_000
_SLOTS = 16_384
_BUS = 10_000
_SETTLE_S = 30.0
_MIGRATE_MS = 5_000
_KEYS_A_TIME = 100


@final
class SentinelServer(ServerProcess):
    """A sentinel of a test; made by `redis_sentinel`."""

    def __init__(self, master: RedisServer) -> None:
        super().__init__("tierline-sentinel-")
        self._program = redis_program()
        # Sentinels write what they learn into their configuration.
        self._file = self.folder / "sentinel.conf"
        watch = f"sentinel monitor {_SERVICE} {master.host} {master.port} 2"
        limits = {"down-after-milliseconds": _DOWN_AFTER_MS, "failover-timeout": 3_000}
        lines = [watch, *(f"sentinel {name} {_SERVICE} {ms}" for name, ms in limits.items())]
        self._file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def __repr__(self) -> str:
        return f"<SentinelServer on port {self.port}>"

    def _spawn(self) -> subprocess.Popen[bytes]:
        options = ["--port", str(self.port), "--bind", HOST, "--dir", str(self.folder)]
        with self.log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 (the server's own full path)
                [self._program, str(self._file), "--sentinel", *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(_ask(self, "PING") == "PONG")
        return False


@final
class RedisSentinels:
    """A master, two replicas and three sentinels; made by `redis_sentinel`.

    Attributes:
        servers: The three that keep data; at the start the first is the master.
        sentinels: The three that watch.
        service: What the sentinels call the master.
    """

    def __init__(
        self, servers: tuple[RedisServer, ...], sentinels: tuple[SentinelServer, ...]
    ) -> None:
        self.servers = servers
        self.sentinels = sentinels
        self.service = _SERVICE

    @property
    def url(self) -> str:
        """How to connect, by the sentinels."""
        at = ",".join(f"{one.host}:{one.port}" for one in self.sentinels)
        return f"redis+sentinel://{at}/{self.service}/0"

    def master(self) -> RedisServer:
        """Whom a majority of the sentinels call master now.

        Raises:
            ConnectionError: They do not agree.
        """
        votes: list[int] = []
        for sentinel in self.sentinels:
            with contextlib.suppress(OSError):
                answer = _ask(sentinel, "SENTINEL", "get-master-addr-by-name", self.service)
                votes.append(int(answer[1]))
        for server in self.servers:
            if 2 * votes.count(server.port) > len(self.sentinels):
                return server
        raise errors.ConnectionError(f"the sentinels do not agree on a master: {votes}")

    def wait_for_master(self, *, other_than: RedisServer | None = None) -> RedisServer:
        """The master, once there is one that takes writes and two replicas or fewer follow it.

        Args:
            other_than: Not this one.

        Raises:
            TimeoutError: There was none in 30 s.
        """
        found: list[RedisServer] = []

        def is_there() -> bool:
            with contextlib.suppress(OSError, errors.ConnectionError):
                master = self.master()
                if master is not other_than and _ask(master, "ROLE")[0] == "master":
                    found.append(master)
            return bool(found)

        if not wait_until(is_there, _SETTLE_S):
            raise errors.TimeoutError("no master was elected in 30 s", stage="connect")
        return found[-1]

    def __repr__(self) -> str:
        return f"<RedisSentinels {self.url}>"


@final
class RedisCluster:
    """Three primaries with a replica each; made by `redis_cluster`.

    Attributes:
        servers: All six; at the start the first three are the primaries.
    """

    def __init__(self, servers: tuple[RedisServer, ...]) -> None:
        self.servers = servers

    @property
    def url(self) -> str:
        """How to connect, by any of the nodes."""
        at = ",".join(f"{one.host}:{one.port}" for one in self.servers)
        return f"redis+cluster://{at}"

    def is_whole(self) -> bool:
        """Whether every running node knows an owner for every slot."""
        with contextlib.suppress(OSError):
            running = [one for one in self.servers if one.running]
            return all("cluster_state:ok" in _ask(one, "CLUSTER", "INFO") for one in running)
        return False

    def wait_until_whole(self) -> None:
        """Wait until every slot has an owner.

        Raises:
            TimeoutError: One has none after 30 s.
        """
        if not wait_until(self.is_whole, _SETTLE_S):
            raise errors.TimeoutError("the cluster was not whole in 30 s", stage="connect")

    def slots(self) -> dict[int, list[int]]:
        """The slots of each primary, by its port, as the first running node knows them."""
        running = next(one for one in self.servers if one.running)
        owned: dict[int, list[int]] = {}
        for first, last, owner, *_ in _ask(running, "CLUSTER", "SLOTS"):
            owned.setdefault(owner[1], []).extend(range(first, last + 1))
        return owned

    def by_port(self, port: int) -> RedisServer:
        """The node that listens on a port."""
        return next(one for one in self.servers if one.port == port)

    def move_slots(self, slots: Iterable[int], source: RedisServer, target: RedisServer) -> None:
        """Move slots with their keys from one primary to another, while the cluster is used."""
        ids = {one.port: _ask(one, "CLUSTER", "MYID") for one in (source, target)}
        for slot in slots:
            _ask(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source.port])
            _ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target.port])
            while keys := _ask(source, "CLUSTER", "GETKEYSINSLOT", slot, _KEYS_A_TIME):
                to = (HOST, target.port, "", 0, _MIGRATE_MS, "KEYS")
                _ask(source, "MIGRATE", *to, *keys)
            for one in (target, source):
                _ask(one, "CLUSTER", "SETSLOT", slot, "NODE", ids[target.port])

    def __repr__(self) -> str:
        return f"<RedisCluster {self.url}>"


@contextlib.contextmanager
def redis_sentinel(*, settings: Mapping[str, str] | None = None) -> Generator[RedisSentinels]:
    """Run a master, two replicas and three sentinels for a block, on free ports.

    Args:
        settings: Settings of the three that keep data.

    Raises:
        ConfigurationError: There is no `redis-server`.
        ConnectionError: A server did not start.
        TimeoutError: The sentinels did not find each other and the replicas in 30 s.
    """
    with contextlib.ExitStack() as stack:
        master = RedisServer(settings or {})
        stack.callback(master.remove)
        master.start_anywhere()
        follow = ("--replicaof", master.host, str(master.port))
        servers = [master]
        for _ in range(2):
            replica = RedisServer(settings or {}, follow)
            stack.callback(replica.remove)
            replica.start_anywhere()
            servers.append(replica)
        sentinels: list[SentinelServer] = []
        for _ in range(3):
            sentinel = SentinelServer(master)
            stack.callback(sentinel.remove)
            sentinel.start_anywhere()
            sentinels.append(sentinel)
        if not wait_until(lambda: all(map(_knows_all, sentinels)), _SETTLE_S):
            raise errors.TimeoutError("the sentinels did not meet in 30 s", stage="connect")
        yield RedisSentinels(tuple(servers), tuple(sentinels))


@contextlib.contextmanager
def redis_cluster(*, settings: Mapping[str, str] | None = None) -> Generator[RedisCluster]:
    """Run a cluster of three primaries and three replicas for a block, on free ports.

    Args:
        settings: Settings of each node.

    Raises:
        ConfigurationError: There is no `redis-server`.
        ConnectionError: A server did not start.
        TimeoutError: The cluster was not whole in 30 s.
    """
    own = {
        "cluster-enabled": "yes",
        "cluster-node-timeout": str(_NODE_TIMEOUT_MS),
    }
    with contextlib.ExitStack() as stack:
        servers: list[RedisServer] = []
        for _ in range(6):
            server = RedisServer({**own, **(settings or {})})
            stack.callback(server.remove)
            server.port = _port_with_bus()
            server.start()
            servers.append(server)
        cluster = RedisCluster(tuple(servers))
        _join(servers)
        cluster.wait_until_whole()
        if not wait_until(lambda: _replicas_of(servers[0]) == 3, _SETTLE_S):
            raise errors.TimeoutError("the cluster has no replicas after 30 s", stage="connect")
        yield cluster


def _join(servers: list[RedisServer]) -> None:
    first = servers[0]
    for epoch, server in enumerate(servers, 1):
        _ask(server, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
        if server is not first:
            _ask(server, "CLUSTER", "MEET", HOST, first.port)
    for part, server in enumerate(servers[:3]):
        slots = range(part * _SLOTS // 3, (part + 1) * _SLOTS // 3)
        _ask(server, "CLUSTER", "ADDSLOTS", *slots)
    for primary, replica in zip(servers[:3], servers[3:], strict=True):
        id_ = _ask(primary, "CLUSTER", "MYID")

        def follows(replica: RedisServer = replica, id_: str = id_) -> bool:
            # It has to hear of the primary first.
            with contextlib.suppress(errors.QueryError):
                return bool(_ask(replica, "CLUSTER", "REPLICATE", id_) == "OK")
            return False

        wait_until(follows, _SETTLE_S)


def _replicas_of(server: RedisServer) -> int:
    lines = str(_ask(server, "CLUSTER", "NODES")).splitlines()
    return sum("slave" in line.split()[2] for line in lines)


def _knows_all(sentinel: SentinelServer) -> bool:
    with contextlib.suppress(OSError):
        fields = _ask(sentinel, "SENTINEL", "MASTER", _SERVICE)
        known: dict[str, str] = dict(zip(fields[::2], fields[1::2], strict=True))
        return (known["num-slaves"], known["num-other-sentinels"]) == ("2", "2")
    return False


def _port_with_bus() -> int:
    """A free port that leaves room for the one by which nodes talk: 10,000 above."""
    while True:
        port = free_port()
        if port + _BUS >= 65_536:
            continue
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind((HOST, port + _BUS))
            return port


def _ask(server: ServerProcess, *words: str | int) -> Any:
    """What a server answers.

    Raises:
        OSError: It does not.
        QueryError: With an error.
    """
    import hiredis  # noqa: PLC0415 (a driver is imported when first used)

    reader = hiredis.Reader(replyError=_Refusal, encoding="utf-8")
    pack = cast("Any", hiredis).pack_command
    with socket.create_connection((server.host, server.port), 5) as line:
        line.sendall(pack(words))
        while (reply := reader.gets()) is False:
            data = line.recv(65_536)
            if not data:
                raise ConnectionResetError(f"{server!r} closed the connection")
            reader.feed(data)
    if isinstance(reply, _Refusal):
        raise errors.QueryError(f"{server!r} refuses {words[0]}: {reply}")
    return reply


class _Refusal(Exception):  # noqa: N818 (an answer, not raised)
    """An error that Redis answers with."""
