"""Starting the embedded server, or joining the one that runs, and stopping it after the last."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

from tierline import errors
from tierline.postgres.embedded import postmaster
from tierline.postgres.embedded.binaries import programs
from tierline.postgres.embedded.cluster import DATABASE, ROLE, ensure_cluster
from tierline.postgres.embedded.folder import MAJOR, Folder, prepare
from tierline.postgres.embedded.locks import FileLock, held

_PORT = 5432
_SOCKET_PATH_BYTES_MAX = 100  # a socket's address holds 104 bytes on macOS, 108 on Linux
_SOCKET_NAME = f"/.s.PGSQL.{_PORT}"
_SOCKET_DIR_PREFIX = "tierline-socket-"
_CLOSE_WAIT_S = 10.0
_LEFTOVERS_WAIT_S = 10.0

_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "shared_buffers": "128MB",
    "max_prepared_transactions": "64",  # two-phase commit is off without it
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "cluster_name": "tierline",
}


class EmbeddedServer:
    """One user's hold on an embedded server; made by `start_or_join`.

    The server runs while anyone holds it, in this process or another, and stops when the
    last one lets go: by `close`, by leaving a `with` block, when the object is collected or
    at interpreter exit. After a forked process closes its copy the parent's hold goes on.

    Attributes:
        data_dir: The folder that holds the data.
        started: Whether this call started the server; False if it joined a running one.
        conninfo: How psycopg or any other libpq client on this machine connects to it.
        pid: The server's process id.
    """

    def __init__(self, folder: Folder, users: FileLock, server: postmaster.Postmaster) -> None:
        self.data_dir = folder.path
        self.started = False
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

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
            f" ({error.strerror}: {error.filename}); mend it, give another path, or a URL",
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
            server = _joined(folder, deadline)
            started = server is None
            embedded = EmbeddedServer(folder, users, server or _start(folder, deadline))
        except BaseException:
            users.release()
            raise
    embedded.started = started
    return embedded


def _joined(folder: Folder, deadline: float) -> postmaster.Postmaster | None:
    """The server that runs, once it is ready; one that is being shut down is waited for."""
    cluster = folder.cluster
    server = postmaster.running(cluster)
    if server is not None and server.status == "stopping":
        wait_s = deadline - time.monotonic()
        postmaster.wait_until(lambda: postmaster.running(cluster) is None, wait_s)
        server = postmaster.running(cluster)
    if server is None:
        return None
    return postmaster.await_ready(cluster, deadline=deadline, log=folder.log)


def _start(folder: Folder, deadline: float) -> postmaster.Postmaster:
    bin_dir = programs(MAJOR, folder.account)
    lock = FileLock(folder.server_lock, folder.account)
    try:
        if not lock.own(wait_s=_LEFTOVERS_WAIT_S):
            raise errors.ConnectionError(
                f"processes of a server that cannot be seen from here still use {folder.path}:"
                " it runs in another container, or did not end; end it, or give another path",
                operation="open",
            )
        ensure_cluster(folder, bin_dir)
        _forget_dead_server(folder)
        return _launch(folder, bin_dir, lock, deadline)
    finally:
        # The server's processes inherited the lock and keep it until the last one ends.
        lock.abandon()


def _launch(
    folder: Folder, bin_dir: Path, lock: FileLock, deadline: float
) -> postmaster.Postmaster:
    socket_dir = _socket_dir(folder)
    settings = _SETTINGS | _login_rules(folder) | {"unix_socket_directories": str(socket_dir)}
    argv = postmaster.command(bin_dir, folder.cluster, settings)
    process = folder.account.spawn(
        argv, cwd=folder.cluster, output=(log := _new_log(folder)), pass_fds=(lock.fd,)
    )
    os.close(log)
    try:
        server = postmaster.await_ready(
            folder.cluster, deadline=deadline, log=folder.log, process=process
        )
    except BaseException:
        process.send_signal(signal.SIGQUIT)
        process.wait()
        _remove_socket_dir(folder, str(socket_dir))
        raise
    _reap(process)
    return server


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Wait for the server in the background: another process may stop it after this one closed."""
    name = f"tierline-postgres-{process.pid}"
    threading.Thread(target=process.wait, name=name, daemon=True).start()


def _login_rules(folder: Folder) -> dict[str, str]:
    """Let in the account that runs the server, and root; nobody else, and nobody by TCP.

    Written at each start: the account may have been renamed since the last.
    """
    rules = folder.write("hba.conf", f"local all {ROLE} peer map={ROLE}\n")
    names = {folder.account.name, "root"}
    lines = (f'{ROLE} "{name}" {ROLE}\n' for name in sorted(names))
    users = folder.write("ident.conf", "".join(lines))
    return {"hba_file": str(rules), "ident_file": str(users)}


def _new_log(folder: Folder) -> int:
    """A new log; the last one is kept beside it."""
    with contextlib.suppress(FileNotFoundError):
        folder.log.replace(folder.log.with_suffix(".log.1"))
    return folder.create(folder.log)


def _socket_dir(folder: Folder) -> Path:
    """The data's folder or, where a socket's address cannot say that, a new private one."""
    path = str(folder.path)
    fits = len(os.fsencode(path + _SOCKET_NAME)) <= _SOCKET_PATH_BYTES_MAX
    # Both libpq and the server take a comma to part two folders.
    if fits and not set(path) & set(",\"'"):
        return folder.path
    made = Path(tempfile.mkdtemp(prefix=_SOCKET_DIR_PREFIX, dir="/tmp"))
    if folder.account.is_other:
        os.chown(made, folder.account.uid, folder.account.gid, follow_symlinks=False)
    return made


def _remove_socket_dir(folder: Folder, socket_dir: str) -> None:
    if Path(socket_dir).name.startswith(_SOCKET_DIR_PREFIX) and socket_dir != str(folder.path):
        shutil.rmtree(socket_dir, ignore_errors=True)


def _forget_dead_server(folder: Folder) -> None:
    """Clear up after a server that was killed; the caller knows that none runs.

    PostgreSQL would refuse to start if its old process number belonged to another program
    by now, as it often does in a restarted container.
    """
    dead = postmaster.recorded(folder.cluster)
    if dead is not None:
        _remove_socket_dir(folder, dead.socket_dir)
    (folder.cluster / "postmaster.pid").unlink(missing_ok=True)


def _leave(folder: Folder, users: FileLock, pid: int, holder: int) -> None:
    """Let go of the server and stop it if nobody else holds it."""
    if os.getpid() != holder:
        users.abandon()
        return
    users.release()
    try:
        with held(folder.start_lock, folder.account, wait_s=_CLOSE_WAIT_S) as obtained:
            # Whoever holds the start lock for so long is starting or joining: a user.
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
        _remove_socket_dir(folder, server.socket_dir)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
