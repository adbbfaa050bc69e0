//! Remembers when keys and tags were last invalidated, in a fixed amount of memory.

/// A power of two. Keys that share a stripe refuse each other's fills now and then, which costs a
/// load and is never wrong; 1,024 moments are 8 KiB.
const STRIPES: usize = 1_024;

/// A moment in the order of a cache's changes.
///
/// A load takes a [`token`](Changes::token) before it reads the data and is current only while
/// nothing of it was invalidated at a later moment: what it read may then be old. Moments are
/// numbered in 64 bits and never wrap.
#[derive(Debug, Default)]
pub struct Changes {
    now: u64,
    everything: u64,
    keys: Stripes,
    tags: Stripes,
    /// When changes of keys were announced. What a load reads may include them all the same, so
    /// its fill is judged by the floors; but who asks after an announcement must not be answered
    /// with what was read before it.
    announced: Stripes,
    announced_everywhere: u64,
}

impl Changes {
    /// The present moment.
    #[must_use]
    pub const fn token(&self) -> u64 {
        self.now
    }

    /// The last moment at which this key, or everything, was invalidated.
    #[must_use]
    pub fn of_key(&self, hash: u64) -> u64 {
        self.keys.get(hash).max(self.everything)
    }

    /// The last moment at which this tag was invalidated.
    #[must_use]
    pub fn of_tag(&self, tag: u64) -> u64 {
        self.tags.get(tag)
    }

    /// The last moment at which anything was invalidated that a load of this key with these tags
    /// depends on.
    #[must_use]
    pub fn of_load(&self, hash: u64, tags: &[u64]) -> u64 {
        tags.iter().map(|&tag| self.of_tag(tag)).fold(self.of_key(hash), u64::max)
    }

    /// The last moment at which anything happened to what a load of this key with these tags reads:
    /// who asks now may share a load that began since, and no earlier one.
    #[must_use]
    pub fn of_boarding(&self, hash: u64, tags: &[u64]) -> u64 {
        let announced = self.announced.get(hash).max(self.announced_everywhere);
        self.of_load(hash, tags).max(announced)
    }

    /// Notes that a change of a key was announced; returns the moment.
    pub fn announce_key(&mut self, hash: u64) -> u64 {
        let now = self.tick();
        self.announced.set(hash, now);
        now
    }

    /// Notes that a change of any keys was announced; returns the moment.
    pub const fn announce_all(&mut self) -> u64 {
        self.announced_everywhere = self.tick();
        self.announced_everywhere
    }

    /// Notes that a key was invalidated.
    pub fn invalidate_key(&mut self, hash: u64) {
        let now = self.tick();
        self.keys.set(hash, now);
    }

    /// Notes that a tag was invalidated; returns the moment.
    pub fn invalidate_tag(&mut self, tag: u64) -> u64 {
        let now = self.tick();
        self.tags.set(tag, now);
        now
    }

    /// Notes that everything was invalidated.
    pub const fn invalidate_all(&mut self) {
        self.everything = self.tick();
    }

    /// A moment later than every one before it.
    const fn tick(&mut self) -> u64 {
        self.now += 1;
        self.now
    }
}

/// The last moment by hash; empty until there is one.
#[derive(Debug, Default)]
struct Stripes(Vec<u64>);

impl Stripes {
    const fn index(hash: u64) -> usize {
        (hash >> 32) as usize % STRIPES
    }

    fn get(&self, hash: u64) -> u64 {
        self.0.get(Self::index(hash)).copied().unwrap_or(0)
    }

    fn set(&mut self, hash: u64, moment: u64) {
        if self.0.is_empty() {
            self.0.resize(STRIPES, 0);
        }
        self.0[Self::index(hash)] = moment;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER_STRIPE: u64 = 5 << 32;

    #[test]
    fn an_invalidation_makes_only_its_own_stripe_old() {
        let mut changes = Changes::default();
        let token = changes.token();
        changes.invalidate_key(0);
        assert!(changes.of_key(0) > token);
        assert!(changes.of_key(OTHER_STRIPE) <= token);
        assert!(changes.of_load(OTHER_STRIPE, &[0]) <= token);
        assert!(changes.of_key(0) <= changes.token());
    }

    #[test]
    fn a_tag_makes_loads_that_carry_it_old_and_no_others() {
        let mut changes = Changes::default();
        let token = changes.token();
        assert_eq!(changes.invalidate_tag(OTHER_STRIPE), token + 1);
        assert!(changes.of_load(0, &[7, OTHER_STRIPE]) > token);
        assert!(changes.of_load(OTHER_STRIPE, &[]) <= token);
    }

    #[test]
    fn after_an_announcement_no_earlier_load_is_boarded_and_none_is_old() {
        let mut changes = Changes::default();
        let token = changes.token();
        assert_eq!(changes.announce_key(0), token + 1);
        assert!(changes.of_boarding(0, &[]) > token);
        assert!(changes.of_boarding(OTHER_STRIPE, &[]) <= token);
        assert!(changes.of_load(0, &[]) <= token);
        let token = changes.token();
        changes.announce_all();
        assert!(changes.of_boarding(OTHER_STRIPE, &[]) > token);
    }

    #[test]
    fn an_invalidation_of_everything_makes_every_token_old() {
        let mut changes = Changes::default();
        changes.invalidate_key(0);
        let token = changes.token();
        changes.invalidate_all();
        assert!(changes.of_key(0) > token);
        assert!(changes.of_key(OTHER_STRIPE) > token);
    }
}
