//! What is past its time and still kept, for callers that decide themselves what it is good for.

use super::{Cache, Phase, Slot};
use crate::core::clock::Clock;

/// A value that is not fresh any more.
#[derive(Debug, PartialEq, Eq)]
pub struct Aged<'a, V> {
    pub value: &'a V,
    /// Milliseconds since the end of its time; negative if only its early end has come.
    pub overdue_ms: i64,
    /// Whether it is time for another try to load it anew.
    pub may_try: bool,
}

impl<K, V> Cache<K, V> {
    /// The value that is kept although it is not fresh. Counts and changes nothing.
    #[must_use]
    pub fn aged(&self, slot: Slot, clock: &impl Clock) -> Option<Aged<'_, V>> {
        let now_ms = clock.now_ms();
        let stale = matches!(self.phase(slot.0, now_ms), Phase::Stale | Phase::Spare);
        if !stale || !self.is_within_horizon(clock) {
            return None;
        }
        let guard = self.guards.get(slot.0)?;
        let overdue_ms = now_ms.cast_signed().saturating_sub(guard.life.stale_until.cast_signed());
        let may_try = now_ms >= guard.retry_at;
        Some(Aged { value: &self.slab.get(slot.0)?.value, overdue_ms, may_try })
    }

    /// Leaves a stale entry as it is for the cache's time between two tries.
    pub fn hold_off(&mut self, slot: Slot, clock: &impl Clock) {
        if let Some(guard) = self.guards.get_mut(slot.0) {
            guard.retry_at = clock.now_ms().saturating_add(self.retry_ms);
        }
    }
}
