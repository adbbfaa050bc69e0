//! A bounded least-recently-used cache.
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

use hashbrown::HashTable;

pub use super::slab::Entry;
use super::{
    clock::{Clock, is_past},
    recency::Recency,
    slab::Slab,
    stats::Stats,
    stripes::Stripes,
};

/// The largest bound: slots are numbered from 1 in 32 bits.
pub const MAX_ENTRIES: u32 = u32::MAX - 1;

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
    _index: HashTable<u32>,
    _slab: Slab<K, V>,
    pub entries: usize,
}

/// A bounded least-recently-used cache with deadlines and invalidation.
#[derive(Debug)]
pub struct Cache<K, V> {
    index: HashTable<u32>,
    slab: Slab<K, V>,
    recency: Recency,
    stripes: Stripes,
    stats: Stats,
    max_entries: u32,
}

impl<K, V> Cache<K, V> {
    /// An empty cache of at most `max_entries`, from 1 to [`MAX_ENTRIES`].
    ///
    /// # Panics
    ///
    /// If `max_entries` is out of range.
    #[must_use]
    pub fn new(max_entries: u32) -> Self {
        assert!((1..=MAX_ENTRIES).contains(&max_entries), "max_entries out of range");
        Self {
            index: HashTable::new(),
            slab: Slab::new(),
            recency: Recency::new(),
            stripes: Stripes::default(),
            stats: Stats::default(),
            max_entries,
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
        let found = self.index.find(hash, |&slot| {
            self.slab.get(slot).is_some_and(|entry| {
                entry.hash == hash
                    && match compare(&entry.key) {
                        Match::Equal => true,
                        Match::Different => false,
                        Match::Unknown => {
                            undecided = true;
                            false
                        }
                    }
            })
        });
        match found {
            Some(&slot) => Ok(Some(Slot(slot))),
            None if undecided => Err(Undecided),
            None => Ok(None),
        }
    }

    /// Reads an entry and makes it the most recently used; counts a hit or a miss.
    #[inline]
    pub fn get(&mut self, slot: Option<Slot>, clock: &impl Clock) -> Read<'_, V> {
        let entry = slot.and_then(|slot| Some((slot, self.slab.get(slot.0)?)));
        match entry {
            Some((slot, entry)) if !is_past(entry.deadline, clock) => {
                self.stats.hits = self.stats.hits.wrapping_add(1);
                self.recency.touch(slot.0);
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
        self.slab.get(slot.0).is_some_and(|entry| !is_past(entry.deadline, clock))
    }

    /// Adds an absent key as the most recently used; returns the entry that had to make room.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn insert(&mut self, hash: u64, key: K, value: V, deadline: u64) -> Option<Entry<K, V>> {
        let evicted = if self.len() >= self.max_entries as usize {
            let evicted = self.recency.oldest().and_then(|oldest| self.remove(Slot(oldest)));
            self.stats.evictions += u64::from(evicted.is_some());
            evicted
        } else {
            None
        };
        let slot = self.slab.insert(Entry { key, value, hash, deadline });
        let slab = &self.slab;
        self.index.insert_unique(hash, slot, |&slot| slab.get(slot).map_or(0, |entry| entry.hash));
        self.recency.add(slot);
        evicted
    }

    /// Gives an entry a new value and makes it the most recently used; returns the old value.
    #[must_use = "dropping a value may run foreign code"]
    pub fn replace(&mut self, slot: Slot, value: V, deadline: u64) -> Option<V> {
        let entry = self.slab.get_mut(slot.0)?;
        entry.deadline = deadline;
        let old = std::mem::replace(&mut entry.value, value);
        self.recency.touch(slot.0);
        Some(old)
    }

    /// Takes an entry out, live or not.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn remove(&mut self, slot: Slot) -> Option<Entry<K, V>> {
        let entry = self.slab.remove(slot.0)?;
        if let Ok(place) = self.index.find_entry(entry.hash, |&other| other == slot.0) {
            place.remove();
        }
        self.recency.remove(slot.0);
        Some(entry)
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
        self.recency = Recency::new();
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

    /// Live keys, least recently used first.
    pub fn keys(&self, clock: &impl Clock) -> impl Iterator<Item = &K> {
        self.recency
            .iter()
            .filter_map(|slot| self.slab.get(slot))
            .filter(|entry| !is_past(entry.deadline, clock))
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
        self.index.is_empty()
    }

    #[must_use]
    pub const fn max_entries(&self) -> u32 {
        self.max_entries
    }

    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { entries: self.len() as u64, ..self.stats }
    }
}

#[cfg(test)]
mod tests;
