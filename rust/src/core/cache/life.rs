//! How far entries are in their lives: fresh, stale, absent or dead.

use super::{Cache, Cause, Entry, Read, Slot};
use crate::core::clock::{Clock, NEVER};
use crate::core::guards::{Guard, Life, needs_guard};

/// How far an entry is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Fresh,
    /// Fresh, and says that there is nothing under its key.
    Absent,
    /// May answer a load while another one goes on.
    Stale,
    /// May answer a load that failed.
    Spare,
    /// To be taken out.
    Dead(Cause),
}

/// What a load finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Consulted<'a, V> {
    Fresh(&'a V),
    Absent,
    /// A stale value that is good enough for now; `reload` if the caller is to load another.
    Stale {
        value: &'a V,
        reload: bool,
    },
    /// Nothing to answer with.
    Missing,
    /// The same, and an entry for [`Cache::remove_dead`].
    Dead(Slot),
}

/// An entry, as another cache would have to store it.
#[derive(Debug)]
pub struct Exported<'a, K, V> {
    pub entry: &'a Entry<K, V>,
    pub life: Life,
    pub weight: u64,
}

/// What is kept under a key, asked without counting.
#[derive(Debug, PartialEq, Eq)]
pub enum Held<'a, V> {
    Value(&'a V),
    Absent,
}

impl<K, V> Cache<K, V> {
    /// How far an entry is in its life. The horizon is another matter.
    pub(super) fn phase(&self, slot: u32, now_ms: u64) -> Phase {
        let Some(entry) = self.slab.get(slot) else { return Phase::Dead(Cause::Expired) };
        let Some(guard) = self.guards.get(slot).filter(|_| entry.stamp.is_guarded()) else {
            let deadline = entry.stamp.deadline();
            let fresh = deadline == NEVER || now_ms < deadline;
            return if fresh { Phase::Fresh } else { Phase::Dead(Cause::Expired) };
        };
        let life = &guard.life;
        let before = |moment: u64| moment == NEVER || now_ms < moment;
        if self.tags.are_outdated(&life.tags, guard.stored) {
            Phase::Dead(Cause::Invalidated)
        } else if !before(guard.idle_until) {
            Phase::Dead(Cause::Expired)
        } else if before(life.fresh_until) {
            if life.absent { Phase::Absent } else { Phase::Fresh }
        } else if before(life.stale_until) {
            Phase::Stale
        } else if before(life.error_until) {
            Phase::Spare
        } else {
            Phase::Dead(Cause::Expired)
        }
    }

    /// Whether what is known may be served now, fresh or not.
    #[must_use]
    pub fn is_within_horizon(&self, clock: &impl Clock) -> bool {
        !self.is_beyond_horizon(clock.now_ms())
    }

    fn is_beyond_horizon(&self, now_ms: u64) -> bool {
        self.horizon != NEVER && now_ms >= self.horizon
    }

