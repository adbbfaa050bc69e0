//! Loads stale values anew while they are still served.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use pyo3::PyTraverseError;
use pyo3::exceptions::PyException;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyList};

use super::cache::Cache;
use super::flight::{Wish, fly_once};
use super::loader;
use super::many::load_missing;
use super::state::Object;

/// Threads that reload at the same time. Beyond, whoever found the stale value reloads it itself.
const MOST: usize = 16;

static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// Whose threads `RUNNING` counts: a fork copies the count and not the threads.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// A load to be made by a thread that nobody waits for.
#[pyclass(frozen, module = "tierline._core")]
pub struct Reload {
    cache: Py<Cache>,
    what: What,
    loader: Object,
    wish: Wish,
}

enum What {
    One(Object),
    Many(Py<PyList>),
}

impl Reload {
    pub fn one(
        cache: &Bound<'_, Cache>,
        key: &Bound<'_, PyAny>,
        loader: &Bound<'_, PyAny>,
        wish: Wish,
    ) -> Self {
        let what = What::One(key.clone().unbind());
        Self { cache: cache.clone().unbind(), what, loader: loader.clone().unbind(), wish }
    }

    pub fn many(
        cache: &Bound<'_, Cache>,
        keys: Bound<'_, PyList>,
        loader: &Bound<'_, PyAny>,
        wish: Wish,
    ) -> Self {
        let what = What::Many(keys.unbind());
        Self { cache: cache.clone().unbind(), what, loader: loader.clone().unbind(), wish }
    }

    fn run(&self, py: Python<'_>) -> PyResult<()> {
        let _counted = Counted;
        let (cache, loader) = (self.cache.bind(py), self.loader.bind(py));
        match &self.what {
            What::One(key) => {
                let key = key.bind(py);
                fly_once(cache, key, &self.wish, || loader::call(loader, key))
            }
            What::Many(keys) => load_missing(cache, keys.bind(py), loader, &self.wish),
        }
    }
}

#[pymethods]
impl Reload {
    /// What it raises goes to `sys.unraisablehook`: there is no caller to raise it in.
    fn __call__(&self, py: Python<'_>) {
        if let Err(error) = self.run(py) {
            error.write_unraisable(py, Some(self.loader.bind(py)));
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)?;
        visit.call(&self.loader)?;
        match &self.what {
            What::One(key) => visit.call(key),
            What::Many(keys) => visit.call(keys),
        }
    }
}

/// One of the running threads, until it is dropped.
struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        // Not below nothing: in a child process others than those counted may end.
        let _ = RUNNING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    }
}

/// Starts a thread that reloads, or reloads here if there are many.
///
/// # Errors
///
/// What is no `Exception` of a loader that was called here, as from Ctrl-C.
pub fn start(reload: Reload, py: Python<'_>) -> PyResult<()> {
    let process = std::process::id();
    if PROCESS.swap(process, Ordering::Relaxed) != process {
        RUNNING.store(0, Ordering::Relaxed);
    }
    if RUNNING.fetch_add(1, Ordering::Relaxed) >= MOST {
        return match reload.run(py) {
            Err(error) if error.is_instance_of::<PyException>(py) => {
                error.write_unraisable(py, Some(reload.loader.bind(py)));
                Ok(())
            }
            ended => ended,
        };
    }
    let reload = Bound::new(py, reload)?;
    let options = [("target", reload.into_any())].into_py_dict(py)?;
    options.set_item("daemon", true)?;
    options.set_item("name", "tierline-reload")?;
    let started = py
        .import("threading")?
        .call_method("Thread", (), Some(&options))
        .and_then(|thread| thread.call_method0("start"));
    if started.is_err() {
        // The interpreter is about to end, or the system has no thread left: the stale value has
        // to do until another caller tries.
        drop(Counted);
    }
    Ok(())
}
