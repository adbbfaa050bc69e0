//! `Cache.stale` and what goes with it: stale values for callers with rules of their own.

use pyo3::prelude::*;

use super::cache::Cache;
use super::lookup::{hash, with_slot};
use super::state::CLOCK;

#[pymethods]
impl Cache {
    #[pyo3(signature = (key, /))]
    fn stale<'py>(
        &self,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, f64, bool)>> {
        let hash = hash(key)?;
        let found = with_slot(self.shard(hash), key, hash, |state, at| {
            let aged = state.cache.aged(at?, &CLOCK)?;
            Some((aged.value.bind(key.py()).clone(), aged.overdue_ms, aged.may_try))
        })?;
        #[expect(clippy::cast_precision_loss, reason = "some thousand years are exact")]
        Ok(found.map(|(value, ms, may_try)| (value, ms as f64 / 1_000.0, may_try)))
    }

    #[pyo3(signature = (key, /))]
    fn hold_off(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let hash = hash(key)?;
        with_slot(self.shard(hash), key, hash, |state, at| {
            if let Some(slot) = at {
                state.cache.hold_off(slot, &CLOCK);
            }
        })?;
        Ok(())
    }

    #[pyo3(signature = (key, /))]
    fn refuse_loads(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let hash = hash(key)?;
        self.shard(hash).with(key.py(), |state| state.cache.refuse_loads(hash));
        Ok(())
    }
}
