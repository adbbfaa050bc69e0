"""Recorded key accesses, read from where they lie; none of them belongs to the project.

The folder is `TIERLINE_TRACES`, or `shared/data/traces` beside the repository. A trace that is not
there is left out.
"""

from __future__ import annotations

import gzip
import importlib
import lzma
import os
import shutil
import subprocess
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import cast

Trace = list[int]

MOST = 1_500_000
"""Requests read of each."""


_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "traces"


def folder() -> Path | None:
    """Where the traces are, if anywhere."""
    named = os.environ.get("TIERLINE_TRACES")
    found = Path(named) if named else _BESIDE
    return found if found.is_dir() else None


def load(path: Path, read: Callable[[Path], Iterable[int]]) -> Trace:
    """A trace's keys, numbered in the order of their first requests."""
    numbers: dict[int, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in islice(read(path), MOST)]


def _texts(path: Path) -> Iterator[int]:
    """One key a line; a star between some of them is none."""
    with gzip.open(path) as lines:
        for line in lines:
            if (key := line.strip()).isdigit():
                yield int(key)


def _integers(code: str, opened: Callable[[Path], bytes]) -> Callable[[Path], Iterator[int]]:
    """Big-endian integers."""

    def read(path: Path) -> Iterator[int]:
        keys = array(code)
        keys.frombytes(opened(path))
        keys.byteswap()
        return iter(keys)

    return read


def _unxz(path: Path) -> bytes:
    with lzma.open(path) as file:
        return file.read(4 * MOST)


def _unzip(path: Path) -> bytes:
    with gzip.open(path) as file:
        return file.read(8 * MOST)


def _ranges(path: Path) -> Iterator[int]:
    """`start count …` a line: that many keys from the start."""
    for line in _unzstd(path).splitlines():
        start, count = map(int, line.split()[:2])
        yield from range(start, start + count)


def _unzstd(path: Path) -> bytes:
    program = shutil.which("zstd")
    if program is not None:
        command = [program, "--decompress", "--stdout", str(path)]
        return subprocess.run(command, capture_output=True, check=True).stdout
    zstandard = importlib.import_module("zstandard")
    with path.open("rb") as file:
        return cast("bytes", zstandard.ZstdDecompressor().stream_reader(file).read())


TRACES: dict[str, tuple[str, Callable[[Path], Iterable[int]]]] = {
    "OLTP": ("OLTP.lis.zst", _ranges),
    "orm-busy": ("orm-busy.trace.xz", _integers("i", _unxz)),
    "web07": ("web07.trace.xz", _integers("i", _unxz)),
    "w106": ("w106.trace.xz", _integers("i", _unxz)),
    "corda": ("trace_vaultservice.gz", _integers("q", _unzip)),
    "multi3": ("multi3.trace.gz", _texts),
    "2_pools": ("2_pools.trace.gz", _texts),
    "gli": ("gli.trace.gz", _texts),
    "loop": ("loop.trace.gz", _texts),
}
"""File and reader of each."""

ORIGINS = {
    "OLTP": "database pages, from the paper on ARC",
    "orm-busy": "entities of an ORM, from cache2k",
    "web07": "pages of a web site, from cache2k",
    "w106": "blocks of a virtual disk, from CloudPhysics",
    "corda": "a vault service of Corda, from Caffeine",
    "multi3": "four programs at once, from the paper on LIRS",
    "2_pools": "an index and its records, from the paper on LIRS",
    "gli": "text searched again and again, from the paper on LIRS",
    "loop": "the same keys round and round, from the paper on LIRS",
}
"""What each records, and who published it."""


def available(root: Path) -> Iterator[tuple[str, Trace]]:
    """Those that are there and can be read."""
    for name, (file, read) in TRACES.items():
        if (root / file).exists():
            yield name, load(root / file, read)
