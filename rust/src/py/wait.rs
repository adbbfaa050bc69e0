//! Waits for another thread's load, detached from the interpreter.

use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::thread::{self, Thread, ThreadId};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
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

/// Why a wait ended without an outcome. The flight goes on without this waiter.
pub enum Unserved {
    /// The leader waits, directly or not, for this thread.
    Deadlock,
    /// The deadline passed, or a signal handler raised.
    Raised(PyErr),
}

impl From<PyErr> for Unserved {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

impl From<Unserved> for PyErr {
    fn from(unserved: Unserved) -> Self {
        match unserved {
            Unserved::Deadlock => deadlock(),
            Unserved::Raised(error) => error,
        }
    }
}

/// Waits in a seat for what `leader` loads; returns the outcome.
///
/// Takes part in no lock while detached, so a fork at any moment finds all of them free.
///
/// # Errors
///
/// A deadlock, the deadline of the caller's context, or what a signal handler raised.
pub fn wait(py: Python<'_>, seat: &Arc<Seat>, leader: ThreadId) -> Result<Outcome, Unserved> {
    let slice = is_main_thread(py)?.then_some(SIGNALS_EVERY);
    let until = deadline(py)?;
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
        let rest = until.map(|until| until.saturating_duration_since(Instant::now()));
        if rest.is_some_and(|rest| rest.is_zero()) {
            return Err(late(py).into());
        }
        with_waits(|waits| waits.enter(me, leader, Arc::clone(seat), Seat::is_served))
            .map_err(|Deadlock| Unserved::Deadlock)?;
        let most = slice.into_iter().chain(rest).min();
        py.detach(|| match most {
            Some(most) => thread::park_timeout(most),
            None => thread::park(),
        });
        // Left before handlers run, which may wait for something themselves.
        drop(with_waits(|waits| waits.leave(&me)));
        py.check_signals()?;
    }
}

static REMAINING_S: PyOnceLock<Object> = PyOnceLock::new();
static LATE: PyOnceLock<Object> = PyOnceLock::new();

/// When `tl.deadline` ends what the caller does, if anything does.
///
/// Asked by those who wait alone: who finds a value never looks at the context.
fn deadline(py: Python<'_>) -> PyResult<Option<Instant>> {
    let remaining_s: f64 =
        REMAINING_S.import(py, "tierline.deadline", "remaining_s")?.call0()?.extract()?;
    // Infinity, or longer than clocks go, is none.
    let remaining = Duration::try_from_secs_f64(remaining_s).ok();
    Ok(remaining.and_then(|remaining| Instant::now().checked_add(remaining)))
}

fn late(py: Python<'_>) -> PyErr {
    let late = LATE.import(py, "tierline.errors", "late_load").and_then(PyAnyMethods::call0);
    late.map_or_else(|error| error, PyErr::from_value)
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
