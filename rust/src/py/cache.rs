//! `Cache`: what it is made of, what it says of itself, what the garbage collector sees.
//!
//! Its other methods are in [`super::mapping`], [`super::loading`] and [`super::persistence`].

use pyo3::exceptions::PyTypeError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyType;
use pyo3::{PyTraverseError, PyTypeInfo};

use super::burial::bury;
use super::flight::{self, Departures};
use super::listener::Listener;
use super::lives::{Lives, Manner, Rule};
use super::lock::Lock;
use super::options::{Settings, core_options, limit};
use super::shards::Shards;
use super::state::State;
use super::stats::CacheStats;
use super::weigher::Weigher;
use crate::core::clock::NEVER;
use crate::core::policy::Policy;
use crate::core::stats::Stats;

#[pyclass(frozen, generic, subclass, module = "tierline._core")]
pub struct Cache {
    pub(super) state: Shards<State>,
    pub(super) flights: Lock<Departures>,
    pub(super) manner: Manner,
    pub(super) settings: Settings,
}

impl Cache {
    pub(super) fn of(settings: Settings) -> Self {
        let Settings { limit, core, .. } = settings;
        let weighs = settings.weigher.is_some() || settings.maxsize == 0;
        let tells = settings.listener.is_some();
        let manner = if weighs || tells || core.idle_ms != NEVER {
            Manner::Living
        } else {
            settings.lives.manner()
        };
        Self {
            state: Shards::new(limit, core.policy == Policy::S3Fifo, |part| State::new(part, core)),
            flights: flight::departures(),
            manner,
            settings,
        }
    }

    /// What holds the lock on keys of this hash.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "with a GIL there is but one")]
    pub(super) fn shard(&self, hash: u64) -> &Lock<State> {
        self.state.of(hash)
    }
}

#[pymethods]
impl Cache {
    #[new]
    #[classmethod]
    #[pyo3(signature = (
        maxsize,
        getsizeof=None,
        *,
        ttl_s=None,
        ttl_jitter=0.0,
        idle_s=None,
        stale_while_revalidate_s=0.0,
        stale_if_error_s=0.0,
        retry_s=1.0,
        negative_ttl_s=None,
        policy="s3fifo",
        weigher=None,
        listener=None,
        floor_s=60.0,
    ))]
    #[expect(clippy::too_many_arguments, reason = "Python calls it with names")]
    fn new(
        class: &Bound<'_, PyType>,
        maxsize: &Bound<'_, PyAny>,
        getsizeof: Option<Bound<'_, PyAny>>,
        ttl_s: Option<Bound<'_, PyAny>>,
        ttl_jitter: f64,
        idle_s: Option<f64>,
        stale_while_revalidate_s: f64,
        stale_if_error_s: f64,
        retry_s: f64,
        negative_ttl_s: Option<f64>,
        policy: &str,
        weigher: Option<Bound<'_, PyAny>>,
        listener: Option<Bound<'_, PyAny>>,
        floor_s: f64,
    ) -> PyResult<Self> {
        let weigher = Weigher::new(class, getsizeof, weigher)?;
        let (maxsize, limit) = limit(maxsize, weigher.is_some())?;
        let windows = (stale_while_revalidate_s, stale_if_error_s);
        Ok(Self::of(Settings {
            maxsize,
            limit,
            core: core_options(policy, idle_s, retry_s, floor_s)?,
            lives: Lives::new(ttl_s.as_ref(), ttl_jitter, windows, negative_ttl_s)?,
            weigher,
            listener: listener.map(Listener::new).transpose()?,
            ttl_s: ttl_s.map(Bound::unbind),
        }))
    }

    #[getter]
    const fn maxsize(&self) -> u64 {
        self.settings.maxsize
    }

    #[getter]
    fn currsize(&self, py: Python<'_>) -> u64 {
        self.state.all().iter().map(|part| part.with(py, |state| state.cache.weight())).sum()
    }

    #[getter]
    const fn policy(&self) -> &'static str {
        match self.settings.core.policy {
            Policy::Lru => "lru",
            Policy::S3Fifo => "s3fifo",
        }
    }

    #[getter]
    fn ttl_s<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.settings.ttl_s.as_ref().map(|ttl_s| ttl_s.bind(py).clone())
    }

    #[pyo3(signature = (value, /))]
    fn getsizeof(&self, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        match &self.settings.weigher {
            // A subclass that weighs by this method has called up to here for its default.
            None | Some(Weigher::Method) => Ok(1),
            Some(weigher) => weigher.of_value(value),
        }
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.state.all().iter().map(|part| part.with(py, |state| state.cache.len())).sum()
    }

    fn stats(&self, py: Python<'_>) -> CacheStats {
        let parts = self.state.hold_all(py);
        let stats: Stats = parts.iter().map(|state| state.cache.stats()).sum();
        drop(parts);
        stats.into()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (cache, name) = (slf.get(), slf.get_type().qualname()?);
        let ttl_s = match &cache.settings.ttl_s {
            Some(ttl_s) => ttl_s.bind(slf.py()).repr()?.to_string(),
            None => "None".to_owned(),
        };
        let (entries, maxsize) = (cache.__len__(slf.py()), cache.settings.maxsize);
        Ok(format!("<{name} of {entries} entries, maxsize={maxsize}, ttl_s={ttl_s}>"))
    }

    /// Skips a part that is in use: its entries then look reachable, which is safe.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Settings { weigher, listener, lives, ttl_s, .. } = &self.settings;
        visit.call(weigher.as_ref().and_then(Weigher::function))?;
        visit.call(listener.as_ref().map(Listener::function))?;
        visit.call(ttl_s)?;
        if let Rule::Function(function) = &lives.rule {
            visit.call(function)?;
        }
        for part in self.state.all() {
            let visited = part.with_if_free(|state| {
                if !state.may_hold_cycles {
                    return Ok(());
                }
                state.cache.entries().try_for_each(|entry| {
                    visit.call(&entry.key)?;
                    visit.call(&entry.value)
                })
            });
            visited.unwrap_or(Ok(()))?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        for part in self.state.all() {
            drop(part.with_if_free(|state| state.cache.clear()));
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        for part in self.state.all() {
            if let Some(content) = part.with_if_free(|state| state.cache.clear()) {
                bury(content);
            }
        }
    }
}

/// Makes `Cache` a `MutableMapping` to those who ask.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let mapping = py.import("collections.abc")?.getattr("MutableMapping")?;
    mapping.call_method1("register", (Cache::type_object(py),))?;
    Ok(())
}

/// Whether it is a `Cache` and not of a class derived from it.
#[inline]
pub fn is_exact(cache: &Bound<'_, Cache>) -> bool {
    cache.is_exact_instance_of::<Cache>()
}

/// For what a derived class would have to do in its own way.
pub fn refuse_derived(cache: &Bound<'_, Cache>, what: &str) -> PyResult<()> {
    if is_exact(cache) {
        return Ok(());
    }
    let name = cache.get_type().qualname()?;
    Err(PyTypeError::new_err(format!("{name} must define {what} itself: it derives from Cache")))
}
