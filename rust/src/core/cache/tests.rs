use std::cell::Cell;
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::core::clock::{ManualClock, NEVER};

/// How many cases a property is tried on: `PROPTEST_CASES`, or so many.
pub fn cases(few: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(few)
}

fn lru<K, V>(max_entries: u32) -> Cache<K, V> {
    let options = Options { policy: Policy::Lru, ..Options::default() };
    Cache::new(Bound::Entries(max_entries), options)
}

/// A value that fails the test if it is dropped while the cache is locked.
#[derive(Debug)]
struct Guarded {
    value: u32,
    locked: Rc<Cell<bool>>,
}

impl Drop for Guarded {
    fn drop(&mut self) {
        assert!(!self.locked.get(), "dropped inside an operation");
    }
}

/// A cache, its clock, and the lock that its caller would hold.
struct Subject {
    cache: Cache<Guarded, Guarded>,
    clock: ManualClock,
    locked: Rc<Cell<bool>>,
}

impl Subject {
    fn new(max_entries: u32) -> Self {
        Self { cache: lru(max_entries), clock: ManualClock::default(), locked: Rc::default() }
    }

    /// Runs one operation "under the lock"; what it returns is dropped outside.
    fn locked<R>(
        &mut self,
        operation: impl FnOnce(&mut Cache<Guarded, Guarded>, &ManualClock) -> R,
    ) -> R {
        self.locked.set(true);
        let result = operation(&mut self.cache, &self.clock);
        self.locked.set(false);
        result
    }

    fn guarded(&self, value: u32) -> Guarded {
        Guarded { value, locked: Rc::clone(&self.locked) }
    }

    /// Few hashes for many keys, so that chains of candidates occur.
    fn hash(key: u32) -> u64 {
        u64::from(key % 3) << 32
    }

    fn locate(&self, key: u32) -> Option<Slot> {
        let compare =
            |stored: &Guarded| if stored.value == key { Match::Equal } else { Match::Different };
        self.cache.locate(Self::hash(key), compare).unwrap()
    }

    fn get(&mut self, key: u32) -> Option<u32> {
        let slot = self.locate(key);
        let expired = match self.cache.get(slot, &self.clock) {
            Read::Hit(value) => return Some(value.value),
            Read::Absent | Read::Miss => return None,
            Read::Expired(slot) => slot,
        };
        let dead = self.locked(|cache, clock| cache.remove_dead(expired, clock));
        assert!(matches!(dead, Some((_, Cause::Expired))));
        None
    }

    fn set(&mut self, key: u32, value: u32, deadline: u64) {
        let (slot, hash) = (self.locate(key), Self::hash(key));
        let (key, value) = (self.guarded(key), self.guarded(value));
        match slot {
            Some(slot) => {
                assert!(self.locked(|cache, _| cache.replace(slot, value, deadline)).is_some());
            }
            None => {
                drop(self.locked(|cache, clock| cache.insert(hash, key, value, deadline, clock)));
            }
        }
    }

    fn remove(&mut self, key: u32) -> Option<u32> {
        let slot = self.locate(key)?;
        self.locked(|cache, _| cache.remove(slot)).map(|entry| entry.value.value)
    }

    fn invalidate(&mut self, key: u32) -> Option<u32> {
        self.cache.refuse_loads(Self::hash(key));
        let slot = self.locate(key)?;
        self.locked(|cache, _| cache.invalidate(slot)).map(|entry| entry.value.value)
    }

    fn keys(&self) -> Vec<u32> {
        self.cache.keys(&self.clock).map(|key| key.value).collect()
    }
}

#[derive(Clone, Copy)]
struct Item {
    key: u32,
    value: u32,
    deadline: u64,
    slot: usize,
}

/// The same cache, as plainly as it can be written: least recently used first.
///
/// Slots matter for one thing: each new key looks whether the entry whose turn it is has expired.
#[derive(Default)]
struct Model {
    entries: Vec<Item>,
    max_entries: usize,
    now: u64,
    slots: usize,
    free: Vec<usize>,
    hand: Option<usize>,
    mortal: bool,
    stats: Stats,
}

