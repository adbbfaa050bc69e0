//! `Cache.hottest`.

use pyo3::prelude::*;
use pyo3::types::PyList;

use super::cache::Cache;
use super::state::CLOCK;

#[pymethods]
impl Cache {
    #[pyo3(signature = (count, /))]
    fn hottest<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyList>> {
        let mut keys = Vec::new();
        for part in self.state.all() {
            part.with(py, |state| {
                keys.extend(state.cache.heat(&CLOCK).map(|(heat, key)| (heat, key.clone_ref(py))));
            });
        }
        // What would go last comes first; the sort is stable.
        keys.reverse();
        keys.sort_by_key(|&(heat, _)| std::cmp::Reverse(heat));
        PyList::new(py, keys.into_iter().take(count).map(|(_, key)| key))
    }
}
