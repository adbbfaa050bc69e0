//! Announced changes that cached values must include: the floor rule.
//!
//! A change is announced with the transaction that made it. A loaded value is accepted only if each
//! transaction announced for its key is settled in the snapshot it was read under. Keys are told
//! apart by their hashes: two of one hash share a floor, which can only refuse too much.

use std::collections::{HashMap, VecDeque};

use super::snapshot::Snapshot;

/// Announcements remembered apart. Beyond, all keys share one floor until those are forgotten.
const MOST: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Announced {
    hash: u64,
    xid: u64,
    /// Its place in the order of the cache's changes.
    moment: u64,
    until_ms: u64,
}

/// The floors of all keys of a cache.
#[derive(Debug)]
pub struct Floors {
    keep_ms: u64,
    /// Transactions by key, each with the time until which it is kept.
    by_key: HashMap<u64, Vec<(u64, u64)>>,
    /// What went into `by_key`, the oldest first.
    queue: VecDeque<Announced>,
    /// Transactions that changed any keys, the oldest first.
    everywhere: VecDeque<Announced>,
    /// Stands for more transactions than are remembered apart: the latest of them.
    ceiling: Option<Announced>,
    /// The latest moment of an announcement that has been forgotten: a load that began before it
    /// cannot be judged any more.
    forgotten: u64,
    /// The latest transaction forgotten so, for values of a standby, which may lag for longer.
    forgotten_xid: u64,
}

impl Floors {
    /// No floors. Each will be kept for `keep_ms` milliseconds: longer than any load takes, and than
    /// any transaction runs on that is announced before it commits.
    #[must_use]
    pub fn new(keep_ms: u64) -> Self {
        Self {
            keep_ms,
            by_key: HashMap::new(),
            queue: VecDeque::new(),
            everywhere: VecDeque::new(),
            ceiling: None,
            forgotten: 0,
            forgotten_xid: 0,
        }
    }

    /// Announces that a transaction changed a key, at a moment of the cache's changes. Announced
    /// again, it is kept for longer.
    pub fn announce(&mut self, hash: u64, xid: u64, moment: u64, now_ms: u64) {
        let announced = self.begin(hash, xid, moment, now_ms);
        let xids = self.by_key.entry(hash).or_default();
        match xids.iter_mut().find(|(known, _)| *known == xid) {
            Some((_, until_ms)) => *until_ms = announced.until_ms,
            None => xids.push((xid, announced.until_ms)),
        }
        self.queue.push_back(announced);
    }

    /// Announces that a transaction changed any keys.
    pub fn announce_all(&mut self, xid: u64, moment: u64, now_ms: u64) {
        let announced = self.begin(0, xid, moment, now_ms);
        self.everywhere.push_back(announced);
    }

    fn begin(&mut self, hash: u64, xid: u64, moment: u64, now_ms: u64) -> Announced {
        self.forget(now_ms);
        if self.len() >= MOST {
            self.merge();
        }
        Announced { hash, xid, moment, until_ms: now_ms.saturating_add(self.keep_ms) }
    }

    /// Whether a value of this key is new enough. It was read under this snapshot, if it is known,
    /// by a load that began at moment `token`.
    pub fn accepts(
        &mut self,
        hash: u64,
        snapshot: Option<&Snapshot>,
        token: u64,
        now_ms: u64,
    ) -> bool {
        self.forget(now_ms);
        if token < self.forgotten {
            return false;
        }
        let of_key = self.by_key.get(&hash).map_or(&[][..], Vec::as_slice);
        let Some(snapshot) = snapshot else {
            return of_key.is_empty() && self.everywhere.is_empty() && self.ceiling.is_none();
        };
        of_key.iter().all(|&(xid, _)| snapshot.settles(xid))
            && self.everywhere.iter().all(|announced| snapshot.settles(announced.xid))
            && self.ceiling.is_none_or(|ceiling| snapshot.settles_all_up_to(ceiling.xid))
            && (!snapshot.is_of_standby() || snapshot.settles_all_up_to(self.forgotten_xid))
    }

    /// Announcements remembered.
    fn len(&self) -> usize {
        self.queue.len() + self.everywhere.len() + usize::from(self.ceiling.is_some())
    }

    /// Forgets what has been kept for long enough.
    fn forget(&mut self, now_ms: u64) {
        while let Some(old) = pop_ended(&mut self.queue, now_ms) {
            if let Some(xids) = self.by_key.get_mut(&old.hash) {
                xids.retain(|&(_, until_ms)| until_ms > now_ms);
                if xids.is_empty() {
                    self.by_key.remove(&old.hash);
                }
            }
            self.note_forgotten(old);
        }
        while let Some(old) = pop_ended(&mut self.everywhere, now_ms) {
            self.note_forgotten(old);
        }
        if let Some(old) = self.ceiling.take_if(|old| old.until_ms <= now_ms) {
            self.note_forgotten(old);
        }
    }