impl Model {
    fn take(&mut self, key: u32) -> Option<Item> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.take_at(index))
    }

    fn take_at(&mut self, index: usize) -> Item {
        let item = self.entries.remove(index);
        self.free.push(item.slot);
        item
    }

    fn get(&mut self, key: u32) -> Option<u32> {
        let found = self.entries.iter().position(|entry| entry.key == key);
        if let Some(index) = found
            && self.now < self.entries[index].deadline
        {
            let item = self.entries.remove(index);
            self.entries.push(item);
            self.stats.hits += 1;
            return Some(item.value);
        }
        self.stats.expirations += u64::from(self.take(key).is_some());
        self.stats.misses += 1;
        None
    }

    fn set(&mut self, key: u32, value: u32, deadline: u64) {
        if let Some(index) = self.entries.iter().position(|entry| entry.key == key) {
            let item = self.entries.remove(index);
            self.entries.push(Item { value, deadline, ..item });
            self.stats.replacements += 1;
        } else {
            let swept = self.sweep();
            if !swept && self.entries.len() == self.max_entries {
                self.take_at(0);
                self.stats.evictions += 1;
            }
            let slot = self.free.pop().unwrap_or_else(|| {
                self.slots += 1;
                self.slots - 1
            });
            self.entries.push(Item { key, value, deadline, slot });
        }
        self.mortal |= deadline != NEVER;
    }

    fn sweep(&mut self) -> bool {
        if !self.mortal {
            return false;
        }
        let next = self.hand.map_or(0, |hand| hand + 1);
        let hand = if next < self.slots { next } else { 0 };
        self.hand = Some(hand);
        let dead = |entry: &Item| entry.slot == hand && self.now >= entry.deadline;
        let Some(index) = self.entries.iter().position(dead) else { return false };
        self.take_at(index);
        self.stats.expirations += 1;
        true
    }

    fn invalidate(&mut self, key: u32) -> Option<u32> {
        let removed = self.take(key)?;
        self.stats.invalidations += 1;
        Some(removed.value)
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.free.clear();
        self.slots = 0;
        self.mortal = false;
    }

    fn keys(&self) -> Vec<u32> {
        self.entries
            .iter()
            .filter(|entry| self.now < entry.deadline)
            .map(|entry| entry.key)
            .collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Get(u32),
    Set(u32, u32),
    SetFor(u32, u32, u64),
    Remove(u32),
    Invalidate(u32),
    InvalidateAll,
    Clear,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0_u32..12;
    prop_oneof![
        8 => key.clone().prop_map(Step::Get),
        6 => (key.clone(), any::<u32>()).prop_map(|(key, value)| Step::Set(key, value)),
        4 => (key.clone(), any::<u32>(), 1_u64..20)
            .prop_map(|(key, value, ms)| Step::SetFor(key, value, ms)),
        2 => key.clone().prop_map(Step::Remove),
        2 => key.prop_map(Step::Invalidate),
        1 => Just(Step::InvalidateAll),
        1 => Just(Step::Clear),
        3 => (0_u64..10).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(512), ..ProptestConfig::default() })]

    #[test]
    fn it_behaves_like_the_model(max_entries in 1_u32..8, steps in vec(step(), 1..200)) {
        let mut subject = Subject::new(max_entries);
        let mut model = Model { max_entries: max_entries as usize, ..Model::default() };
        for step in steps {
            match step {
                Step::Get(key) => prop_assert_eq!(subject.get(key), model.get(key)),
                Step::Set(key, value) => {
                    subject.set(key, value, NEVER);
                    model.set(key, value, NEVER);
                }
                Step::SetFor(key, value, ms) => {
                    subject.set(key, value, model.now + ms);
                    model.set(key, value, model.now + ms);
                }
                Step::Remove(key) => {
                    prop_assert_eq!(subject.remove(key), model.take(key).map(|entry| entry.value));
                }
                Step::Invalidate(key) => {
                    prop_assert_eq!(subject.invalidate(key), model.invalidate(key));
                }
                Step::InvalidateAll => {
                    let removed = subject.locked(|cache, _| cache.invalidate_all()).len();
                    prop_assert_eq!(removed, model.entries.len());
                    model.stats.invalidations += removed as u64;
                    model.clear();
                }
                Step::Clear => {
                    let removed = subject.locked(|cache, _| cache.clear()).len();
                    model.stats.cleared += removed as u64;
                    model.clear();
                }
                Step::Wait(ms) => {
                    subject.clock.advance(ms);
                    model.now += ms;
                }
            }
            prop_assert_eq!(subject.keys(), model.keys());
            let entries = model.entries.len() as u64;
            let stats = Stats { entries, weight: entries, ..model.stats };
            prop_assert_eq!(subject.cache.stats(), stats);
        }
    }
}

#[test]
fn a_candidate_that_cannot_be_compared_leaves_the_search_undecided() {
    let mut cache = lru(4);
    for key in ["a", "b"] {
        assert!(cache.insert(7, key, (), NEVER, &ManualClock::default()).is_none());
    }
    assert_eq!(cache.locate(7, |_| Match::Unknown), Err(Undecided));
    assert_eq!(cache.locate(8, |_| Match::Unknown), Ok(None));
    let equal_or_unknown = |&key: &&str| match key {
        "b" => Match::Equal,
        _ => Match::Unknown,
    };
    assert!(matches!(cache.locate(7, equal_or_unknown), Ok(Some(_))));
}

#[test]
fn a_load_is_refused_once_its_key_or_everything_was_invalidated() {
    let mut subject = Subject::new(4);
    let clock = ManualClock::default();
    let begun = |subject: &Subject| Load {
        hash: Subject::hash(1),
        token: subject.cache.begin(),
        ..Load::default()
    };
    let load = begun(&subject);
    assert!(subject.cache.admits(load, &clock));
    assert_eq!(subject.invalidate(1), None);
    assert!(!subject.cache.admits(load, &clock));
    let load = begun(&subject);
    assert!(subject.cache.admits(load, &clock));
    assert!(subject.cache.invalidate_all().is_empty());
    assert!(!subject.cache.admits(load, &clock));
    assert_eq!((subject.cache.stats().fills, subject.cache.stats().refused_fills), (2, 2));
}

#[test]
fn clearing_refuses_no_load() {
    let mut subject = Subject::new(4);
    let load = Load { hash: Subject::hash(1), token: subject.cache.begin(), ..Load::default() };
    drop(subject.cache.clear());
    assert!(subject.cache.admits(load, &ManualClock::default()));
}

#[test]
fn the_largest_bound_takes_no_memory_in_advance() {
    let cache: Cache<u64, u64> = Cache::new(Bound::Entries(MAX_ENTRIES), Options::default());
    assert!(cache.is_empty());
    assert_eq!(cache.bound(), Bound::Entries(MAX_ENTRIES));
}

#[test]
#[should_panic = "the bound is out of range"]
fn a_bound_beyond_the_slots_is_refused() {
    let _: Cache<u64, u64> = Cache::new(Bound::Entries(u32::MAX), Options::default());
}
