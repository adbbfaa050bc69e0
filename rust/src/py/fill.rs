//! What loading needs of a cache.

use pyo3::prelude::*;

use super::cache::{CLOCK, Cache, Found};
use super::lookup::{Raised, with_slot};
use super::state::Displaced;
use crate::core::cache::{Match, Read, Undecided};

impl Cache {
    /// The token of a load that begins now.
    pub fn begin_at(&self, py: Python<'_>, hash: u64) -> u64 {
        self.state.with(py, |state| state.cache.begin(hash))
    }

    /// Stores a loaded value unless its key was invalidated since the token was taken.
    pub fn fill_at(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        (hash, token): (u64, u64),
        deadline: u64,
    ) -> PyResult<bool> {
        if let Some(weigher) = &self.weigher {
            let weight = weigher.weigh(key, value)?;
            return Ok(self.store_weighing(key, value, hash, deadline, weight, Some(token))?);
        }
        let (stored, displaced) = with_slot(&self.state, key, hash, |state, at| {
            if state.cache.admits(hash, token) {
                (true, state.store(at, hash, key, value, deadline))
            } else {
                (false, Displaced::default())
            }
        })?;
        displaced.release(key.py());
        Ok(stored)
    }

    /// The live value of a key; counts nothing.
    pub fn peek<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        hash: u64,
    ) -> Result<Option<Bound<'py, PyAny>>, Raised> {
        with_slot(&self.state, key, hash, |state, at| {
            let value = state.cache.peek(at?, &CLOCK)?;
            Some(value.bind(key.py()).clone())
        })
    }

    pub fn count_load(&self, py: Python<'_>, ok: bool, elapsed_ns: u64) {
        self.state.with(py, |state| state.cache.count_load(ok, elapsed_ns));
    }

    /// What is kept under a key that needs no `__eq__` to be found; counts as `read` does.
    #[inline]
    pub fn read_decided<'py>(
        &self,
        py: Python<'py>,
        hash: u64,
        mut compare: impl FnMut(&Bound<'py, PyAny>) -> Match,
    ) -> Result<Found<'py>, Undecided> {
        let mut state = self.state.hold(py);
        let at = state.cache.locate(hash, |stored| compare(stored.bind(py)))?;
        Ok(match state.cache.get(at, &CLOCK) {
            Read::Hit(value) => Found::Value(value.bind(py).clone()),
            Read::Miss => Found::Nothing,
            Read::Expired(_) => Found::Expired,
        })
    }
}
