"""What the frames in Redis are encrypted with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec

_KEY_BYTES = 32
_ID_BYTES_MAX = 255


class EncryptionKeys(msgspec.Struct, frozen=True):
    """Keys for AES-256-GCM, by their ids: new frames are encrypted with one, old ones read by any.

    To rotate, give a new key to every process first, then make it `current`; drop the old one when
    what it encrypted has expired. A key should encrypt no more than 2^32 entities.

    Attributes:
        current: The id of the key that new frames are encrypted with.
        keys: 32 random bytes by id, such as `secrets.token_bytes(32)`.

    Raises:
        ValueError: A key has not 32 bytes, an id not 1 to 255, or `current` is none of them.
        TypeError: An id is no text, or a key no bytes.

    Example:
        ``tl.EncryptionKeys(current="2026-11", keys={"2026-11": secrets.token_bytes(32)})``
    """

    current: str
    keys: Mapping[str, bytes]

    def __post_init__(self) -> None:
        checked = cast("Mapping[object, object]", self.keys)
        for id_, key in checked.items():
            # Checked, although typed: it comes from the outside, and decides who can read.
            if not isinstance(id_, str) or not isinstance(key, bytes):
                raise TypeError("keys are bytes by id: {'2026-11': secrets.token_bytes(32)}")
            if not 1 <= len(id_.encode()) <= _ID_BYTES_MAX:
                raise ValueError("the id of a key has 1 to 255 bytes")
            if len(key) != _KEY_BYTES:
                raise ValueError(
                    f"key {id_!r} has {len(key)} bytes, not 32; make one with "
                    "secrets.token_bytes(32)"
                )
        if self.current not in self.keys:
            raise ValueError(f"current={self.current!r} is none of the keys: {sorted(self.keys)}")

    def __repr__(self) -> str:
        return f"EncryptionKeys(current={self.current!r}, ids={sorted(self.keys)})"
