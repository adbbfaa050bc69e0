"""A server process under test: freeze it, thaw it, kill it, with all its children."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

from tierline import errors
from tierline.postgres.embedded.postmaster import tail, wait_until

HOST = "127.0.0.1"
START_ATTEMPTS = 3
START_WAIT_S = 30.0
STOP_WAIT_S = 10.0


class ServerProcess(ABC):
    """A server that a test starts and mistreats.

    Attributes:
        host: Where it listens, always loopback.
        port: Its TCP port, the same after every restart.
        folder: Everything of the server's: its data and its log.
    """

    def __init__(self, folder_prefix: str) -> None:
        self.host = HOST
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=folder_prefix))
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _spawn(self) -> subprocess.Popen[bytes]:
        """Start the program."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether the server answers its clients."""

    @property
    def log(self) -> Path:
        """What the server said since its last start."""
        return self.folder / "server.log"

    @property
    def _stop_signal(self) -> signal.Signals:
        return signal.SIGTERM

    @property
    def _end_signal(self) -> signal.Signals:
        """Ends a server whose data nobody wants any more."""
        return signal.SIGKILL

    @property
    def pid(self) -> int:
        """The process id of the server, whether it still runs or not; 0 before its start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process lives; a frozen one does."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server on its port and its old data; nothing if it runs.

        Raises:
            ConnectionError: It ended at once; the message ends with its log.
            TimeoutError: It did not answer in 30 s.
        """
        if self.running:
            return
        self._process = process = self._spawn()
        try:
            answered = wait_until(
                lambda: process.poll() is not None or self._is_ready(), START_WAIT_S
            )
        except BaseException:
            self.kill()
            raise
        if process.poll() is not None:
            raise errors.ConnectionError(f"{self!r} ended at its start: {tail(self.log)}")
        if not answered:
            self.kill()
            raise errors.TimeoutError(
                f"{self!r} was not ready in {START_WAIT_S:.0f} s: {tail(self.log)}", stage="connect"
            )

    def start_anywhere(self) -> None:
        """Start on a free port, and on another if somebody took that one first.

        Raises:
            ConnectionError: It ended at its start, three times.
            TimeoutError: It did not answer in 30 s.
        """
        for _ in range(START_ATTEMPTS - 1):
            with contextlib.suppress(errors.ConnectionError):
                return self.start()
            self.port = free_port()
        return self.start()

    def stop(self) -> None:
        """Shut the server down in order, dropping its clients; by force after 10 s."""
        self._end(self._stop_signal)

    def _end(self, by: signal.Signals) -> None:
        if self._process is None or not self.running:
            return
        self.thaw()
        self._process.send_signal(by)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_WAIT_S)
        self.kill()

    def restart(self) -> None:
        """Stop and start again: same port, same data."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop the server and its children where they are (SIGSTOP); connections stay open."""
        if self.running:
            _signal((self.pid,), signal.SIGSTOP)
            _signal(children(self.pid), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        if self.running:
            _signal((*children(self.pid), self.pid), signal.SIGCONT)

    def kill(self) -> None:
        """End the server and its children at once (SIGKILL), and wait until they are gone."""
        if self._process is None or not self.running:
            return
        # Frozen first, it can have no more children than are counted.
        self.freeze()
        family = (self.pid, *children(self.pid))
        _signal(family, signal.SIGKILL)
        self._process.wait(STOP_WAIT_S)
        wait_until(lambda: not any(is_alive(pid) for pid in family), STOP_WAIT_S)

    def remove(self) -> None:
        """End the server at once and delete its folder."""
        try:
            self._end(self._end_signal)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


class _Process(NamedTuple):
    parent: int
    state: str


def children(pid: int) -> tuple[int, ...]:
    """The process ids of a process's living children."""
    return tuple(
        child
        for child, process in _processes().items()
        if process.parent == pid and process.state != "Z"
    )


def is_alive(pid: int) -> bool:
    """Whether a process runs or is stopped, but not whether it only waits to be reaped."""
    process = _processes().get(pid)
    return process is not None and process.state != "Z"


def free_port() -> int:
    """A TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _signal(pids: tuple[int, ...], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _processes() -> dict[int, _Process]:
    return _from_proc() if sys.platform == "linux" else _from_ps()


def _from_proc() -> dict[int, _Process]:
    found: dict[int, _Process] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold anything, parentheses too.
            rest = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            found[int(folder.name)] = _Process(int(rest[1]), rest[0])
    return found


def _from_ps() -> dict[int, _Process]:
    command = ["/bin/ps", "-axo", "pid=,ppid=,stat="]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    rows = (line.split() for line in shown.splitlines())
    return {int(pid): _Process(int(parent), state[0]) for pid, parent, state in rows}
