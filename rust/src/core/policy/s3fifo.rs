//! S3-FIFO with ghosts of both queues, and a small queue whose share follows their hits.
//!
//! New keys wait in a small queue. Those asked for often enough meanwhile move to the main one, the
//! others leave early; a key that comes back soon after leaving was let go too soon and enters the
//! main queue at once. A use is one saturating increment: nothing moves before room is needed.
//! (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023.)
//!
//! Three things differ from the paper:
//!
//! - The small queue's share is not fixed at a tenth. A key that comes back after leaving the small
//!   queue makes it larger, one that left the main queue makes it smaller, as in ARC. Workloads that
//!   favour recent keys need a large one, or hit ratios fall far below those of plain LRU.
//! - Until the cache is full for the first time, entries go into the main queue while it has room.
//!   A loop over more keys than fit then keeps what it found first instead of keeping nothing.
//! - A search for an entry to evict gives up after a number of steps, so that no write stalls.

use super::ghost::Ghost;
use crate::core::lists::Lists;
use crate::core::slab::Slab;
use crate::core::stamp::{FREQUENT, Queue};
use crate::core::weights::Weights;

/// The small queue's share of the bound is one part in so many at first, and at least one part in
/// so many. It grows up to the main queue's first share.
const FIRST: u64 = 10;
const LEAST: u64 = 100;

/// The most entries that one eviction looks at.
const STEPS: u32 = 128;

#[derive(Debug)]
pub struct S3Fifo {
    lists: Lists,
    /// By queue.
    weights: [u64; 2],
    /// Keys that left, by the queue they left.
    ghosts: [Ghost; 2],
    bound: u64,
    /// The weight from which the small queue gives entries away.
    small: u64,
    /// Whether nothing has had to go yet.
    filling: bool,
    /// The most entries there have been when one had to go.
    most: usize,
}

impl S3Fifo {
    pub fn new(bound: u64) -> Self {
        Self {
            lists: Lists::new(),
            weights: [0; 2],
            ghosts: [Ghost::default(), Ghost::default()],
            bound,
            small: (bound / FIRST).max(1),
            filling: true,
            most: 0,
        }
    }

    /// Where an absent key belongs.
    pub fn admit(&mut self, hash: u64, weight: u64, weights: &Weights) -> Queue {
        if self.filling {
            let main = self.weights[Queue::Main as usize].saturating_add(weight);
            return if main <= self.bound.saturating_sub(self.small) {
                Queue::Main
            } else {
                Queue::Small
            };
        }
        let [small, main] = &mut self.ghosts;
        let (left_small, left_main) = (small.take(hash), main.take(hash));
        if left_small {
            let most = self.bound - self.bound / FIRST;
            self.small = self.small.saturating_add(weights.mean()).min(most);
        } else if left_main {
            let least = (self.bound / LEAST).max(1);
            self.small = self.small.saturating_sub(weights.mean()).max(least);
        }
        if left_small || left_main { Queue::Main } else { Queue::Small }
    }

    pub fn add(&mut self, slot: u32, queue: Queue, weight: u64) {
        self.weights[queue as usize] += weight;
        self.lists.add(queue, slot);
    }

    pub fn remove(&mut self, slot: u32, queue: Queue, weight: u64) {
        self.weights[queue as usize] -= weight;
        self.lists.remove(slot);
    }

    pub fn evict<K, V>(&mut self, slab: &mut Slab<K, V>, weights: &Weights) -> Option<u32> {
        self.stop_filling(slab.len());
        for _ in 0..STEPS {
            let (queue, slot) = self.next()?;
            let entry = slab.get_mut(slot)?;
            match queue {
                Queue::Small if entry.stamp.frequency() == FREQUENT => {
                    entry.stamp = entry.stamp.moved(Queue::Main);
                    let weight = weights.of(slot);
                    self.remove(slot, Queue::Small, weight);
                    self.add(slot, Queue::Main, weight);
                }
                Queue::Main if entry.stamp.frequency() > 0 => {
                    entry.stamp.age();
                    self.lists.touch(Queue::Main, slot);
                }
                _ => return Some(self.let_go(queue, slot, entry.hash, weights)),
            }
        }
        let (queue, slot) = self.next()?;
        Some(self.let_go(queue, slot, slab.get(slot)?.hash, weights))
    }

    #[inline]
    fn let_go(&mut self, queue: Queue, slot: u32, hash: u64, weights: &Weights) -> u32 {
        self.ghosts[queue as usize].add(hash);
        self.remove(slot, queue, weights.of(slot));
        slot
    }

    pub const fn lists(&self) -> &Lists {
        &self.lists
    }

    /// The entry whose turn it is.
    #[inline]
    fn next(&self) -> Option<(Queue, u32)> {
        let oldest = |queue| self.lists.oldest(queue).map(|slot| (queue, slot));
        if self.weights[Queue::Small as usize] >= self.small {
            oldest(Queue::Small).or_else(|| oldest(Queue::Main))
        } else {
            oldest(Queue::Main).or_else(|| oldest(Queue::Small))
        }
    }

    /// Each ghost remembers as many keys as the main queue has entries at its first share.
    #[inline]
    fn stop_filling(&mut self, entries: usize) {
        if self.filling || entries > self.most {
            self.filling = false;
            self.most = entries;
            self.ghosts.iter_mut().for_each(|ghost| ghost.fit(entries - entries / 10));
        }
    }
}
