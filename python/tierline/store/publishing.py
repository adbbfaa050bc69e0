"""A store's statistics, shown to `tierline top` in other processes by way of Redis."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from typing import TYPE_CHECKING
from weakref import ref

import msgspec

from tierline.cache.board import Published, StatsBoard
from tierline.cache.floors import wall_ms

if TYPE_CHECKING:
    from tierline.store.store import Store

BEAT_S = 2.0
_TTL_S = 5 * BEAT_S
_JOIN_S = 3.0


class Publisher:
    """A thread that shows a store's statistics every two seconds, while the store is there.

    Args:
        store: Whose.
        board: Where.
    """

    def __init__(self, store: Store, board: StatsBoard) -> None:
        self.process = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._store = ref(store)
        self._board = board
        self._since_ms = wall_ms()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tierline-stats", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Show nothing any more."""
        self._ended.set()
        self._thread.join(_JOIN_S)
        self._board.drop(self.process)
        self._board.close()

    def _run(self) -> None:
        while self._show() and not self._ended.wait(BEAT_S):
            pass

    def _show(self) -> bool:
        """Show it as it is now; whether the store is there still."""
        store = self._store()
        if store is None:
            return False
        stats = msgspec.Raw(msgspec.msgpack.encode(store.stats()))
        shown = Published(self.process, wall_ms(), self._since_ms, repr(store), stats)
        # One that Redis did not take is followed by the next.
        self._board.put(shown, ttl_s=_TTL_S)
        return True
