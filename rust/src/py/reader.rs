//! The callable that `Cache.reader` returns.

use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::PyTraverseError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

use super::cache::Cache;
use super::state::Object;

const NAME: &CStr = c"read";
const DOC: &CStr = c"read($self, key, /)\n--\n\nThe cached value, or what the loader returns.";

/// A cache with the function to call on a miss: `self` of the builtin function that users hold.
///
/// The builtin (`METH_O`) and not this object is called because that skips what a call of an
/// object with `__call__` does: packing arguments into a tuple and extracting them again.
///
/// It has no `__clear__`: like a tuple it is immutable, so a cycle through it has a member that
/// can be cleared.
#[pyclass(frozen, module = "tierline._core")]
pub struct Reader {
    cache: Py<Cache>,
    loader: Object,
}

#[pymethods]
impl Reader {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)?;
        visit.call(&self.loader)
    }
}

impl Reader {
    fn read<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match self.cache.get().read(key)? {
            Some(value) => Ok(value),
            None => self.loader.bind(key.py()).call1((key,)),
        }
    }
}

/// `PyMethodDef` holds raw pointers, which keep it from being a plain static.
struct Definition(ffi::PyMethodDef);

// SAFETY: it is never written, and points to statics.
unsafe impl Sync for Definition {}

static DEFINITION: Definition = Definition(ffi::PyMethodDef {
    ml_name: NAME.as_ptr(),
    ml_meth: ffi::PyMethodDefPointer { PyCFunction: read },
    ml_flags: ffi::METH_O,
    ml_doc: DOC.as_ptr(),
});

/// The builtin function of a new reader.
pub fn new(py: Python<'_>, cache: Py<Cache>, loader: Object) -> PyResult<Bound<'_, PyAny>> {
    let reader = Bound::new(py, Reader { cache, loader })?;
    // SAFETY: the definition is static and its function takes a `Reader` as `self`; the result is
    // a new reference or null with an error set.
    unsafe {
        Bound::from_owned_ptr_or_err(
            py,
            ffi::PyCFunction_NewEx(
                ptr::from_ref(&DEFINITION.0).cast_mut(),
                reader.as_ptr(),
                ptr::null_mut(),
            ),
        )
    }
}

unsafe extern "C" fn read(
    reader: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls this attached, with the `self` of `new`, which is a `Reader`, and with
    // one argument; both are borrowed for the time of the call.
    let (py, reader, key) = unsafe {
        let py = Python::assume_attached();
        let reader = Borrowed::from_ptr(py, reader);
        (py, reader.cast_unchecked::<Reader>(), Borrowed::from_ptr(py, key))
    };
    let result = catch_unwind(AssertUnwindSafe(|| reader.get().read(&key)))
        .unwrap_or_else(|_| Err(PyRuntimeError::new_err("the cache core panicked")));
    match result {
        Ok(value) => value.into_ptr(),
        Err(error) => {
            error.restore(py);
            ptr::null_mut()
        }
    }
}
