"""The decoder of rows, against psycopg's own loaders, on results made by hand."""

from __future__ import annotations

import contextlib
import ctypes
import datetime as dt
import struct
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from tierline._core import Libpq, RowDecoder
from tierline.postgres import decoding

LIBPQ = decoding.libpq()

pytestmark = pytest.mark.skipif(LIBPQ is None, reason="psycopg's libpq shows no names")


def result_of(oids: Sequence[int], rows: Sequence[Sequence[bytes | None]]) -> PGresult:
    """A binary result with these cells, made by libpq without any server."""
    # No such server: a connection that failed makes results all the same.
    conn = pq.PGconn.connect_start(b"host=/nonexistent")
    result = conn.make_empty_result(ExecStatus.TUPLES_OK)
    result.set_attributes(
        [
            pq.PGresAttDesc(b"c%d" % n, 0, 0, Format.BINARY, oid, -1, -1)
            for n, oid in enumerate(oids)
        ]
    )
    library = decoding._library()
    assert library is not None
    set_value = library["PQsetvalue"]
    set_value.argtypes = [ctypes.c_void_p, *[ctypes.c_int] * 2, ctypes.c_char_p, ctypes.c_int]
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            length = -1 if cell is None else len(cell)
            assert set_value(result.pgresult_ptr, row, column, cell, length)
    return result


def decoder(
    oids: Sequence[int], *columns: tuple[Any, ...], shape: Any = "tuple", **more: Any
) -> RowDecoder:
    """A decoder whose columns leave out what is usual."""
    assert LIBPQ is not None
    usual = (0, "text", False, None, None, None)
    return RowDecoder(LIBPQ, oids, [(*c, *usual[len(c) :]) for c in columns], shape, **more)  # type: ignore[misc]


def one(oid: int, kind: str, cell: bytes) -> Any:
    """What the core makes of one value."""
    rows = decoder([oid], (0, kind)).decode(result_of([oid], [[cell]]))
    assert rows is not None
    return rows[0][0]


def loaded(oid: int, cell: bytes) -> Any:
    """What psycopg makes of it."""
    return Transformer().get_loader(oid, Format.BINARY).load(cell)


def _numeric(groups: list[int], weight: int, sign: int, scale: int) -> bytes:
    return struct.pack(f">HhHH{len(groups)}H", len(groups), weight, sign, scale, *groups)


