"""Read your own writes: which writes of this context a replica must have settled to answer it.

Each write leaves its transaction id in the context. A replica's answer counts if that id lies below
the `xmin` of a snapshot which the replica took no later than the one that it answered from: `xmin`
never goes back. On a standby nothing else may be asked of a snapshot, whose list of running
transactions is empty there. Of several writes the greatest id is enough.

A token carries the ids to the next request, thread or process.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import cast

_FORM = re.compile(r"tl1(?:\.[0-9a-f]{12}-[0-9]{1,20})*\Z")

# Of the last write alone, for the caches: they are told right behind it, in the same context.
_LAST: ContextVar[tuple[str, int, bool] | None] = ContextVar("tierline_last_write", default=None)

_WRITES: ContextVar[Mapping[str, int]] = ContextVar("tierline_writes", default=MappingProxyType({}))


def note_write(identity: str, xid: int, *, is_exact: bool = True) -> None:
    """A transaction of this context has written, or may have.

    Args:
        identity: Of the database, the same on its replicas.
        xid: The transaction's 64-bit id.
        is_exact: False if it is another's, and the transaction's own is no higher.
    """
    _LAST.set((identity, xid, is_exact))
    known = _WRITES.get()
    if xid > known.get(identity, 0):
        _WRITES.set({**known, identity: xid})


def begin_write() -> None:
    """A write begins whose id is not known yet."""
    _LAST.set(None)


def take_write(identity: str) -> tuple[int, bool] | None:
    """The last write of this context, once, as `note_write` was told; None if it is not known."""
    found = _LAST.get()
    if found is None:
        return None
    _LAST.set(None)
    return found[1:] if found[0] == identity else None


def last_write(identity: str) -> int:
    """The greatest transaction id that this context has written under; 0 for none."""
    return _WRITES.get().get(identity, 0)


def write_token() -> str:
    """What this context has written so far, for `read_after` in another request or process."""
    return "tl1" + "".join(f".{name}-{xid}" for name, xid in sorted(_WRITES.get().items()))


@contextmanager
def read_after(token: str, /) -> Generator[None]:
    """Read, in a block, nothing older than the writes that a token stands for.

    Args:
        token: From `tl.write_token`, there.

    Raises:
        ValueError: It is no such token.

    Example:
        ``with tl.read_after(request.cookies["seen"]): users.get_by_id(7)``
    """
    if not isinstance(cast("object", token), str) or not _FORM.match(token):
        raise ValueError("this is no token of tl.write_token()")
    merged = dict(_WRITES.get())
    for part in token.split(".")[1:]:
        name, _, xid = part.partition("-")
        merged[name] = max(int(xid), merged.get(name, 0))
    reset = _WRITES.set(merged)
    try:
        yield
    finally:
        _WRITES.reset(reset)
