//! The keys that frames are encrypted with: AES-256-GCM under one of several named keys.
//!
//! Nonces are random, so a key should seal no more than 2^32 frames (NIST SP 800-38D, 8.3): give a
//! new one the word `current` now and then, and keep the old one until its frames have expired.

use aes_gcm::aead::{AeadInPlace, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce, Tag};

/// Bytes of a key.
pub const KEY: usize = 32;
/// The most bytes of a key's id: its length is one byte.
pub const ID_MAX: usize = 255;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Why keys are no keyring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKeys {
    /// An id is empty or longer than [`ID_MAX`] bytes.
    Id,
    /// A key has not [`KEY`] bytes.
    Length,
    /// No key has the id that is to be current.
    NoCurrent,
}

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandomness;

/// Named keys, one of which new frames are sealed with.
pub struct Keyring {
    keys: Vec<(Box<str>, Aes256Gcm)>,
    current: usize,
}

impl Keyring {
    /// A keyring of these keys.
    ///
    /// # Errors
    ///
    /// [`BadKeys`] says what is wrong with them.
    pub fn new<'a>(
        current: &str,
        keys: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, BadKeys> {
        let keys = keys
            .into_iter()
            .map(|(id, key)| {
                if id.is_empty() || id.len() > ID_MAX {
                    return Err(BadKeys::Id);
                }
                let cipher = Aes256Gcm::new_from_slice(key).map_err(|_| BadKeys::Length)?;
                Ok((Box::from(id), cipher))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let current = keys.iter().position(|(id, _)| **id == *current).ok_or(BadKeys::NoCurrent)?;
        Ok(Self { keys, current })
    }

    /// Bytes that sealing adds.
    pub(super) fn overhead(&self) -> usize {
        1 + self.keys[self.current].0.len() + NONCE + TAG
    }

    /// Appends the sealed text: length of the key's id, id, nonce, ciphertext, tag.
    ///
    /// `context` is authenticated with it and must be shown again to open it.
    pub(super) fn seal(
        &self,
        text: &[u8],
        context: &[&[u8]],
        out: &mut Vec<u8>,
    ) -> Result<(), NoRandomness> {
        let (id, cipher) = &self.keys[self.current];
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| NoRandomness)?;
        let start = out.len();
        out.push(u8::try_from(id.len()).map_err(|_| NoRandomness)?);
        out.extend_from_slice(id.as_bytes());
        let data = associated(context, &out[start..]);
        out.extend_from_slice(&nonce);
        let text_at = out.len();
        out.extend_from_slice(text);
        let tag = cipher
            .encrypt_in_place_detached(Nonce::from_slice(&nonce), &data, &mut out[text_at..])
            .map_err(|_| NoRandomness)?;
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// The text of what [`seal`](Self::seal) appended; `None` if anything at all is other than it was.
    pub(super) fn open(&self, sealed: &[u8], context: &[&[u8]]) -> Option<Vec<u8>> {
        let id_length = usize::from(*sealed.first()?);
        let (head, rest) = sealed.split_at_checked(1 + id_length)?;
        let (_, cipher) = self.keys.iter().find(|(id, _)| *id.as_bytes() == head[1..])?;
        let (nonce, rest) = rest.split_at_checked(NONCE)?;
        let (text, tag) = rest.split_at_checked(rest.len().checked_sub(TAG)?)?;
        let mut text = text.to_vec();
        let data = associated(context, head);
        cipher
            .decrypt_in_place_detached(
                Nonce::from_slice(nonce),
                &data,
                &mut text,
                Tag::from_slice(tag),
            )
            .ok()?;
        Some(text)
    }
}

/// Only the last part of `context` may vary in length; the id's head says its own.
fn associated(context: &[&[u8]], head: &[u8]) -> Vec<u8> {
    [head, &context.concat()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal<'a>(
        current: &str,
        keys: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Option<BadKeys> {
        Keyring::new(current, keys).err()
    }

    #[test]
    fn a_keyring_needs_whole_keys_with_names_one_of_them_current() {
        let long = "x".repeat(ID_MAX + 1);
        assert_eq!(refusal("a", [("a", &[1; KEY][..])]), None);
        assert_eq!(refusal("a", [("a", &[1; KEY - 1][..])]), Some(BadKeys::Length));
        assert_eq!(refusal("a", [("b", &[1; KEY][..])]), Some(BadKeys::NoCurrent));
        assert_eq!(refusal("", [("", &[1; KEY][..])]), Some(BadKeys::Id));
        assert_eq!(refusal(&long, [(&*long, &[1; KEY][..])]), Some(BadKeys::Id));
    }

    #[test]
    fn the_cipher_is_aes_256_in_galois_counter_mode() {
        // McGrew and Viega, "The Galois/Counter Mode of Operation", test case 14: key, nonce and
        // text all zero.
        let keyring = Keyring::new("k", [("k", &[0; KEY][..])]).unwrap();
        let cipher = &keyring.keys[0].1;
        let mut text = [0; 16];
        let tag = cipher.encrypt_in_place_detached(Nonce::from_slice(&[0; 12]), b"", &mut text);
        let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |all, b| format!("{all}{b:02x}"));
        assert_eq!(hex(&text), "cea7403d4d606b6e074ec5d3baf39d18");
        assert_eq!(hex(&tag.unwrap()), "d0d1c8a799996bf0265b98b5d48ab919");
    }

    #[test]
    fn no_two_nonces_are_alike() {
        let keyring = Keyring::new("k", [("k", &[7; KEY][..])]).unwrap();
        let sealed = || {
            let mut out = Vec::new();
            keyring.seal(b"text", &[], &mut out).unwrap();
            out
        };
        assert_ne!(sealed(), sealed());
    }
}
