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

/// Reloads at the same time, each in a thread. Beyond, whoever found the stale value reloads it itself.
const MOST: usize = 16;

static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// Whose reloads `RUNNING` counts: a fork copies the count and not the threads.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// A load to be made by a thread that nobody waits for.
#[pyclass(frozen, module = "tierline._core")]
pub struct Reload {
    cache: Py<Cache>,
    what: What,
    loader: Object,
    wish: Wish,
    _counted: Counted,
}

enum What {
    One(Object),
    /// The loader knows its arguments.
    Call(Object),
    Many(Py<PyList>),
}

impl Reload {
    pub fn one(
        cache: &Bound<'_, Cache>,
        key: &Bound<'_, PyAny>,
        loader: &Bound<'_, PyAny>,
        wish: Wish,
    ) -> Self {
        Self::new(cache, What::One(key.clone().unbind()), loader, wish)
    }

    /// Of a key, by a function that is called without arguments.
    pub fn call(
        cache: &Bound<'_, Cache>,
        key: &Bound<'_, PyAny>,
        loader: &Bound<'_, PyAny>,
    ) -> Self {
        Self::new(cache, What::Call(key.clone().unbind()), loader, Wish::default())
    }

    pub fn many(
        cache: &Bound<'_, Cache>,
        keys: Bound<'_, PyList>,
        loader: &Bound<'_, PyAny>,
        wish: Wish,
    ) -> Self {
        Self::new(cache, What::Many(keys.unbind()), loader, wish)
    }

    fn new(cache: &Bound<'_, Cache>, what: What, loader: &Bound<'_, PyAny>, wish: Wish) -> Self {
        let (cache, loader) = (cache.clone().unbind(), loader.clone().unbind());
        let wish = Wish { is_reload: true, ..wish };
        Self { cache, what, loader, wish, _counted: Counted::new() }
    }

    fn run(&self, py: Python<'_>) -> PyResult<()> {
        let (cache, loader) = (self.cache.bind(py), self.loader.bind(py));
        match &self.what {
            What::One(key) => {
                let key = key.bind(py);
                fly_once(cache, key, &self.wish, || loader::call(loader, key))
            }
            What::Call(key) => {
                fly_once(cache, key.bind(py), &self.wish, || loader::call_with(loader, []))
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
            What::One(key) | What::Call(key) => visit.call(key),
            What::Many(keys) => visit.call(keys),
        }
    }
}

/// One of the reloads under way, until it is dropped.
struct Counted;

impl Counted {
    fn new() -> Self {
        let process = std::process::id();
        if PROCESS.swap(process, Ordering::Relaxed) != process {
            RUNNING.store(0, Ordering::Relaxed);
        }
        RUNNING.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

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
/// What is no `Exception`, as from Ctrl-C, of a loader that was called here or while the thread
/// started.
pub fn start(reload: Reload, py: Python<'_>) -> PyResult<()> {
    if RUNNING.load(Ordering::Relaxed) > MOST {
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
    match started {
        // The interpreter is about to end, or the system has no thread left: the stale value has
        // to do until another caller tries.
        Err(error) if error.is_instance_of::<PyException>(py) => Ok(()),
        ended => ended.map(drop),
    }
}
