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

    /// Adds an absent key that the cache [can hold](Self::can_hold); returns what had to make room.
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
        entry.stamp = entry.stamp.moved(self.order.admit(hash, weight, &self.weights));
        let mut left: Vec<_> = self.sweep(clock).map(Left::from).into_iter().collect();
        self.make_room(weight, clock, &mut left);
        let slot = self.add(entry, weight);
        self.live(slot, life, clock.now_ms());
        left
    }

    /// Gives an entry a new value that the cache [can hold](Self::can_hold) and notes a use; returns
    /// what had to make room and the old value.
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
        let cause = self.count_leaving(slot.0, now_ms, Cause::Replaced);
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

    /// Takes an entry out for a value that the cache [cannot hold](Self::can_hold).
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn displace(&mut self, slot: Slot, clock: &impl Clock) -> Option<Left<K, V>> {
        let cause = self.count_leaving(slot.0, clock.now_ms(), Cause::Replaced);
        self.remove(slot).map(|entry| Left::from((entry, cause)))
    }

    /// Counts why an entry leaves: for this cause, unless its life was over already.
    fn count_leaving(&mut self, slot: u32, now_ms: u64, cause: Cause) -> Cause {
        let cause = match self.phase(slot, now_ms) {
            Phase::Dead(cause) => cause,
            _ => cause,
        };
        self.count(cause);
        cause
    }

    fn make_room(&mut self, weight: u64, clock: &impl Clock, left: &mut Vec<Left<K, V>>) {
        while !self.has_room(weight) {
            let Some(slot) = self.order.evict(&mut self.slab, &self.weights) else { return };
            let cause = self.count_leaving(slot, clock.now_ms(), Cause::Capacity);
            left.extend(self.take(slot).map(|entry| Left::from((entry, cause))));
        }
    }
}
