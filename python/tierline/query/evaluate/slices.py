"""Positions and slices: of text and of arrays, with the casts to 32 bits that the SQL makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tierline.query.evaluate.functions import unary, with_nulls
from tierline.query.evaluate.machine import int4, int8


def _start(length: int | None, index: int | None) -> int | None:
    """`CASE WHEN i < 0 THEN greatest(length + i, 0) ELSE i END`."""
    if index is None or index >= 0:
        return index
    # greatest leaves a NULL out.
    return 0 if length is None else max(length + index, 0)


def _stop(length: int | None, index: int | None) -> int | None:
    """`CASE WHEN i < 0 THEN length + i ELSE i END`."""
    if index is None or index >= 0:
        return index
    return None if length is None else length + index


def _subscript(start: int | None) -> int | None:
    """`(start + 1)::integer`: SQL counts from 1."""
    return None if start is None else int4(int8(start + 1))


def _length(items: Sequence[Any] | None) -> int | None:
    return None if items is None else len(items)


def _text_at(text: str | None, index: int | None) -> str | None:
    place = _subscript(_stop(_length(text), index))
    if text is None or place is None or not 1 <= place <= len(text):
        return None
    return text[place - 1]


def _text_from(text: str | None, index: int | None) -> str | None:
    if index is None or index == 0:
        return None if index is None else text
    count = int4(int8(-index))
    if text is None:
        return None
    # `right`, of whose negative numbers the least has no positive counterpart in 32 bits.
    return text if count == -(2**31) else text[-count:]


def _text_to(text: str | None, index: int | None) -> str | None:
    stop = None if index is None else int4(index)
    return None if text is None or stop is None else text[:stop]


def _text_slice(text: str | None, start: int | None, stop: int | None) -> str | None:
    length = _length(text)
    begin, end = _start(length, start), _stop(length, stop)
    first = _subscript(begin)
    if begin is not None and end is not None:
        int4(max(int8(end - begin), 0))
    if text is None or first is None or end is None:
        return None
    return text[first - 1 : max(end, 0)]


with_nulls("text_at", _text_at)
with_nulls("text_from", _text_from)
with_nulls("text_to", _text_to)
with_nulls("text_slice", _text_slice)
unary("text_length", len)
unary("bytes_length", len)
unary("array_length", len)
unary("text_reverse", lambda text: text[::-1])


def _array_at(items: tuple[Any, ...] | None, index: int | None) -> Any:
    # The subscripts of NULL are not looked at.
    place = None if items is None else _subscript(_stop(len(items), index))
    if items is None or place is None or not 1 <= place <= len(items):
        return None
    return items[place - 1]


def _array_from(items: tuple[Any, ...] | None, index: int | None) -> Any:
    first = None if items is None else _subscript(_start(len(items), index))
    return None if items is None or first is None else items[first - 1 :]


def _array_to(items: tuple[Any, ...] | None, index: int | None) -> Any:
    return _array_slice(items, 0, index)


def _array_slice(items: tuple[Any, ...] | None, start: int | None, stop: int | None) -> Any:
    if items is None:
        return None
    first, last = _subscript(_start(len(items), start)), _stop(len(items), stop)
    last = None if last is None else int4(last)
    return None if first is None or last is None else items[first - 1 : max(last, 0)]


with_nulls("array_at", _array_at)
with_nulls("array_from", _array_from)
with_nulls("array_to", _array_to)
with_nulls("array_slice", _array_slice)
