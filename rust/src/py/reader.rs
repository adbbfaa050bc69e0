//! The callable that `Cache.reader` returns.

use std::ffi::CStr;
use std::ptr;

use pyo3::PyTraverseError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

use super::cache::Cache;
use super::loader;
use super::lookup::Raised;
use super::native::{Definition, catch};
use super::state::Object;

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
    #[inline]
    fn read(&self, key: &Bound<'_, PyAny>) -> *mut ffi::PyObject {
        match self.cache.get().read(key) {
            Ok(Some(value)) => value.into_ptr(),
            Ok(None) => self.load(key),
            Err(Raised) => ptr::null_mut(),
        }
    }

    #[cold]
    #[inline(never)]
    fn load(&self, key: &Bound<'_, PyAny>) -> *mut ffi::PyObject {
        match loader::call(self.loader.bind(key.py()), key) {
            Ok(value) => value.into_ptr(),
            Err(error) => {
                error.restore(key.py());
                ptr::null_mut()
            }
        }
    }
}

static DEFINITION: Definition =
    Definition::new(c"read", ffi::PyMethodDefPointer { PyCFunction: read }, ffi::METH_O, DOC);

/// The builtin function of a new reader.
pub fn new(py: Python<'_>, cache: Py<Cache>, loader: Object) -> PyResult<Bound<'_, PyAny>> {
    let reader = Bound::new(py, Reader { cache, loader })?;
    // SAFETY: the definition is static and its function takes a `Reader` as `self`; the result is
    // a new reference or null with an error set.
    unsafe {
        let function =
            ffi::PyCFunction_NewEx(DEFINITION.as_ptr(), reader.as_ptr(), ptr::null_mut());
        Bound::from_owned_ptr_or_err(py, function)
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
    catch(py, || reader.get().read(&key))
}
