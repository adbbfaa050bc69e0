//! A bounded cache with deadlines, weights and invalidation.
//!
//! Two properties let a caller keep it behind a lock while keys and values are foreign objects:
//!
//! - No operation drops a key or a value. What leaves the cache is returned, to be dropped when the
//!   lock is free again.
//! - Keys are compared by a closure that may answer [`Match::Unknown`]. The caller then finds the
//!   answer outside the lock and locates again.
//!
//! Every operation on a key starts from the [`Slot`] that [`Cache::locate`] found. A slot is good
//! until the next operation that changes the cache.

pub use super::slab::Entry;
use super::{
    clock::{Clock, is_past},
    index::Index,
    lists::FIRST_SLOT,
    policy::{Order, Policy},
    slab::Slab,
    stamp::Stamp,
    stats::Stats,
    stripes::Stripes,
    weights::Weights,
};

/// The most entries: slots are numbered in 32 bits.
pub const MAX_ENTRIES: u32 = u32::MAX - FIRST_SLOT + 1;
/// The largest bound on weights.
pub const MAX_WEIGHT: u64 = i64::MAX as u64;

/// What the bound of a cache is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The number of entries, from 1 to [`MAX_ENTRIES`].
    Entries(u32),
    /// Their weights together, from 1 to [`MAX_WEIGHT`].
    Weight(u64),
}

/// Whether a candidate is the key that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    Equal,
    Different,
    /// Cannot be told here.
    Unknown,
}

/// Of the candidates for a key none is equal and at least one is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecided;

/// An entry's number, as found by [`Cache::locate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(u32);

/// What reading a key gave.
#[derive(Debug)]
pub enum Read<'a, V> {
    Hit(&'a V),
    Miss,
    /// A miss that leaves an entry for [`Cache::expire`].
    Expired(Slot),
}

/// Everything a cleared cache held. Dropping it drops the entries.
#[derive(Debug)]
pub struct Cleared<K, V> {
    _index: Index,
    _slab: Slab<K, V>,
    pub entries: usize,
}

/// A bounded cache with deadlines and invalidation.
#[derive(Debug)]
pub struct Cache<K, V> {
    index: Index,
    slab: Slab<K, V>,
    order: Order,
    weights: Weights,
    stripes: Stripes,
    stats: Stats,
    policy: Policy,
    bound: Bound,
}

impl<K, V> Cache<K, V> {
    /// An empty cache.
    ///
    /// # Panics
    ///
    /// If the bound is out of range.
    #[must_use]
    pub fn new(bound: Bound, policy: Policy) -> Self {
        let in_range = match bound {
            Bound::Entries(entries) => (1..=MAX_ENTRIES).contains(&entries),
            Bound::Weight(weight) => (1..=MAX_WEIGHT).contains(&weight),
        };
        assert!(in_range, "the bound is out of range");
        Self {
            index: Index::new(),
            slab: Slab::new(),
            order: Order::new(policy, bound.weight()),
            weights: Weights::new(matches!(bound, Bound::Weight(_))),
            stripes: Stripes::default(),
            stats: Stats::default(),
            policy,
            bound,
        }
    }

    /// Finds a key by its hash and a comparison with the candidates of that hash.
    ///
    /// # Errors
    ///
    /// [`Undecided`] if it takes a comparison that `compare` could not make.
    #[inline]
    pub fn locate(
        &self,
        hash: u64,
        mut compare: impl FnMut(&K) -> Match,
    ) -> Result<Option<Slot>, Undecided> {
        let mut undecided = false;
        for slot in self.index.candidates(hash) {
            if let Some(entry) = self.slab.get(slot).filter(|entry| entry.hash == hash) {
                match compare(&entry.key) {
                    Match::Equal => return Ok(Some(Slot(slot))),
                    Match::Different => {}
                    Match::Unknown => undecided = true,
                }
            }
        }
        if undecided { Err(Undecided) } else { Ok(None) }
    }

