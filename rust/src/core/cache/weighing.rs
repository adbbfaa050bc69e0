//! Storing in a cache that is bound by weight.

use super::{Cache, Entry, Slot, Stamp};
use crate::core::stamp::Queue;

impl<K, V> Cache<K, V> {
    /// Whether an entry of this weight can be kept at all.
    #[must_use]
    pub const fn can_hold(&self, weight: u64) -> bool {
        weight <= self.bound.weight()
    }

    /// Adds an absent key; returns the entries that had to make room, or its own if the cache
    /// [cannot hold](Self::can_hold) it.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn insert_weighing(
        &mut self,
        hash: u64,
        key: K,
        value: V,
        deadline: u64,
        weight: u64,
    ) -> Vec<Entry<K, V>> {
        let mut entry = Entry { key, value, hash, stamp: Stamp::new(deadline, Queue::Small) };
        if !self.can_hold(weight) {
            return vec![entry];
        }
        entry.stamp = entry.stamp.moved(self.order.admit(hash, weight, &self.weights));
        let evicted = self.make_room(weight);
        self.add(entry, weight);
        evicted
    }

    /// Gives an entry a new value and notes a use; returns the entries that had to make room and
    /// the old value, or the new one if the cache [cannot hold](Self::can_hold) it.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn replace_weighing(
        &mut self,
        slot: Slot,
        value: V,
        deadline: u64,
        weight: u64,
    ) -> (Option<V>, Vec<Entry<K, V>>) {
        let Some(entry) = self.slab.get(slot.0).filter(|_| self.can_hold(weight)) else {
            return (Some(value), Vec::new());
        };
        // Out of its queue it is not among those that make room for it.
        let queue = entry.stamp.queue();
        self.order.remove(slot.0, queue, self.weights.of(slot.0));
        self.weights.remove(slot.0);
        let evicted = self.make_room(weight);
        self.order.add(slot.0, queue, weight);
        self.weights.add(slot.0, weight);
        (self.replace(slot, value, deadline), evicted)
    }

    fn make_room(&mut self, weight: u64) -> Vec<Entry<K, V>> {
        let mut evicted = Vec::new();
        while !self.has_room(weight) {
            match self.evict() {
                Some(entry) => evicted.push(entry),
                None => break,
            }
        }
        evicted
    }
}
