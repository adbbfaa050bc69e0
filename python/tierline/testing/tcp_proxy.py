"""A TCP line to a server that a test can cut, stall, slow down and close."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from typing import final
from urllib.parse import urlsplit, urlunsplit

from tierline.testing.process import HOST

_BUFFER_BYTES = 65536
_CONNECT_WAIT_S = 5.0
_JOIN_WAIT_S = 5.0
_SETTLE_S = 0.02
# Chunks that are under way in one direction; further ones wait in the sender's buffers.
_HELD_MAX = 64
# A slow line carries as much as it can in this time, then looks at its settings again.
_PACE_S = 0.02
# Closing with this answers the peer with a reset instead of an orderly end.
_RESET = struct.pack("ii", 1, 0)


@final
class TcpProxy:
    """A line to one server; made by `tcp_proxy`.

    Attributes:
        port: The loopback port to connect to instead of the server's.
        delay_s: Seconds that bytes are under way, in each direction.
        bytes_per_s: How many bytes a second each connection carries in each direction; None for as
            many as it can.
        connect_delay_s: Seconds before a new connection carries anything.
        taken: Connections taken so far.

    All but `port` and `taken` may be set at any time; they hold for bytes that come from then on.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._mutex = threading.Lock()
        # How many threads use a line yet. The last one closes it: what another thread closes under
        # a `select` may be another line by then.
        self._users: dict[socket.socket, int] = {}
        self._threads: list[threading.Thread] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener: socket.socket | None = None
        self._answer_bytes: int | None = None
        self._counted_lines: set[socket.socket] = set()
        self.delay_s = 0.0
        self.connect_delay_s = 0.0
        self.bytes_per_s: int | None = None
        self.taken = 0
        self.port = 0
        self.allow()

    def url(self, url: str) -> str:
        """A server's URL, rewritten to go through the proxy."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{login}{at}{HOST}:{self.port}"))

    def cut(self) -> None:
        """Reset every open connection; new ones are taken."""
        with self._mutex:
            lines = list(self._users)
        for line in lines:
            _end(line)

    def cut_after(self, answer_bytes: int) -> None:
        """Carry so many more bytes of answers on the lines open now, then reset the one in use."""
        with self._mutex:
            self._answer_bytes = answer_bytes
            self._counted_lines = set(self._users)

    def refuse(self) -> None:
        """Take no new connection until `allow`; open ones stay."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # A plain close would leave the thread in accept() and the port open.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def allow(self) -> None:
        """Take new connections, on the same port as before."""
        if self._listener is None:
            self._listener = socket.create_server((HOST, self.port), backlog=128)
            self.port = self._listener.getsockname()[1]
            self._run(self._accept, self._listener)

    def freeze(self) -> None:
        """Carry no more bytes in either direction; connections are still taken and stay open."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Carry bytes again, those held back first."""
        self._flowing.set()

    def close(self) -> None:
        """Close everything and wait for the threads."""
        self.refuse()
        self.cut()
        self.thaw()
        with self._mutex:
            threads, self._threads = self._threads, []
        due_s = time.monotonic() + _JOIN_WAIT_S
        for thread in threads:
            thread.join(max(0.0, due_s - time.monotonic()))
        self.cut()

    def __repr__(self) -> str:
        host, port = self._target
        return f"<TcpProxy on port {self.port} to {host}:{port}>"

    def _run(self, function: Callable[..., None], *lines: socket.socket) -> None:
        name = f"tierline-proxy-{self.port}"
        thread = threading.Thread(target=function, args=lines, name=name, daemon=True)
        with self._mutex:
            self._threads = [thread, *(t for t in self._threads if t.is_alive())]
            thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target, _CONNECT_WAIT_S)
            except OSError:
                _end(client)
                client.close()
                continue
            server.settimeout(None)
            with self._mutex:
                self.taken += 1
                self._users |= {client: 2, server: 2}
            self._run(self._carry, client, server)
            self._run(self._carry_answers, server, client)

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        time.sleep(self.connect_delay_s)
        self._pass(source, sink, lambda _, data: data)

    def _carry_answers(self, source: socket.socket, sink: socket.socket) -> None:
        self._pass(source, sink, self._counted)

    def _counted(self, source: socket.socket, data: bytes) -> bytes:
        """What of an answer may still pass."""
        with self._mutex:
            rest = self._answer_bytes
            if rest is None or source not in self._counted_lines:
                return data
            self._answer_bytes = None if rest < len(data) else rest - len(data)
        return data[:rest]

    def _pass(
        self,
        source: socket.socket,
        sink: socket.socket,
        allowed: Callable[[socket.socket, bytes], bytes],
    ) -> None:
        try:
            for data in self._delayed(source):
                self._flowing.wait()
                passed = allowed(source, data)
                self._send(sink, passed)
                if len(passed) < len(data):
                    # Long enough for what has passed to be read: a reset may overtake it.
                    time.sleep(_SETTLE_S)
                    _end(source)
                    _end(sink)
                    return
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            _end(source)
            _end(sink)
        finally:
            self._leave(source, sink)

    def _leave(self, *lines: socket.socket) -> None:
        with self._mutex:
            for line in lines:
                self._users[line] -= 1
                if not self._users[line]:
                    del self._users[line]
                    line.close()

    def _delayed(self, source: socket.socket) -> Generator[bytes]:
        """What comes from a source, each chunk when it has been under way for long enough."""
        held: deque[tuple[float, bytes]] = deque()
        is_open = True
        while is_open or held:
            rest_s = max(0.0, held[0][0] - time.monotonic()) if held else None
            if not is_open or len(held) >= _HELD_MAX:
                time.sleep(rest_s or 0.0)
            elif select.select([source], [], [], rest_s)[0]:
                data = source.recv(_BUFFER_BYTES)
                is_open = bool(data)
                if data:
                    held.append((time.monotonic() + self.delay_s, data))
            while held and held[0][0] <= time.monotonic():
                yield held.popleft()[1]

    def _send(self, sink: socket.socket, data: bytes) -> None:
        while data:
            # Read once, as it may be set meanwhile.
            pace = self.bytes_per_s
            count = len(data) if pace is None else max(1, int(pace * _PACE_S))
            sink.sendall(data[:count])
            if pace is not None:
                time.sleep(len(data[:count]) / pace)
            data = data[count:]


def _end(line: socket.socket) -> None:
    """Wake the threads that wait on a line; closing it resets the connection."""
    with contextlib.suppress(OSError):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        line.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def tcp_proxy(target: str) -> Generator[TcpProxy]:
    """Run a proxy to a server for a block.

    Args:
        target: The server's URL, with its host and port.

    Example:
        ``with tcp_proxy(server.url) as proxy: psycopg.connect(proxy.url(server.url))``
    """
    parts = urlsplit(target)
    if parts.hostname is None or parts.port is None:
        raise ValueError("the target URL must name a host and a port")
    proxy = TcpProxy(parts.hostname, parts.port)
    try:
        yield proxy
    finally:
        proxy.close()
