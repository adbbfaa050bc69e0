"""Cursors of pages: the values that a row is ordered by, signed for one query and its values."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any, Union

import msgspec

from tierline.entity.types import ColumnType
from tierline.errors import FieldError, ValidationError
from tierline.query.expressions import Ordering

_SIGNATURE_BYTES = 16


def origin_of(statement: bytes, values: Sequence[Any]) -> bytes:
    """What tells a query's cursors from those of others: its text and its values, as a hash.

    Args:
        statement: The name of the query's statement.
        values: What travels beside it; none of it can be read from a cursor.
    """
    digest = hashlib.blake2b(statement, digest_size=32)
    for value in values:
        content = _content(value)
        digest.update(len(content).to_bytes(8, "big"))
        digest.update(content)
    return digest.digest()


def _content(value: Any) -> bytes:
    try:
        # Instants of one moment are the same in it, whatever their zones.
        return msgspec.msgpack.encode(value)
    except (TypeError, ValueError, OverflowError):
        return repr(value).encode(errors="backslashreplace")


def write_cursor(values: Sequence[Any], origin: bytes, secret: bytes) -> str:
    """The cursor of a row.

    Args:
        values: What it is ordered by.
        origin: Of `origin_of`: cursors of another query, or of other values, are refused.
        secret: Signs it.
    """
    content = msgspec.msgpack.encode(list(values))
    return base64.urlsafe_b64encode(_sign(content, origin, secret) + content).decode()


def read_cursor(
    cursor: str, keys: Sequence[Ordering], origin: bytes, secret: bytes
) -> tuple[Any, ...]:
    """The values of the row that a cursor is of.

    Raises:
        ValidationError: It was not made by this query with these values, or with another secret, or
            is torn.
    """
    try:
        whole = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        signature, content = whole[:_SIGNATURE_BYTES], whole[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _sign(content, origin, secret)):
            raise _foreign()
        return _decoder(tuple(key.operand.type for key in keys))(content)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise _foreign() from None


def _foreign() -> ValidationError:
    problem = "is not a cursor of this query with these values; begin at the first page"
    return ValidationError((FieldError("cursor", problem),))


def _sign(content: bytes, origin: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, origin + b"\0" + content, hashlib.sha256)[:_SIGNATURE_BYTES]


def _decoder(types: Sequence[ColumnType]) -> Callable[[bytes], tuple[Any, ...]]:
    optional = tuple(Union[type_.annotation, None] for type_ in types)  # noqa: UP007 (at run time)
    shape: Any = tuple.__class_getitem__(optional)
    decode: Callable[[bytes], tuple[Any, ...]] = msgspec.msgpack.Decoder(shape).decode
    return decode
