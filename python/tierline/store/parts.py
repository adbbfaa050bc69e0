"""Parts of a store that are only looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tierline.store.pending_writes import PendingWrites


class StoreParts:
    """What a store shows of its parts."""

    _cursor_secret: bytes
    _pending_writes: PendingWrites

    @property
    def cursor_secret(self) -> bytes:
        """What the cursors of pages are signed with."""
        return self._cursor_secret

    @property
    def write_behind(self) -> PendingWrites:
        """What repositories with `tl.write_behind` have acknowledged, on its way to L3."""
        return self._pending_writes
