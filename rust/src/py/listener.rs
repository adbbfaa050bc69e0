//! The user's function that is told what leaves a cache, and why.

use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::loader::call_with;
use super::objects::release;
use super::state::{Gone, Object, is_absent};
use crate::core::cache::Cause;

/// Called when nothing is locked, by the thread that made the entry leave.
pub struct Listener(Object);

impl Listener {
    pub fn new(function: Bound<'_, PyAny>) -> PyResult<Self> {
        if function.is_callable() {
            Ok(Self(function.unbind()))
        } else {
            Err(PyTypeError::new_err("listener must be callable"))
        }
    }

    pub const fn function(&self) -> &Object {
        &self.0
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
    }

    /// Tells of one entry. What it raises goes to `sys.unraisablehook`, for the cache has done
    /// already what it was asked for; what is no `Exception`, as from Ctrl-C, is returned.
    fn tell(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>, cause: Cause) -> PyResult<()> {
        let py = key.py();
        let function = self.0.bind(py);
        match call_with(function, [key, value, cause_name(py, cause).as_any()]) {
            Ok(_) => Ok(()),
            Err(error) if error.is_instance_of::<PyException>(py) => {
                error.write_unraisable(py, Some(function));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// The word by which users know a cause.
fn cause_name(py: Python<'_>, cause: Cause) -> &Bound<'_, PyString> {
    match cause {
        Cause::Capacity => intern!(py, "capacity"),
        Cause::Expired => intern!(py, "expired"),
        Cause::Replaced => intern!(py, "replaced"),
        Cause::Invalidated => intern!(py, "invalidated"),
        Cause::Cleared => intern!(py, "cleared"),
    }
}

/// Releases what left a cache, and tells the listener of it if there is one: of everything, even
/// if it raises on the way. `key` is that of values whose key stayed.
///
/// # Errors
///
/// The first thing raised that is no `Exception`.
pub fn dismiss(
    py: Python<'_>,
    listener: Option<&Listener>,
    key: Option<&Bound<'_, PyAny>>,
    gone: impl IntoIterator<Item = Gone>,
) -> PyResult<()> {
    let mut first = Ok(());
    for Gone { key: own, value, cause } in gone {
        if let Some(listener) = listener.filter(|_| !is_absent(value.bind(py)))
            && let Some(key) = own.as_ref().map(|own| own.bind(py)).or(key)
        {
            let told = listener.tell(key, value.bind(py), cause);
            first = first.and(told);
        }
        release(value, py);
        if let Some(own) = own {
            release(own, py);
        }
    }
    first
}
