//! Loads a missing value once, whoever asks for it meanwhile.

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Instant;

use pyo3::exceptions::{PyException, PyKeyError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use super::cache::Cache;
use super::loader;
use super::lock::Lock;
use super::lookup::{Table, hash, with_slot};
use super::reading::{Answer, missing};
use super::reload::{self, Reload};
use super::state::{CLOCK, Object, When};
use super::store::{Terms, store_absence, store_if};
use super::wait::{Outcome, Raising, Seat, Unserved, wait};
use crate::core::cache::{Match, Undecided};
use crate::core::clock::Ttl;
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
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// Raises it too.
    #[default]
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

/// What is wanted of a load.
#[derive(Clone, Default)]
pub struct Wish {
    pub on_error: OnError,
    pub ttl: Option<Ttl>,
    pub tags: Box<[u64]>,
    /// Whether who asked has been answered already, with a stale value.
    pub is_reload: bool,
}

impl Wish {
    pub fn terms(&self) -> Terms {
        Terms { ttl: self.ttl, tags: self.tags.clone(), ..Terms::default() }
    }
}

/// A flight that this thread leads. It lands, at the latest, when it is dropped.
pub struct Lead<'a, 'py> {
    cache: &'a Bound<'py, Cache>,
    flight: Option<Flight>,
    pub hash: u64,
    pub token: u64,
}

impl Lead<'_, '_> {
    /// Ends the flight and hands the outcome to all who wait.
    pub fn land(mut self, py: Python<'_>, outcome: &Outcome) {
        self.land_once(py, outcome);
    }

    fn land_once(&mut self, py: Python<'_>, outcome: &Outcome) {
        let Some(flight) = self.flight.take() else { return };
        let flights = &self.cache.get().flights;
        let Landed { waiters, key } = flights.with(py, |flights| flights.land(flight));
        for seat in waiters {
            seat.serve(outcome.clone_ref(py));
        }
        drop(key);
    }
}

impl Drop for Lead<'_, '_> {
    fn drop(&mut self) {
        if self.flight.is_some() {
            self.land_once(self.cache.py(), &Outcome::None);
        }
    }
}

/// A seat in a flight that another thread leads.
pub struct Place<'a, 'py> {
    cache: &'a Bound<'py, Cache>,
    flight: Flight,
    seat: Arc<Seat>,
    leader: ThreadId,
}

impl<'py> Place<'_, 'py> {
    /// The value that the other thread loads; `None` if this one has to load it.
    ///
    /// # Errors
    ///
    /// What the loader raised, if errors are shared; a deadlock; that the deadline passed; what a
    /// signal handler raised.
    pub fn join(self, on_error: OnError) -> Result<Option<Bound<'py, PyAny>>, Unserved> {
        let py = self.cache.py();
        let outcome = wait(py, &self.seat, self.leader).inspect_err(|_| self.leave(py))?;
        match outcome {
            Outcome::Value(value) => Ok(Some(value.into_bound(py))),
            Outcome::Raised(raising) if on_error == OnError::Share => {
                Err(raising.into_error(py).into())
            }
            Outcome::Raised(_) | Outcome::None => Ok(None),
        }
    }

    /// Gives the seat up: a load that hangs must not gather those who waited for it.
    fn leave(&self, py: Python<'_>) {
        let flights = &self.cache.get().flights;
        let is_mine = |seat: &Arc<Seat>| Arc::ptr_eq(seat, &self.seat);
        drop(flights.with(py, |flights| flights.leave(self.flight, is_mine)));
    }
}

/// What asking for an absent key came to.
pub enum Boarded<'a, 'py> {
    Lead(Lead<'a, 'py>),
    Join(Place<'a, 'py>),
    /// This thread is loading the key already, and would wait for itself.
    Reentered,
}

/// Boards the flight to a key, or leads one.
///
/// # Errors
///
/// What comparing keys raised.
pub fn board<'a, 'py>(
    cache: &'a Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
    tags: &[u64],
) -> PyResult<Boarded<'a, 'py>> {
    let py = key.py();
    let me = thread::current().id();
    let hash = hash(key)?;
    // Before anything is read: what is read later is refused if the key is written meanwhile.
    let (token, current) = cache.get().shard(hash).with(py, |state| {
        // Beyond the horizon a flight that began within it may lack a change that nobody heard of.
        let within = state.cache.is_within_horizon(&CLOCK);
        let current = if within { state.cache.current(hash, tags) } else { u64::MAX };
        (state.cache.begin(), current)
    });
    let process = std::process::id();
    let flights = &cache.get().flights;
    let lost = flights.with(py, |flights| flights.survive_fork(process, &me));
    drop(lost);
    let seat = Seat::new();
    let boarding = with_slot(flights, key, hash, |flights, at| {
        let waiter = || Arc::clone(&seat);
        flights.board(at, hash, || key.clone().unbind(), (&me, token, current), waiter)
    })?;
    match boarding {
        Boarding::Lead(flight) => {
            Ok(Boarded::Lead(Lead { cache, flight: Some(flight), hash, token }))
        }
        Boarding::Join { flight, leader } => {
            Ok(Boarded::Join(Place { cache, flight, seat, leader }))
        }
        Boarding::Reentered => Ok(Boarded::Reentered),
    }
}

