//! Compares bytes.

/// Whether two slices are equal; up to 16 bytes of one length are compared without a call.
#[inline]
#[must_use]
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    const WORD: usize = size_of::<u64>();
    match (one.first_chunk::<WORD>(), other.first_chunk::<WORD>()) {
        (Some(head), Some(other_head)) if one.len() == other.len() && one.len() <= 2 * WORD => {
            head == other_head && one.last_chunk::<WORD>() == other.last_chunk::<WORD>()
        }
        (None, None) => one.iter().eq(other),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_byte_makes_a_difference_at_any_length() {
        for length in 0..40 {
            let one = vec![7; length];
            assert!(equal(&one, &one.clone()));
            assert!(!equal(&one, &vec![7; length + 1]));
            for at in 0..length {
                let mut other = one.clone();
                other[at] = 8;
                assert!(!equal(&one, &other), "byte {at} of {length}");
            }
        }
    }
}
