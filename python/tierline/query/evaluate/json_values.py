"""A JSON value as jsonb keeps it: numbers by their digits, objects without order.

A field's own value is kept as it is; what comes of a path or of the query is a `Document`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from tierline.entity.types import is_dict, is_list
from tierline.query.evaluate import numeric


class Document:
    """JSON in parts: None, bool, int, Decimal, str, lists and dicts of them."""

    __slots__ = ("parts",)

    def __init__(self, parts: Any) -> None:
        self.parts = parts


_PARTS = msgspec.json.Decoder(float_hook=Decimal)


def read(text: bytes) -> Document:
    """The document of a JSON text."""
    return Document(_PARTS.decode(text))


def parts_of(value: Any) -> Any:
    """The parts of a kept value, as it is written into a table."""
    if isinstance(value, Document):
        return value.parts
    return _PARTS.decode(msgspec.json.encode(value))


def key(value: Any) -> Any:
    """Of a kept value, what equals as jsonb does."""
    return json_key(parts_of(value))


def json_key(value: Any) -> Any:
    """Equal where jsonb is: numbers by value, objects without order, types apart."""
    if isinstance(value, bool):
        return ("bool", value)
    if is_list(value):
        return ("array", tuple(map(json_key, value)))
    if is_dict(value):
        return ("object", frozenset((name, json_key(item)) for name, item in value.items()))
    return value


def text_of(value: Any) -> str:
    """The text that jsonb writes for parts."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return f"{numeric.normal(value):f}"
    if is_list(value):
        return f"[{', '.join(map(text_of, value))}]"
    if is_dict(value):
        ordered = sorted(value.items(), key=_key_order)
        return f"{{{', '.join(f'{text_of(name)}: {text_of(item)}' for name, item in ordered)}}}"
    # As msgspec writes it: `\\n` and its like by name, other control characters as `\\u0001`.
    return msgspec.json.encode(value).decode()


def _key_order(item: tuple[str, Any]) -> tuple[int, bytes]:
    """Keys stand by length, then by their bytes."""
    name = item[0].encode()
    return len(name), name
