//! Waits for another thread's load, detached from the interpreter.

use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread, ThreadId};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyTraceback;

use super::state::Object;
use crate::core::waits::{Deadlock, Waits};

/// How often the main thread looks for signals while it waits; only it runs their handlers.
const SIGNALS_EVERY: Duration = Duration::from_millis(20);

/// How a load ended.
pub enum Outcome {
    Value(Object),
    Raised(Raising),
    /// Without an answer for this key: whoever waits has to load it.
    None,
}

impl Outcome {
    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Value(value) => Self::Value(value.clone_ref(py)),
            Self::Raised(raising) => Self::Raised(raising.clone_ref(py)),
            Self::None => Self::None,
        }
    }
}

/// An exception, with the traceback it had when the loader raised it.
///
/// Each thread that raises it again adds its own frames; they begin anew at the loader's.
pub struct Raising {
    error: PyErr,
    traceback: Option<Py<PyTraceback>>,
}

impl Raising {
    pub fn new(py: Python<'_>, error: &PyErr) -> Self {
        Self { error: error.clone_ref(py), traceback: error.traceback(py).map(Bound::unbind) }
    }

    fn clone_ref(&self, py: Python<'_>) -> Self {
        let traceback = self.traceback.as_ref().map(|traceback| traceback.clone_ref(py));
        Self { error: self.error.clone_ref(py), traceback }
    }

    pub fn into_error(self, py: Python<'_>) -> PyErr {
        self.error.set_traceback(py, self.traceback.map(|traceback| traceback.into_bound(py)));
        self.error
    }
}

/// Where a thread waits to be handed an outcome.
pub struct Seat {
    thread: Thread,
    outcome: OnceLock<Outcome>,
}

impl Seat {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), outcome: OnceLock::new() })
    }

    /// Hands over the outcome and wakes the thread.
    pub fn serve(&self, outcome: Outcome) {
        if self.outcome.set(outcome).is_ok() {
            self.thread.unpark();
        }
    }

    fn is_served(self: &Arc<Self>) -> bool {
        self.outcome.get().is_some()
    }
}

/// All waiting threads of the process: circles may go through several caches.
///
/// Held only while attached and never while anything else is locked or run.
static WAITS: LazyLock<Mutex<Waits<ThreadId, Arc<Seat>>>> = LazyLock::new(Mutex::default);

fn with_waits<R>(section: impl FnOnce(&mut Waits<ThreadId, Arc<Seat>>) -> R) -> R {
    section(&mut WAITS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Waits in a seat for what `leader` loads; returns the outcome.
///
/// Takes part in no lock while detached, so a fork at any moment finds all of them free.
///
/// # Errors
///
/// A deadlock, or what a signal handler raised. The flight goes on without this waiter.
pub fn wait(py: Python<'_>, seat: &Arc<Seat>, leader: ThreadId) -> PyResult<Outcome> {
    let slice = is_main_thread(py)?.then_some(SIGNALS_EVERY);
    let process = std::process::id();
    let me = thread::current().id();
    loop {
        if let Some(outcome) = seat.outcome.get() {
            return Ok(outcome.clone_ref(py));
        }
        if std::process::id() != process {
            // A signal handler forked, and the leader is not in this process.
            return Ok(Outcome::None);
        }
        with_waits(|waits| waits.enter(me, leader, Arc::clone(seat), Seat::is_served))
            .map_err(|Deadlock| deadlock())?;
        py.detach(|| match slice {
            Some(slice) => thread::park_timeout(slice),
            None => thread::park(),
        });
        // Left before handlers run, which may wait for something themselves.
        drop(with_waits(|waits| waits.leave(&me)));
        py.check_signals()?;
    }
}

fn deadlock() -> PyErr {
    PyRuntimeError::new_err(
        "deadlock: this load waits for a load that waits for this one; \
         load keys that need each other in one order, or with get_or_load_many",
    )
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    threading.call_method0("get_ident")?.eq(main)
}
