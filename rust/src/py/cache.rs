//! `Cache`.

use pyo3::PyTraverseError;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList};

use super::flight::{self, Departures, OnError};
use super::lock::Lock;
use super::lookup::{Raised, hash, with_slot};
use super::many;
use super::options::{limit, policy_of};
use super::reader;
use super::state::{Displaced, Object, State};
use super::stats::CacheStats;
use super::weigher::Weigher;
use crate::core::cache::Read;
use crate::core::clock::{MonotonicClock, NEVER, Ttl};
use crate::core::policy::Policy;

pub(super) const CLOCK: MonotonicClock = MonotonicClock;

/// What reading a key gave, without what has to be released.
pub enum Found<'py> {
    Value(Bound<'py, PyAny>),
    Nothing,
    Expired,
}

#[pyclass(frozen, generic, module = "tierline._core")]
pub struct Cache {
    pub(super) state: Lock<State>,
    pub(super) flights: Lock<Departures>,
    maxsize: u64,
    policy: Policy,
    pub(super) weigher: Option<Weigher>,
    pub(super) ttl: Option<Ttl>,
    ttl_s: Option<f64>,
}

#[pymethods]
impl Cache {
    #[new]
    #[pyo3(signature = (maxsize, *, ttl_s=None, policy="s3fifo", getsizeof=None, weigher=None))]
    pub(super) fn new(
        maxsize: &Bound<'_, PyAny>,
        ttl_s: Option<f64>,
        policy: &str,
        getsizeof: Option<Bound<'_, PyAny>>,
        weigher: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let weigher = Weigher::new(getsizeof, weigher)?;
        let (maxsize, limit) = limit(maxsize, weigher.is_some())?;
        let policy = policy_of(policy)?;
        let ttl = ttl_s.map(ttl_of).transpose()?;
        let state = Lock::new(State::new(limit, policy));
        let flights = flight::departures();
        Ok(Self { state, flights, maxsize, policy, weigher, ttl, ttl_s })
    }

    #[getter]
    const fn maxsize(&self) -> u64 {
        self.maxsize
    }

    #[getter]
    fn currsize(&self, py: Python<'_>) -> u64 {
        self.state.with(py, |state| state.cache.weight())
    }

    #[getter]
    const fn policy(&self) -> &'static str {
        match self.policy {
            Policy::Lru => "lru",
            Policy::S3Fifo => "s3fifo",
        }
    }

    #[pyo3(signature = (value, /))]
    fn getsizeof(&self, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        self.weigher.as_ref().map_or(Ok(1), |weigher| weigher.of_value(value))
    }

    #[getter]
    const fn ttl_s(&self) -> Option<f64> {
        self.ttl_s
    }

    #[pyo3(signature = (key, value, /, *, ttl_s=None))]
    fn set(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl_s: Option<f64>,
    ) -> PyResult<()> {
        let deadline = self.deadline(ttl_s)?;
        Ok(self.store(key, value, deadline)?)
    }

    #[pyo3(signature = (key, default=None, /))]
    fn pop<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.take(key)?.or(default))
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.read(key)?.ok_or_else(|| missing(key))
    }

    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        Ok(self.store_own(key, value)?)
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.delete(key)
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(with_slot(&self.state, key, hash(key)?, |state, at| {
            at.is_some_and(|slot| state.cache.is_live(slot, &CLOCK))
        })?)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.state.with(py, |state| state.cache.len())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let keys: Vec<Object> = self
            .state
            .with(py, |state| state.cache.keys(&CLOCK).map(|key| key.clone_ref(py)).collect());
        PyList::new(py, keys)?.try_iter()
    }

    fn clear(&self, py: Python<'_>) {
        drop(self.state.with(py, |state| {
            state.may_hold_cycles = false;
            state.cache.clear()
        }));
    }

    #[pyo3(signature = (key, /))]
    fn begin(&self, key: &Bound<'_, PyAny>) -> PyResult<u64> {
        Ok(self.begin_at(key.py(), hash(key)?))
    }

    #[pyo3(signature = (key, value, token, /, *, ttl_s=None))]
    fn fill(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        token: u64,
        ttl_s: Option<f64>,
    ) -> PyResult<bool> {
        let deadline = self.deadline(ttl_s)?;
        self.fill_at(key, value, (hash(key)?, token), deadline)
    }

    #[pyo3(
        signature = (key, loader, *, ttl_s=None, on_error=OnError::Share),
        text_signature = "($self, /, key, loader, *, ttl_s=None, on_error='share')"
    )]
    fn get_or_load<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        loader: &Bound<'py, PyAny>,
        ttl_s: Option<f64>,
        on_error: OnError,
    ) -> PyResult<Bound<'py, PyAny>> {
        flight::get_or_load(self, key, loader, ttl_s, on_error)
    }

    #[pyo3(
        signature = (keys, loader, *, ttl_s=None, on_error=OnError::Share),
        text_signature = "($self, /, keys, loader, *, ttl_s=None, on_error='share')"
    )]
    fn get_or_load_many<'py>(
        &self,
        keys: &Bound<'py, PyAny>,
        loader: &Bound<'py, PyAny>,
        ttl_s: Option<f64>,
        on_error: OnError,
    ) -> PyResult<Bound<'py, PyDict>> {
        many::get_or_load_many(self, keys, loader, self.ttl(ttl_s)?, on_error)
    }

    #[pyo3(signature = (key, /))]
    pub(super) fn invalidate(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let hash = hash(key)?;
        let (live, rest) = with_slot(&self.state, key, hash, |state, at| {
            state.cache.refuse_loads(hash);
            match at {
                Some(slot) if state.cache.is_live(slot, &CLOCK) => (true, state.invalidate(slot)),
                Some(slot) => (false, state.expire(slot)),
                None => (false, Displaced::default()),
            }
        })?;
        rest.release(key.py());
        Ok(live)
    }

    #[pyo3(signature = (keys, /))]
    fn invalidate_many(&self, keys: &Bound<'_, PyAny>) -> PyResult<usize> {
        let mut removed = 0;
        for key in keys.try_iter()? {
            removed += usize::from(self.invalidate(&key?)?);
        }
        Ok(removed)
    }

    fn invalidate_all(&self, py: Python<'_>) -> usize {
        self.state
            .with(py, |state| {
                state.may_hold_cycles = false;
                state.cache.invalidate_all()
            })
            .entries
    }

    #[pyo3(signature = (loader, /))]
    fn reader<'py>(
        slf: &Bound<'py, Self>,
        loader: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        reader::new(slf.py(), slf.clone().unbind(), loader.clone().unbind())
    }

    fn stats(&self, py: Python<'_>) -> CacheStats {
        self.state.with(py, |state| state.cache.stats()).into()
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let ttl = self.ttl_s.map_or_else(|| "None".to_owned(), |ttl_s| format!("{ttl_s:?}"));
        format!("<Cache of {} entries, maxsize={}, ttl_s={ttl}>", self.__len__(py), self.maxsize)
    }

    /// Skips a cache that is in use: its entries then look reachable, which is safe.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(weigher) = &self.weigher {
            visit.call(weigher.function())?;
        }
        let visited = self.state.with_if_free(|state| {
            if !state.may_hold_cycles {
                return Ok(());
            }
            state.cache.entries().try_for_each(|entry| {
                visit.call(&entry.key)?;
                visit.call(&entry.value)
            })
        });
        visited.unwrap_or(Ok(()))
    }

    fn __clear__(&self) {
        drop(self.state.with_if_free(|state| state.cache.clear()));
    }
}

