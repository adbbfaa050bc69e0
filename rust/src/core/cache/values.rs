//! What a cache is made with, asked, and what it answers.

use super::Entry;
use crate::core::{clock::NEVER, index::Index, lists::FIRST_SLOT, policy::Policy, slab::Slab};

/// The most entries: slots are numbered in 32 bits.
pub const MAX_ENTRIES: u32 = u32::MAX - FIRST_SLOT + 1;
/// The largest bound on weights.
pub const MAX_WEIGHT: u64 = i64::MAX as u64;

/// What the bound of a cache is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The number of entries, up to [`MAX_ENTRIES`].
    Entries(u32),
    /// Their weights together, up to [`MAX_WEIGHT`].
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
pub struct Slot(pub(super) u32);

/// What reading a key gave.
#[derive(Debug)]
pub enum Read<'a, V> {
    Hit(&'a V),
    /// A hit that says that there is nothing under the key.
    Absent,
    Miss,
    /// A miss that leaves an entry for [`Cache::remove_dead`].
    Expired(Slot),
}

/// Why something leaves a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// To make room.
    Capacity,
    /// Its time was over.
    Expired,
    /// Its key was given another value.
    Replaced,
    /// Its data changed.
    Invalidated,
    /// The cache was emptied.
    Cleared,
}

/// How a cache is to behave, beside its bound.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub policy: Policy,
    /// Milliseconds that an entry is kept unused; [`NEVER`] for no limit.
    pub idle_ms: u64,
    /// Milliseconds between two tries to load what is stale.
    pub retry_ms: u64,
    /// Milliseconds for which an announced change is remembered.
    pub floor_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        let policy = Policy::default();
        Self { policy, idle_ms: NEVER, retry_ms: 1_000, floor_ms: 60_000 }
    }
}

/// Everything a cleared cache held. Dropping it drops the entries.
#[derive(Debug)]
pub struct Cleared<K, V> {
    pub(super) _index: Index,
    pub(super) slab: Slab<K, V>,
}

impl<K, V> Cleared<K, V> {
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn into_entries(self) -> impl Iterator<Item = Entry<K, V>> {
        self.slab.into_entries()
    }
}

impl Bound {
    pub(super) const fn weight(self) -> u64 {
        match self {
            Self::Entries(entries) => entries as u64,
            Self::Weight(weight) => weight,
        }
    }
}
