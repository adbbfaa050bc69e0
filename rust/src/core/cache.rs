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

use super::{
    changes::Changes,
    clock::{Clock, NEVER, is_past},
    floors::Floors,
    guards::Guards,
    index::Index,
    policy::{Order, Policy},
    slab::Slab,
    stamp::Stamp,
    stats::Stats,
    tags::Tags,
    weights::Weights,
};

mod aging;
mod announcing;
mod heat;
mod life;
mod storing;
mod values;

pub use self::announcing::Load;
pub use self::life::{Consulted, Exported, Held, Phase};
pub use self::storing::Left;
pub use self::values::{
    Bound, Cause, Cleared, MAX_ENTRIES, MAX_WEIGHT, Match, Options, Read, Slot, Undecided,
};
pub use super::slab::Entry;

/// A bounded cache with deadlines and invalidation.
#[derive(Debug)]
pub struct Cache<K, V> {
    index: Index,
    slab: Slab<K, V>,
    order: Order,
    weights: Weights,
    /// Nothing is served from this moment on.
    horizon: u64,
    idle_ms: u64,
    stats: Stats,
    guards: Guards,
    tags: Tags,
    changes: Changes,
    floors: Floors,
    /// Whether any entry may have a deadline.
    mortal: bool,
    /// The last slot looked at in search of dead entries.
    hand: u32,
    retry_ms: u64,
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
    pub fn new(bound: Bound, options: Options) -> Self {
        let in_range = match bound {
            Bound::Entries(entries) => entries <= MAX_ENTRIES,
            Bound::Weight(weight) => weight <= MAX_WEIGHT,
        };
        assert!(in_range, "the bound is out of range");
        Self {
            index: Index::new(),
            slab: Slab::new(),
            order: Order::new(options.policy, bound.weight()),
            weights: Weights::new(matches!(bound, Bound::Weight(_))),
            horizon: NEVER,
            idle_ms: options.idle_ms,
            stats: Stats::default(),
            guards: Guards::default(),
            tags: Tags::default(),
            changes: Changes::default(),
            floors: Floors::new(options.floor_ms),
            mortal: false,
            hand: 0,
            retry_ms: options.retry_ms,
            policy: options.policy,
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
        let Some((slot, entry)) = entry else {
            self.stats.misses = self.stats.misses.wrapping_add(1);
            return Read::Miss;
        };
        // One comparison, for all that most entries have is a deadline or not even that.
        if is_past(entry.stamp.deadline().min(self.horizon), clock) {
            return self.get_guarded(slot, clock);
        }
        self.stats.hits = self.stats.hits.wrapping_add(1);
        self.order.touch(slot.0, &mut entry.stamp);
        if self.idle_ms != NEVER {
            self.keep_awake(slot.0, clock.now_ms());
        }
        match self.slab.get(slot.0) {
            Some(entry) => Read::Hit(&entry.value),
            None => Read::Miss,
        }
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
    pub fn insert(
        &mut self,
        hash: u64,
        key: K,
        value: V,
        deadline: u64,
        clock: &impl Clock,
    ) -> Option<Entry<K, V>> {
        let queue = self.order.admit(hash, 1, &self.weights);
        let left = match self.sweep(clock) {
            Some((dead, _)) => Some(dead),
            None if self.has_room(1) => None,
            None => self.evict(),
        };
        self.mortal |= deadline != NEVER;
        self.add(Entry { key, value, hash, stamp: Stamp::new(deadline, queue) }, 1);
        left
    }

    /// Gives an entry a new value of the same weight and notes a use; returns the old value.
    #[inline]
    #[must_use = "dropping a value may run foreign code"]
    pub fn replace(&mut self, slot: Slot, value: V, deadline: u64) -> Option<V> {
        let entry = self.slab.get_mut(slot.0)?;
        self.stats.replacements = self.stats.replacements.wrapping_add(1);
        self.mortal |= deadline != NEVER;
        entry.stamp.set_deadline(deadline);
        self.order.touch(slot.0, &mut entry.stamp);
        let value = std::mem::replace(&mut entry.value, value);
        if entry.stamp.is_guarded() {
            self.forget_guard(slot.0);
        }
        Some(value)
    }

    /// Takes an entry out, live or not.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn remove(&mut self, slot: Slot) -> Option<Entry<K, V>> {
        let queue = self.slab.get(slot.0)?.stamp.queue();
        self.order.remove(slot.0, queue, self.weights.of(slot.0));
        self.take(slot.0)
    }

    /// Takes out the live entry that would have to go next.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn pop(&mut self, clock: &impl Clock) -> Option<Entry<K, V>> {
        let slot = self.order.iter().find(|&slot| self.is_live(Slot(slot), clock))?;
        self.remove(Slot(slot))
    }

    /// Takes every entry out.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn clear(&mut self) -> Cleared<K, V> {
        let cleared = self.take_all();
        self.stats.cleared += cleared.len() as u64;
        cleared
    }

    /// Live keys, in about the order in which they would have to go; exactly so under
    /// [`Policy::Lru`].
    pub fn keys(&self, clock: &impl Clock) -> impl Iterator<Item = &K> {
        self.export(clock).map(|exported| &exported.entry.key)
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
        Stats { entries: self.len() as u64, weight: self.weight(), ..self.stats }
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
    fn add(&mut self, entry: Entry<K, V>, weight: u64) -> Slot {
        let (hash, queue) = (entry.hash, entry.stamp.queue());
        let slot = self.slab.insert(entry);
        self.index.insert(hash, slot);
        self.order.add(slot, queue, weight);
        self.weights.add(slot, weight);
        Slot(slot)
    }

    /// Takes out an entry that is in no queue any more.
    #[inline]
    fn take(&mut self, slot: u32) -> Option<Entry<K, V>> {
        let entry = self.slab.remove(slot)?;
        self.index.remove(entry.hash, slot);
        self.weights.remove(slot);
        if entry.stamp.is_guarded() {
            self.drop_guard(slot);
        }
        Some(entry)
    }

    fn take_all(&mut self) -> Cleared<K, V> {
        self.order = Order::new(self.policy, self.bound.weight());
        self.weights = Weights::new(matches!(self.bound, Bound::Weight(_)));
        self.guards = Guards::default();
        self.tags.clear();
        self.mortal = false;
        let slab = std::mem::replace(&mut self.slab, Slab::new());
        Cleared { _index: std::mem::take(&mut self.index), slab }
    }

    fn count(&mut self, cause: Cause) {
        let counter = match cause {
            Cause::Capacity => &mut self.stats.evictions,
            Cause::Expired => &mut self.stats.expirations,
            Cause::Replaced => &mut self.stats.replacements,
            Cause::Invalidated => &mut self.stats.invalidations,
            Cause::Cleared => &mut self.stats.cleared,
        };
        *counter += 1;
    }
}

#[cfg(test)]
mod floor_model;
#[cfg(test)]
mod life_model;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod tests;
