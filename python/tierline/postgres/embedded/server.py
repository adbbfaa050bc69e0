"""Starting the embedded server, or joining the one that runs, and stopping it after the last."""

from __future__ import annotations

import os
import time
import weakref
from pathlib import Path

from tierline import errors
from tierline.closing import Closing
from tierline.postgres.embedded import postmaster
from tierline.postgres.embedded.cluster import DATABASE, ROLE
from tierline.postgres.embedded.folder import MAJOR, Folder, prepare
from tierline.postgres.embedded.launch import launch, remove_socket_dir
from tierline.postgres.embedded.locks import FileLock, held

_CLOSE_WAIT_S = 2.0
_LEFTOVERS_WAIT_S = 10.0


class EmbeddedServer(Closing):
    """One user's hold on an embedded server; made by `start_or_join`.

    The server runs while anyone holds it, in this process or another, and stops when the
    last one lets go: by `close`, by leaving a `with` block, when the object is collected or
    at interpreter exit. After a forked process closes its copy the parent's hold goes on.

    Attributes:
        data_dir: The folder that holds the data.
        started: Whether this call started the server; False if it joined a running one.
        conninfo: How psycopg or any other libpq client on this machine connects to it.
        pid: The server's process id when this hold began.
    """

    def __init__(
        self, folder: Folder, users: FileLock, server: postmaster.Postmaster, *, started: bool
    ) -> None:
        self.data_dir = folder.path
        self.started = started
        self.pid = server.pid
        place = f"host={_quoted(server.socket_dir)} port={server.port}"
        self.conninfo = f"{place} dbname={DATABASE} user={ROLE}"
        self._close = weakref.finalize(self, _leave, folder, users, server.pid, os.getpid())

    def close(self) -> None:
        """Let go of the server; stops it if nobody else holds it. Harmless when repeated.

        Raises:
            TimeoutError: The server did not stop in 20 s; it still runs.
        """
        self._close()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._close.alive

    def __repr__(self) -> str:
        state = "closed" if self.closed else "started" if self.started else "joined"
        return f"<EmbeddedServer PostgreSQL {MAJOR} in {str(self.data_dir)!r}: {state}>"


def start_or_join(path: Path | None = None, *, timeout_s: float = 60.0) -> EmbeddedServer:
    """Start a PostgreSQL server on a folder, or join the one that already runs there.

    The first start makes the folder and a database in it, in about a second. The server
    listens on a Unix socket only, which only the folder's owner (and root) may use.

    Args:
        path: The data's folder, its own; by default one for each user, and for root one
            for the machine, served by an unprivileged system account `tierline`.
        timeout_s: Seconds to wait for another process that starts or stops it, and for
            the server to get ready.

    Raises:
        ConfigurationError: The folder or the installation cannot work; the message says
            what to do.
        ConnectionError: The server did not start; the message ends with its log.
        TimeoutError: It was not ready in time.

    Example:
        ``with start_or_join() as server: psycopg.connect(server.conninfo)``
    """
    folder = prepare(path)
    try:
        return _hold(folder, time.monotonic() + timeout_s)
    except OSError as error:
        raise errors.ConfigurationError(
            f"cannot use {folder.path} for the embedded PostgreSQL"
            f" ({error}); mend it, give another path, or a URL",
            operation="open",
        ) from error


def _hold(folder: Folder, deadline: float) -> EmbeddedServer:
    wait_s = deadline - time.monotonic()
    with held(folder.start_lock, folder.account, wait_s=wait_s) as obtained:
        if not obtained:
            raise errors.TimeoutError(
                f"another process kept starting or stopping the server of {folder.path}",
                stage="connect",
                operation="open",
                elapsed_s=wait_s,
            )
        users = FileLock(folder.users_lock, folder.account)
        try:
            # Nobody takes it alone without the start lock, so this succeeds at once.
            users.share()
            server, started = _server(folder, deadline)
            return EmbeddedServer(folder, users, server, started=started)
        except BaseException:
            users.release()
            raise


def _server(folder: Folder, deadline: float) -> tuple[postmaster.Postmaster, bool]:
    """A server that is ready, and whether it was started for that."""
    server = _live(folder, deadline)
    lock = FileLock(folder.server_lock, folder.account)
    try:
        if server is None and lock.own(wait_s=_LEFTOVERS_WAIT_S):
            return launch(folder, lock, deadline=deadline), True
    finally:
        lock.abandon()
    # Its starter may have died before the server had written its number down.
    if server is None and postmaster.running(folder.cluster) is None:
        raise errors.ConnectionError(
            f"processes of a server that cannot be seen from here still use {folder.path}:"
            " it runs in another container, or did not end; end it, or give another path",
            operation="open",
        )
    return postmaster.await_ready(folder.cluster, deadline=deadline, log=folder.log), False


def _live(folder: Folder, deadline: float) -> postmaster.Postmaster | None:
    """The server that runs; one that somebody is shutting down is waited for."""
    cluster = folder.cluster
    server = postmaster.running(cluster)
    if server is None or server.status != "stopping":
        return server
    postmaster.wait_until(lambda: postmaster.running(cluster) is None, deadline - time.monotonic())
    return postmaster.running(cluster)


def _leave(folder: Folder, users: FileLock, pid: int, holder: int) -> None:
    """Let go of the server and stop it if nobody else holds it."""
    if os.getpid() != holder:
        users.abandon()
        return
    users.release()
    try:
        with held(folder.start_lock, folder.account, wait_s=_CLOSE_WAIT_S) as obtained:
            # Whoever holds the start lock for so long is a user, or is stopping it already.
            if obtained and not _is_used(folder):
                _stop(folder, pid)
    except FileNotFoundError:
        # The folder was deleted under its server, and the locks with it.
        _stop(folder, pid)


def _is_used(folder: Folder) -> bool:
    with held(folder.users_lock, folder.account, wait_s=0.0) as obtained:
        return not obtained


def _stop(folder: Folder, pid: int) -> None:
    server = postmaster.running(folder.cluster)
    if not postmaster.stop(server.pid if server else pid, folder.cluster):
        raise errors.TimeoutError(
            f"the embedded PostgreSQL in {folder.path} did not stop; end process {pid} by hand",
            stage="deadline",
            operation="close",
        )
    if server is not None:
        remove_socket_dir(folder, server.socket_dir)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
