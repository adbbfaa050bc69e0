//! Which entry has to go.

mod ghost;
mod lru;
mod s3fifo;

use self::{lru::Lru, s3fifo::S3Fifo};
use super::{
    slab::Slab,
    stamp::{Queue, Stamp},
    weights::Weights,
};

/// How the entry that makes room is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Least recently used.
    Lru,
    /// What was asked for only once goes first: see [`s3fifo`].
    #[default]
    S3Fifo,
}

/// The order in which entries go, kept by their numbers.
#[derive(Debug)]
pub(super) enum Order {
    Lru(Lru),
    S3Fifo(S3Fifo),
}

impl Order {
    pub fn new(policy: Policy, bound: u64) -> Self {
        match policy {
            Policy::Lru => Self::Lru(Lru::new()),
            Policy::S3Fifo => Self::S3Fifo(S3Fifo::new(bound)),
        }
    }

    /// Where an absent key belongs. It is added once there is room.
    pub fn admit(&mut self, hash: u64, weight: u64, weights: &Weights) -> Queue {
        match self {
            Self::Lru(_) => Queue::Small,
            Self::S3Fifo(order) => order.admit(hash, weight, weights),
        }
    }

    /// Adds an entry that is in no queue.
    pub fn add(&mut self, slot: u32, queue: Queue, weight: u64) {
        match self {
            Self::Lru(order) => order.add(slot),
            Self::S3Fifo(order) => order.add(slot, queue, weight),
        }
    }

    /// Notes a use.
    #[inline]
    pub fn touch(&mut self, slot: u32, stamp: &mut Stamp) {
        match self {
            Self::Lru(order) => order.touch(slot),
            Self::S3Fifo(_) => stamp.bump(),
        }
    }

    /// Takes an entry out of its queue.
    pub fn remove(&mut self, slot: u32, queue: Queue, weight: u64) {
        match self {
            Self::Lru(order) => order.remove(slot),
            Self::S3Fifo(order) => order.remove(slot, queue, weight),
        }
    }

    /// The entry that should go, taken out of its queue; `None` if there is none.
    pub fn evict<K, V>(&mut self, slab: &mut Slab<K, V>, weights: &Weights) -> Option<u32> {
        match self {
            Self::Lru(order) => order.evict(),
            Self::S3Fifo(order) => order.evict(slab, weights),
        }
    }

    /// The entries, in about the order in which they would go.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        match self {
            Self::Lru(order) => order.lists().iter(),
            Self::S3Fifo(order) => order.lists().iter(),
        }
    }
}
