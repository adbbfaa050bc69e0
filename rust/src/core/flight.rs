//! Loads under way: who loads a key, and who waits for it.
//!
//! A flight is one load of one key. Whoever asks for the key meanwhile boards it and is handed what
//! was loaded when it lands. Like the cache, the table drops nothing itself and compares keys with
//! a closure, so that a caller can keep it behind a lock while keys and waiters are foreign
//! objects. It knows no way of waiting: a waiter is whatever the caller must be given back.

use std::collections::HashMap;

use hashbrown::HashTable;

use super::cache::{Match, Undecided};

/// A flight's number; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flight(u64);

/// What asking for an absent key comes to.
#[derive(Debug, PartialEq, Eq)]
pub enum Boarding<T> {
    /// The caller loads the key, and must [`land`](Flights::land) the flight however that ends.
    Lead(Flight),
    /// The caller is among the waiters of the flight that `leader` leads.
    Join { flight: Flight, leader: T },
    /// The caller leads the flight itself and would wait for itself.
    Reentered,
}

/// Where flights to a key may be boarded.
#[derive(Debug)]
struct Gate<K> {
    key: K,
    hash: u64,
    flight: Flight,
}

/// One load under way.
#[derive(Debug)]
struct Flying<T, W> {
    leader: T,
    hash: u64,
    /// The fill token under which it began.
    token: u64,
    waiters: Vec<W>,
}

/// What leaves the table when a flight lands: its waiters, and the key unless a newer flight has it.
#[derive(Debug)]
#[must_use = "the waiters wait to be handed the outcome"]
pub struct Landed<K, W> {
    pub waiters: Vec<W>,
    pub key: Option<K>,
}

/// The loads under way of one cache.
///
/// `T` names a thread (or whoever else leads) and `W` is a waiter.
#[derive(Debug)]
pub struct Flights<K, T, W> {
    gates: HashTable<Gate<K>>,
    flying: HashMap<Flight, Flying<T, W>>,
    flown: u64,
    process: u32,
}

impl<K, T: Clone + PartialEq, W> Flights<K, T, W> {
    /// No flights, in the process of this number.
    #[must_use]
    pub fn new(process: u32) -> Self {
        Self { gates: HashTable::new(), flying: HashMap::new(), flown: 0, process }
    }

    /// Finds the flight to board for a key.
    ///
    /// # Errors
    ///
    /// [`Undecided`] if it takes a comparison that `compare` could not make.
    pub fn locate(
        &self,
        hash: u64,
        mut compare: impl FnMut(&K) -> Match,
    ) -> Result<Option<Flight>, Undecided> {
        let mut undecided = false;
        let found = self.gates.find(hash, |gate| {
            gate.hash == hash
                && match compare(&gate.key) {
                    Match::Equal => true,
                    Match::Different => false,
                    Match::Unknown => {
                        undecided = true;
                        false
                    }
                }
        });
        match found {
            Some(gate) => Ok(Some(gate.flight)),
            None if undecided => Err(Undecided),
            None => Ok(None),
        }
    }

    /// Boards the located flight, or leads a new one under `token`.
    ///
    /// A flight with a token before `current` is left to those on board: its key was invalidated
    /// since it began, so what it loads may be older than what the caller may see.
    pub fn board(
        &mut self,
        at: Option<Flight>,
        hash: u64,
        key: impl FnOnce() -> K,
        (me, token, current): (&T, u64, u64),
        waiter: impl FnOnce() -> W,
    ) -> Boarding<T> {
        let Some((flight, flying)) = at.and_then(|f| Some((f, self.flying.get_mut(&f)?))) else {
            let flight = self.take_off(hash, me, token);
            self.gates.insert_unique(hash, Gate { key: key(), hash, flight }, |gate| gate.hash);
            return Boarding::Lead(flight);
        };
        if flying.leader == *me {
            return Boarding::Reentered;
        }
        if flying.token >= current {
            flying.waiters.push(waiter());
            return Boarding::Join { flight, leader: flying.leader.clone() };
        }
        let newer = self.take_off(hash, me, token);
        if let Some(gate) = self.gates.find_mut(hash, |gate| gate.flight == flight) {
            gate.flight = newer;
        }
        Boarding::Lead(newer)
    }

    fn take_off(&mut self, hash: u64, leader: &T, token: u64) -> Flight {
        let flight = Flight(self.flown);
        self.flown += 1;
        let flying = Flying { leader: leader.clone(), hash, token, waiters: Vec::new() };
        self.flying.insert(flight, flying);
        flight
    }

    /// Ends a flight. Due exactly once for each lead; the waiters are the caller's to tell.
    pub fn land(&mut self, flight: Flight) -> Landed<K, W> {
        let Some(flying) = self.flying.remove(&flight) else {
            return Landed { waiters: Vec::new(), key: None };
        };
        let gate = self.gates.find_entry(flying.hash, |gate| gate.flight == flight).ok();
        Landed { waiters: flying.waiters, key: gate.map(|gate| gate.remove().0.key) }
    }

    /// Takes a waiter that does not wait any longer off a flight that goes on without it.
    #[must_use = "dropping a waiter may run foreign code"]
    pub fn leave(&mut self, flight: Flight, mut is_leaving: impl FnMut(&W) -> bool) -> Option<W> {
        let waiters = &mut self.flying.get_mut(&flight)?.waiters;
        let at = waiters.iter().position(&mut is_leaving)?;
        Some(waiters.swap_remove(at))
    }

    /// Forgets what other threads had under way, if this is another process than before: a fork
    /// copies the flights and not the threads that would land them.
    #[must_use = "dropping a key or a waiter may run foreign code"]
    pub fn survive_fork(&mut self, process: u32, me: &T) -> Vec<Landed<K, W>> {
        if self.process == process {
            return Vec::new();
        }
        self.process = process;
        let lost: Vec<Flight> = self
            .flying
            .iter()
            .filter(|(_, flying)| flying.leader != *me)
            .map(|(&flight, _)| flight)
            .collect();
        lost.into_iter().map(|flight| self.land(flight)).collect()
    }

    /// Keys that are being loaded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.gates.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gates.is_empty()
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
