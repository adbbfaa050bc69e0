"""Launching a server: its settings, who may log in, its socket and its log."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

from tierline.postgres.embedded import postmaster
from tierline.postgres.embedded.binaries import programs
from tierline.postgres.embedded.cluster import ROLE, ensure_cluster
from tierline.postgres.embedded.folder import MAJOR, Folder
from tierline.postgres.embedded.locks import FileLock

_PORT = 5432
_SOCKET_NAME = f"/.s.PGSQL.{_PORT}"
_SOCKET_PATH_BYTES_MAX = 100  # a socket's address holds 104 bytes on macOS, 108 on Linux
_SOCKET_DIR_PREFIX = "tierline-socket-"
_QUIT_WAIT_S = 10.0

_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "shared_buffers": "128MB",
    "max_prepared_transactions": "64",  # without it there is no two-phase commit
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The server's own news only. A statement's error goes to the client that caused it; here
    # it would grow the log for ever and put data into it.
    "log_min_messages": "log",
    "log_checkpoints": "off",
    "cluster_name": "tierline",
}


def launch(folder: Folder, lock: FileLock, *, deadline: float) -> postmaster.Postmaster:
    """Start the server, making its cluster first if there is none, and wait until it is ready.

    The caller holds the start lock and, as proof that no server runs, the server lock: the
    server's processes inherit it and keep it until the last of them has ended.

    Raises:
        ConfigurationError: The wheel is missing or does not run, or refused the folder.
        ConnectionError: The server ended at its start.
        TimeoutError: It was not ready by the deadline, a monotonic time.
    """
    bin_dir = programs(MAJOR, folder.account)
    ensure_cluster(folder, bin_dir)
    _forget_dead_server(folder)
    socket_dir = _socket_dir(folder)
    settings = _SETTINGS | _login_rules(folder) | {"unix_socket_directories": str(socket_dir)}
    argv = postmaster.command(bin_dir, folder.cluster, settings)
    log = _new_log(folder)
    try:
        process = folder.account.spawn(argv, cwd=folder.cluster, output=log, pass_fds=(lock.fd,))
    finally:
        os.close(log)
    try:
        server = postmaster.await_ready(
            folder.cluster, deadline=deadline, log=folder.log, process=process
        )
    except BaseException:
        _quit(process)
        remove_socket_dir(folder, str(socket_dir))
        raise
    _reap(process)
    return server


def _quit(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGQUIT)
    try:
        process.wait(_QUIT_WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_QUIT_WAIT_S)


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


def remove_socket_dir(folder: Folder, socket_dir: str) -> None:
    """Remove the folder of a stopped server's socket, if it was made for that alone."""
    if Path(socket_dir).name.startswith(_SOCKET_DIR_PREFIX) and socket_dir != str(folder.path):
        shutil.rmtree(socket_dir, ignore_errors=True)


def _forget_dead_server(folder: Folder) -> None:
    """Clear up after a server that was killed; the caller knows that none runs.

    PostgreSQL would refuse to start if its old process number belonged to another program
    by now, as it often does in a restarted container.
    """
    dead = postmaster.recorded(folder.cluster)
    if dead is not None:
        remove_socket_dir(folder, dead.socket_dir)
    (folder.cluster / "postmaster.pid").unlink(missing_ok=True)
