"""The data directory: where it is, whose it is, and what lies in it."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from itertools import takewhile
from pathlib import Path
from typing import Final

import msgspec

from tierline import errors
from tierline.postgres.embedded.account import Account, account_for, server_account

MAJOR: Final = 18
"""The PostgreSQL version whose clusters are made and opened."""

_MARK = "start.lock"
_NOBODYS = frozenset({"lost+found"})


class Folder(msgspec.Struct, frozen=True):
    """A data directory that is ready to use.

    Attributes:
        path: The directory, resolved.
        account: Who owns it and runs its server.
    """

    path: Path
    account: Account

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own directory."""
        return self.path / "cluster"

    @property
    def log(self) -> Path:
        """What the server said since its last start."""
        return self.path / "server.log"

    @property
    def start_lock(self) -> Path:
        """Held while a start, a join or a stop is decided."""
        return self.path / _MARK

    @property
    def users_lock(self) -> Path:
        """Shared by every user of the server."""
        return self.path / "users.lock"

    @property
    def server_lock(self) -> Path:
        """Held by the server's processes for as long as one of them lives."""
        return self.path / "server.lock"

    def fresh_cluster(self) -> Path:
        """A name beside the cluster for one in the making."""
        return self.path / f".cluster-{secrets.token_hex(4)}"

    def unfinished(self) -> list[Path]:
        """Clusters whose making was cut off."""
        return list(self.path.glob(".cluster-*"))

    def write(self, name: str, text: str) -> Path:
        """Write a file for the server alone to read, replacing an older one."""
        path = self.path / name
        path.unlink(missing_ok=True)
        fd = self.create(path)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def create(self, path: Path) -> int:
        """Make a new file of the account's and open it.

        `O_EXCL` follows no link that somebody put in the way of root.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        fd = os.open(path, flags, 0o600)
        if self.account.is_other:
            os.fchown(fd, self.account.uid, self.account.gid)
        return fd


def default_path() -> Path:
    """The data directory of the calling user: one a machine for root, else under the home.

    The environment variable TIERLINE_DATA_DIR names another.
    """
    given = os.environ.get("TIERLINE_DATA_DIR")
    if given:
        return Path(given)
    name = f"postgresql-{MAJOR}"
    if os.geteuid() == 0:
        return Path("/var/lib/tierline") / name
    if sys.platform == "darwin":
        return _home() / "Library" / "Application Support" / "tierline" / name
    data = os.environ.get("XDG_DATA_HOME", "")
    # The XDG specification has relative paths ignored.
    base = Path(data) if Path(data).is_absolute() else _home() / ".local" / "share"
    return base / "tierline" / name


def prepare(path: Path | None) -> Folder:
    """Make or check a data directory.

    Parents that are missing are made; no permission of an existing parent changes.

    Raises:
        ConfigurationError: It cannot be used: it holds something else, another PostgreSQL
            version, belongs to another account, or a folder above it is closed.
    """
    path = _resolved(default_path() if path is None else path)
    try:
        account = _owner(path)
        _check_way(path, account)
        _make(path, account)
        _check_content(path)
    except PermissionError as error:
        raise errors.ConfigurationError(
            f"no permission for {error.filename or path}, which the embedded PostgreSQL needs;"
            " give another path, or a URL"
        ) from error
    except OSError as error:
        raise errors.ConfigurationError(
            f"cannot use {path} for the embedded PostgreSQL ({error.strerror});"
            " give another path, or a URL"
        ) from error
    return Folder(path, account)


def _resolved(path: Path) -> Path:
    """One spelling for all users of the directory: processes are recognised by it."""
    return Path(os.path.realpath(path.expanduser()))


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise errors.ConfigurationError(
            "this user has no home folder for the embedded PostgreSQL's data; give a path, or a URL"
        ) from error


def _owner(path: Path) -> Account:
    """Who runs the server: for root the owner of what is there, unless that is root itself."""
    if os.geteuid() == 0 and path.is_dir() and (uid := path.stat().st_uid) != 0:
        return account_for(uid)
    return server_account()


def _check_way(path: Path, account: Account) -> None:
    """Refuse before anything is made: the account must get as far as the path now goes."""
    # One at a time from the top: nobody can see what lies below a closed folder.
    for folder in takewhile(Path.exists, reversed(path.parents)):
        if not account.may_enter(folder):
            mode = folder.stat().st_mode & 0o7777
            raise errors.ConfigurationError(
                f"the account {account.name}, which runs the embedded PostgreSQL, cannot enter"
                f" {folder} (mode {mode:04o}); give a path outside it, or a URL"
            )


def _make(path: Path, account: Account) -> None:
    if account.is_other:
        make_open(path.parent)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    if _is_empty(path) and path.stat().st_uid == os.geteuid():
        path.chmod(0o700)
        if account.is_other:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def make_open(path: Path) -> None:
    """Make a folder, and those above it that are missing, for every account to enter.

    Whatever root's umask: a strict one would shut out the account that runs the server.
    """
    for folder in reversed((path, *path.parents)):
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(0o755)


def _is_empty(path: Path) -> bool:
    return all(entry.name in _NOBODYS for entry in path.iterdir())


def _check_content(path: Path) -> None:
    version = path / "cluster" / "PG_VERSION"
    if version.exists():
        _check_version(path, version.read_text(encoding="utf-8").strip())
    elif (path / "PG_VERSION").exists():
        raise errors.ConfigurationError(
            f"{path} is a PostgreSQL cluster that Tierline did not make;"
            " start it yourself and give its URL, or give another path"
        )
    elif not _is_empty(path) and not (path / _MARK).exists():
        raise errors.ConfigurationError(
            f"{path} is not empty and holds no database of Tierline's;"
            " give an empty or new folder, or a URL"
        )


def _check_version(path: Path, version: str) -> None:
    if version != str(MAJOR):
        raise errors.ConfigurationError(
            f"{path} holds a PostgreSQL {version} cluster and the embedded server is"
            f" {MAJOR}; copy the data with pg_dump, or give another path"
        )
