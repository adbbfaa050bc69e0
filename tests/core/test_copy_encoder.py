"""The encoder for binary COPY, against one written with `struct`."""

from __future__ import annotations

import struct
from collections import UserList
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline._core import CopyEncoder


def other(value: Any) -> bytes:
    return repr(value).encode()


FORMATS: dict[str, Callable[[Any], bytes]] = {
    "bool": struct.Struct(">?").pack,
    "int8": struct.Struct(">q").pack,
    "float8": struct.Struct(">d").pack,
    "text": str.encode,
    "bytea": bytes,
    "other": other,
}
# One to four bytes of UTF-8 each. Few, since a whole alphabet takes seconds to set up.
CHARACTERS = "a\0é€🦀"
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "int8": st.integers(-(2**63), 2**63 - 1),
    "float8": st.floats() | st.integers(-(2**64), 2**64),
    "text": st.text(CHARACTERS, max_size=20),
    "bytea": st.binary(max_size=20),
    "other": st.tuples(st.integers(), st.text(CHARACTERS, max_size=3)),
}


def encode_plainly(kinds: list[str], rows: list[tuple[Any, ...]]) -> bytes:
    encoded = b""
    for row in rows:
        encoded += struct.pack(">h", len(row))
        for kind, value in zip(kinds, row, strict=True):
            field = None if value is None else FORMATS[kind](value)
            encoded += struct.pack(">i", -1 if field is None else len(field)) + (field or b"")
    return encoded


def encoder(*kinds: str) -> CopyEncoder:
    return CopyEncoder(kinds, [other if kind == "other" else None for kind in kinds])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[tuple[Any, ...]]]:
    kinds = draw(st.lists(st.sampled_from(list(FORMATS)), max_size=6))
    row = st.tuples(*(st.none() | VALUES[kind] for kind in kinds))
    return kinds, draw(st.lists(row, max_size=8))


@given(table=tables())
def test_rows_are_encoded_as_struct_would(table: tuple[list[str], list[tuple[Any, ...]]]) -> None:
    kinds, rows = table
    assert encoder(*kinds).encode(rows) == encode_plainly(kinds, rows)


def test_any_sequence_of_any_tuples_is_taken() -> None:
    class Row(NamedTuple):
        number: int

    one = encoder("int8")
    assert one.encode([Row(1)]) == one.encode(((1,),)) == one.encode(UserList([(1,)]))
    assert one.encode([]) == b""


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bool", 1),
        ("bool", "true"),
        ("int8", True),
        ("int8", 1.0),
        ("int8", "1"),
        ("float8", True),
        ("float8", "1.0"),
        ("text", b"text"),
        ("text", 1),
        ("bytea", "text"),
        ("bytea", bytearray(b"text")),
    ],
)
def test_a_value_of_another_type_is_refused_without_showing_it(kind: str, value: Any) -> None:
    with pytest.raises(TypeError, match=r"column 1 takes \w+.*, not ") as refused:
        encoder("int8", kind).encode([(1, value)])
    assert type(value).__name__ in str(refused.value)
    assert "text" not in str(refused.value)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**400])
def test_an_integer_outside_64_bits_is_refused(value: int) -> None:
    with pytest.raises(OverflowError):
        encoder("int8").encode([(value,)])


def test_an_integer_beyond_every_float_is_refused() -> None:
    with pytest.raises(OverflowError):
        encoder("float8").encode([(10**400,)])


@pytest.mark.parametrize("kind", ["bytea", "other"])
def test_a_value_of_a_gibibyte_is_refused(kind: str) -> None:
    gibibyte = bytes(2**30)  # zeroed on demand: it is never touched
    giant = CopyEncoder([kind], [(lambda _: gibibyte) if kind == "other" else None])
    with pytest.raises(OverflowError, match="1 GiB"):
        giant.encode([(gibibyte,)])


@pytest.mark.parametrize("row", [(), (1,), (1, 2, 3)])
def test_a_row_of_another_width_is_refused(row: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"a row of {len(row)} values for 2 columns"):
        encoder("int8", "int8").encode([(1, 2), row])


@pytest.mark.parametrize("row", [[1], 1, "1", None])
def test_a_row_that_is_no_tuple_is_refused(row: Any) -> None:
    with pytest.raises(TypeError):
        encoder("int8").encode([row])


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        encoder("text").encode([("\ud800",)])


def test_what_an_encoder_raises_is_passed_on() -> None:
    def fail(value: Any) -> bytes:
        raise LookupError(value)

    with pytest.raises(LookupError):
        CopyEncoder(["other"], [fail]).encode([(1,)])


def test_an_encoder_must_return_bytes_and_is_not_asked_for_null() -> None:
    wrong: Any = str
    encoder = CopyEncoder(["other"], [wrong])
    assert encoder.encode([(None,)]) == b"\0\1\xff\xff\xff\xff"
    with pytest.raises(TypeError, match="column 0"):
        encoder.encode([(1,)])


def test_an_encoder_may_change_the_rows_it_is_called_for() -> None:
    rows: list[tuple[Any, ...]] = [(1,), (2,), (3,)]

    def shrink(value: Any) -> bytes:
        rows.clear()
        return other(value)

    encoded = CopyEncoder(["other"], [shrink]).encode(rows)
    assert encoded == encode_plainly(["other"], [(1,)])


@pytest.mark.parametrize(
    ("kinds", "encoders"),
    [
        (["int5"], [None]),
        ([""], [None]),
        (["other"], [None]),
        (["int8"], [other]),
        (["int8"], []),
        ([], [None]),
        (["int8"] * 32_768, [None] * 32_768),
    ],
)
def test_kinds_that_make_no_sense_are_refused(kinds: list[str], encoders: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"kind|columns"):
        CopyEncoder(kinds, encoders)
