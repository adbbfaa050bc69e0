//! Remembers about the last so many keys that left, in two bytes each.

/// A bucket is one cache line of fingerprints, the latest first.
const PLACES: usize = 32;
type Bucket = [u16; PLACES];

/// No fingerprint.
const EMPTY: u16 = 0;

/// Fingerprints of hashes in small queues, chosen by hash.
///
/// A key is forgotten once its own queue has taken as many others as it has places, so the window
/// is exact while one bucket suffices and blurred by a fifth or so in large caches. One key in
/// some two thousand is remembered by mistake. Neither harms a cache, to which it is a hint.
#[derive(Debug, Default)]
pub struct Ghost {
    buckets: Vec<Bucket>,
    /// Places in use of each bucket.
    places: usize,
    /// Whether nothing has been added.
    is_new: bool,
}

impl Ghost {
    /// Makes room for `window` keys, at least one. What was remembered is forgotten if that is
    /// more than half as many again as before.
    pub fn fit(&mut self, window: usize) {
        let window = window.max(1);
        let before = self.window();
        if window > before + before / 2 {
            let buckets = window.div_ceil(PLACES);
            self.places = window.div_ceil(buckets);
            self.buckets = vec![[EMPTY; PLACES]; buckets];
            self.is_new = true;
        }
    }

    fn window(&self) -> usize {
        self.buckets.len() * self.places
    }

    /// Remembers a hash.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        let places = self.places;
        self.is_new = false;
        if let Some(bucket) = self.bucket(hash) {
            bucket.copy_within(..PLACES - 1, 1);
            bucket[0] = fingerprint(hash);
            if let Some(over) = bucket.get_mut(places) {
                *over = EMPTY;
            }
        }
    }

    /// Whether a hash is remembered; if so, forgets it.
    #[inline]
    pub fn take(&mut self, hash: u64) -> bool {
        if self.is_new {
            return false;
        }
        let fingerprint = fingerprint(hash);
        let Some(bucket) = self.bucket(hash) else { return false };
        // Looks at all at once, which takes a few instructions; where it is matters only if it is.
        let known = bucket.iter().fold(0, |known, &other| known | u16::from(other == fingerprint));
        if known == 0 {
            return false;
        }
        if let Some(place) = bucket.iter().position(|&other| other == fingerprint) {
            bucket.copy_within(place + 1.., place);
            bucket[PLACES - 1] = EMPTY;
        }
        true
    }

    /// The high half of the hash chooses the bucket, the low half gives the fingerprint.
    #[inline]
    fn bucket(&mut self, hash: u64) -> Option<&mut Bucket> {
        let chosen = ((hash >> 32) * self.buckets.len() as u64) >> 32;
        self.buckets.get_mut(chosen as usize)
    }
}

#[inline]
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

    fn remembering(window: usize, keys: std::ops::Range<i64>) -> Ghost {
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
            assert_eq!(known, (100 - i64::try_from(window).unwrap()..100).collect::<Vec<_>>());
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
