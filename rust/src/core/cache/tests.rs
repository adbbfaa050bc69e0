use std::cell::Cell;
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::core::clock::{ManualClock, NEVER};

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
        Self {
            cache: Cache::new(Bound::Entries(max_entries), Policy::Lru),
            clock: ManualClock::default(),
            locked: Rc::default(),
        }
    }

    /// Runs one operation "under the lock"; what it returns is dropped outside.
    fn locked<R>(&mut self, operation: impl FnOnce(&mut Cache<Guarded, Guarded>) -> R) -> R {
        self.locked.set(true);
        let result = operation(&mut self.cache);
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
            Read::Miss => return None,
            Read::Expired(slot) => slot,
        };
        assert!(self.locked(|cache| cache.expire(expired)).is_some());
        None
    }

    fn set(&mut self, key: u32, value: u32, deadline: u64) {
        let (slot, hash) = (self.locate(key), Self::hash(key));
        let (key, value) = (self.guarded(key), self.guarded(value));
        match slot {
            Some(slot) => {
                assert!(self.locked(|cache| cache.replace(slot, value, deadline)).is_some());
            }
            None => drop(self.locked(|cache| cache.insert(hash, key, value, deadline))),
        }
    }

    fn remove(&mut self, key: u32) -> Option<u32> {
        let slot = self.locate(key)?;
        self.locked(|cache| cache.remove(slot)).map(|entry| entry.value.value)
    }

    fn invalidate(&mut self, key: u32) -> Option<u32> {
        self.cache.refuse_loads(Self::hash(key));
        let slot = self.locate(key)?;
        self.locked(|cache| cache.invalidate(slot)).map(|entry| entry.value.value)
    }

    fn keys(&self) -> Vec<u32> {
        self.cache.keys(&self.clock).map(|key| key.value).collect()
    }
}

/// The same cache, as plainly as it can be written: least recently used first.
#[derive(Default)]
struct Model {
    entries: Vec<(u32, u32, u64)>,
    max_entries: usize,
    now: u64,
    stats: Stats,
}

impl Model {
    fn take(&mut self, key: u32) -> Option<(u32, u32, u64)> {
        let index = self.entries.iter().position(|entry| entry.0 == key)?;
        Some(self.entries.remove(index))
    }

    fn get(&mut self, key: u32) -> Option<u32> {
        match self.take(key) {
            Some(entry) if self.now < entry.2 => {
                self.entries.push(entry);
                self.stats.hits += 1;
                Some(entry.1)
            }
            taken => {
                self.stats.expirations += u64::from(taken.is_some());
                self.stats.misses += 1;
                None
            }
        }
    }

    fn set(&mut self, key: u32, value: u32, deadline: u64) {
        if self.take(key).is_none() && self.entries.len() == self.max_entries {
            self.entries.remove(0);
            self.stats.evictions += 1;
        }
        self.entries.push((key, value, deadline));
    }

    fn invalidate(&mut self, key: u32) -> Option<u32> {
        let removed = self.take(key)?;
        self.stats.invalidations += 1;
        Some(removed.1)
    }

    fn keys(&self) -> Vec<u32> {
        self.entries.iter().filter(|entry| self.now < entry.2).map(|entry| entry.0).collect()
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
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

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
                    prop_assert_eq!(subject.remove(key), model.take(key).map(|entry| entry.1));
                }
                Step::Invalidate(key) => {
                    prop_assert_eq!(subject.invalidate(key), model.invalidate(key));
                }
                Step::InvalidateAll => {
                    let removed = subject.locked(Cache::invalidate_all).entries;
                    prop_assert_eq!(removed, model.entries.len());
                    model.stats.invalidations += removed as u64;
                    model.entries.clear();
                }
                Step::Clear => {
                    drop(subject.locked(Cache::clear));
                    model.entries.clear();
                }
                Step::Wait(ms) => {
                    subject.clock.advance(ms);
                    model.now += ms;
                }
            }
            prop_assert_eq!(subject.keys(), model.keys());
            let stats = Stats { entries: model.entries.len() as u64, ..model.stats };
            prop_assert_eq!(subject.cache.stats(), stats);
        }
    }
}

#[test]
fn a_candidate_that_cannot_be_compared_leaves_the_search_undecided() {
    let mut cache = Cache::new(Bound::Entries(4), Policy::Lru);
    for key in ["a", "b"] {
        assert!(cache.insert(7, key, (), NEVER).is_none());
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
    let hash = Subject::hash(1);
    let token = subject.cache.begin(hash);
    assert!(subject.cache.admits(hash, token));
    assert_eq!(subject.invalidate(1), None);
    assert!(!subject.cache.admits(hash, token));
    let token = subject.cache.begin(hash);
    assert_eq!(subject.cache.invalidate_all().entries, 0);
    assert!(!subject.cache.admits(hash, token));
    assert_eq!(subject.cache.stats().refused_fills, 2);
}

#[test]
fn clearing_refuses_no_load() {
    let mut subject = Subject::new(4);
    let token = subject.cache.begin(Subject::hash(1));
    drop(subject.cache.clear());
    assert!(subject.cache.admits(Subject::hash(1), token));
}

#[test]
fn the_largest_bound_takes_no_memory_in_advance() {
    let cache: Cache<u64, u64> = Cache::new(Bound::Entries(MAX_ENTRIES), Policy::default());
    assert!(cache.is_empty());
    assert_eq!(cache.bound(), Bound::Entries(MAX_ENTRIES));
}

#[test]
#[should_panic = "the bound is out of range"]
fn a_bound_of_zero_is_refused() {
    let _: Cache<u64, u64> = Cache::new(Bound::Entries(0), Policy::Lru);
}
