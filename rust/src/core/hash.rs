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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

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
