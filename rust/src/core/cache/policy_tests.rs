//! S3-FIFO and weights against a cache that is written as plainly as it can be.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::tests::cases;
use super::*;
use crate::core::clock::{ManualClock, NEVER};
use crate::core::guards::Life;
use crate::core::hash::spread;

/// So few that a ghost is one bucket, which remembers exactly the last ones.
const KEYS: u32 = 34;

/// Some keys share a hash.
fn hash(key: u32) -> u64 {
    spread(i64::from(key % 30))
}

#[derive(Clone, Copy)]
struct Item {
    key: u32,
    weight: u64,
    frequency: u8,
}

struct Plain {
    policy: Policy,
    bound: u64,
    small: u64,
    filling: bool,
    queues: [VecDeque<Item>; 2],
    ghosts: [VecDeque<u16>; 2],
    window: usize,
    evictions: u64,
}

impl Plain {
    fn new(policy: Policy, bound: u64) -> Self {
        Self {
            policy,
            bound,
            small: (bound / 10).max(1),
            filling: true,
            queues: Default::default(),
            ghosts: Default::default(),
            window: 0,
            evictions: 0,
        }
    }

    fn len(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    fn weight_of(&self, queue: usize) -> u64 {
        self.queues[queue].iter().map(|item| item.weight).sum()
    }

    fn weight(&self) -> u64 {
        self.weight_of(0) + self.weight_of(1)
    }

    fn keys(&self) -> Vec<u32> {
        self.queues.iter().flatten().map(|item| item.key).collect()
    }

    fn find(&self, key: u32) -> Option<(usize, usize)> {
        (0..2).find_map(|queue| {
            let at = self.queues[queue].iter().position(|item| item.key == key)?;
            Some((queue, at))
        })
    }

    fn get(&mut self, key: u32) -> bool {
        let Some((queue, at)) = self.find(key) else { return false };
        match self.policy {
            Policy::Lru => {
                let item = self.queues[queue].remove(at).unwrap();
                self.queues[queue].push_back(item);
            }
            Policy::S3Fifo => {
                let item = &mut self.queues[queue][at];
                item.frequency = (item.frequency + 1).min(2);
            }
        }
        true
    }

    fn set(&mut self, key: u32, weight: u64, reweighs: bool) {
        if weight > self.bound {
            if let Some((queue, at)) = self.find(key) {
                self.queues[queue].remove(at);
            }
            return;
        }
        match self.find(key) {
            Some((queue, at)) if reweighs => {
                let item = self.queues[queue].remove(at).unwrap();
                self.make_room(weight, 1);
                self.queues[queue].push_back(Item { weight, ..item });
                self.get(key);
            }
            Some(_) => drop(self.get(key)),
            None => {
                let queue = self.admit(key, weight);
                self.make_room(weight, 0);
                self.queues[queue].push_back(Item { key, weight, frequency: 0 });
            }
        }
    }

    fn admit(&mut self, key: u32, weight: u64) -> usize {
        if self.policy == Policy::Lru {
            return 0;
        }
        if self.filling {
            return usize::from(self.weight_of(1) + weight <= self.bound - self.small);
        }
        let mean = self.weight().checked_div(self.len() as u64).unwrap_or(1).max(1);
        let known = [0, 1].map(|queue| {
            let ghost = &mut self.ghosts[queue];
            let at = ghost.iter().position(|&other| other == fingerprint(key));
            at.and_then(|at| ghost.remove(at)).is_some()
        });
        match known {
            [true, _] => self.small = (self.small + mean).min(self.bound - self.bound / 10),
            [_, true] => {
                self.small = self.small.saturating_sub(mean).max((self.bound / 100).max(1));
            }
            _ => return 0,
        }
        1
    }

    /// `held` entries are out of their queues meanwhile, and still there.
    fn make_room(&mut self, weight: u64, held: usize) {
        while self.weight() + weight > self.bound {
            self.evictions += 1;
            match self.policy {
                Policy::Lru => drop(self.queues[0].pop_front().unwrap()),
                Policy::S3Fifo => self.evict(held),
            }
        }
    }

    fn evict(&mut self, held: usize) {
        self.filling = false;
        self.fit(self.len() + held);
        for step in 0.. {
            let small_first = self.weight_of(0) >= self.small;
            let queue = match (self.queues[0].is_empty(), self.queues[1].is_empty()) {
                (true, _) => 1,
                (_, true) => 0,
                _ => usize::from(!small_first),
            };
            let mut item = self.queues[queue].pop_front().unwrap();
            if step < 128 && queue == 0 && item.frequency == 2 {
                self.queues[1].push_back(Item { frequency: 0, ..item });
            } else if step < 128 && queue == 1 && item.frequency > 0 {
                item.frequency -= 1;
                self.queues[1].push_back(item);
            } else {
                self.ghosts[queue].push_front(fingerprint(item.key));
                self.ghosts[queue].truncate(self.window);
                return;
            }
        }
    }

    fn fit(&mut self, entries: usize) {
        let window = (entries - entries / 10).max(1);
        if window > self.window + self.window / 2 {
            self.window = window;
            self.ghosts.iter_mut().for_each(VecDeque::clear);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "as the ghost does")]
fn fingerprint(key: u32) -> u16 {
    (hash(key) as u16).max(1)
}

#[derive(Clone, Debug)]
enum Step {
    Get(u32),
    Set(u32, u64),
    Remove(u32),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Mostly from few keys, so that hits, and returns after leaving, are frequent.
    let key = || prop_oneof![3 => 0..KEYS / 3, 1 => 0..KEYS];
    vec(
        prop_oneof![
            60 => key().prop_map(Step::Get),
            60 => (key(), 0_u64..14).prop_map(|(key, weight)| Step::Set(key, weight)),
            5 => key().prop_map(Step::Remove),
            1 => Just(Step::Clear),
        ],
        1..400,
    )
}

fn locate(cache: &Cache<u32, u32>, key: u32) -> Option<Slot> {
    let same = |&stored: &u32| if stored == key { Match::Equal } else { Match::Different };
    cache.locate(hash(key), same).unwrap()
}

fn of(bound: Bound, policy: Policy) -> Cache<u32, u32> {
    Cache::new(bound, Options { policy, ..Options::default() })
}

fn check(policy: Policy, bound: Bound, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut cache: Cache<u32, u32> = of(bound, policy);
    let mut plain = Plain::new(policy, bound.weight());
    let clock = ManualClock::default();
    let by_weight = matches!(bound, Bound::Weight(_));
    for step in steps {
        match step {
            Step::Get(key) => {
                let hit = matches!(cache.get(locate(&cache, key), &clock), Read::Hit(_));
                prop_assert_eq!(hit, plain.get(key));
            }
            Step::Set(key, weight) if by_weight => {
                set_weighing(&mut cache, key, weight);
                plain.set(key, weight, true);
            }
            Step::Set(key, _) => {
                match locate(&cache, key) {
                    Some(slot) => drop(cache.replace(slot, key, NEVER)),
                    None => drop(cache.insert(hash(key), key, key, NEVER, &clock)),
                }
                plain.set(key, 1, false);
            }
            Step::Remove(key) => {
                let removed = locate(&cache, key).and_then(|slot| cache.remove(slot));
                let at = plain.find(key);
                prop_assert_eq!(removed.is_some(), at.is_some());
                if let Some((queue, at)) = at {
                    plain.queues[queue].remove(at);
                }
            }
            Step::Clear => {
                drop(cache.clear());
                plain = Plain { evictions: plain.evictions, ..Plain::new(policy, plain.bound) };
            }
        }
        let keys: Vec<u32> = cache.keys(&clock).copied().collect();
        prop_assert_eq!(keys, plain.keys());
        prop_assert_eq!(cache.weight(), plain.weight());
        prop_assert!(cache.weight() <= bound.weight());
        prop_assert_eq!(cache.stats().evictions, plain.evictions);
    }
    Ok(())
}

fn set_weighing(cache: &mut Cache<u32, u32>, key: u32, weight: u64) {
    let clock = ManualClock::default();
    match locate(cache, key) {
        Some(slot) if !cache.can_hold(weight) => drop(cache.displace(slot, &clock)),
        Some(slot) => drop(cache.replace_living(slot, key, Life::plain(NEVER), weight, &clock)),
        None if !cache.can_hold(weight) => {}
        None => drop(insert(cache, key, weight)),
    }
}

fn insert(cache: &mut Cache<u32, u32>, key: u32, weight: u64) -> Vec<Left<u32, u32>> {
    let life = Life::plain(NEVER);
    cache.insert_living((hash(key), key), key, life, weight, &ManualClock::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(1_024), ..ProptestConfig::default() })]