impl Cache {
    /// The live value of a key; counts a hit or a miss.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "has two callers, and both are the hot path")]
    pub fn read<'py>(&self, key: &Bound<'py, PyAny>) -> Result<Option<Bound<'py, PyAny>>, Raised> {
        let py = key.py();
        let hash = hash(key)?;
        let found =
            with_slot(&self.state, key, hash, |state, at| match state.cache.get(at, &CLOCK) {
                Read::Hit(value) => Found::Value(value.bind(py).clone()),
                Read::Miss => Found::Nothing,
                Read::Expired(_) => Found::Expired,
            })?;
        match found {
            Found::Value(value) => Ok(Some(value)),
            Found::Nothing => Ok(None),
            Found::Expired => self.remove_expired(key, hash).map(|()| None),
        }
    }

    /// Takes an entry out that has been found expired. Apart, so that a hit need not make room for
    /// what would have to be released.
    #[cold]
    #[inline(never)]
    pub(super) fn remove_expired(&self, key: &Bound<'_, PyAny>, hash: u64) -> Result<(), Raised> {
        let expired = with_slot(&self.state, key, hash, |state, at| match at {
            Some(slot) if !state.cache.is_live(slot, &CLOCK) => state.expire(slot),
            _ => Displaced::default(),
        })?;
        expired.release(key.py());
        Ok(())
    }

    /// Removes an entry or raises `KeyError`.
    pub fn delete(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = self.take(key)?.ok_or_else(|| missing(key))?;
        drop(value);
        Ok(())
    }

    /// Takes a live entry out and returns its value. One that has expired is only taken out.
    fn take<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = key.py();
        let (value, rest) = with_slot(&self.state, key, hash(key)?, |state, at| match at {
            Some(slot) if state.cache.is_live(slot, &CLOCK) => state.take(slot),
            Some(slot) => (None, state.expire(slot)),
            None => (None, Displaced::default()),
        })?;
        rest.release(py);
        Ok(value.map(|value| value.into_bound(py)))
    }

    fn deadline(&self, ttl_s: Option<f64>) -> PyResult<u64> {
        Ok(Self::deadline_of(self.ttl(ttl_s)?))
    }

    /// The time to live of an entry that asks for `ttl_s`.
    pub fn ttl(&self, ttl_s: Option<f64>) -> PyResult<Option<Ttl>> {
        Ok(ttl_s.map(ttl_of).transpose()?.or(self.ttl))
    }

    pub fn default_deadline(&self) -> u64 {
        Self::deadline_of(self.ttl)
    }

    pub fn deadline_of(ttl: Option<Ttl>) -> u64 {
        ttl.map_or(NEVER, |ttl| ttl.deadline(&CLOCK))
    }
}

fn ttl_of(seconds: f64) -> PyResult<Ttl> {
    Ttl::from_seconds(seconds)
        .ok_or_else(|| PyValueError::new_err("ttl_s must be finite and at least 0.001"))
}

pub fn missing(key: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err((key.clone().unbind(),))
}