    /// What [`Cache::get`] says of an entry whose stamp alone does not make it a hit.
    #[cold]
    pub(super) fn get_guarded(&mut self, slot: Slot, clock: &impl Clock) -> Read<'_, V> {
        let now_ms = clock.now_ms();
        let phase =
            if self.is_beyond_horizon(now_ms) { Phase::Stale } else { self.phase(slot.0, now_ms) };
        match phase {
            Phase::Fresh => self.hit(slot, now_ms).map_or(Read::Miss, Read::Hit),
            Phase::Absent => {
                self.hit(slot, now_ms);
                self.stats.negative_hits += 1;
                Read::Absent
            }
            Phase::Stale | Phase::Spare => {
                self.stats.misses += 1;
                Read::Miss
            }
            Phase::Dead(_) => {
                self.stats.misses += 1;
                Read::Expired(slot)
            }
        }
    }

    /// Counts a hit and notes the use.
    fn hit(&mut self, slot: Slot, now_ms: u64) -> Option<&V> {
        self.stats.hits += 1;
        self.keep_awake(slot.0, now_ms);
        let entry = self.slab.get_mut(slot.0)?;
        self.order.touch(slot.0, &mut entry.stamp);
        Some(&entry.value)
    }

    /// Moves the end of idleness on, in a cache that has such a limit.
    #[cold]
    pub(super) fn keep_awake(&mut self, slot: u32, now_ms: u64) {
        if self.idle_ms == NEVER {
            return;
        }
        let until = now_ms.saturating_add(self.idle_ms).min(NEVER);
        let Some(entry) = self.slab.get_mut(slot) else { return };
        let deadline = if entry.stamp.is_guarded()
            && let Some(guard) = self.guards.get_mut(slot)
        {
            guard.idle_until = until;
            guard.deadline()
        } else {
            until
        };
        entry.stamp.set_deadline(deadline);
    }

    /// What a load finds; counts a hit or a miss.
    pub fn consult(&mut self, slot: Option<Slot>, clock: &impl Clock) -> Consulted<'_, V> {
        let now_ms = clock.now_ms();
        let Some(slot) = slot.filter(|_| !self.is_beyond_horizon(now_ms)) else {
            self.stats.misses += 1;
            return Consulted::Missing;
        };
        match self.phase(slot.0, now_ms) {
            Phase::Fresh => self.hit(slot, now_ms).map_or(Consulted::Missing, Consulted::Fresh),
            Phase::Absent => {
                self.hit(slot, now_ms);
                self.stats.negative_hits += 1;
                Consulted::Absent
            }
            Phase::Stale => {
                let reload = self.try_again(slot, now_ms);
                self.stats.stale_hits += 1;
                self.hit(slot, now_ms)
                    .map_or(Consulted::Missing, |value| Consulted::Stale { value, reload })
            }
            Phase::Spare if !self.may_try(slot, now_ms) => {
                self.stats.stale_hits += 1;
                self.hit(slot, now_ms)
                    .map_or(Consulted::Missing, |value| Consulted::Stale { value, reload: false })
            }
            Phase::Spare => {
                self.stats.misses += 1;
                Consulted::Missing
            }
            Phase::Dead(_) => {
                self.stats.misses += 1;
                Consulted::Dead(slot)
            }
        }
    }

    /// The value that may stand in for a load that failed; there will be no other try for a while.
    /// Counts a stale hit if it is stale and `answers` somebody, as a reload does not.
    pub fn rescue(&mut self, slot: Slot, answers: bool, clock: &impl Clock) -> Option<&V> {
        let now_ms = clock.now_ms();
        let stale = match self.phase(slot.0, now_ms) {
            Phase::Fresh => false,
            Phase::Stale | Phase::Spare => true,
            Phase::Absent | Phase::Dead(_) => return None,
        };
        if self.is_beyond_horizon(now_ms) {
            return None;
        }
        if let Some(guard) = self.guards.get_mut(slot.0) {
            guard.retry_at = now_ms.saturating_add(self.retry_ms);
        }
        self.stats.stale_hits += u64::from(stale && answers);
        self.slab.get(slot.0).map(|entry| &entry.value)
    }

    fn may_try(&self, slot: Slot, now_ms: u64) -> bool {
        self.guards.get(slot.0).is_none_or(|guard| now_ms >= guard.retry_at)
    }

    /// Whether the caller is to load a stale entry's value; nobody else is, for a while.
    fn try_again(&mut self, slot: Slot, now_ms: u64) -> bool {
        let may = self.may_try(slot, now_ms);
        if may && let Some(guard) = self.guards.get_mut(slot.0) {
            guard.retry_at = now_ms.saturating_add(self.retry_ms);
        }
        may
    }

    /// Whether the entry is fresh, has a value and may be served. Counts and changes nothing.
    #[must_use]
    pub fn is_live(&self, slot: Slot, clock: &impl Clock) -> bool {
        matches!(self.peek(slot, clock), Some(Held::Value(_)))
    }

    /// What is fresh under a key. Counts and changes nothing.
    #[must_use]
    pub fn peek(&self, slot: Slot, clock: &impl Clock) -> Option<Held<'_, V>> {
        let now_ms = clock.now_ms();
        if self.is_beyond_horizon(now_ms) {
            return None;
        }
        match self.phase(slot.0, now_ms) {
            Phase::Fresh => Some(Held::Value(&self.slab.get(slot.0)?.value)),
            Phase::Absent => Some(Held::Absent),
            Phase::Stale | Phase::Spare | Phase::Dead(_) => None,
        }
    }

    /// The live entries with all that is known of them, in about the order in which they would have
    /// to go.
    pub fn export(&self, clock: &impl Clock) -> impl Iterator<Item = Exported<'_, K, V>> {
        self.order.iter().filter(|&slot| self.is_live(Slot(slot), clock)).filter_map(|slot| {
            let entry = self.slab.get(slot)?;
            let life = match self.guards.get(slot) {
                Some(guard) => guard.life.clone(),
                // The stamp says when it ends unless it is used.
                None if self.idle_ms != NEVER => Life::plain(NEVER),
                None => Life::plain(entry.stamp.deadline()),
            };
            Some(Exported { entry, life, weight: self.weights.of(slot) })
        })
    }

    /// Takes an entry out if its life is over.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn remove_dead(&mut self, slot: Slot, clock: &impl Clock) -> Option<(Entry<K, V>, Cause)> {
        match self.phase(slot.0, clock.now_ms()) {
            Phase::Dead(cause) => {
                self.count(cause);
                Some((self.remove(slot)?, cause))
            }
            _ => None,
        }
    }

    /// Takes out every entry whose life is over.
    #[must_use = "dropping a key or a value may run foreign code"]
    pub fn remove_all_dead(&mut self, clock: &impl Clock) -> Vec<(Entry<K, V>, Cause)> {
        let slots: Vec<u32> = self.order.iter().collect();
        slots.into_iter().filter_map(|slot| self.remove_dead(Slot(slot), clock)).collect()
    }

    /// Looks at one entry, the next in turn, and takes it out if its life is over. One look a
    /// store finds every dead entry in time, though nobody asks for it again.
    #[inline]
    pub(super) fn sweep(&mut self, clock: &impl Clock) -> Option<(Entry<K, V>, Cause)> {
        if !self.mortal {
            return None;
        }
        self.hand = self.slab.after(self.hand);
        let deadline = self.slab.get(self.hand)?.stamp.deadline();
        if deadline == NEVER || clock.now_ms() < deadline {
            return None;
        }
        self.remove_dead(Slot(self.hand), clock)
    }

    /// Gives an entry that has just been stored the life it is to have.
    pub(super) fn live(&mut self, slot: Slot, life: Life, now_ms: u64) {
        let idle_until = now_ms.saturating_add(self.idle_ms).min(NEVER);
        self.forget_guard(slot.0);
        let Some(entry) = self.slab.get_mut(slot.0) else { return };
        let deadline = if needs_guard(&life, self.idle_ms != NEVER) {
            let guard = Guard { life, idle_until, retry_at: 0, stored: self.changes.token() };
            let deadline = guard.deadline();
            self.tags.add(&guard.life.tags);
            self.guards.set(slot.0, guard);
            entry.stamp.set_guarded(true);
            deadline
        } else {
            life.fresh_until.min(idle_until)
        };
        self.mortal |= deadline != NEVER;
        entry.stamp.set_deadline(deadline);
    }

    /// Takes away what was known of an entry beyond its stamp.
    #[inline]
    pub(super) fn forget_guard(&mut self, slot: u32) {
        if let Some(entry) = self.slab.get_mut(slot)
            && entry.stamp.is_guarded()
        {
            entry.stamp.set_guarded(false);
            self.drop_guard(slot);
        }
    }

    #[cold]
    pub(super) fn drop_guard(&mut self, slot: u32) {
        if let Some(guard) = self.guards.take(slot) {
            self.tags.remove(&guard.life.tags);
        }
    }

    /// Makes a live entry live anew from now on, as long as `life` says, and notes a use.
    pub fn prolong(&mut self, slot: Slot, life: &Life, clock: &impl Clock) {
        let guard = self.guards.get(slot.0);
        let kept = guard.map_or_else(|| Life::plain(NEVER), |guard| guard.life.clone());
        let stored = guard.map(|guard| guard.stored);
        let Life { absent, tags, snapshot, .. } = kept;
        let &Life { fresh_until, stale_until, error_until, .. } = life;
        let life = Life { fresh_until, stale_until, error_until, absent, tags, snapshot };
        self.live(slot, life, clock.now_ms());
        if let (Some(guard), Some(stored)) = (self.guards.get_mut(slot.0), stored) {
            guard.stored = stored;
        }
        if let Some(entry) = self.slab.get_mut(slot.0) {
            self.order.touch(slot.0, &mut entry.stamp);
        }
    }
}
