"""Making a cluster: complete or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tierline import errors
from tierline.postgres.embedded.folder import Folder

ROLE = "tierline"
"""The role that owns the cluster and that its users connect as."""
DATABASE = "tierline"
"""The database that its users connect to."""


def ensure_cluster(folder: Folder, programs: Path) -> None:
    """Make the cluster if there is none; the caller holds the start lock.

    It is made beside its place and renamed, so that a crash leaves no half cluster.

    Raises:
        ConfigurationError: PostgreSQL refused to make it.
        TimeoutError: It took more than two minutes.
    """
    for leftover in folder.unfinished():
        shutil.rmtree(leftover)
    if folder.cluster.exists():
        return
    fresh = folder.fresh_cluster()
    try:
        _initdb(folder, programs, fresh)
        _create_database(folder, programs, fresh)
        fresh.rename(folder.cluster)
        for changed in (folder.path, folder.path.parent):
            _sync(changed)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _initdb(folder: Folder, programs: Path, fresh: Path) -> None:
    # `builtin` compares text by code point, the same everywhere and as fast as C, but knows
    # upper and lower case beyond ASCII. Nobody logs in by the rules made here: the server is
    # always started with rules of its own.
    _run(
        folder,
        [
            *(programs / "initdb", "-D", fresh, "-U", ROLE, "--auth=reject", "--no-instructions"),
            *("--encoding=UTF8", "--locale=C"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ],
    )


def _create_database(folder: Folder, programs: Path, fresh: Path) -> None:
    """Create the database without a server, in PostgreSQL's single-user mode."""
    _run(
        folder,
        [programs / "postgres", "--single", "-D", fresh, "postgres"],
        text=f"CREATE DATABASE {DATABASE};\n",
    )


def _sync(path: Path) -> None:
    """Make a folder's new names outlive a power cut, as what is committed below them does."""
    # A parent that may be entered but not read cannot be synced; its own maker did so.
    with contextlib.suppress(PermissionError):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _run(folder: Folder, argv: Sequence[str | Path], *, text: str = "") -> None:
    name = Path(argv[0]).name
    try:
        done = folder.account.run(argv, text=text)
    except subprocess.TimeoutExpired as error:
        raise errors.TimeoutError(
            f"{name} did not finish in {error.timeout:.0f} s in {folder.path};"
            " is the disk stuck or the machine overloaded?",
            stage="connect",
            operation="open",
        ) from error
    # Single-user mode answers 0 to a statement that failed.
    if done.returncode != 0 or "ERROR:" in done.stdout:
        raise errors.ConfigurationError(
            f"PostgreSQL's {name} failed in {folder.path}: {done.stdout.strip()[-2000:]}",
            operation="open",
        )
