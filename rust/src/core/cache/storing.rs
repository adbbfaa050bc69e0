//! Storing with everything that an entry can have: a weight, tags, a life of its own.

use super::{Cache, Cause, Entry, Phase, Slot, Stamp};
use crate::core::clock::Clock;
use crate::core::guards::Life;
use crate::core::stamp::Queue;

/// What leaves a cache: a value, with its key unless that stays and has another value now.
#[derive(Debug)]
pub struct Left<K, V> {
    pub key: Option<K>,
    pub value: V,
    pub cause: Cause,
}

impl<K, V> From<(Entry<K, V>, Cause)> for Left<K, V> {
    fn from((entry, cause): (Entry<K, V>, Cause)) -> Self {
        Self { key: Some(entry.key), value: entry.value, cause }
    }
}

impl<K, V> Cache<K, V> {
    /// Whether an entry of this weight can be kept at all.
    #[must_use]
    pub const fn can_hold(&self, weight: u64) -> bool {
        weight <= self.bound.weight()
    }

    /// Adds an absent key; returns what had to make room, or itself if the cache
    /// [cannot hold](Self::can_hold) it.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn insert_living(
        &mut self,
        (hash, key): (u64, K),
        value: V,
        life: Life,
        weight: u64,
        clock: &impl Clock,
    ) -> Vec<Left<K, V>> {
        let mut entry = Entry { key, value, hash, stamp: Stamp::new(0, Queue::Small) };
        if !self.can_hold(weight) {
            return vec![Left::from((entry, Cause::Capacity))];
        }
        entry.stamp = entry.stamp.moved(self.order.admit(hash, weight, &self.weights));
        let mut left: Vec<_> = self.sweep(clock).map(Left::from).into_iter().collect();
        self.make_room(weight, clock, &mut left);
        let slot = self.add(entry, weight);
        self.live(slot, life, clock.now_ms());
        left
    }

    /// Gives an entry a new value and notes a use; returns what had to make room and the old
    /// value, or the entry itself if the cache [cannot hold](Self::can_hold) the new one.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn replace_living(
        &mut self,
        slot: Slot,
        value: V,
        life: Life,
        weight: u64,
        clock: &impl Clock,
    ) -> Vec<Left<K, V>> {
        let now_ms = clock.now_ms();
        let cause = match self.phase(slot.0, now_ms) {
            Phase::Dead(cause) => cause,
            _ => Cause::Replaced,
        };
        self.count(cause);
        if !self.can_hold(weight) {
            let refused = Left { key: None, value, cause: Cause::Capacity };
            let old = self.remove(slot).map(|entry| Left::from((entry, cause)));
            return [Some(refused), old].into_iter().flatten().collect();
        }
        let Some(queue) = self.slab.get(slot.0).map(|entry| entry.stamp.queue()) else {
            return vec![Left { key: None, value, cause: Cause::Capacity }];
        };
        // Out of its queue it is not among those that make room for it.
        self.order.remove(slot.0, queue, self.weights.of(slot.0));
        self.weights.remove(slot.0);
        let mut left = Vec::new();
        self.make_room(weight, clock, &mut left);
        self.order.add(slot.0, queue, weight);
        self.weights.add(slot.0, weight);
        self.live(slot, life, now_ms);
        if let Some(entry) = self.slab.get_mut(slot.0) {
            self.order.touch(slot.0, &mut entry.stamp);
            let value = std::mem::replace(&mut entry.value, value);
            left.push(Left { key: None, value, cause });
        }
        left
    }

    fn make_room(&mut self, weight: u64, clock: &impl Clock, left: &mut Vec<Left<K, V>>) {
        while !self.has_room(weight) {
            let Some(slot) = self.order.evict(&mut self.slab, &self.weights) else { return };
            let cause = match self.phase(slot, clock.now_ms()) {
                Phase::Dead(cause) => cause,
                _ => Cause::Capacity,
            };
            self.count(cause);
            left.extend(self.take(slot).map(|entry| Left::from((entry, cause))));
        }
    }
}
