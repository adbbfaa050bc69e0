//! Least recently used first.

use crate::core::lists::Lists;
use crate::core::stamp::Queue;

/// Every use moves an entry to the end of the one queue.
#[derive(Debug)]
pub struct Lru(Lists);

impl Lru {
    pub fn new() -> Self {
        Self(Lists::new())
    }

    pub fn add(&mut self, slot: u32) {
        self.0.add(Queue::Small, slot);
    }

    #[inline]
    pub fn touch(&mut self, slot: u32) {
        self.0.touch(Queue::Small, slot);
    }

    pub fn remove(&mut self, slot: u32) {
        self.0.remove(slot);
    }

    pub fn evict(&mut self) -> Option<u32> {
        let slot = self.0.oldest(Queue::Small)?;
        self.0.remove(slot);
        Some(slot)
    }

    pub const fn lists(&self) -> &Lists {
        &self.0
    }
}
