//! Stores values, weighed if the cache is bound by weight.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::cache::{CLOCK, Cache};
use super::lookup::{Raised, hash, with_slot};
use super::state::Overweight;
use super::weigher::Weigher;
use crate::core::clock::NEVER;

impl Cache {
    /// Stores a value with the cache's own time to live.
    #[inline]
    pub fn store_own(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> Result<(), Raised> {
        self.store(key, value, self.ttl.map_or(NEVER, |ttl| ttl.deadline(&CLOCK)))
    }

    /// Stores a value.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "has two callers, of which one is a hot path")]
    pub fn store(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        deadline: u64,
    ) -> Result<(), Raised> {
        let hash = hash(key)?;
        if let Some(weigher) = &self.weigher {
            return self.store_weighed(weigher, key, value, hash, deadline);
        }
        let displaced = with_slot(&self.state, key, hash, |state, at| {
            state.store(at, hash, key, value, deadline)
        })?;
        displaced.release(key.py());
        Ok(())
    }

    #[cold]
    fn store_weighed(
        &self,
        weigher: &Weigher,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        hash: u64,
        deadline: u64,
    ) -> Result<(), Raised> {
        let py = key.py();
        let weight = weigher.weigh(key, value).map_err(|error| Raised::set(error, py))?;
        if self.store_weighing(key, value, hash, deadline, weight, None)? {
            return Ok(());
        }
        Err(Raised::set(PyValueError::new_err("value too large"), py))
    }

    /// Whether the value was stored: it is not too heavy, and the token is current if there is one.
    pub fn store_weighing(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        hash: u64,
        deadline: u64,
        weight: u64,
        token: Option<u64>,
    ) -> Result<bool, Raised> {
        let (stored, displaced) = with_slot(&self.state, key, hash, |state, at| {
            if token.is_some_and(|token| !state.cache.admits(hash, token)) {
                return (false, Overweight::default());
            }
            state.store_weighing(at, hash, key, value, deadline, weight)
        })?;
        displaced.release(key.py());
        Ok(stored)
    }
}