    #[test]
    fn s3_fifo_is_what_it_says(bound in 1_u32..30, steps in steps()) {
        check(Policy::S3Fifo, Bound::Entries(bound), steps)?;
    }

    #[test]
    fn s3_fifo_with_weights_is_what_it_says(bound in 1_u64..120, steps in steps()) {
        check(Policy::S3Fifo, Bound::Weight(bound), steps)?;
    }

    #[test]
    fn lru_with_weights_is_what_it_says(bound in 1_u64..120, steps in steps()) {
        check(Policy::Lru, Bound::Weight(bound), steps)?;
    }
}

#[test]
fn what_is_too_heavy_displaces_the_old_value_of_its_key() {
    for policy in [Policy::Lru, Policy::S3Fifo] {
        let mut cache = of(Bound::Weight(10), policy);
        set_weighing(&mut cache, 1, 4);
        assert!(cache.can_hold(10) && !cache.can_hold(11) && !cache.can_hold(u64::MAX));
        let (slot, clock) = (locate(&cache, 1).unwrap(), ManualClock::default());
        let left = cache.displace(slot, &clock);
        assert!(matches!(left, Some(Left { key: Some(1), value: 1, cause: Cause::Replaced })));
        assert_eq!(cache.stats(), Stats { replacements: 1, ..Stats::default() });
    }
}

