"""Large answers that were rendered before: a client that is measured should not wait for them."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import NamedTuple

KEPT_BYTES_MIN = 64 * 1024
"""Smaller answers are rendered again: that takes less than a request does."""
KEPT_BYTES_MAX = 64 * 1024 * 1024
"""What all kept bodies may have, before they are zipped."""


class Body:
    """The bytes of an answer."""

    def __init__(self, plain: bytes) -> None:
        self.plain = plain

    @cached_property
    def zipped(self) -> bytes:
        """The same in gzip, zipped once."""
        return gzip.compress(self.plain, 1, mtime=0)


class _Kept(NamedTuple):
    source: object
    body: Body


class Renderings:
    """The bodies of large answers, each as long as what it was rendered from is the same value.

    Spreadsheets are frozen, so a change is another value and nothing has to be told of it.
    """

    def __init__(self, bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._kept: dict[Hashable, _Kept] = {}
        self._bytes = 0

    def body(self, asked: Hashable, source: object, render: Callable[[], bytes]) -> Body:
        """The kept body, or one that is rendered now, outside of any lock.

        Args:
            asked: What was asked, and by whom.
            source: The value that the answer shows.
            render: Makes the bytes of these two.
        """
        with self._lock:
            kept = self._pop(asked)
            if kept is not None and kept.source is source:
                # The last used one stands at the end.
                self._put(asked, kept)
                return kept.body
        made = Body(render())
        if KEPT_BYTES_MIN <= len(made.plain) <= self._bytes_max:
            with self._lock:
                self._pop(asked)
                self._put(asked, _Kept(source, made))
                while self._bytes > self._bytes_max:
                    self._pop(next(iter(self._kept)))
        return made

    def _put(self, asked: Hashable, kept: _Kept) -> None:
        self._kept[asked] = kept
        self._bytes += len(kept.body.plain)

    def _pop(self, asked: Hashable) -> _Kept | None:
        kept = self._kept.pop(asked, None)
        if kept is not None:
            self._bytes -= len(kept.body.plain)
        return kept

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<Renderings {len(self._kept)} kept, {self._bytes} bytes>"
