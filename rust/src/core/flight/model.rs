//! Single flight and the fill check under many interleavings, chosen by Shuttle.
//!
//! The threads here take the steps of the shell: the same tables, a lock for each, `park` to wait.

use std::collections::VecDeque;
use std::sync::OnceLock;

use shuttle::sync::atomic::{AtomicU32, Ordering};
use shuttle::sync::{Arc, Mutex};
use shuttle::thread::{self, Thread, ThreadId};

use super::{Boarding, Flight, Flights, Match};
use crate::core::cache::{Bound, Cache, Held, Load, Options};
use crate::core::clock::{ManualClock, NEVER};
use crate::core::waits::Waits;

const ITERATIONS: usize = 5_000;

type Outcome = Result<u32, ()>;

struct Seat {
    thread: Thread,
    outcome: OnceLock<Outcome>,
}

/// A cache with its flights, what it caches, and how often that was read.
struct World {
    cache: Mutex<Cache<u8, u32>>,
    flights: Mutex<Flights<u8, ThreadId, Arc<Seat>>>,
    waits: Mutex<Waits<ThreadId, Arc<Seat>>>,
    truth: AtomicU32,
    reads: AtomicU32,
}

fn same(key: u8) -> impl Fn(&u8) -> Match {
    move |other| if *other == key { Match::Equal } else { Match::Different }
}

enum Asked {
    Answer(Outcome),
    Reentered,
    Deadlock,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            cache: Mutex::new(Cache::new(Bound::Entries(4), Options::default())),
            flights: Mutex::new(Flights::new(1)),
            waits: Mutex::new(Waits::default()),
            truth: AtomicU32::new(0),
            reads: AtomicU32::new(0),
        })
    }

    /// Sections use the hash of the key, which here is one for all.
    fn peek(&self, key: u8) -> Option<u32> {
        let cache = self.cache.lock().unwrap();
        let slot = cache.locate(7, same(key)).unwrap()?;
        match cache.peek(slot, &ManualClock::default())? {
            Held::Value(&value) => Some(value),
            Held::Absent => None,
        }
    }

    fn invalidate(&self, key: u8) {
        let mut cache = self.cache.lock().unwrap();
        cache.refuse_loads(7);
        if let Some(slot) = cache.locate(7, same(key)).unwrap() {
            let _ = cache.invalidate(slot);
        }
    }

    fn fill(&self, key: u8, value: u32, token: u64) {
        let mut cache = self.cache.lock().unwrap();
        let clock = ManualClock::default();
        if cache.admits(Load { hash: 7, token, ..Load::default() }, &clock) {
            let at = cache.locate(7, same(key)).unwrap();
            match at {
                Some(slot) => drop(cache.replace(slot, value, NEVER)),
                None => drop(cache.insert(7, key, value, NEVER, &clock)),
            }
        }
    }

    /// What the source of truth says; takes time, in which others run.
    fn read(&self) -> u32 {
        self.reads.fetch_add(1, Ordering::SeqCst);
        let value = self.truth.load(Ordering::SeqCst);
        thread::yield_now();
        value
    }

    fn land(&self, flight: Flight, outcome: Outcome) {
        let landed = self.flights.lock().unwrap().land(flight);
        for seat in landed.waiters {
            seat.outcome.set(outcome).unwrap();
            seat.thread.unpark();
        }
    }

    fn wait(&self, seat: &Arc<Seat>, leader: ThreadId) -> Asked {
        let me = thread::current().id();
        loop {
            if let Some(&outcome) = seat.outcome.get() {
                return Asked::Answer(outcome);
            }
            let served = |seat: &Arc<Seat>| seat.outcome.get().is_some();
            if self.waits.lock().unwrap().enter(me, leader, Arc::clone(seat), served).is_err() {
                return Asked::Deadlock;
            }
            thread::park();
            drop(self.waits.lock().unwrap().leave(&me));
        }
    }

    fn get_or_load(&self, key: u8, load: &dyn Fn() -> Outcome) -> Asked {
        if let Some(value) = self.peek(key) {
            return Asked::Answer(Ok(value));
        }
        let me = thread::current().id();
        let (token, current) = {
            let cache = self.cache.lock().unwrap();
            (cache.begin(), cache.current(7, &[]))
        };
        let seat = Arc::new(Seat { thread: thread::current(), outcome: OnceLock::new() });
        let boarding = {
            let mut flights = self.flights.lock().unwrap();
            let at = flights.locate(7, same(key)).unwrap();
            flights.board(at, 7, || key, (&me, token, current), || Arc::clone(&seat))
        };
        match boarding {
            Boarding::Join { leader, .. } => self.wait(&seat, leader),
            Boarding::Reentered => Asked::Reentered,
            Boarding::Lead(flight) => {
                let outcome = match self.peek(key) {
                    Some(value) => Ok(value),
                    None => load(),
                };
                if let Ok(value) = outcome {
                    self.fill(key, value, token);
                }
                self.land(flight, outcome);
                Asked::Answer(outcome)
            }
        }
    }

    fn get(&self, key: u8) -> u32 {
        match self.get_or_load(key, &|| Ok(self.read())) {
            Asked::Answer(Ok(value)) => value,
            _ => panic!("no value"),
        }
    }
}

