//! What a cache is told of changes, and which loads it accepts after.

use super::{Cache, Cause, Cleared, Entry, Slot};
use crate::core::clock::Clock;
use crate::core::snapshot::Snapshot;

/// A load that has begun, as [`Cache::admits`] judges it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Load<'a> {
    pub hash: u64,
    /// The moment at which it began.
    pub token: u64,
    pub tags: &'a [u64],
    pub snapshot: Option<&'a Snapshot>,
}

impl<K, V> Cache<K, V> {
    /// A token for a load that starts now; see [`admits`](Self::admits).
    #[must_use]
    pub const fn begin(&self) -> u64 {
        self.changes.token()
    }

    /// The token that a load of this key with these tags must have, at least, for somebody who
    /// asks now to be answered with what it reads.
    #[must_use]
    pub fn current(&self, hash: u64, tags: &[u64]) -> u64 {
        self.changes.of_boarding(hash, tags)
    }

    /// Whether what a load read may still be stored; counts a refusal.
    pub fn admits(&mut self, load: Load<'_>, clock: &impl Clock) -> bool {
        let current = load.token >= self.changes.of_load(load.hash, load.tags)
            && self.floors.accepts(load.hash, load.snapshot, load.token, clock.now_ms());
        self.stats.fills += u64::from(current);
        self.stats.refused_fills += u64::from(!current);
        current
    }

    /// Refuses every load of `hash` that has begun. Goes with [`invalidate`](Self::invalidate),
    /// and is due even if there is no entry to invalidate.
    pub fn refuse_loads(&mut self, hash: u64) {
        self.changes.invalidate_key(hash);
    }

    /// Takes an entry out because its data changed.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn invalidate(&mut self, slot: Slot) -> Option<Entry<K, V>> {
        self.count(Cause::Invalidated);
        self.remove(slot)
    }

    /// Outdates every entry that carries a tag, and refuses every load that does and has begun.
    /// The entries leave when they are met.
    pub fn invalidate_tag(&mut self, tag: u64) {
        let moment = self.changes.invalidate_tag(tag);
        self.tags.invalidate(tag, moment);
    }

    /// Takes every entry out because data changed, and refuses every load that has begun.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn invalidate_all(&mut self) -> Cleared<K, V> {
        self.changes.invalidate_all();
        let cleared = self.take_all();
        self.stats.invalidations += cleared.len() as u64;
        cleared
    }

    /// Announces that a transaction changed a key: what is or will be kept for it must include the
    /// change. Returns the entry that does not.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn announce(
        &mut self,
        hash: u64,
        slot: Option<Slot>,
        xid: u64,
        clock: &impl Clock,
    ) -> Option<Entry<K, V>> {
        let moment = self.changes.announce_key(hash);
        self.floors.announce(hash, xid, moment, clock.now_ms());
        let slot = slot.filter(|slot| !self.includes(slot.0, xid))?;
        self.invalidate(slot)
    }

    /// Announces that a transaction changed any keys. Returns the entries that do not include it.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn announce_all(&mut self, xid: u64, clock: &impl Clock) -> Vec<Entry<K, V>> {
        let moment = self.changes.announce_all();
        self.floors.announce_all(xid, moment, clock.now_ms());
        let slots: Vec<u32> = self.order.iter().filter(|&slot| !self.includes(slot, xid)).collect();
        slots.into_iter().filter_map(|slot| self.invalidate(Slot(slot))).collect()
    }

    /// Whether an entry's value is known to include what a transaction changed.
    fn includes(&self, slot: u32, xid: u64) -> bool {
        self.guards
            .get(slot)
            .and_then(|guard| guard.life.snapshot.as_ref())
            .is_some_and(|snapshot| snapshot.settles(xid))
    }

    /// Serves nothing from this moment on, until another one is set.
    pub const fn set_horizon(&mut self, horizon_ms: u64) {
        self.horizon = horizon_ms;
    }
}
