"""Keys of the application's own cache: what they may be, and names of which no two collide."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias, cast
from uuid import UUID

import msgspec

CacheKey: TypeAlias = (
    str
    | int
    | float
    | bytes
    | Decimal
    | UUID
    | dt.date
    | dt.time
    | dt.timedelta
    | tuple["CacheKey", ...]
    | None
)
"""What may be a key: values whose equality is that of their text, and tuples of them."""

_PLAIN = (str, int, bool, type(None))
_SPELLINGS: dict[type, Callable[[Any], str]] = {
    float: repr,
    bytes: bytes.hex,
    Decimal: str,
    UUID: str,
    dt.date: dt.date.isoformat,
    dt.time: dt.time.isoformat,
    dt.datetime: dt.datetime.isoformat,
    dt.timedelta: repr,
}

_encode = msgspec.json.Encoder().encode


def l1_key(key: CacheKey) -> str | int | bytes:
    """What stands for a key in L1: keys of different types are never equal.

    Raises:
        TypeError: A key, or a part of one, is of another type.
    """
    # The common ones as they are; a subclass may have another equality.
    if isinstance(key, str | int) and type(key) in (str, int):
        return key
    parts = _parts(key)
    try:
        return _encode(parts)
    except UnicodeEncodeError:
        # No JSON begins so.
        return b"\0" + repr(parts).encode("utf-8", "surrogatepass")


def l2_key(space: str, key: CacheKey) -> str | None:
    """The name of a key in L2; None for text that has no UTF-8 form, which stays in L1.

    It begins as no table's does: identifiers have no quotes.
    """
    try:
        return _encode([space, _parts(key)]).decode()
    except UnicodeEncodeError:
        return None


def space_beginning(space: str) -> str:
    """How the names of a space's keys begin in L2, and those of no other."""
    return f"{_encode([space]).decode()[:-1]},"


def tag_name(tag: str) -> str | None:
    """The name of a tag's version in L2; it begins as no key's does."""
    try:
        return _encode([None, tag]).decode()
    except UnicodeEncodeError:
        return None


def _parts(key: object) -> Any:
    kind = type(key)
    if kind in _PLAIN:
        return key
    if isinstance(key, tuple) and kind is tuple:
        return [_parts(part) for part in cast("tuple[object, ...]", key)]
    spelled = _SPELLINGS.get(kind)
    if spelled is None:
        raise TypeError(
            f"a {kind.__name__} is no key of a cache: write a str, a number, bytes, a UUID, a date "
            "or time, or a tuple of them (of an Enum `member.value`); a cached function takes key="
        )
    return {kind.__name__: spelled(key)}
