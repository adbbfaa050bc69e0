"""The frame around a payload in Redis: what goes in comes out, and nothing else does."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierline._core import pack_frame, unpack_frame

FINGERPRINTS = st.integers(0, 2**64 - 1)
MILLISECONDS = st.integers(-(2**63), 2**63 - 1)
FRAME = pack_frame(b"payload", fingerprint=7, written_at_ms=1_700_000_000_000)


@given(payload=st.binary(max_size=4_096), fingerprint=FINGERPRINTS, written_at_ms=MILLISECONDS)
def test_a_frame_opens_to_what_was_put_in(
    payload: bytes, fingerprint: int, written_at_ms: int
) -> None:
    frame = pack_frame(payload, fingerprint=fingerprint, written_at_ms=written_at_ms)
    assert unpack_frame(frame, fingerprint=fingerprint) == (payload, written_at_ms)


@given(payload=st.binary(max_size=64), fingerprint=FINGERPRINTS, written_at_ms=MILLISECONDS)
def test_a_frame_has_the_documented_layout(
    payload: bytes, fingerprint: int, written_at_ms: int
) -> None:
    header = struct.pack("<4sBBHQqI", b"\x89TLF", 2, 0, 0, fingerprint, written_at_ms, len(payload))
    expected = header + struct.pack("<I", zlib.crc32(header + payload)) + payload
    frame = pack_frame(payload, fingerprint=fingerprint, written_at_ms=written_at_ms)
    assert frame == expected


def test_a_megabyte_fits() -> None:
    payload = bytes(range(256)) * 4_096
    frame = pack_frame(payload, fingerprint=0, written_at_ms=0)
    assert unpack_frame(frame, fingerprint=0) == (payload, 0)


@pytest.mark.parametrize("bit", range(len(FRAME) * 8))
def test_no_flipped_bit_goes_unnoticed(bit: int) -> None:
    torn = bytearray(FRAME)
    torn[bit // 8] ^= 1 << (bit % 8)
    assert unpack_frame(bytes(torn), fingerprint=7) is None


def test_no_frame_of_another_length_opens() -> None:
    for length in range(len(FRAME)):
        assert unpack_frame(FRAME[:length], fingerprint=7) is None
    assert unpack_frame(FRAME + b"\0", fingerprint=7) is None
    assert unpack_frame(FRAME + FRAME, fingerprint=7) is None


@given(fingerprint=FINGERPRINTS.filter(lambda fingerprint: fingerprint != 7))
def test_a_frame_of_another_schema_does_not_open(fingerprint: int) -> None:
    assert unpack_frame(FRAME, fingerprint=fingerprint) is None


@given(foreign=st.binary(max_size=256), fingerprint=FINGERPRINTS)
def test_foreign_bytes_are_no_frame_and_no_error(foreign: bytes, fingerprint: int) -> None:
    assert unpack_frame(foreign, fingerprint=fingerprint) is None


@given(tail=st.binary(max_size=256), kept=st.integers(0, len(FRAME)))
def test_a_frame_overwritten_from_somewhere_on_does_not_open(tail: bytes, kept: int) -> None:
    frame = FRAME[:kept] + tail
    assert (unpack_frame(frame, fingerprint=7) is None) == (frame != FRAME)


@pytest.mark.parametrize("number", [-1, 2**64])
def test_a_fingerprint_outside_64_bits_is_refused(number: int) -> None:
    with pytest.raises(OverflowError):
        pack_frame(b"", fingerprint=number, written_at_ms=0)
    with pytest.raises(OverflowError):
        unpack_frame(FRAME, fingerprint=number)


@pytest.mark.parametrize("number", [-(2**63) - 1, 2**63])
def test_a_time_of_writing_outside_64_bits_is_refused(number: int) -> None:
    with pytest.raises(OverflowError):
        pack_frame(b"", fingerprint=0, written_at_ms=number)


@pytest.mark.parametrize("payload", ["text", None, 7, [1]])
def test_only_bytes_are_framed(payload: Any) -> None:
    with pytest.raises(TypeError):
        pack_frame(payload, fingerprint=0, written_at_ms=0)
    with pytest.raises(TypeError):
        unpack_frame(payload, fingerprint=0)
