"""File locks that the kernel releases when their holder dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tierline.postgres.embedded.account import Account

_POLL_S = 0.01


class FileLock:
    """A `flock` on an open file description of its own.

    Two locks on one path exclude each other in one process as they do in two. A child made
    by `os.fork` shares its parent's lock; `release` in either ends it for both.
    """

    def __init__(self, path: Path, owner: Account) -> None:
        self.fd = _open(path, owner)

    def share(self) -> bool:
        """Take the lock together with others; whether that worked at once."""
        return _try(self.fd, fcntl.LOCK_SH)

    def own(self, *, wait_s: float = 0.0) -> bool:
        """Take the lock alone; whether that worked within `wait_s` seconds."""
        deadline = time.monotonic() + wait_s
        while not _try(self.fd, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def release(self) -> None:
        """End the lock, in forked children too, and close the file; harmless when repeated."""
        if self.fd >= 0:
            fcntl.flock(self.fd, fcntl.LOCK_UN)
        self.abandon()

    def abandon(self) -> None:
        """Close the file; the lock lives on in whoever inherited it."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@contextmanager
def held(path: Path, owner: Account, *, wait_s: float) -> Generator[bool]:
    """Hold a lock alone for a block; yields whether it was obtained within `wait_s` seconds."""
    lock = FileLock(path, owner)
    try:
        yield lock.own(wait_s=wait_s)
    finally:
        lock.release()


def _open(path: Path, owner: Account) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        pass
    try:
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    # Only ever a file just made: root must not give away one that somebody linked here.
    if owner.is_other:
        os.fchown(fd, owner.uid, owner.gid)
    return fd


def _try(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EINTR):
            return False
        raise
    return True
