"""The server process: starting it, knowing it again, waiting for it and stopping it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from tierline import errors

_POLL_S = 0.01
_PATIENCE_S = 10.0
_LOG_TAIL_BYTES = 2000


class Postmaster(msgspec.Struct, frozen=True):
    """What a cluster's `postmaster.pid` says about its server.

    Attributes:
        pid: The process id.
        socket_dir: The folder of its Unix socket; empty while it is not known.
        port: The port number, which names the socket; 0 while it is not known.
        status: `starting`, `ready` or `stopping`.
    """

    pid: int
    socket_dir: str
    port: int
    status: str

    def accepts(self) -> bool:
        """Whether the server is ready and a client reaches its socket."""
        if self.status != "ready":
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(_PATIENCE_S)
            return client.connect_ex(f"{self.socket_dir}/.s.PGSQL.{self.port}") == 0


def recorded(cluster: Path) -> Postmaster | None:
    """What `postmaster.pid` says, whether or not it is still true; None without one."""
    try:
        lines = (cluster / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    # The server writes it line by line while it starts.
    lines += [""] * (8 - len(lines))
    if not lines[0].strip().isdigit():
        return None
    return Postmaster(int(lines[0]), lines[4], int(lines[3] or 0), lines[7].strip())


def running(cluster: Path) -> Postmaster | None:
    """The cluster's server, if its process lives."""
    found = recorded(cluster)
    return found if found is not None and is_postmaster(found.pid, cluster) else None


def command(programs: Path, cluster: Path, settings: Mapping[str, str]) -> list[str | Path]:
    """The command line of a server; `is_postmaster` knows it by its first three words."""
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    return [programs / "postgres", "-D", cluster, *options]


def is_postmaster(pid: int, cluster: Path) -> bool:
    """Whether a process is a live server of this cluster, and not a stranger with its number."""
    words = _command_line(pid)
    return Path(words[0]).name == "postgres" and words[1:3] == ["-D", str(cluster)]


def _command_line(pid: int) -> list[str]:
    """A process's command line; `[""]` if there is no such process or it is a zombie."""
    return _from_proc(pid) if Path("/proc/self").exists() else _from_ps(pid)


def _from_proc(pid: int) -> list[str]:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split("\0")
    except OSError:
        return [""]


def _from_ps(pid: int) -> list[str]:
    """The first three words of a server's command line, where there is no `/proc`."""
    command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, check=False).stdout  # noqa: S603
    # `ps` joins the words by blanks, so a path with blanks is put together again.
    program, dash, rest = os.fsdecode(shown).strip().partition(" -D ")
    return [program, "-D", rest.partition(" -c ")[0]] if dash else [program]


def await_ready(
    cluster: Path, *, deadline: float, log: Path, process: subprocess.Popen[bytes] | None = None
) -> Postmaster:
    """Wait until a starting server accepts connections; `deadline` is a monotonic time.

    Raises:
        ConnectionError: It ended instead; the message ends with its log.
        TimeoutError: The deadline passed.
    """
    started = time.monotonic()
    while True:
        ended = process is not None and process.poll() is not None
        server = running(cluster)
        if server is not None and server.accepts():
            return server
        if ended or (process is None and server is None):
            raise errors.ConnectionError(
                f"the embedded PostgreSQL did not start: {tail(log)}", operation="open"
            )
        if time.monotonic() >= deadline:
            raise errors.TimeoutError(
                f"the embedded PostgreSQL was not ready in time; it said: {tail(log)}",
                stage="connect",
                operation="open",
                elapsed_s=time.monotonic() - started,
            )
        time.sleep(_POLL_S)


def stop(pid: int, cluster: Path) -> bool:
    """Stop a server: rolling back what runs, then by force; whether it has ended.

    What is committed is safe either way. Each step has ten seconds.
    """
    for number in (signal.SIGINT, signal.SIGQUIT):
        if not is_postmaster(pid, cluster):
            return True
        os.kill(pid, number)
        if wait_until(lambda: not is_postmaster(pid, cluster), _PATIENCE_S):
            return True
    return False


def wait_until(condition: Callable[[], bool], wait_s: float) -> bool:
    """Poll a condition for up to `wait_s` seconds; whether it came true."""
    deadline = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def tail(log: Path) -> str:
    """The end of a log, for a message."""
    try:
        text = log.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
    except OSError as error:
        return f"its log {log} cannot be read ({error.strerror})"
    return text or f"its log {log} is empty"
