"""Cells that processes share through Redis: one of them reads a worksheet, all have it.

What is kept is Google's answer with the version that Drive told before it was asked for, so the
cells are that version's or newer ones. It is used only by whoever was told the same version, and
thus may see the spreadsheet.
"""

from __future__ import annotations

import hashlib
import zlib
from typing import Any

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_TIMEOUT_S = 2.0
_KEPT_S = 86_400
_BYTES_MAX = 64 << 20
"""Larger answers are not worth a place there."""


class _Entry(msgspec.Struct, array_like=True):
    version: str
    body: bytes


_DECODER = msgspec.msgpack.Decoder(_Entry)


class SharedCells:
    """Keeps answers by worksheet; without Redis it keeps nothing.

    Args:
        url: Of the Redis.
        prefix: Begins every key.
    """

    def __init__(self, url: str, prefix: str) -> None:
        client: Any = redis.Redis
        self._client: redis.Redis = client.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
        )
        self._prefix = prefix

    def get(self, spreadsheet: str, worksheet: str, version: str) -> bytes | None:
        """The answer to a read of a worksheet in a version; None if nobody has left it."""
        try:
            found: Any = self._client.get(self._key(spreadsheet, worksheet))
            entry = None if found is None else _DECODER.decode(found)
            if entry is None or entry.version != version:
                return None
            return zlib.decompress(entry.body)
        except (redis.RedisError, msgspec.DecodeError, zlib.error):
            return None

    def put(self, spreadsheet: str, worksheet: str, version: str, body: bytes) -> None:
        """Leave an answer for others."""
        if len(body) > _BYTES_MAX:
            return
        # Its fastest level: the cells of a sheet shrink to a tenth by any.
        entry = msgspec.msgpack.encode(_Entry(version, zlib.compress(body, 1)))
        try:
            self._client.set(self._key(spreadsheet, worksheet), entry, ex=_KEPT_S)
        except redis.RedisError:
            return

    def close(self) -> None:
        """Close the connections to Redis."""
        self._client.close()

    def _key(self, spreadsheet: str, worksheet: str) -> str:
        title = hashlib.blake2b(worksheet.encode(), digest_size=12).hexdigest()
        return f"{self._prefix}:sheets:cells:{{{spreadsheet}}}:{title}"
