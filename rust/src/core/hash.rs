//! Spreads a Python hash over all 64 bits.

/// 2^64 divided by the golden ratio, made odd.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// A hash whose every bit depends on every bit of `hash`.
///
/// Python hashes small integers to themselves, while the table takes its bucket from the low bits
/// and its tag from the high ones: unspread, all tags would be zero. Both halves of the product are
/// folded because either one alone loses information (`n << 20` has no low bits).
#[inline]
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "the two halves of the product are wanted")]
pub const fn spread(hash: i64) -> u64 {
    let product = hash.cast_unsigned() as u128 * MULTIPLIER as u128;
    product as u64 ^ (product >> 64) as u64
}

/// A hash of bytes that is the same in every process: FNV-1a, spread.
#[must_use]
pub fn of_bytes(bytes: &[u8]) -> u64 {
    let fold = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    spread(bytes.iter().fold(0xCBF2_9CE4_8422_2325, fold).cast_signed())
}

/// Python's hash of a tuple on a 64-bit machine, from the hashes of its items.
///
/// Python keeps no tuple's hash, so making one only to hash it would be a waste.
#[derive(Clone, Copy, Debug)]
pub struct TupleHash(u64);

const PRIME_1: u64 = 11_400_714_785_074_694_791;
const PRIME_2: u64 = 14_029_467_366_897_019_727;
const PRIME_5: u64 = 2_870_177_450_012_600_261;

impl Default for TupleHash {
    fn default() -> Self {
        Self(PRIME_5)
    }
}

impl TupleHash {
    #[inline]
    pub const fn add(&mut self, item: i64) {
        let sum = self.0.wrapping_add(item.cast_unsigned().wrapping_mul(PRIME_2));
        self.0 = sum.rotate_left(31).wrapping_mul(PRIME_1);
    }

    #[inline]
    #[must_use]
    pub const fn finish(self, items: usize) -> i64 {
        let hash = self.0.wrapping_add(items as u64 ^ (PRIME_5 ^ 0x0035_d373)).cast_signed();
        // Python's functions return -1 for an error.
        if hash == -1 { 1_546_275_796 } else { hash }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tuples_hash_as_in_python() {
        // `hash(())`, `hash((1,))` and `hash((1, -2))` on a 64-bit build.
        let hash = |items: &[i64]| {
            let mut hash = TupleHash::default();
            for &item in items {
                hash.add(item);
            }
            hash.finish(items.len())
        };
        assert_eq!(hash(&[]), 5_740_354_900_026_072_187);
        assert_eq!(hash(&[1]), -6_644_214_454_873_602_895);
        assert_eq!(hash(&[1, -2]), -6_779_188_579_744_246_035);
    }

    #[test]
    fn bytes_hash_alike_in_every_release() {
        // Kept in snapshots of caches.
        assert_eq!(of_bytes(b""), spread(0xCBF2_9CE4_8422_2325_u64.cast_signed()));
        assert_eq!(of_bytes(b"a"), spread(0xAF63_DC4C_8601_EC8C_u64.cast_signed()));
    }

    #[test]
    fn both_ends_vary_for_consecutive_and_for_shifted_integers() {
        for shift in [0, 8, 20, 40] {
            let spread: Vec<u64> = (0..1_024).map(|n| spread(n << shift)).collect();
            let low: HashSet<u64> = spread.iter().map(|hash| hash & 1_023).collect();
            let high: HashSet<u64> = spread.iter().map(|hash| hash >> 57).collect();
            assert!(low.len() > 500, "{} buckets at shift {shift}", low.len());
            assert!(high.len() > 100, "{} tags at shift {shift}", high.len());
        }
    }
}