pub fn reentered() -> PyErr {
    PyRuntimeError::new_err(
        "a loader asked for the key it is loading; it must not, for it would wait for itself",
    )
}

/// The value of a key that was not in the cache, loaded by one thread for all that ask for it.
///
/// # Errors
///
/// As [`board`] and [`Place::join`], that this thread is loading the key already, or what the loader raised; `KeyError` if there is known to be nothing.
pub fn fly<'py>(
    cache: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
    wish: &Wish,
    call: impl Fn() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    loop {
        match board(cache, key, &wish.tags)? {
            Boarded::Lead(lead) => return lead_home(cache, key, lead, wish, &call),
            Boarded::Join(place) => {
                if let Some(value) = place.join(wish.on_error)? {
                    return Ok(value);
                }
            }
            Boarded::Reentered => return Err(reentered()),
        }
    }
}

/// Loads a key that is asked for already, unless somebody does.
pub fn fly_once<'py>(
    cache: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
    wish: &Wish,
    call: impl Fn() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<()> {
    match board(cache, key, &wish.tags)? {
        Boarded::Lead(lead) => lead_home(cache, key, lead, wish, &call).map(drop),
        Boarded::Join(_) => Ok(()),
        Boarded::Reentered => Err(reentered()),
    }
}

fn lead_home<'py>(
    cache: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
    lead: Lead<'_, 'py>,
    wish: &Wish,
    call: &impl Fn() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = key.py();
    // Another flight may have landed between this thread's miss and its lead.
    match cache.get().peek(key, lead.hash)? {
        Answer::Value(value) => {
            lead.land(py, &Outcome::Value(value.clone().unbind()));
            return Ok(value);
        }
        Answer::Absent => return Err(missing(key)),
        _ => {}
    }
    match timed(py, cache.get(), call) {
        Ok(value) => {
            // Kept before it lands: whoever comes after finds the one or the other.
            let when = When::Current(lead.token);
            store_if(cache, key, &value, (lead.hash, when), &wish.terms())?;
            lead.land(py, &Outcome::Value(value.clone().unbind()));
            Ok(value)
        }
        Err(error) => {
            note_absence(cache, key, &lead, wish, &error)?;
            if let Some(value) = stand_in(cache.get(), key, lead.hash, &error, wish)? {
                lead.land(py, &Outcome::Value(value.clone().unbind()));
                error.write_unraisable(py, Some(key));
                return Ok(value);
            }
            lead.land(py, &Outcome::Raised(Raising::new(py, &error)));
            Err(error)
        }
    }
}

/// Remembers that there is nothing, if that is what the loader's error says.
fn note_absence(
    cache: &Bound<'_, Cache>,
    key: &Bound<'_, PyAny>,
    lead: &Lead<'_, '_>,
    wish: &Wish,
    error: &PyErr,
) -> PyResult<()> {
    if error.is_instance_of::<PyKeyError>(key.py())
        && let Some(life) = cache.get().settings.lives.of_absence(None, &wish.tags)
    {
        store_absence(cache, key, (lead.hash, When::Current(lead.token)), life)?;
    }
    Ok(())
}

/// The stale value to answer with instead of an error of the loader.
pub fn stand_in<'py>(
    cache: &Cache,
    key: &Bound<'py, PyAny>,
    hash: u64,
    error: &PyErr,
    wish: &Wish,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if error.is_instance_of::<PyException>(key.py()) {
        Ok(cache.rescue(key, hash, !wish.is_reload)?)
    } else {
        Ok(None)
    }
}

/// Calls a loader; counts how it ended and how long it took.
pub fn timed<R>(py: Python<'_>, cache: &Cache, call: impl FnOnce() -> PyResult<R>) -> PyResult<R> {
    let began = Instant::now();
    let result = call();
    let elapsed_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
    cache.count_load(py, result.is_ok(), elapsed_ns);
    result
}

impl Cache {
    pub fn count_load(&self, py: Python<'_>, ok: bool, elapsed_ns: u64) {
        // Loads are of keys, but counting needs no particular part.
        self.shard(0).with(py, |state| state.cache.count_load(ok, elapsed_ns));
    }
}

/// `Cache.get_or_load`.
pub fn get_or_load<'py>(
    cache: &Bound<'py, Cache>,
    key: &Bound<'py, PyAny>,
    loader: &Bound<'py, PyAny>,
    wish: Wish,
) -> PyResult<Bound<'py, PyAny>> {
    match cache.get().consult(key, hash(key)?)? {
        Answer::Value(value) | Answer::Stale { value, reload: false } => Ok(value),
        Answer::Absent => Err(missing(key)),
        Answer::Stale { value, reload: true } => {
            reload::start(Reload::one(cache, key, loader, wish), cache.py())?;
            Ok(value)
        }
        Answer::Nothing | Answer::Expired => fly(cache, key, &wish, || loader::call(loader, key)),
    }
}
