//! The frame around a cached payload in Redis.
//!
//! | offset | bytes | field                                                          |
//! |-------:|------:|----------------------------------------------------------------|
//! |      0 |     4 | magic, `89 54 4C 46` (`\x89TLF`)                               |
//! |      4 |     1 | format version, 2                                              |
//! |      5 |     1 | flags: 1 compressed, 2 encrypted                               |
//! |      6 |     2 | reserved, 0                                                    |
//! |      8 |     8 | schema fingerprint                                             |
//! |     16 |     8 | written at, Unix milliseconds, signed                          |
//! |     24 |     4 | body length                                                    |
//! |     28 |     4 | CRC-32 (IEEE) of bytes 0..28, the place and the body           |
//! |     32 |     … | body                                                           |
//!
//! Integers are little-endian. The body is the payload; compressed, it is the payload's length (4
//! bytes) and an LZ4 block; encrypted, it is the length of the key's id (1 byte), the id, a nonce (12
//! bytes), the AES-256-GCM ciphertext of what it would be otherwise, and its tag (16 bytes).
//!
//! The *place* is where the frame is kept: its key in Redis, and whatever else it is bound to. It is
//! not in the frame, but checked with it: a frame that was copied elsewhere does not open. The
//! associated data of the encryption is the id with its length, bytes 0..28, and the place.
//!
//! Without encryption the checksum guards against accidents, not against an attacker who can write
//! to Redis. CRC-32 because it detects every error of up to 32 adjacent bits at any length, where a
//! hash only probably does, and processors compute it faster than Redis delivers. Where there are
//! keys, only encrypted frames open.

mod compression;
mod keys;

use std::borrow::Cow;

use crc32fast::Hasher;

pub use compression::PLAIN_MAX;
pub use keys::{BadKeys, ID_MAX, KEY, Keyring, NoRandomness};

/// Bytes in front of the body.
pub const HEADER: usize = 32;

const MAGIC_AND_VERSION: [u8; 5] = *b"\x89TLF\x02";
const FLAGS_AT: usize = 5;
const COMPRESSED: u8 = 1;
const ENCRYPTED: u8 = 2;
const CHECKSUM_AT: usize = 28;

/// Why there is no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsealed {
    /// The body is longer than its length field can say.
    TooLong,
    /// The system gave no random bytes.
    NoRandomness,
}

/// Where a payload is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Of the schema that it was encoded with.
    pub fingerprint: u64,
    /// Unix milliseconds when it was written: readers bound its age themselves.
    pub written_at_ms: i64,
}

/// Puts a payload into a frame for a place.
///
/// Payloads of `compress_from` bytes and more are compressed if that makes them shorter.
///
/// # Errors
///
/// [`Unsealed`] says why: from 4 GiB on, or for want of random bytes.
pub fn seal(
    payload: &[u8],
    stamp: Stamp,
    place: &[u8],
    compress_from: usize,
    keys: Option<&Keyring>,
) -> Result<Vec<u8>, Unsealed> {
    let compressed =
        if payload.len() >= compress_from { compression::compress(payload) } else { None };
    let flags = if compressed.is_some() { COMPRESSED } else { 0 }
        | if keys.is_some() { ENCRYPTED } else { 0 };
    let text = compressed.as_deref().unwrap_or(payload);
    let length = text.len() + keys.map_or(0, Keyring::overhead);

    let mut frame = Vec::with_capacity(HEADER + length);
    frame.extend_from_slice(&MAGIC_AND_VERSION);
    frame.extend_from_slice(&[flags, 0, 0]);
    frame.extend_from_slice(&stamp.fingerprint.to_le_bytes());
    frame.extend_from_slice(&stamp.written_at_ms.to_le_bytes());
    frame.extend_from_slice(&u32::try_from(length).map_err(|_| Unsealed::TooLong)?.to_le_bytes());
    let head: [u8; CHECKSUM_AT] = std::array::from_fn(|at| frame[at]);
    frame.extend_from_slice(&[0; HEADER - CHECKSUM_AT]);
    match keys {
        None => frame.extend_from_slice(text),
        Some(keys) => keys
            .seal(text, &[&head, place], &mut frame)
            .map_err(|NoRandomness| Unsealed::NoRandomness)?,
    }
    let checksum = checksum(&head, place, &frame[HEADER..]);
    frame[CHECKSUM_AT..HEADER].copy_from_slice(&checksum.to_le_bytes());
    Ok(frame)
}

/// The payload and the time of writing of a frame of this schema and place; `None` for any other
/// bytes. With keys it must be encrypted under one of them, without it must not be.
#[must_use]
pub fn open<'a>(
    frame: &'a [u8],
    fingerprint: u64,
    place: &[u8],
    keys: Option<&Keyring>,
) -> Option<(Cow<'a, [u8]>, i64)> {
    let (header, body) = frame.split_first_chunk::<HEADER>()?;
    let flags = header[FLAGS_AT];
    let length = u32::from_le_bytes(field(header, 24));
    let head = &header[..CHECKSUM_AT];
    let intact = header[..FLAGS_AT] == MAGIC_AND_VERSION
        && flags & !(COMPRESSED | ENCRYPTED) == 0
        && header[FLAGS_AT + 1..8] == [0, 0]
        && (flags & ENCRYPTED != 0) == keys.is_some()
        && u64::from_le_bytes(field(header, 8)) == fingerprint
        && u32::try_from(body.len()) == Ok(length)
        && u32::from_le_bytes(field(header, CHECKSUM_AT)) == checksum(head, place, body);
    if !intact {
        return None;
    }
    let mut payload = Cow::Borrowed(body);
    if let Some(keys) = keys {
        payload = Cow::Owned(keys.open(&payload, &[head, place])?);
    }
    if flags & COMPRESSED != 0 {
        payload = Cow::Owned(compression::decompress(&payload)?);
    }
    Some((payload, i64::from_le_bytes(field(header, 16))))
}

/// The seconds that a payload is still good for. A clock that stands behind the writer's makes it
/// look younger than it is, never younger than new.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit 53 bits")]
pub fn life_s(written_at_ms: i64, now_s: f64, ttl_s: f64) -> f64 {
    ttl_s - (now_s - written_at_ms as f64 / 1000.0).max(0.0)
}

fn checksum(head: &[u8], place: &[u8], body: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(head);
    hasher.update(place);
    hasher.update(body);
    hasher.finalize()
}

fn field<const N: usize>(header: &[u8; HEADER], at: usize) -> [u8; N] {
    std::array::from_fn(|index| header[at + index])
}

#[cfg(test)]
mod tests;
