//! The frame around a cached payload in Redis.
//!
//! | offset | bytes | field                                     |
//! |-------:|------:|-------------------------------------------|
//! |      0 |     4 | magic, `89 54 4C 46` (`\x89TLF`)          |
//! |      4 |     1 | format version, 1                         |
//! |      5 |     1 | flags, none defined: 0                    |
//! |      6 |     2 | reserved, 0                               |
//! |      8 |     8 | schema fingerprint                        |
//! |     16 |     8 | written at, Unix milliseconds, signed     |
//! |     24 |     4 | payload length                            |
//! |     28 |     4 | CRC-32 (IEEE) of bytes 0..28 and payload  |
//! |     32 |     … | payload                                   |
//!
//! Integers are little-endian. The same input gives the same bytes.
//!
//! The checksum guards against accidents, not against an attacker who can write to Redis. CRC-32
//! because it detects every error of up to 32 adjacent bits at any length, where a hash only
//! probably does, and processors compute it faster than Redis delivers.

use crc32fast::Hasher;

/// Bytes in front of the payload.
pub const HEADER: usize = 32;

/// Magic, version, flags and the reserved bytes.
const PREFIX: [u8; 8] = *b"\x89TLF\x01\x00\x00\x00";
const CHECKSUM_AT: usize = 28;

/// A payload is longer than its length field can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Where a payload is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Of the schema that it was encoded with.
    pub fingerprint: u64,
    /// Unix milliseconds when it was written: readers bound its age themselves.
    pub written_at_ms: i64,
}

/// The bytes that go in front of `payload`.
///
/// # Errors
///
/// [`TooLong`] from 4 GiB on.
pub fn header(payload: &[u8], stamp: Stamp) -> Result<[u8; HEADER], TooLong> {
    let length = u32::try_from(payload.len()).map_err(|_| TooLong)?;
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&PREFIX);
    header[8..16].copy_from_slice(&stamp.fingerprint.to_le_bytes());
    header[16..24].copy_from_slice(&stamp.written_at_ms.to_le_bytes());
    header[24..28].copy_from_slice(&length.to_le_bytes());
    let checksum = checksum(&header, payload);
    header[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
    Ok(header)
}

/// The payload and the time of writing of a frame of this schema; `None` for any other bytes.
#[must_use]
pub fn open(frame: &[u8], fingerprint: u64) -> Option<(&[u8], i64)> {
    let (header, payload) = frame.split_first_chunk::<HEADER>()?;
    let length = u32::from_le_bytes(field(header, 24));
    let intact = header[..8] == PREFIX
        && u64::from_le_bytes(field(header, 8)) == fingerprint
        && u32::try_from(payload.len()) == Ok(length)
        && u32::from_le_bytes(field(header, CHECKSUM_AT)) == checksum(header, payload);
    intact.then(|| (payload, i64::from_le_bytes(field(header, 16))))
}

fn checksum(header: &[u8; HEADER], payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&header[..CHECKSUM_AT]);
    hasher.update(payload);
    hasher.finalize()
}

fn field<const N: usize>(header: &[u8; HEADER], at: usize) -> [u8; N] {
    std::array::from_fn(|index| header[at + index])
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: Stamp = Stamp { fingerprint: 0x0102_0304_0506_0708, written_at_ms: -2 };

    fn seal(payload: &[u8]) -> Vec<u8> {
        let header = header(payload, STAMP).unwrap();
        [&header[..], payload].concat()
    }

    #[test]
    fn a_frame_opens_to_what_was_put_in() {
        for payload in [&b""[..], b"x", &[0; 10_000]] {
            let frame = seal(payload);
            assert_eq!(open(&frame, STAMP.fingerprint), Some((payload, -2)));
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let frame = seal(b"payload");
        assert_eq!(frame[..8], *b"\x89TLF\x01\x00\x00\x00");
        assert_eq!(frame[8..16], [8, 7, 6, 5, 4, 3, 2, 1]);
        assert_eq!(frame[16..24], [0xFE, 255, 255, 255, 255, 255, 255, 255]);
        assert_eq!(frame[24..28], [7, 0, 0, 0]);
        assert_eq!(frame[28..32], 0x6655_9021_u32.to_le_bytes());
        assert_eq!(frame[32..], *b"payload");
    }

    #[test]
    fn another_schema_does_not_open_it() {
        assert_eq!(open(&seal(b"payload"), STAMP.fingerprint + 1), None);
    }

    #[test]
    fn no_flipped_bit_goes_unnoticed() {
        let frame = seal(b"payload");
        for bit in 0..frame.len() * 8 {
            let mut torn = frame.clone();
            torn[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&torn, STAMP.fingerprint), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_length_does_not_open() {
        let frame = seal(b"payload");
        for length in 0..frame.len() {
            assert_eq!(open(&frame[..length], STAMP.fingerprint), None, "{length} bytes");
        }
        assert_eq!(open(&[&frame[..], b"x"].concat(), STAMP.fingerprint), None);
    }

    #[test]
    fn unknown_versions_and_flags_do_not_open_even_with_a_good_checksum() {
        for at in 0..8 {
            let mut frame = seal(b"payload");
            frame[at] ^= 0x40;
            let (header, payload) = frame.split_first_chunk::<HEADER>().unwrap();
            let checksum = checksum(header, payload);
            frame[CHECKSUM_AT..HEADER].copy_from_slice(&checksum.to_le_bytes());
            assert_eq!(open(&frame, STAMP.fingerprint), None, "byte {at}");
        }
    }
}
