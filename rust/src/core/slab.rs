//! Entries at stable numbers.

use super::lists::FIRST_SLOT;
use super::stamp::Stamp;

/// A cached value with what finding, moving and expiring it needs.
#[derive(Debug)]
pub struct Entry<K, V> {
    pub key: K,
    pub value: V,
    pub hash: u64,
    pub stamp: Stamp,
}

/// Entries numbered from [`FIRST_SLOT`]; numbers of removed entries are used again.
#[derive(Debug)]
pub struct Slab<K, V> {
    entries: Vec<Option<Entry<K, V>>>,
    free: Vec<u32>,
}

impl<K, V> Slab<K, V> {
    pub const fn new() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }

    /// Adds an entry and returns its number.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "so that the entry is written where it belongs")]
    #[expect(clippy::cast_possible_truncation, reason = "the cache holds under 2^32 entries")]
    pub fn insert(&mut self, entry: Entry<K, V>) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.entries[place(slot)] = Some(entry);
            return slot;
        }
        self.entries.push(Some(entry));
        self.entries.len() as u32 + (FIRST_SLOT - 1)
    }

    #[inline]
    pub fn get(&self, slot: u32) -> Option<&Entry<K, V>> {
        self.entries.get(place(slot))?.as_ref()
    }

    #[inline]
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Entry<K, V>> {
        self.entries.get_mut(place(slot))?.as_mut()
    }

    #[inline]
    pub fn remove(&mut self, slot: u32) -> Option<Entry<K, V>> {
        let entry = self.entries.get_mut(place(slot))?.take()?;
        self.free.push(slot);
        Some(entry)
    }

    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The number after this one, in a circle through all that have been used.
    #[inline]
    pub fn after(&self, slot: u32) -> u32 {
        let next = slot.wrapping_add(1).max(FIRST_SLOT);
        if place(next) < self.entries.len() { next } else { FIRST_SLOT }
    }

    pub fn into_entries(self) -> impl Iterator<Item = Entry<K, V>> {
        self.entries.into_iter().flatten()
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry<K, V>> {
        self.entries.iter().flatten()
    }
}

#[inline]
const fn place(slot: u32) -> usize {
    (slot as usize).wrapping_sub(FIRST_SLOT as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::stamp::Queue;

    fn entry(key: u8) -> Entry<u8, ()> {
        Entry { key, value: (), hash: 0, stamp: Stamp::new(0, Queue::Small) }
    }

    #[test]
    fn numbers_start_above_the_sentinels_and_are_used_again() {
        let mut slab = Slab::new();
        assert_eq!((slab.insert(entry(1)), slab.insert(entry(2))), (2, 3));
        assert_eq!(slab.remove(2).map(|entry| entry.key), Some(1));
        assert!(slab.get(2).is_none());
        assert!(slab.remove(2).is_none());
        assert_eq!(slab.insert(entry(3)), 2);
        assert_eq!(slab.len(), 2);
        assert_eq!(slab.iter().map(|entry| entry.key).collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn going_on_comes_by_every_number() {
        let mut slab = Slab::new();
        assert_eq!(slab.after(0), FIRST_SLOT);
        for key in 1..=3 {
            slab.insert(entry(key));
        }
        assert_eq!([0, 2, 3, 4, 9].map(|slot| slab.after(slot)), [2, 3, 4, 2, 2]);
    }

    #[test]
    fn sentinels_and_unused_numbers_hold_nothing() {
        let mut slab = Slab::new();
        slab.insert(entry(1));
        for slot in [0, 1, 3, u32::MAX] {
            assert!(slab.get(slot).is_none());
            assert!(slab.get_mut(slot).is_none());
            assert!(slab.remove(slot).is_none());
        }
    }

    #[test]
    fn an_empty_place_costs_no_more_than_an_entry() {
        type BoxEntry = Entry<Box<u8>, Box<u8>>;
        assert_eq!(size_of::<Option<BoxEntry>>(), size_of::<BoxEntry>());
    }
}
