//! Tags, stale windows, idle limits, floors and the horizon against their model.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::life_model::{FLOOR_MS, Kind, Model, RETRY_MS, tag_hash};
use super::tests::cases;
use super::*;
use crate::core::clock::{ManualClock, NEVER};
use crate::core::guards::Life;

#[derive(Clone, Debug)]
enum Step {
    Set(u8, Kind),
    /// A load that began when this many tokens had been taken.
    Fill(u8, Kind, usize),
    Begin,
    Get(u8),
    /// A read that takes what is stale on second thoughts.
    Reconsider(u8),
    Consult(u8),
    Rescue(u8),
    Prolong(u8, Kind),
    Remove(u8),
    Invalidate(u8),
    InvalidateTag(usize),
    InvalidateAll,
    Announce(u8, u64),
    AnnounceAll(u64),
    Horizon(Option<u64>),
    RemoveDead,
    Wait(u64),
}

fn kind() -> impl Strategy<Value = Kind> {
    let windows = (option::of(1_u64..20), 0_u64..15, 0_u64..15);
    let tags = prop_oneof![3 => Just(vec![]), 1 => Just(vec![1]), 1 => Just(vec![1, 2])];
    (windows, prop::bool::weighted(0.1), tags, option::of(1_u64..30)).prop_map(
        |((fresh_ms, stale_ms, error_ms), absent, tags, snapshot)| Kind {
            fresh_ms,
            stale_ms,
            error_ms,
            absent,
            tags,
            snapshot,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0_u8..4;
    prop_oneof![
        6 => (key.clone(), kind()).prop_map(|(key, kind)| Step::Set(key, kind)),
        4 => (key.clone(), kind(), 0_usize..8).prop_map(|(key, kind, at)| Step::Fill(key, kind, at)),
        3 => Just(Step::Begin),
        4 => key.clone().prop_map(Step::Get),
        6 => key.clone().prop_map(Step::Consult),
        4 => key.clone().prop_map(Step::Reconsider),
        3 => key.clone().prop_map(Step::Rescue),
        1 => (key.clone(), kind()).prop_map(|(key, kind)| Step::Prolong(key, kind)),
        1 => key.clone().prop_map(Step::Remove),
        1 => key.clone().prop_map(Step::Invalidate),
        2 => (1_usize..4).prop_map(Step::InvalidateTag),
        1 => Just(Step::InvalidateAll),
        2 => (key, 1_u64..30).prop_map(|(key, xid)| Step::Announce(key, xid)),
        1 => (1_u64..30).prop_map(Step::AnnounceAll),
        1 => option::of(0_u64..20).prop_map(Step::Horizon),
        1 => Just(Step::RemoveDead),
        6 => (0_u64..8).prop_map(Step::Wait),
    ]
}

struct Subject {
    cache: Cache<u8, u32>,
    clock: ManualClock,
    /// The tokens of the loads begun, the first from the beginning.
    tokens: Vec<u64>,
}

impl Subject {
    fn locate(&self, key: u8) -> Option<Slot> {
        let same = |&stored: &u8| if stored == key { Match::Equal } else { Match::Different };
        self.cache.locate(Self::hash(key), same).unwrap()
    }

    fn hash(key: u8) -> u64 {
        u64::from(key) << 32
    }

    fn set(&mut self, key: u8, value: u32, life: Life) {
        let left = if let Some(slot) = self.locate(key) {
            self.cache.replace_living(slot, value, life, 1, &self.clock)
        } else {
            self.cache.insert_living((Self::hash(key), key), value, life, 1, &self.clock)
        };
        assert!(left.iter().all(|left| left.cause != Cause::Capacity));
    }

    fn consult(&mut self, key: u8) -> (Option<u32>, bool) {
        match self.cache.consult(self.locate(key), &self.clock) {
            Consulted::Fresh(&value) => (Some(value), false),
            Consulted::Stale { value, reload } => (Some(*value), reload),
            Consulted::Absent => (None, false),
            Consulted::Missing | Consulted::Dead(_) => (None, true),
        }
    }
}

/// A cache and its model, which take the same steps.
struct Both {
    subject: Subject,
    model: Model,
}

impl Both {
    fn new(idle_ms: Option<u64>) -> Self {
        let options = Options {
            idle_ms: idle_ms.unwrap_or(NEVER),
            retry_ms: RETRY_MS,
            floor_ms: FLOOR_MS,
            ..Options::default()
        };
        let cache = Cache::new(Bound::Weight(100), options);
        let subject = Subject { cache, clock: ManualClock::default(), tokens: vec![0] };
        Self { subject, model: Model::new(idle_ms) }
    }

    fn set(&mut self, key: u8, value: u32, life: Life) {
        self.subject.set(key, value, life.clone());
        self.model.set(key, value, life);
    }

    fn fill(&mut self, key: u8, value: u32, kind: &Kind, at: usize) -> Result<(), TestCaseError> {
        let (at, life) = (at.min(self.model.tokens), kind.life(self.model.now));
        let load = Load {
            hash: Subject::hash(key),
            token: self.subject.tokens[at],
            tags: &life.tags,
            snapshot: life.snapshot.as_deref(),
        };
        let admitted = self.subject.cache.admits(load, &self.subject.clock);
        prop_assert_eq!(admitted, self.model.admits(key, kind, at));
        if admitted {
            self.set(key, value, life);
        }
        Ok(())
    }

    /// A load begins, or something changes, after which loads can be told from earlier ones.
    fn begin(&mut self) {
        self.subject.tokens.push(self.subject.cache.begin());
        self.model.tokens += 1;
    }

    fn get(&mut self, key: u8) -> Result<(), TestCaseError> {
        let slot = self.subject.locate(key);
        let got = match self.subject.cache.get(slot, &self.subject.clock) {
            Read::Hit(&value) => Some(value),
            _ => None,
        };
        prop_assert_eq!(got, self.model.get(key));
        Ok(())
    }

    fn reconsider(&mut self, key: u8) -> Result<(), TestCaseError> {
        let will_do = match self.model.phase(key) {
            Some((Phase::Stale, _)) => true,
            Some((Phase::Spare, item)) => self.model.now < item.retry_at,
            _ => false,
        };
        let slot = self.subject.locate(key);
        let Subject { cache, clock, .. } = &mut self.subject;
        let got = cache.get(slot, clock);
        if !matches!(got, Read::Miss | Read::Expired(_)) {
            let _ = self.model.get(key);
            return Ok(());
        }
        let found = slot.and_then(|slot| cache.reconsider(slot, clock));
        let found = found.map(|(value, reload)| (Some(*value), reload));
        if will_do {
            prop_assert_eq!(found, Some(self.model.consult(key)));
        } else {
            prop_assert_eq!(found, None);
            prop_assert_eq!(self.model.get(key), None);
        }
        Ok(())
    }

    fn rescue(&mut self, key: u8) -> Result<(), TestCaseError> {
        let Subject { cache, clock, .. } = &mut self.subject;
        let same = |&stored: &u8| if stored == key { Match::Equal } else { Match::Different };
        let slot = cache.locate(Subject::hash(key), same).unwrap();
        let rescued = slot.and_then(|slot| cache.rescue(slot, true, clock).copied());
        prop_assert_eq!(rescued, self.model.rescue(key));
        Ok(())
    }

    fn prolong(&mut self, key: u8, kind: &Kind) {
        if let Some((Phase::Fresh, item)) = self.model.phase(key) {
            let life = kind.life(self.model.now);
            let slot = self.subject.locate(key).unwrap();
            self.subject.cache.prolong(slot, &life, &self.subject.clock);
            let Life { absent, tags, snapshot, .. } = item.life;
            self.model.set(key, item.value, Life { absent, tags, snapshot, ..life });
        }
    }

    fn remove(&mut self, key: u8) {
        if let Some(slot) = self.subject.locate(key) {
            drop(self.subject.cache.remove(slot));
        }
        *self.model.item(key) = None;
    }

    fn invalidate(&mut self, key: u8) {
        self.subject.cache.refuse_loads(Subject::hash(key));
        if let Some(slot) = self.subject.locate(key) {
            drop(self.subject.cache.invalidate(slot));
        }
        *self.model.item(key) = None;
        self.model.changed.0[usize::from(key)] = self.model.tokens + 1;
        self.begin();
    }

    fn invalidate_tag(&mut self, tag: usize) {
        self.subject.cache.invalidate_tag(tag_hash(tag));
        self.model.invalidate_tag(tag);
        self.begin();
    }

    fn invalidate_all(&mut self) {
        drop(self.subject.cache.invalidate_all());
        self.model.items = [const { None }; 4];
        self.model.changed.0 = [self.model.tokens + 1; 4];
        self.begin();
    }

    fn announce(&mut self, key: u8, xid: u64) {
        let (slot, hash) = (self.subject.locate(key), Subject::hash(key));
        drop(self.subject.cache.announce(hash, slot, xid, &self.subject.clock));
        self.model.announce(Some(key), xid);
        self.begin();
    }

    fn announce_all(&mut self, xid: u64) {
        drop(self.subject.cache.announce_all(xid, &self.subject.clock));
        self.model.announce(None, xid);
        self.begin();
    }

    fn set_horizon(&mut self, ms: Option<u64>) {
        self.model.horizon = ms.map(|ms| self.model.now + ms);
        self.subject.cache.set_horizon(self.model.horizon.unwrap_or(NEVER));
    }

    fn remove_dead(&mut self) -> Result<(), TestCaseError> {
        drop(self.subject.cache.remove_all_dead(&self.subject.clock));
        let held = (0..4).filter(|&key| self.model.item(key).is_some()).count();
        prop_assert_eq!(self.subject.cache.len(), held);
        Ok(())
    }

    fn take(&mut self, step: Step, value: u32) -> Result<(), TestCaseError> {
        match step {
            Step::Set(key, kind) => self.set(key, value, kind.life(self.model.now)),
            Step::Fill(key, kind, at) => return self.fill(key, value, &kind, at),
            Step::Begin => self.begin(),
            Step::Get(key) => return self.get(key),
            Step::Reconsider(key) => return self.reconsider(key),
            Step::Consult(key) => {
                prop_assert_eq!(self.subject.consult(key), self.model.consult(key));
            }
            Step::Rescue(key) => return self.rescue(key),
            Step::Prolong(key, kind) => self.prolong(key, &kind),
            Step::Remove(key) => self.remove(key),
            Step::Invalidate(key) => self.invalidate(key),
            Step::InvalidateTag(tag) => self.invalidate_tag(tag),
            Step::InvalidateAll => self.invalidate_all(),
            Step::Announce(key, xid) => self.announce(key, xid),
            Step::AnnounceAll(xid) => self.announce_all(xid),
            Step::Horizon(ms) => self.set_horizon(ms),
            Step::RemoveDead => return self.remove_dead(),
            Step::Wait(ms) => {
                self.subject.clock.advance(ms);
                self.model.now += ms;
            }
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let stats = self.subject.cache.stats();
        prop_assert_eq!(Model::counted(&stats), Model::counted(&self.model.stats));
        let mut keys: Vec<u8> = self.subject.cache.keys(&self.subject.clock).copied().collect();
        keys.sort_unstable();
        prop_assert_eq!(keys, self.model.keys());
        prop_assert_eq!(stats.weight, self.subject.cache.len() as u64);
        Ok(())
    }
}

fn check(idle_ms: Option<u64>, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut both = Both::new(idle_ms);
    for (value, step) in (0..).zip(steps) {
        both.take(step, value)?;
        both.compare()?;
    }
    drop(both.subject.cache.clear());
    prop_assert!(both.subject.cache.tags.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(2_048), ..ProptestConfig::default() })]

    #[test]
    fn lives_are_what_they_say(
        idle_ms in option::of(1_u64..12),
        steps in vec(step(), 1..100),
    ) {
        check(idle_ms, steps)?;
    }
}

#[test]
fn a_dead_entry_that_nobody_asks_for_leaves_with_later_stores() {
    let clock = ManualClock::default();
    let mut cache: Cache<u32, u32> = Cache::new(Bound::Entries(1_000), Options::default());
    for key in 0..100 {
        assert!(cache.insert(u64::from(key), key, key, 5, &clock).is_none());
    }
    clock.advance(5);
    for key in 100..200 {
        drop(cache.insert(u64::from(key), key, key, NEVER, &clock));
    }
    assert_eq!((cache.len(), cache.stats().expirations), (100, 100));
}
