//! Entries at stable numbers.

/// A cached value with what finding, moving and expiring it needs.
#[derive(Debug)]
pub struct Entry<K, V> {
    pub key: K,
    pub value: V,
    pub hash: u64,
    pub deadline: u64,
}

/// Entries numbered from 1; numbers of removed entries are used again.
///
/// Number 0 stays free: it is the list's sentinel.
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
    #[expect(clippy::cast_possible_truncation, reason = "the cache holds under 2^32 entries")]
    pub fn insert(&mut self, entry: Entry<K, V>) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.entries[slot as usize - 1] = Some(entry);
            return slot;
        }
        self.entries.push(Some(entry));
        self.entries.len() as u32
    }

    #[inline]
    pub fn get(&self, slot: u32) -> Option<&Entry<K, V>> {
        self.entries.get((slot as usize).wrapping_sub(1))?.as_ref()
    }

    #[inline]
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Entry<K, V>> {
        self.entries.get_mut((slot as usize).wrapping_sub(1))?.as_mut()
    }

    pub fn remove(&mut self, slot: u32) -> Option<Entry<K, V>> {
        let entry = self.entries.get_mut((slot as usize).wrapping_sub(1))?.take()?;
        self.free.push(slot);
        Some(entry)
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry<K, V>> {
        self.entries.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u8) -> Entry<u8, ()> {
        Entry { key, value: (), hash: 0, deadline: 0 }
    }

    #[test]
    fn numbers_start_at_one_and_are_used_again() {
        let mut slab = Slab::new();
        assert_eq!((slab.insert(entry(1)), slab.insert(entry(2))), (1, 2));
        assert_eq!(slab.remove(1).map(|entry| entry.key), Some(1));
        assert!(slab.get(1).is_none());
        assert!(slab.remove(1).is_none());
        assert_eq!(slab.insert(entry(3)), 1);
        assert_eq!(slab.iter().map(|entry| entry.key).collect::<Vec<_>>(), [3, 2]);
    }

    #[test]
    fn the_sentinels_number_and_unused_numbers_hold_nothing() {
        let mut slab = Slab::new();
        slab.insert(entry(1));
        for slot in [0, 2, u32::MAX] {
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