def _size(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def _about(format_: str, least: int, most: int) -> st.SearchStrategy[bytes]:
    """Numbers in a range and a little around it, and any others."""
    size = struct.calcsize(format_)
    near = st.integers(least - 2, most + 2) | st.sampled_from([least, most])
    return near.map(struct.Struct(format_).pack) | _size(size)


@st.composite
def numerics(draw: st.DrawFn) -> bytes:
    """As PostgreSQL has them: no group of digits that is wholly beyond the display scale."""
    scale = draw(st.integers(0, 50))
    weight = draw(st.integers(-1 - scale // 4, 12))
    most = max(0, weight + 1 + -(-scale // 4))
    groups = draw(st.lists(st.integers(0, 9_999), max_size=most))
    return _numeric(groups, weight, draw(st.sampled_from([0, 0x4000])), scale)


DAY_US = 86_400_000_000
DAYS = (-730_119, 2_921_939)
INSTANTS = (DAYS[0] * DAY_US, (DAYS[1] + 1) * DAY_US - 1)
CELLS: dict[int, st.SearchStrategy[bytes]] = {
    16: st.sampled_from([b"\0", b"\1"]),
    17: st.binary(max_size=20),
    20: _size(8),
    21: _size(2),
    23: _size(4),
    25: st.text(max_size=20).map(lambda text: text.encode(errors="replace"))
    | st.binary(max_size=9),
    26: _size(4),
    700: _size(4),
    701: _size(8),
    1082: _about(">i", *DAYS),
    1083: _about(">q", 0, DAY_US),
    1114: _about(">q", *INSTANTS),
    1184: _about(">q", *INSTANTS),
    1186: st.builds(
        struct.Struct(">qii").pack,
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-(2**31), 2**31 - 1) | st.integers(-999, 999),
        st.integers(-(2**31), 2**31 - 1) | st.integers(-999, 999),
    ),
    1266: st.builds(
        struct.Struct(">qi").pack, st.integers(0, DAY_US), st.integers(-86_400, 86_400)
    ),
    1700: numerics()
    | st.sampled_from([_numeric([], 0, sign, 0) for sign in (0xC000, 0xD000, 0xF000, 0x1234)]),
    2950: _size(16),
}


@given(data=st.data(), oid=st.sampled_from(sorted(CELLS)))
def test_a_value_is_what_psycopg_makes_of_it_or_refused_by_both(
    data: st.DataObject, oid: int
) -> None:
    cell = data.draw(CELLS[oid])
    try:
        expected = loaded(oid, cell)
    except (psycopg.DataError, UnicodeDecodeError, ValueError):
        with pytest.raises(ValueError, match=r"value|date|codec"):
            one(oid, decoding._SCALARS[oid], cell)
        return
    found = one(oid, decoding._SCALARS[oid], cell)
    assert type(found) is type(expected)
    assert repr(found) == repr(expected)
    if isinstance(expected, (dt.datetime, dt.time)):
        assert found.tzinfo == expected.tzinfo


@given(
    data=st.data(),
    oids=st.sampled_from([(16, 1000), (20, 1016), (25, 1009), (1184, 1185), (2950, 2951)]),
)
def test_an_array_is_what_psycopg_makes_of_it(data: st.DataObject, oids: tuple[int, int]) -> None:
    item, array = oids
    readable = CELLS[item].filter(lambda cell: _is_readable(item, cell))
    cells = data.draw(st.lists(readable, max_size=4))
    body = b"".join(struct.pack(">i", len(cell)) + cell for cell in cells)
    head = (
        struct.pack(">iiIii", 1, 0, item, len(cells), 1)
        if cells
        else struct.pack(">iiI", 0, 0, item)
    )
    assert repr(one(array, decoding._ARRAYS[array], head + body)) == repr(
        loaded(array, head + body)
    )


def _is_readable(oid: int, cell: bytes) -> bool:
    try:
        loaded(oid, cell)
    except (psycopg.DataError, UnicodeDecodeError):
        return False
    return True


@given(
    cell=st.binary(max_size=40),
    kind=st.sampled_from([*decoding._SCALARS.values(), "json", "jsonb"]),
    is_array=st.booleans(),
)
def test_other_bytes_are_refused_and_nothing_worse(
    cell: bytes, kind: str, *, is_array: bool
) -> None:
    with contextlib.suppress(ValueError):
        one(25, kind + "[]" * is_array, cell)


class Pair(msgspec.Struct, frozen=True):
    left: int
    right: str | None = None

    def __post_init__(self) -> None:
        if self.left < 0:
            raise ValueError("negative")


class Named(msgspec.Struct, frozen=True, kw_only=True):
    left: int
    right: str


INT8 = struct.Struct(">q").pack
ROWS = result_of([20, 25], [[INT8(1), b"a"], [INT8(2), None]]) if LIBPQ else None


def test_rows_are_made_into_what_is_asked_for() -> None:
    both = ((0, "int8"), (1, "text"))
    oids = [20, 25]
    assert decoder(oids, *both).decode(ROWS) == [(1, "a"), (2, None)]
    assert decoder(oids, *both, shape="first").decode(ROWS) == [1, 2]
    assert decoder(oids, *both, shape="call", into=Pair).decode(ROWS) == [Pair(1, "a"), Pair(2)]
    assert decoder(oids, *both[::-1]).decode(ROWS) == [("a", 1), (None, 2)]
    named = decoder(oids, *both, shape="call", into=Named, names=("left", "right"))
    one_row = result_of(oids, [[INT8(1), b"a"]])
    assert named.decode(one_row) == [Named(left=1, right="a")]
    mixed = decoder(oids, *both, shape="call", into=Pair, names=("right",))
    assert mixed.decode(one_row) == [Pair(1, "a")]
    assert decoder(oids).decode(ROWS) == [(), ()]
    assert decoder(oids, *both).decode(result_of(oids, [])) == []


def test_values_pass_through_loader_choices_and_converter() -> None:
    row = result_of([25, 1009], [[b"a", struct.pack(">iiIiii", 1, 0, 25, 1, 1, 1) + b"b"]])
    oids = [25, 1009]
    chosen = decoder(
        oids,
        (0, "other", False, bytes.upper),
        (0, "text", False, None, {"a": 1}, str),
        (1, "text[]", False, None, {"b": 2}, frozenset),
    )
    assert chosen.decode(row) == [(b"A", "1", frozenset({2}))]
    with pytest.raises(KeyError):
        decoder(oids, (0, "text", False, None, {"b": 1})).decode(row)
    with pytest.raises(KeyError):
        decoder(oids, (1, "text[]", False, None, {"a": 1})).decode(row)


def test_null_where_a_value_is_required_is_refused() -> None:
    with pytest.raises(ValueError, match="NULL"):
        decoder([20, 25], (1, "text", True)).decode(ROWS)


def test_what_a_class_refuses_and_what_is_no_pair_comes_through() -> None:
    row = result_of([20, 25], [[INT8(-1), b"a"]])
    with pytest.raises(ValueError, match="negative"):
        decoder([20, 25], (0, "int8"), shape="call", into=Pair).decode(row)
    with pytest.raises(TypeError):
        decoder([20, 25], shape="call", into=Pair).decode(row)


@pytest.mark.parametrize("oids", [[20], [20, 25, 25], [20, 1043], [23, 25]])
def test_a_result_of_other_columns_is_not_read(oids: list[int]) -> None:
    assert decoder([20, 25], (0, "int8")).decode(result_of(oids, [])) is None


def test_a_result_in_text_is_not_read() -> None:
    result = pq.PGconn.connect_start(b"host=/nonexistent").make_empty_result(ExecStatus.TUPLES_OK)
    result.set_attributes([pq.PGresAttDesc(b"a", 0, 0, Format.TEXT, 25, -1, -1)])
    assert decoder([25], (0, "text")).decode(result) is None


def test_only_psycopgs_results_are_read_and_no_cleared_ones() -> None:
    class Impostor:
        pgresult_ptr = 1

    for other in (None, 1, Impostor()):
        with pytest.raises(TypeError, match="not a result"):
            decoder([25], (0, "text")).decode(other)
    cleared = result_of([25], [[b"a"]])
    cleared.clear()
    with pytest.raises(ValueError, match="cleared"):
        decoder([25], (0, "text")).decode(cleared)


def test_a_result_is_described_as_psycopg_does() -> None:
    assert LIBPQ is not None
    assert LIBPQ.describe(ROWS) == (2, [20, 25])
    with pytest.raises(TypeError):
        LIBPQ.describe(object())


@pytest.mark.parametrize(
    ("columns", "more"),
    [
        ([(0, "txt")], {}),
        ([(0, "other")], {}),
        ([(0, "text", False, str)], {}),
        ([(0, "other[]", False, str)], {}),
        ([(1, "text")], {}),
        ([(-1, "text")], {}),
        ([(0, "text")], {"shape": "list"}),
        ([(0, "text")], {"shape": "call"}),
        ([(0, "text")], {"into": tuple}),
        ([], {"shape": "first"}),
        ([(0, "text")], {"shape": "call", "into": dict, "names": ("a", "b")}),
    ],
)
def test_a_decoder_that_could_not_work_is_not_made(columns: Any, more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"kind|column|names|shape"):
        decoder([25], *columns, **more)


def test_a_function_without_address_is_refused() -> None:
    with pytest.raises(ValueError, match="address"):
        Libpq(pq.PGresult, [1, 2, 3, 4, 5, 6, 0])


def test_uuids_and_decimals_are_whole() -> None:
    token = uuid.UUID(int=2**127 + 5)
    found = one(2950, "uuid", token.bytes)
    assert (found, found.is_safe, hash(found)) == (token, token.is_safe, hash(token))
    assert found.version == token.version
    digits = one(1700, "numeric", _numeric([1, 2], 0, 0x4000, 4))
    assert str(digits) == "-1.0002"
    assert digits + 1 == Decimal("-0.0002")
