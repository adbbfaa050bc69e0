//! Remembers about the last so many keys that left, in two bytes each.

/// A bucket is one cache line of fingerprints.
const BUCKET: u64 = 32;

/// No fingerprint.
const EMPTY: u16 = 0;

/// Fingerprints of hashes in small queues, chosen by hash.
///
/// A key is forgotten once its own queue has taken as many others as it has places, so the window
/// is exact while one bucket suffices and blurred by a fifth or so in large caches. One key in
/// some two thousand is remembered by mistake. Neither harms a cache, to which it is a hint.
#[derive(Debug, Default)]
pub struct Ghost {
    fingerprints: Vec<u16>,
    /// Places in each bucket.
    places: u64,
    buckets: u64,
}

impl Ghost {
    /// Makes room for `window` keys, at least one. What was remembered is forgotten if that is
    /// more than half as many again as before.
    #[expect(clippy::cast_possible_truncation, reason = "less than the number of entries")]
    pub fn fit(&mut self, window: u64) {
        let window = window.max(1);
        if window > self.window() + self.window() / 2 {
            self.buckets = window.div_ceil(BUCKET);
            self.places = window.div_ceil(self.buckets);
            self.fingerprints = vec![EMPTY; (self.places * self.buckets) as usize];
        }
    }

    fn window(&self) -> u64 {
        self.fingerprints.len() as u64
    }

    /// Remembers a hash.
    pub fn add(&mut self, hash: u64) {
        let bucket = self.bucket(hash);
        if let Some(places) = bucket.len().checked_sub(1) {
            bucket.copy_within(..places, 1);
            bucket[0] = fingerprint(hash);
        }
    }

    /// Whether a hash is remembered; if so, forgets it.
    pub fn take(&mut self, hash: u64) -> bool {
        let fingerprint = fingerprint(hash);
        let bucket = self.bucket(hash);
        // Looks at all at once; where it is matters only if it is there.
        if !bucket.contains(&fingerprint) {
            return false;
        }
        if let Some(place) = bucket.iter().position(|&other| other == fingerprint) {
            bucket.copy_within(place + 1.., place);
            bucket[bucket.len() - 1] = EMPTY;
        }
        true
    }

    /// The high half of the hash chooses the bucket, the low half gives the fingerprint.
    #[expect(clippy::cast_possible_truncation, reason = "less than the number of fingerprints")]
    fn bucket(&mut self, hash: u64) -> &mut [u16] {
        let start = (((hash >> 32) * self.buckets) >> 32) * self.places;
        let places = start as usize..(start + self.places) as usize;
        self.fingerprints.get_mut(places).unwrap_or_default()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a fingerprint is a part of the hash")]
const fn fingerprint(hash: u64) -> u16 {
    match hash as u16 {
        EMPTY => 1,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hash::spread;

    fn remembering(window: u64, keys: std::ops::Range<i64>) -> Ghost {
        let mut ghost = Ghost::default();
        ghost.fit(window);
        keys.for_each(|key| ghost.add(spread(key)));
        ghost
    }

    #[test]
    fn before_it_is_given_room_it_remembers_nothing() {
        let mut ghost = Ghost::default();
        ghost.add(7);
        assert!(!ghost.take(7));
    }

    #[test]
    fn a_small_window_is_exact() {
        for window in [1, 2, 31, 32] {
            let mut ghost = remembering(window, 0..100);
            let known: Vec<i64> = (0..100).filter(|&key| ghost.take(spread(key))).collect();
            assert_eq!(known, (100 - window.cast_signed()..100).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_large_window_remembers_the_last_and_forgets_the_old() {
        let mut ghost = remembering(10_000, 0..100_000);
        let mut known = |keys: std::ops::Range<i64>| {
            let count = keys.clone().filter(|&key| ghost.take(spread(key))).count();
            count * 100 / keys.count()
        };
        assert!(known(95_000..100_000) > 95);
        assert!(known(50_000..80_000) < 1);
    }

    #[test]
    fn what_is_taken_is_forgotten_and_leaves_its_place() {
        let mut ghost = remembering(2, 0..2);
        assert!(ghost.take(spread(0)));
        assert!(!ghost.take(spread(0)));
        ghost.add(spread(2));
        assert!(ghost.take(spread(1)));
        assert!(ghost.take(spread(2)));
    }

    #[test]
    fn it_grows_by_half_or_not_at_all() {
        let mut ghost = remembering(100, 0..1);
        let window = ghost.window();
        ghost.fit(window + window / 2);
        assert_eq!(ghost.window(), window);
        ghost.fit(1_000);
        assert!((1_000..1_100).contains(&ghost.window()));
    }
}
