"""A PgBouncer in front of a test's server, in transaction mode."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Generator
from typing import final

import psycopg
import pytest

from tierline.postgres.embedded.account import server_account
from tierline.testing import PostgresServer
from tierline.testing.process import ServerProcess

TRACKS_SINCE = (1, 21)
"""The version that learnt `max_prepared_statements`."""

_CONFIG = """\
[databases]
bounced = host={host} port={server_port} dbname=tierline user=tierline password={password} \
connect_query='SET search_path TO {schema}'

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
min_pool_size = {pool_size}
server_round_robin = 1
ignore_startup_parameters = extra_float_digits
{tracking}
"""


def program() -> str:
    """Where PgBouncer is; the test is skipped where it is not."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("there is no pgbouncer here; Debian's package of that name has it")
    return found


def version() -> tuple[int, int]:
    """PgBouncer's major and minor version."""
    said = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"PgBouncer (\d+)\.(\d+)", said.stdout)
    assert found is not None, said.stdout
    return int(found[1]), int(found[2])


@final
class PgBouncer(ServerProcess):
    """A PgBouncer whose clients take turns on its servers' sessions after each transaction."""

    def __init__(
        self, behind: PostgresServer, schema: str, *, tracked: int, pool_size: int
    ) -> None:
        super().__init__("tierline-pgbouncer-")
        self._program = program()
        self._behind = behind
        self._schema = schema
        self._tracked = tracked
        self._pool_size = pool_size
        self.account = server_account()
        if self.account.is_other:
            os.chown(self.folder, self.account.uid, self.account.gid)

    @property
    def url(self) -> str:
        """How to connect through it."""
        return f"postgresql://tierline@{self.host}:{self.port}/bounced"

    def _spawn(self) -> subprocess.Popen[bytes]:
        config = self.folder / "pgbouncer.ini"
        # An old one does not know the setting, and does what 0 means.
        tracks = version() >= TRACKS_SINCE
        config.write_text(
            _CONFIG.format(
                host=self._behind.host,
                server_port=self._behind.port,
                password=self._behind.password,
                schema=self._schema,
                port=self.port,
                pool_size=self._pool_size,
                tracking=f"max_prepared_statements = {self._tracked}" if tracks else "",
            )
        )
        config.chmod(0o644)
        with self.log.open("wb") as log:
            return self.account.spawn([self._program, config], cwd=self.folder, output=log)

    def _is_ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@contextlib.contextmanager
def pgbouncer(
    behind: PostgresServer, schema: str, *, tracked: int, pool_size: int = 3
) -> Generator[PgBouncer]:
    """Run a PgBouncer for a block.

    Args:
        behind: The server it leads to, as its superuser.
        schema: The schema its sessions work in.
        tracked: `max_prepared_statements`; 0 keeps none, as versions before 1.21.
        pool_size: How many sessions its clients share.
    """
    if tracked and version() < TRACKS_SINCE:
        pytest.skip("this pgbouncer is older than 1.21, which learnt max_prepared_statements")
    server = PgBouncer(behind, schema, tracked=tracked, pool_size=pool_size)
    try:
        server.start_anywhere()
        yield server
    finally:
        server.remove()