    fn note_forgotten(&mut self, old: Announced) {
        self.forgotten = self.forgotten.max(old.moment);
        self.forgotten_xid = self.forgotten_xid.max(old.xid);
    }

    /// Makes one floor for all keys of all that is remembered: its latest transaction, below which
    /// everything must be settled.
    fn merge(&mut self) {
        self.by_key.clear();
        let all = self.queue.drain(..).chain(self.everywhere.drain(..)).chain(self.ceiling.take());
        self.ceiling = all.reduce(|one, other| Announced {
            hash: 0,
            xid: one.xid.max(other.xid),
            moment: one.moment.max(other.moment),
            until_ms: one.until_ms.max(other.until_ms),
        });
    }
}

fn pop_ended(queue: &mut VecDeque<Announced>, now_ms: u64) -> Option<Announced> {
    queue.front().is_some_and(|oldest| oldest.until_ms <= now_ms).then(|| queue.pop_front())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::snapshot::tests::{binary, snapshot};

    const KEEP_MS: u64 = 100;

    fn floors() -> Floors {
        let mut floors = Floors::new(KEEP_MS);
        floors.announce(7, 12, 1, 0);
        floors
    }

    #[test]
    fn a_value_without_the_announced_change_is_refused() {
        let mut floors = floors();
        assert!(!floors.accepts(7, Some(&snapshot(10, 15, &[12])), 1, 0));
        assert!(!floors.accepts(7, Some(&snapshot(10, 12, &[])), 1, 0));
        assert!(floors.accepts(7, Some(&snapshot(10, 15, &[11])), 0, 0));
        assert!(floors.accepts(8, Some(&snapshot(10, 12, &[])), 1, 0));
    }

    #[test]
    fn without_a_snapshot_nothing_is_known_of_an_announced_key() {
        let mut floors = floors();
        assert!(!floors.accepts(7, None, 1, 0));
        assert!(floors.accepts(8, None, 1, 0));
        floors.announce_all(13, 2, 0);
        assert!(!floors.accepts(8, None, 1, 0));
    }

    #[test]
    fn every_key_must_include_what_changed_everywhere() {
        let mut floors = floors();
        floors.announce_all(13, 2, 0);
        assert!(!floors.accepts(8, Some(&snapshot(10, 13, &[])), 2, 0));
        assert!(floors.accepts(8, Some(&snapshot(10, 14, &[12])), 2, 0));
    }

    #[test]
    fn a_floor_ends_and_loads_that_began_before_it_stay_refused() {
        let mut floors = floors();
        let late = snapshot(10, 12, &[]);
        assert!(!floors.accepts(7, Some(&late), 0, KEEP_MS - 1));
        assert!(!floors.accepts(7, Some(&late), 0, KEEP_MS));
        assert_eq!(floors.len(), 0);
        // A load that began after the announcement sees what was committed by then.
        assert!(floors.accepts(7, Some(&snapshot(13, 13, &[])), 1, KEEP_MS));
    }

    #[test]
    fn announced_again_a_floor_is_kept_for_longer() {
        let mut floors = floors();
        floors.announce(7, 12, 2, KEEP_MS - 1);
        assert!(!floors.accepts(7, Some(&snapshot(10, 12, &[])), 2, KEEP_MS));
        assert!(floors.accepts(7, Some(&snapshot(10, 12, &[])), 2, 2 * KEEP_MS));
    }

    #[test]
    fn a_lagging_standby_is_refused_even_when_the_floor_has_ended() {
        let mut floors = floors();
        let read = |xmin| Snapshot::read(&binary(xmin, 20, &[]), true).unwrap();
        assert!(!floors.accepts(7, Some(&read(12)), 1, KEEP_MS));
        assert!(floors.accepts(7, Some(&read(13)), 1, KEEP_MS));
    }

    #[test]
    fn too_many_announcements_become_one_floor_for_all() {
        let mut floors = floors();
        let first = u64::try_from(MOST).unwrap();
        for xid in 13..13 + first {
            floors.announce(xid, xid, xid, 0);
        }
        assert!(floors.len() <= MOST);
        assert!(!floors.accepts(1, Some(&snapshot(12, first, &[])), first, 0));
        assert!(floors.accepts(1, Some(&snapshot(13 + first, 13 + first, &[])), first, 0));
        assert!(!floors.accepts(1, None, 13 + first, 0));
        assert!(floors.accepts(1, None, 13 + first, KEEP_MS));
    }
}