fn explore(body: impl Fn(Arc<World>) -> VecDeque<thread::JoinHandle<()>> + Send + Sync + 'static) {
    shuttle::check_pct(
        move || {
            let world = World::new();
            for handle in body(Arc::clone(&world)) {
                handle.join().unwrap();
            }
            assert!(world.flights.lock().unwrap().is_empty());
        },
        ITERATIONS,
        3,
    );
}

fn spawn(world: &Arc<World>, body: impl Fn(&World) + Send + 'static) -> thread::JoinHandle<()> {
    let world = Arc::clone(world);
    thread::spawn(move || body(&world))
}

#[test]
fn however_threads_interleave_one_of_them_loads() {
    explore(|world| {
        let ask = |_| {
            spawn(&world, |world| {
                assert_eq!(world.get(1), 0);
                assert_eq!(world.reads.load(Ordering::SeqCst), 1);
            })
        };
        (0..3).map(ask).collect()
    });
}

#[test]
fn however_threads_interleave_nobody_reads_what_is_older_than_an_invalidation() {
    explore(|world| {
        let writer = spawn(&world, |world| {
            for version in 1..=2 {
                world.truth.store(version, Ordering::SeqCst);
                world.invalidate(1);
                assert_eq!(world.get(1), version);
            }
        });
        let reader = || {
            spawn(&world, |world| {
                let first = world.get(1);
                assert!(world.get(1) >= first);
            })
        };
        VecDeque::from([writer, reader(), reader()])
    });
}

#[test]
fn however_threads_interleave_an_error_wakes_everyone() {
    explore(|world| {
        let ask = || {
            spawn(&world, |world| {
                let asked = world.get_or_load(1, &|| {
                    thread::yield_now();
                    Err(())
                });
                assert!(matches!(asked, Asked::Answer(Err(()))));
            })
        };
        VecDeque::from([ask(), ask(), ask()])
    });
}

#[test]
fn however_threads_interleave_a_circle_is_refused_and_only_a_circle() {
    explore(|world| {
        let ask = |key: u8, other: u8| {
            spawn(&world, move |world| {
                let asked = world.get_or_load(key, &|| match world.get_or_load(other, &|| Ok(0)) {
                    Asked::Answer(outcome) => outcome,
                    Asked::Deadlock | Asked::Reentered => Err(()),
                });
                // Not the thread's own key: it leads no flight here.
                assert!(matches!(asked, Asked::Answer(_)));
            })
        };
        let free = spawn(&world, |world| {
            assert!(matches!(world.get_or_load(3, &|| Ok(3)), Asked::Answer(Ok(3))));
        });
        VecDeque::from([ask(1, 2), ask(2, 1), free])
    });
}

#[test]
fn however_threads_interleave_a_thread_that_was_served_holds_nobody_up() {
    explore(|world| {
        // Loads 1, whoever waits for it, and only then asks for what that one loads.
        let first = spawn(&world, |world| {
            assert_eq!(world.get(1), 0);
            assert_eq!(world.get(2), 0);
        });
        let second = spawn(&world, |world| {
            let asked = world.get_or_load(2, &|| Ok(world.get(1)));
            assert!(matches!(asked, Asked::Answer(Ok(0))));
        });
        VecDeque::from([first, second])
    });
}
