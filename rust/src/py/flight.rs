//! Loads a missing value once, whoever asks for it meanwhile.

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Instant;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::cache::Cache;
use super::loader;
use super::lock::Lock;
use super::lookup::{Raised, Table, hash, with_slot};
use super::state::Object;
use super::wait::{Outcome, Raising, Seat, wait};
use crate::core::cache::{Match, Undecided};
use crate::core::flight::{Boarding, Flight, Flights, Landed};

/// The loads under way of one cache.
pub type Departures = Flights<Object, ThreadId, Arc<Seat>>;

impl Table for Departures {
    type Place = Flight;

    fn locate(
        &self,
        hash: u64,
        compare: impl FnMut(&Object) -> Match,
    ) -> Result<Option<Flight>, Undecided> {
        Flights::locate(self, hash, compare)
    }

    fn len(&self) -> usize {
        Flights::len(self)
    }
}

pub fn departures() -> Lock<Departures> {
    Lock::new(Flights::new(std::process::id()))
}

/// What a waiter does with the exception of a loader that was not its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Raises it too.
    Share,
    /// Loads the value itself, or waits for another that does.
    Retry,
}

impl FromPyObject<'_, '_> for OnError {
    type Error = PyErr;

    fn extract(word: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        match word.extract::<&str>()? {
            "share" => Ok(Self::Share),
            "retry" => Ok(Self::Retry),
            _ => Err(PyValueError::new_err("on_error must be \"share\" or \"retry\"")),
        }
    }
}

/// What asking for an absent key came to.
pub enum Boarded<'a> {
    Lead(Lead<'a>),
    Join(Arc<Seat>, ThreadId),
}

/// A flight that this thread leads. It lands, at the latest, when it is dropped.
pub struct Lead<'a> {
    cache: &'a Cache,
    flight: Option<Flight>,
    pub hash: u64,
    pub token: u64,
}

impl Lead<'_> {
    /// Ends the flight and hands the outcome to all who wait.
    pub fn land(mut self, py: Python<'_>, outcome: &Outcome) {
        self.land_once(py, outcome);
    }

    fn land_once(&mut self, py: Python<'_>, outcome: &Outcome) {
        let Some(flight) = self.flight.take() else { return };
        let Landed { waiters, key } = self.cache.flights.with(py, |flights| flights.land(flight));
        for seat in waiters {
            seat.serve(outcome.clone_ref(py));
        }
        drop(key);
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if self.flight.is_some() {
            Python::attach(|py| self.land_once(py, &Outcome::None));
        }
    }
}

/// Boards the flight to a key, or leads one.
///
/// # Errors
///
/// What comparing keys raised, or that this thread is loading the key already.
pub fn board<'a>(cache: &'a Cache, key: &Bound<'_, PyAny>) -> PyResult<Boarded<'a>> {
    let py = key.py();
    let me = thread::current().id();
    let hash = hash(key)?;
    // Before anything is read: what is read later is refused if the key is written meanwhile.
    let token = cache.begin_at(py, hash);
    let process = std::process::id();
    let lost = cache.flights.with(py, |flights| flights.survive_fork(process, &me));
    drop(lost);
    let seat = Seat::new();
    let boarding = with_slot(&cache.flights, key, hash, |flights, at| {
        flights.board(at, hash, || key.clone().unbind(), (&me, token), || Arc::clone(&seat))
    })?;
    match boarding {
        Boarding::Lead(flight) => {
            Ok(Boarded::Lead(Lead { cache, flight: Some(flight), hash, token }))
        }
        Boarding::Join { leader } => Ok(Boarded::Join(seat, leader)),
        Boarding::Reentered => Err(PyRuntimeError::new_err(
            "a loader asked for the key it is loading; it must not, for it would wait for itself",
        )),
    }
}

/// The value that another thread loads; `None` if this one has to load it.
///
/// # Errors
///
/// What the loader raised, if errors are shared; a deadlock; what a signal handler raised.
pub fn join<'py>(
    py: Python<'py>,
    seat: &Arc<Seat>,
    leader: ThreadId,
    on_error: OnError,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match wait(py, seat, leader)? {
        Outcome::Value(value) => Ok(Some(value.into_bound(py))),
        Outcome::Raised(raising) if on_error == OnError::Share => Err(raising.into_error(py)),
        Outcome::Raised(_) | Outcome::None => Ok(None),
    }
}

/// The value of a key that was not in the cache, loaded by one thread for all that ask for it.
///
/// `deadline` tells, after the load, until when the value is kept.
///
/// # Errors
///
/// As [`board`] and [`join`], or what the loader raised.
pub fn fly<'py>(
    cache: &Cache,
    key: &Bound<'py, PyAny>,
    on_error: OnError,
    deadline: impl Fn() -> u64,
    call: impl Fn() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = key.py();
    loop {
        match board(cache, key)? {
            Boarded::Lead(lead) => return lead_home(cache, key, lead, &deadline, &call),
            Boarded::Join(seat, leader) => {
                if let Some(value) = join(py, &seat, leader, on_error)? {
                    return Ok(value);
                }
            }
        }
    }
}

fn lead_home<'py>(
    cache: &Cache,
    key: &Bound<'py, PyAny>,
    lead: Lead<'_>,
    deadline: &impl Fn() -> u64,
    call: &impl Fn() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = key.py();
    // Another flight may have landed between this thread's miss and its lead.
    if let Some(value) = cache.peek(key, lead.hash)? {
        lead.land(py, &Outcome::Value(value.clone().unbind()));
        return Ok(value);
    }
    let result = timed(py, cache, call);
    match &result {
        Ok(value) => {
            // Kept before it lands: whoever comes after finds the one or the other.
            cache.fill_at(key, value, (lead.hash, lead.token), deadline())?;
            lead.land(py, &Outcome::Value(value.clone().unbind()));
        }
        Err(error) => lead.land(py, &Outcome::Raised(Raising::new(py, error))),
    }
    result
}

/// Calls a loader; counts how it ended and how long it took.
pub fn timed<R>(py: Python<'_>, cache: &Cache, call: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    let began = Instant::now();
    let result = call();
    let elapsed_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    cache.count_load(py, result.is_ok(), elapsed_ns);
    result
}

/// `Cache.get_or_load`.
pub fn get_or_load<'py>(
    cache: &Cache,
    key: &Bound<'py, PyAny>,
    loader: &Bound<'py, PyAny>,
    ttl_s: Option<f64>,
    on_error: OnError,
) -> PyResult<Bound<'py, PyAny>> {
    let ttl = cache.ttl(ttl_s)?;
    match cache.read(key) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => {
            fly(cache, key, on_error, || Cache::deadline_of(ttl), || loader::call(loader, key))
        }
        Err(Raised) => Err(Raised.into()),
    }
}
