//! What a few entries have beyond a deadline: tags, a snapshot, stale windows, an idle limit.

use super::clock::NEVER;
use super::snapshot::Snapshot;

/// How an entry is to live, as it is stored. Moments are milliseconds of the cache's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// From here on it is stale.
    pub fresh_until: u64,
    /// Up to here a load may be answered with it while another one goes on.
    pub stale_until: u64,
    /// Up to here a load that fails may be answered with it.
    pub error_until: u64,
    /// Whether it says that there is nothing under its key.
    pub absent: bool,
    /// Hashes, each once.
    pub tags: Box<[u64]>,
    /// What PostgreSQL's transactions its value includes, if it was read there.
    pub snapshot: Option<Box<Snapshot>>,
}

impl Life {
    /// Of an entry that is served up to a deadline and that nothing else is known of.
    #[must_use]
    pub fn plain(deadline: u64) -> Self {
        Self {
            fresh_until: deadline,
            stale_until: deadline,
            error_until: deadline,
            absent: false,
            tags: Box::default(),
            snapshot: None,
        }
    }

    fn is_plain(&self) -> bool {
        self.stale_until.max(self.error_until) <= self.fresh_until
            && !self.absent
            && self.tags.is_empty()
            && self.snapshot.is_none()
    }
}

/// What is known of an entry beyond its stamp.
#[derive(Debug)]
pub struct Guard {
    pub life: Life,
    /// Unless it is used earlier it ends here.
    pub idle_until: u64,
    /// Up to here it is served stale without another try to load it.
    pub retry_at: u64,
    /// When it was stored, in the order of the cache's changes.
    pub stored: u64,
}

impl Guard {
    /// The deadline for the entry's stamp. What must be looked at for every use has one in the
    /// past: a use then comes here, where one of a plain entry needs no look.
    pub(super) fn deadline(&self) -> u64 {
        if self.life.absent || !self.life.tags.is_empty() {
            0
        } else {
            self.life.fresh_until.min(self.idle_until)
        }
    }
}

/// The guards of the entries that have one, by slot.
#[derive(Debug, Default)]
pub struct Guards(Vec<Option<Box<Guard>>>);

impl Guards {
    pub(super) fn get(&self, slot: u32) -> Option<&Guard> {
        self.0.get(slot as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Guard> {
        self.0.get_mut(slot as usize)?.as_deref_mut()
    }

    pub(super) fn set(&mut self, slot: u32, guard: Guard) {
        let place = slot as usize;
        if place >= self.0.len() {
            self.0.resize_with(place + 1, || None);
        }
        self.0[place] = Some(Box::new(guard));
    }

    pub(super) fn take(&mut self, slot: u32) -> Option<Box<Guard>> {
        self.0.get_mut(slot as usize)?.take()
    }
}

/// Whether an entry of this life needs a guard, in a cache with an idle limit or without.
pub(super) fn needs_guard(life: &Life, has_idle_limit: bool) -> bool {
    // The stamp alone holds one moment: the deadline, or the end of idleness.
    !life.is_plain() || has_idle_limit && life.fresh_until != NEVER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_is_for_what_one_moment_does_not_say() {
        let plain = Life::plain(5);
        assert!(!needs_guard(&plain, false));
        assert!(needs_guard(&plain, true));
        assert!(!needs_guard(&Life::plain(NEVER), true));
        assert!(needs_guard(&Life { stale_until: 6, ..plain.clone() }, false));
        assert!(needs_guard(&Life { error_until: 6, ..plain.clone() }, false));
        assert!(needs_guard(&Life { absent: true, ..plain.clone() }, false));
        assert!(needs_guard(&Life { tags: [1].into(), ..plain }, false));
    }

    #[test]
    fn guards_are_found_by_slot() {
        let guard = |stored| Guard { life: Life::plain(1), idle_until: 9, retry_at: 0, stored };
        let mut guards = Guards::default();
        assert!(guards.take(4).is_none());
        guards.set(4, guard(7));
        assert_eq!(guards.get(4).map(|guard| guard.stored), Some(7));
        assert!(guards.get(2).is_none() && guards.get(40).is_none());
        assert_eq!(guards.take(4).map(|guard| guard.deadline()), Some(1));
        assert!(guards.get_mut(4).is_none());
    }
}