#[test]
fn a_bound_of_zero_holds_what_weighs_nothing() {
    for policy in [Policy::Lru, Policy::S3Fifo] {
        let mut cache = of(Bound::Weight(0), policy);
        assert!(!cache.can_hold(1));
        assert!(insert(&mut cache, 1, 0).is_empty());
        assert_eq!((cache.weight(), cache.len()), (0, 1));
    }
}

#[test]
fn one_heavy_entry_makes_all_others_leave() {
    for policy in [Policy::Lru, Policy::S3Fifo] {
        let mut cache = of(Bound::Weight(MAX_WEIGHT), policy);
        (0..20).for_each(|key| set_weighing(&mut cache, key, 5));
        let evicted = insert(&mut cache, 99, MAX_WEIGHT);
        assert_eq!((evicted.len(), cache.len(), cache.weight()), (20, 1, MAX_WEIGHT));
        assert!(evicted.iter().all(|left| left.cause == Cause::Capacity));
    }
}

/// The share of hits in percent, of asking for each key and storing it if it is not there.
fn hits(policy: Policy, entries: u32, keys: impl Iterator<Item = u32>) -> u64 {
    let mut cache: Cache<u32, u32> = of(Bound::Entries(entries), policy);
    let clock = ManualClock::default();
    for key in keys {
        let same = |&stored: &u32| if stored == key { Match::Equal } else { Match::Different };
        let hash = spread(i64::from(key));
        let at = cache.locate(hash, same).unwrap();
        if !matches!(cache.get(at, &clock), Read::Hit(_)) {
            drop(cache.insert(hash, key, key, NEVER, &clock));
        }
    }
    let stats = cache.stats();
    stats.hits * 100 / (stats.hits + stats.misses)
}

fn both(entries: u32, keys: impl Iterator<Item = u32> + Clone) -> (u64, u64) {
    (hits(Policy::Lru, entries, keys.clone()), hits(Policy::S3Fifo, entries, keys))
}

/// Numbers below `n`, small ones far more often, from a fixed sequence.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to n")]
fn skewed(n: u32) -> impl Iterator<Item = u32> + Clone {
    (0..).map(move |at| {
        let unit = f64::from((spread(at) >> 32) as u32) / f64::from(u32::MAX);
        (f64::from(n).powf(unit) - 1.0) as u32
    })
}

#[test]
fn a_loop_over_more_than_fits_keeps_a_part() {
    let (lru, s3_fifo) = both(100, (0..20_000).map(|at| at % 1_000));
    assert!((lru, s3_fifo) >= (0, 8) && lru == 0, "{lru} {s3_fifo}");
}

#[test]
fn working_sets_that_fit_are_kept_however_they_follow_each_other() {
    let sets = (0..10_u32).flat_map(|set| (0..10 * 900).map(move |at| set * 900 + at % 900));
    let (lru, s3_fifo) = both(1_000, sets);
    assert!(s3_fifo + 3 >= lru, "{lru} {s3_fifo}");
}

#[test]
fn a_scan_does_not_flush_what_is_asked_for_often() {
    let mixed = skewed(2_000).zip(0_u32..).take(200_000);
    let mixed = mixed.map(|(key, at)| if at % 10 < 4 { 10_000 + at } else { key });
    let (lru, s3_fifo) = both(100, mixed);
    assert!(s3_fifo >= lru + 8, "{lru} {s3_fifo}");
}

#[test]
fn skewed_popularity_is_learnt_better_than_by_recency() {
    let (lru, s3_fifo) = both(200, skewed(10_000).take(200_000));
    assert!(s3_fifo >= lru + 5, "{lru} {s3_fifo}");
}
