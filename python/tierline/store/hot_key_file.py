"""The file of hot keys: which keys were asked for most, for the next run to warm itself with.

It is text: a line that says what it is, a line of JSON for each table, and the SHA-256 of all that.

    tierline hot keys 1
    {"table":"public.flights","key":["id"],"keys":[42,7]}
    sha256 5d41…

A file is written beside the old one and takes its place as a whole: there is never a part of one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from returns.result import Failure, Success

from tierline.entity import Table
from tierline.errors import ConfigurationError, DecodeError, RepositoryError
from tierline.result import Result

_FIRST = b"tierline hot keys 1\n"
_LAST = b"sha256 "
_BYTES_MAX = 2**30


class HotKeys(msgspec.Struct, frozen=True):
    """The keys that a file holds; `tl.hot_keys` makes it, `store.warm` reads it.

    Attributes:
        path: Where the file is.
    """

    path: str


class HotTable(msgspec.Struct, frozen=True):
    """The keys of one table, the hottest first.

    Attributes:
        table: Its schema and name.
        key: Its key's columns.
        keys: The keys, in JSON.
    """

    table: str
    key: tuple[str, ...]
    keys: msgspec.Raw


def hot_keys(path: str | os.PathLike[str], /) -> HotKeys:
    """The keys that `store.save_hot_keys` wrote, for `store.warm`; nothing is read yet.

    Example:
        ``store.warm(tl.hot_keys("hot_keys.txt"), rate=5_000)``
    """
    return HotKeys(os.fspath(path))


def hot_table(place: str, table: Table[Any, Any], keys: Sequence[Any]) -> HotTable:
    """A table's keys as the file holds them; those that JSON would make others of are left out."""
    encode, decode = msgspec.json.encode, msgspec.json.Decoder(key_type(table)).decode
    kept = [key for key in keys if _survives(key, encode, decode)]
    return HotTable(place, table.key, msgspec.Raw(encode(kept)))


def keys_of(hot: HotTable, table: Table[Any, Any]) -> Result[list[Any], RepositoryError]:
    """The keys of a table that has the file's name.

    Errors: `DecodeError` if its key is of other types now.
    """
    try:
        keys: list[Any] = msgspec.json.decode(
            hot.keys, type=list.__class_getitem__(key_type(table))
        )
    except (msgspec.DecodeError, ValueError) as error:
        found = DecodeError(
            f"the hot keys of {hot.table} are of another type than its key is now",
            operation="warm",
            table=table.name,
            columns=table.key,
        )
        found.__cause__ = error
        return Failure(found)
    return Success(keys)


def key_type(table: Table[Any, Any]) -> Any:
    """The type of a table's keys."""
    types = tuple(column.type.annotation for column in table.key_columns)
    return types[0] if len(types) == 1 else tuple.__class_getitem__(types)


def write_hot_keys(path: Path, tables: Sequence[HotTable]) -> Result[None, RepositoryError]:
    """Put a file in the place of another, as a whole or not at all."""
    text = _FIRST + b"".join(msgspec.json.encode(table) + b"\n" for table in tables)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("xb") as file:
            file.write(text + _LAST + _digest(text) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        return _unusable("written", error)
    return Success(None)


def read_hot_keys(hot: HotKeys) -> Result[list[HotTable], RepositoryError]:
    """What a file holds.

    Errors: `ConfigurationError` if it cannot be read, `DecodeError` if it is another or broken.
    """
    try:
        with Path(hot.path).open("rb") as file:
            data = file.read(_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        return _unusable("read", error)
    if not data.startswith(_FIRST) or len(data) > _BYTES_MAX:
        return _broken(f"it does not begin with {_FIRST.decode().strip()!r}")
    text, mark, digest = data.rpartition(_LAST)
    if not mark or digest != _digest(text) + b"\n":
        return _broken("its checksum is another, so it was changed or cut off")
    try:
        lines = text.removeprefix(_FIRST).splitlines()
        return Success([msgspec.json.decode(line, type=HotTable) for line in lines])
    except (msgspec.DecodeError, ValueError):
        return _broken("a line of it is no table's keys")


def _survives(key: Any, encode: Any, decode: Any) -> bool:
    try:
        return bool(decode(encode(key)) == key)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return False


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _broken(why: str) -> Failure[RepositoryError]:
    return Failure(DecodeError(f"the file of hot keys is not used: {why}", operation="warm"))


def _unusable(verb: str, error: Exception) -> Failure[RepositoryError]:
    reason = error.strerror if isinstance(error, OSError) else None
    found = ConfigurationError(
        f"the file of hot keys cannot be {verb}: {reason or 'no such path'}", operation="hot_keys"
    )
    found.__cause__ = error
    return Failure(found)
