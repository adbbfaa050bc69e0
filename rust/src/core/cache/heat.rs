//! Which entries are asked for most, by what the policy knows of them anyway.

use super::Cache;
use crate::core::clock::Clock;
use crate::core::stamp::Queue;

impl<K, V> Cache<K, V> {
    /// The live keys with how hot they are, in about the order in which they would have to go.
    ///
    /// Under S3-FIFO heat is the frequency, and among equals the main queue is hotter; under LRU
    /// nothing is known but the order. A hit notes no more than it needs to for the policy, so
    /// keys that are asked for often are not told apart from one another.
    pub fn heat(&self, clock: &impl Clock) -> impl Iterator<Item = (u64, &K)> {
        self.export(clock).map(|exported| {
            let stamp = exported.entry.stamp;
            let main = u64::from(stamp.queue() == Queue::Main);
            (stamp.frequency() * 2 + main, &exported.entry.key)
        })
    }
}