    /// Reads an entry and notes its use; counts a hit or a miss.
    #[inline]
    pub fn get(&mut self, slot: Option<Slot>, clock: &impl Clock) -> Read<'_, V> {
        let entry = slot.and_then(|slot| Some((slot, self.slab.get_mut(slot.0)?)));
        match entry {
            Some((slot, entry)) if !is_past(entry.stamp.deadline(), clock) => {
                self.stats.hits = self.stats.hits.wrapping_add(1);
                self.order.touch(slot.0, &mut entry.stamp);
                Read::Hit(&entry.value)
            }
            expired => {
                self.stats.misses = self.stats.misses.wrapping_add(1);
                expired.map_or(Read::Miss, |(slot, _)| Read::Expired(slot))
            }
        }
    }

    /// Whether the entry is live. Counts nothing and changes nothing.
    #[must_use]
    pub fn is_live(&self, slot: Slot, clock: &impl Clock) -> bool {
        self.slab.get(slot.0).is_some_and(|entry| !is_past(entry.stamp.deadline(), clock))
    }

    /// The value of a live entry. Counts nothing and changes nothing.
    #[must_use]
    pub fn peek(&self, slot: Slot, clock: &impl Clock) -> Option<&V> {
        let entry = self.slab.get(slot.0)?;
        (!is_past(entry.stamp.deadline(), clock)).then_some(&entry.value)
    }

    /// Counts a call of a loader, how it ended and how long it took.
    pub fn count_load(&mut self, ok: bool, elapsed_ns: u64) {
        self.stats.loads += 1;
        self.stats.failed_loads += u64::from(!ok);
        self.stats.load_ns = self.stats.load_ns.saturating_add(elapsed_ns);
    }

    /// Adds an absent key that weighs one; returns the entry that had to make room.
    #[inline]
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn insert(&mut self, hash: u64, key: K, value: V, deadline: u64) -> Option<Entry<K, V>> {
        let queue = self.order.admit(hash, 1, &self.weights);
        let evicted = if self.has_room(1) { None } else { self.evict() };
        self.add(Entry { key, value, hash, stamp: Stamp::new(deadline, queue) }, 1);
        evicted
    }

    /// Gives an entry a new value of the same weight and notes a use; returns the old value.
    #[inline]
    #[must_use = "dropping a value may run foreign code"]
    pub fn replace(&mut self, slot: Slot, value: V, deadline: u64) -> Option<V> {
        let entry = self.slab.get_mut(slot.0)?;
        entry.stamp.set_deadline(deadline);
        self.order.touch(slot.0, &mut entry.stamp);
        Some(std::mem::replace(&mut entry.value, value))
    }

    /// Takes an entry out, live or not.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn remove(&mut self, slot: Slot) -> Option<Entry<K, V>> {
        let queue = self.slab.get(slot.0)?.stamp.queue();
        self.order.remove(slot.0, queue, self.weights.of(slot.0));
        self.take(slot.0)
    }

    /// Takes an entry out because its time is over.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn expire(&mut self, slot: Slot) -> Option<Entry<K, V>> {
        self.stats.expirations += 1;
        self.remove(slot)
    }

    /// Takes every entry out.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn clear(&mut self) -> Cleared<K, V> {
        let entries = self.len();
        self.order = Order::new(self.policy, self.bound.weight());
        self.weights = Weights::new(matches!(self.bound, Bound::Weight(_)));
        Cleared {
            _index: std::mem::take(&mut self.index),
            _slab: std::mem::replace(&mut self.slab, Slab::new()),
            entries,
        }
    }

    /// A token for a load of `hash` that starts now; see [`admits`](Self::admits).
    #[must_use]
    pub fn begin(&self, hash: u64) -> u64 {
        self.stripes.token(hash)
    }

    /// Whether a load that began with `token` may still be stored; counts a refusal.
    pub fn admits(&mut self, hash: u64, token: u64) -> bool {
        let current = self.stripes.token(hash) == token;
        self.stats.fills += u64::from(current);
        self.stats.refused_fills += u64::from(!current);
        current
    }

    /// Refuses every load of `hash` that has begun. Goes with [`invalidate`](Self::invalidate),
    /// and is due even if there is no entry to invalidate.
    pub fn refuse_loads(&mut self, hash: u64) {
        self.stripes.advance(hash);
    }

    /// Takes an entry out because its data changed.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn invalidate(&mut self, slot: Slot) -> Option<Entry<K, V>> {
        self.stats.invalidations += 1;
        self.remove(slot)
    }

    /// Takes every entry out because data changed, and refuses every load that has begun.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn invalidate_all(&mut self) -> Cleared<K, V> {
        self.stripes.advance_all();
        let cleared = self.clear();
        self.stats.invalidations += cleared.entries as u64;
        cleared
    }

    /// Live keys, in about the order in which they would have to go; exactly so under
    /// [`Policy::Lru`].
    pub fn keys(&self, clock: &impl Clock) -> impl Iterator<Item = &K> {
        self.order
            .iter()
            .filter_map(|slot| self.slab.get(slot))
            .filter(|entry| !is_past(entry.stamp.deadline(), clock))
            .map(|entry| &entry.key)
    }

    /// All entries, live or not, in no particular order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<K, V>> {
        self.slab.iter()
    }

    /// Entries held, live or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub const fn bound(&self) -> Bound {
        self.bound
    }

    /// What the entries weigh together.
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.weights.total()
    }

    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { entries: self.len() as u64, ..self.stats }
    }
}

/// What the operations are made of.
impl<K, V> Cache<K, V> {
    /// Whether an entry of this weight can be added.
    #[inline]
    fn has_room(&self, weight: u64) -> bool {
        self.len() < MAX_ENTRIES as usize
            && self.weights.total().saturating_add(weight) <= self.bound.weight()
    }

    /// Takes out the entry that should go.
    #[inline]
    fn evict(&mut self) -> Option<Entry<K, V>> {
        let slot = self.order.evict(&mut self.slab, &self.weights)?;
        self.stats.evictions += 1;
        self.take(slot)
    }

    /// Adds an entry for which there is room.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "so that the entry is written where it belongs")]
    fn add(&mut self, entry: Entry<K, V>, weight: u64) {
        let (hash, queue) = (entry.hash, entry.stamp.queue());
        let slot = self.slab.insert(entry);
        self.index.insert(hash, slot);
        self.order.add(slot, queue, weight);
        self.weights.add(slot, weight);
    }

    /// Takes out an entry that is in no queue any more.
    #[inline]
    fn take(&mut self, slot: u32) -> Option<Entry<K, V>> {
        let entry = self.slab.remove(slot)?;
        self.index.remove(entry.hash, slot);
        self.weights.remove(slot);
        Some(entry)
    }
}

impl Bound {
    const fn weight(self) -> u64 {
        match self {
            Self::Entries(entries) => entries as u64,
            Self::Weight(weight) => weight,
        }
    }
}

mod weighing;

#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod tests;
