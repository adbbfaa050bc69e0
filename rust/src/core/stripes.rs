//! Remembers which keys were invalidated, in a fixed amount of memory.

/// A power of two. Keys that share a stripe refuse each other's fills now and then, which costs a
/// load and is never wrong; 1,024 counters are 4 KiB.
const STRIPES: usize = 1_024;

/// Invalidation counters by key hash.
///
/// A fill takes a [`token`](Self::token) before it reads the data and is current only while the
/// token still matches: an invalidation in between means that what it read may be old. A counter
/// would have to wrap around in exactly 2^32 steps during one load to be taken for unchanged.
#[derive(Debug, Default)]
pub struct Stripes {
    epoch: u32,
    /// Empty until the first invalidation of a key.
    counters: Vec<u32>,
}

impl Stripes {
    #[inline]
    fn index(hash: u64) -> usize {
        (hash >> 32) as usize % STRIPES
    }

    /// The state of a key's stripe and of the whole.
    #[must_use]
    pub fn token(&self, hash: u64) -> u64 {
        let counter = self.counters.get(Self::index(hash)).copied().unwrap_or(0);
        u64::from(self.epoch) << 32 | u64::from(counter)
    }

    /// Makes every token of `hash` taken so far old.
    pub fn advance(&mut self, hash: u64) {
        if self.counters.is_empty() {
            self.counters.resize(STRIPES, 0);
        }
        let counter = &mut self.counters[Self::index(hash)];
        *counter = counter.wrapping_add(1);
    }

    /// Makes every token taken so far old.
    pub fn advance_all(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER_STRIPE: u64 = 5 << 32;

    #[test]
    fn an_invalidation_makes_only_its_own_stripe_old() {
        let mut stripes = Stripes::default();
        let (own, other) = (stripes.token(0), stripes.token(OTHER_STRIPE));
        stripes.advance(0);
        assert_ne!(stripes.token(0), own);
        assert_eq!(stripes.token(OTHER_STRIPE), other);
    }

    #[test]
    fn an_invalidation_of_everything_makes_every_token_old() {
        let mut stripes = Stripes::default();
        stripes.advance(0);
        let (own, other) = (stripes.token(0), stripes.token(OTHER_STRIPE));
        stripes.advance_all();
        assert_ne!(stripes.token(0), own);
        assert_ne!(stripes.token(OTHER_STRIPE), other);
    }
}
