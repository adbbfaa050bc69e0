"""What the backplane announces, and which cached keys it means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from tierline.entity import Table

ReadKeys: TypeAlias = Callable[[msgspec.Raw], list[Any] | None]

# Their JSON, as PostgreSQL writes it, says exactly which value it is, whatever a session has set.
_EXACT = frozenset(("bool", "int8", "text", "uuid", "numeric", "date", "timestamp", "timestamptz"))


class Announcement(msgspec.Struct, frozen=True, array_like=True):
    """One message: which transaction changed which rows of a table; what follows is for others.

    Attributes:
        schema: The table's.
        name: The table's.
        columns: What `keys` are the values of.
        xid: The top-level transaction.
        keys: As JSON; null where any row may have changed.
        told: Whether the statement told its rows to whoever ran it, in the same process.
        deleted: Whether the rows were deleted, and those that refer to them are not announced.
        early: Whether the transaction is prepared and has yet to end.
    """

    schema: str
    name: str
    columns: list[str]
    xid: int
    keys: msgspec.Raw
    told: bool = False
    deleted: bool = False
    early: bool = False


_decode = msgspec.json.Decoder(Announcement).decode


def read_announcement(payload: bytes) -> Announcement | None:
    """The announcement in a message; None if it is none of ours."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def key_decoder(table: Table[Any, Any]) -> ReadKeys:
    """From announced keys to the keys of a table; None where they cannot be told for certain."""
    types = [column.type for column in table.key_columns]
    if any(type_.wire not in _EXACT for type_ in types):
        return lambda _: None
    one_row: Any = tuple[tuple(type_.annotation for type_ in types)]  # type: ignore[misc]
    decode = msgspec.json.Decoder(list[one_row] | None).decode
    is_single = len(types) == 1

    def read(keys: msgspec.Raw) -> list[Any] | None:
        try:
            rows = decode(keys)
        except msgspec.DecodeError:
            return None
        return rows if rows is None or not is_single else [row[0] for row in rows]

    return read
