//! The arguments of one call, as the vectorcall protocol passes them, and the key they make.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyInt, PyString, PyTuple};

use super::compare::compare;
use super::loader;
use super::lookup::{Raised, python_hash};
use super::state::Object;
use crate::core::cache::Match;
use crate::core::hash::{TupleHash, spread};

/// Stands between positional and named arguments in a key.
static MARK: PyOnceLock<Object> = PyOnceLock::new();

static PARTIAL: PyOnceLock<Object> = PyOnceLock::new();

pub fn mark(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let mark = MARK.get_or_try_init(py, || py.get_type::<PyAny>().call0().map(Bound::unbind))?;
    Ok(mark.bind(py).clone())
}

/// Whether a single argument is its own key. Any other stands in a tuple, as several do; a tuple
/// is therefore never taken for an argument list.
#[inline]
pub fn stands_for_itself(argument: &Bound<'_, PyAny>) -> bool {
    argument.is_exact_instance_of::<PyString>() || argument.is_exact_instance_of::<PyInt>()
}

/// Borrowed from the caller for the time of the call.
#[derive(Clone, Copy)]
pub struct Arguments {
    values: *const *mut ffi::PyObject,
    flagged_count: usize,
    /// A tuple, or null.
    names: *mut ffi::PyObject,
}

impl Arguments {
    /// # Safety
    ///
    /// They are what Python passed to a vectorcall function that has not returned yet.
    pub const unsafe fn new(
        values: *const *mut ffi::PyObject,
        flagged_count: usize,
        names: *mut ffi::PyObject,
    ) -> Self {
        Self { values, flagged_count, names }
    }

    /// The arguments, if none is named.
    #[inline]
    pub fn positional(&self) -> Option<&[*mut ffi::PyObject]> {
        // SAFETY: Python passes as many values as it says. Without any the pointer may be null.
        unsafe {
            let count = ffi::PyVectorcall_NARGS(self.flagged_count).unsigned_abs();
            match (self.names.is_null(), count) {
                (true, 0) => Some(&[]),
                (true, _) => Some(std::slice::from_raw_parts(self.values, count)),
                (false, _) => None,
            }
        }
    }

    /// The key made of all of them: positional ones, then the mark and each name with its value.
    #[cold]
    pub fn key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: Python passes as many values as it says, each alive for the time of the call,
        // and as many more as there are names. The tuple is filled with new references before
        // anybody sees it.
        unsafe {
            let positional = ffi::PyVectorcall_NARGS(self.flagged_count);
            let named = if self.names.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(self.names) };
            let mark = if named == 0 { None } else { Some(mark(py)?) };
            let size = positional + 2 * named + isize::from(named != 0);
            let key = Bound::from_owned_ptr_or_err(py, ffi::PyTuple_New(size))?;
            let put = |at: isize, item: *mut ffi::PyObject| {
                ffi::PyTuple_SET_ITEM(key.as_ptr(), at, ffi::Py_NewRef(item));
            };
            for at in 0..positional {
                put(at, *self.values.offset(at));
            }
            if let Some(mark) = mark {
                put(positional, mark.as_ptr());
            }
            for nth in 0..named {
                let at = positional + 1 + 2 * nth;
                put(at, ffi::PyTuple_GET_ITEM(self.names, nth));
                put(at + 1, *self.values.offset(positional + nth));
            }
            Ok(key)
        }
    }

    /// A function that calls another with them, when they are borrowed no more.
    pub fn later<'py>(&self, function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = function.py();
        let named = PyDict::new(py);
        let mut values = vec![function.clone()];
        // SAFETY: Python passes as many values as it says, each alive for the time of the call,
        // and as many more as there are names; the names are a tuple.
        unsafe {
            let positional = ffi::PyVectorcall_NARGS(self.flagged_count);
            let value = |at: isize| Bound::from_borrowed_ptr(py, *self.values.offset(at));
            values.extend((0..positional).map(value));
            let count = if self.names.is_null() { 0 } else { ffi::PyTuple_GET_SIZE(self.names) };
            for nth in 0..count {
                let name = ffi::PyTuple_GET_ITEM(self.names, nth);
                named.set_item(Bound::from_borrowed_ptr(py, name), value(positional + nth))?;
            }
        }
        let partial = PARTIAL.import(py, "functools", "partial")?;
        partial.call(PyTuple::new(py, values)?, Some(&named))
    }

    /// Calls a function with them.
    pub fn pass<'py>(&self, function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: as Python passed them.
        unsafe { loader::vectorcall(function, self.values, self.flagged_count, self.names) }
    }
}

/// The hash under which a tuple of these items is stored.
#[inline]
pub fn hash_items(py: Python<'_>, items: &[*mut ffi::PyObject]) -> Result<u64, Raised> {
    let mut hash = TupleHash::default();
    for &item in items {
        // SAFETY: the item is an argument, alive for the time of the call.
        let item = unsafe { Borrowed::from_ptr(py, item) };
        hash.add(python_hash(&item)? as i64);
    }
    Ok(spread(hash.finish(items.len())))
}

/// Whether a stored key is the tuple of these items, as far as it can be told without Python code.
#[inline]
pub fn compare_items(stored: &Bound<'_, PyAny>, items: &[*mut ffi::PyObject]) -> Match {
    if !stored.is_exact_instance_of::<PyTuple>() {
        return Match::Unknown;
    }
    // SAFETY: it is a tuple, and the items are arguments, alive for the time of the call.
    unsafe {
        if ffi::PyTuple_GET_SIZE(stored.as_ptr()).unsigned_abs() != items.len() {
            return Match::Different;
        }
        for (at, &item) in (0..).zip(items) {
            let kept = ffi::PyTuple_GET_ITEM(stored.as_ptr(), at);
            if kept != item {
                let py = stored.py();
                let (kept, item) = (Borrowed::from_ptr(py, kept), Borrowed::from_ptr(py, item));
                match compare(&kept, &item) {
                    Match::Equal => {}
                    decided => return decided,
                }
            }
        }
    }
    Match::Equal
}
