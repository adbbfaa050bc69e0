"""The operating system account that runs PostgreSQL, which refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from tierline import errors

SYSTEM_ACCOUNT = "tierline"
"""The account that runs the server for root; made when it is missing."""

_PROGRAM_TIMEOUT_S = 120.0
_PASSED_ON = ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Account(msgspec.Struct, frozen=True):
    """An account and, when this process is root, the identity its programs take on.

    Attributes:
        name: The account's name, which peer authentication compares.
        uid: Its user id.
        gid: Its primary group id.
    """

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether this process is root and must change to the account."""
        return self.uid != os.geteuid()

    def spawn(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        output: int | IO[Any],
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a program as the account, in a session of its own.

        In its own session a Ctrl-C in the terminal does not reach it.
        """
        return subprocess.Popen(  # noqa: S603 (programs of the wheel, by full path)
            argv,
            cwd=cwd,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
            user=self.uid if self.is_other else None,
            group=self.gid if self.is_other else None,
            extra_groups=[] if self.is_other else None,
        )

    def run(
        self, argv: Sequence[str | Path], *, text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program as the account to its end; `text` is its standard input.

        Raises:
            OSError: The account may not execute it.
            subprocess.TimeoutExpired: It took more than two minutes.
        """
        return subprocess.run(  # noqa: S603 (programs of the wheel, by full path)
            argv,
            cwd="/",
            env=_environment(),
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_PROGRAM_TIMEOUT_S,
            check=False,
            user=self.uid if self.is_other else None,
            group=self.gid if self.is_other else None,
            extra_groups=[] if self.is_other else None,
        )

    def may_enter(self, folder: Path) -> bool:
        """Whether the account can reach a folder, asked by going there as the account."""
        if not self.is_other:
            return os.access(folder, os.X_OK)
        try:
            return self.run(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder]).returncode == 0
        except OSError as error:
            raise errors.ConfigurationError(
                f"root may not run programs as the account {self.name} here ({error.strerror});"
                " run as an ordinary user, or give a URL"
            ) from error


def account_for(uid: int) -> Account:
    """The account with a user id.

    Raises:
        ConfigurationError: The user id has no name; PostgreSQL needs one.
    """
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise errors.ConfigurationError(
            f"user id {uid} has no entry in the password database, which the embedded PostgreSQL"
            " needs; add one, run as another user, or give a URL"
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def server_account() -> Account:
    """Who runs a server: the caller or, for root, the system account, made when missing.

    Raises:
        ConfigurationError: The account is missing and cannot be made, or is root itself.
    """
    if os.geteuid() != 0:
        return account_for(os.geteuid())
    account = _find(SYSTEM_ACCOUNT) or _make(SYSTEM_ACCOUNT)
    if account.uid == 0:
        raise errors.ConfigurationError(
            f"the account {SYSTEM_ACCOUNT} is root, which may not run PostgreSQL;"
            " give it a user id of its own, or give a URL"
        )
    return account


def _find(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _make(name: str) -> Account:
    problem = _useradd(name)
    # Looked up whatever the answer was: another process may have made it in the meantime.
    account = _find(name)
    if account is None:
        raise errors.ConfigurationError(
            f"PostgreSQL may not run as root, and its account {name} could not be made"
            f" ({problem}); make it by hand, run as an ordinary user, or give a URL"
        )
    return account


def _useradd(name: str) -> str:
    """Make a system account; answers with what went wrong, or nothing."""
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if program is None:
        return f"no useradd on {sys.platform}"
    nologin = next((p for p in ("/usr/sbin/nologin", "/sbin/nologin") if Path(p).exists()), None)
    options = ["--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    try:
        done = account_for(0).run([program, *options, "--shell", nologin or "/bin/false", name])
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    """The few variables a server needs: none of the caller's secrets, no `PG*` setting."""
    return {"LC_ALL": "C"} | {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
