"""A real PostgreSQL on a loopback port, for tests."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import final

from tierline import errors
from tierline.postgres.embedded import postmaster
from tierline.postgres.embedded.account import server_account
from tierline.postgres.embedded.binaries import Version, programs
from tierline.testing.process import HOST, ServerProcess

USER = "tierline"
DATABASE = "tierline"

_SETTINGS = {
    "listen_addresses": HOST,
    # A test's data need not outlive the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "max_prepared_transactions": "64",
    "timezone": "UTC",
    "shared_buffers": "64MB",
}


@final
class PostgresServer(ServerProcess):
    """A PostgreSQL server of a test; made by `postgres_server`.

    Attributes:
        version: The major version.
        data_dir: PostgreSQL's own directory.
        programs: The folder of `psql`, `pg_basebackup` and the rest.
        password: The password of the superuser `tierline`.
        settings: What the server is started with; changes hold from the next start on.
    """

    def __init__(self, version: Version, settings: Mapping[str, str]) -> None:
        super().__init__("tierline-postgres-")
        self.version: Version = version
        self.account = server_account()
        self.programs = programs(version, self.account)
        self.password = secrets.token_hex(8)
        self.settings = dict(settings)
        self.data_dir = self.folder / "cluster"
        if self.account.is_other:
            os.chown(self.folder, self.account.uid, self.account.gid)

    @property
    def url(self) -> str:
        """How to connect as the superuser, by TCP and password."""
        return f"postgresql://{USER}:{self.password}@{self.host}:{self.port}/{DATABASE}"

    def initialise(self) -> None:
        """Make the cluster and its database.

        Raises:
            ConfigurationError: PostgreSQL refused.
        """
        secret = self.folder / "password"
        secret.write_text(self.password)
        secret.chmod(0o644)
        self._run(
            [
                *(self.programs / "initdb", "-D", self.data_dir, "-U", USER),
                *("--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"),
                *("--auth=scram-sha-256", f"--pwfile={secret}"),
            ]
        )
        secret.unlink()
        self._run(
            [self.programs / "postgres", "--single", "-D", self.data_dir, "-F", "postgres"],
            text=f"CREATE DATABASE {DATABASE};\n",
        )

    def copy(self, primary: PostgresServer) -> None:
        """Make the cluster as a copy of a running server's, to follow it from then on.

        Raises:
            ConfigurationError: PostgreSQL refused.
        """
        self.password = primary.password
        self._run(
            [
                *(self.programs / "pg_basebackup", "-D", self.data_dir, "-d", primary.url),
                *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            ]
        )

    def __repr__(self) -> str:
        return f"<PostgresServer {self.version} on port {self.port}>"

    def _spawn(self) -> subprocess.Popen[bytes]:
        places = {"port": str(self.port), "unix_socket_directories": str(self.folder)}
        argv = postmaster.command(self.programs, self.data_dir, _SETTINGS | self.settings | places)
        # A file of the last server would be taken for this one's.
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        with self.log.open("wb") as log:
            return self.account.spawn(argv, cwd=self.data_dir, output=log)

    def _is_ready(self) -> bool:
        server = postmaster.recorded(self.data_dir)
        return server is not None and server.pid == self.pid and server.accepts()

    @property
    def _stop_signal(self) -> signal.Signals:
        return signal.SIGINT

    @property
    def _end_signal(self) -> signal.Signals:
        # An immediate shutdown gives its shared memory back, of which a machine has 4,096 pieces.
        return signal.SIGQUIT

    def _run(self, argv: Sequence[str | Path], *, text: str = "") -> None:
        done = self.account.run(argv, text=text)
        if done.returncode != 0 or "ERROR:" in done.stdout:
            raise errors.ConfigurationError(f"{Path(argv[0]).name} failed: {done.stdout.strip()}")


@contextlib.contextmanager
def postgres_server(
    version: Version = 18, *, settings: Mapping[str, str] | None = None
) -> Generator[PostgresServer]:
    """Run a PostgreSQL server for a block; it and its data are gone afterwards.

    It listens on a free port of 127.0.0.1 and asks for a password (SCRAM). Its clients
    are not waited for. Durability is off (`fsync`).

    Args:
        version: The major version, 18 or 16.
        settings: Server settings by name, such as `{"wal_level": "logical"}`.

    Raises:
        ConfigurationError: PostgreSQL's programs are missing or do not run here.
        ConnectionError: The server did not start.
        TimeoutError: It was not ready in 30 s.
    """
    server = PostgresServer(version, settings or {})
    try:
        server.initialise()
        server.start_anywhere()
        yield server
    finally:
        server.remove()


@contextlib.contextmanager
def postgres_replica(
    primary: PostgresServer, *, settings: Mapping[str, str] | None = None
) -> Generator[PostgresServer]:
    """Run a streaming replica of a server for a block; it is gone afterwards.

    It answers read-only queries as soon as the block begins. `pg_wal_replay_pause()` makes
    it lag, `pg_promote()` makes it a primary.

    Args:
        primary: The server to follow, which must be running.
        settings: Server settings by name, beyond those of the primary.

    Raises:
        ConfigurationError: The primary cannot be copied.
        ConnectionError: The replica did not start.
        TimeoutError: It was not ready in 30 s.
    """
    server = PostgresServer(primary.version, primary.settings | dict(settings or {}))
    try:
        server.copy(primary)
        server.start_anywhere()
        yield server
    finally:
        server.remove()
