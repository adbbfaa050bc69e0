//! The floor rule under many interleavings, chosen by Shuttle: whoever writes, however late a load
//! is, nothing older than what was announced is served.

use shuttle::sync::{Arc, Mutex};
use shuttle::thread;

use super::*;
use crate::core::clock::{ManualClock, NEVER};
use crate::core::guards::Life;
use crate::core::snapshot::{Snapshot, tests::snapshot};

const ITERATIONS: usize = 5_000;
const HASH: u64 = 7;

/// A row of a database: its versions are the transactions that wrote them.
struct Database {
    committed: u64,
    running: Vec<u64>,
    next: u64,
}

impl Database {
    /// The row with the snapshot of the statement that reads it.
    fn read(&self) -> (u64, Snapshot) {
        let xmin = self.running.first().copied().unwrap_or(self.next);
        (self.committed, snapshot(xmin, self.next, &self.running))
    }
}

struct World {
    database: Mutex<Database>,
    cache: Mutex<Cache<u8, u64>>,
}

impl World {
    fn new() -> Arc<Self> {
        let database = Database { committed: 1, running: Vec::new(), next: 2 };
        let cache = Cache::new(Bound::Entries(4), Options::default());
        Arc::new(Self { database: Mutex::new(database), cache: Mutex::new(cache) })
    }

    fn announce(&self, xid: u64) {
        let mut cache = self.cache.lock().unwrap();
        let slot = cache.locate(HASH, |_| Match::Equal).unwrap();
        drop(cache.announce(HASH, slot, xid, &ManualClock::default()));
    }

    /// Writes the row and announces it: before it commits, or with the commit, as told.
    fn write(&self, before: bool) -> u64 {
        let xid = {
            let mut database = self.database.lock().unwrap();
            let xid = database.next;
            database.next += 1;
            database.running.push(xid);
            xid
        };
        if before {
            self.announce(xid);
        }
        thread::yield_now();
        {
            let mut database = self.database.lock().unwrap();
            database.running.retain(|&other| other != xid);
            database.committed = database.committed.max(xid);
        }
        if !before {
            self.announce(xid);
        }
        xid
    }

    fn cached(&self) -> Option<u64> {
        let mut cache = self.cache.lock().unwrap();
        let slot = cache.locate(HASH, |_| Match::Equal).unwrap();
        match cache.get(slot, &ManualClock::default()) {
            Read::Hit(&version) => Some(version),
            _ => None,
        }
    }

    /// Asks the cache, then the database, and fills.
    fn load(&self) -> u64 {
        if let Some(version) = self.cached() {
            return version;
        }
        let token = self.cache.lock().unwrap().begin();
        let (version, snapshot) = self.database.lock().unwrap().read();
        thread::yield_now();
        let clock = ManualClock::default();
        let mut cache = self.cache.lock().unwrap();
        let load = Load { hash: HASH, token, tags: &[], snapshot: Some(&snapshot) };
        if cache.admits(load, &clock) {
            let life = Life { snapshot: Some(Box::new(snapshot)), ..Life::plain(NEVER) };
            let left = match cache.locate(HASH, |_| Match::Equal).unwrap() {
                Some(slot) => cache.replace_living(slot, version, life, 1, &clock),
                None => cache.insert_living((HASH, 0), version, life, 1, &clock),
            };
            drop(left);
        }
        version
    }
}

fn explore(before: [bool; 2]) {
    shuttle::check_pct(
        move || {
            let world = World::new();
            let writers = before.map(|before| {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    let xid = world.write(before);
                    // Its announcement is over, so nothing older is served any more.
                    assert!(world.cached().is_none_or(|version| version >= xid));
                    assert!(world.load() >= xid);
                })
            });
            let readers = [(), ()].map(|()| {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    world.load();
                    world.load();
                })
            });
            for handle in writers.into_iter().chain(readers) {
                handle.join().unwrap();
            }
            let committed = world.database.lock().unwrap().committed;
            assert!(world.cached().is_none_or(|version| version == committed));
        },
        ITERATIONS,
        3,
    );
}

#[test]
fn however_threads_interleave_what_was_announced_before_its_commit_is_served() {
    explore([true, true]);
}

#[test]
fn however_threads_interleave_what_was_announced_with_its_commit_is_served() {
    explore([false, false]);
}

#[test]
fn however_threads_interleave_both_ways_of_announcing_agree() {
    explore([true, false]);
}
