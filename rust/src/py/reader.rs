//! The callable that `Cache.reader` returns.

use std::ffi::CStr;
use std::ptr;

use pyo3::PyTraverseError;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

use super::cache::Cache;
use super::loader;
use super::lookup::Raised;
use super::native::{Definition, catch};
use super::state::Object;

const DOC: &CStr =
    c"read($self, key, /, **options)\n--\n\nThe cached value, or what the loader returns.";

/// A cache with the function to call on a miss: `self` of the builtin function that users hold.
///
/// The builtin and not this object is called because that skips what a call of an
/// object with `__call__` does: packing arguments into a tuple and extracting them again.
///
/// It has no `__clear__`: like a tuple it is immutable, so a cycle through it has a member that
/// can be cleared.
#[pyclass(frozen, module = "tierline._core")]
pub struct Reader {
    cache: Py<Cache>,
    loader: Object,
    /// What is called instead if there are options.
    with_options: Option<Object>,
}

#[pymethods]
impl Reader {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)?;
        visit.call(&self.loader)?;
        visit.call(&self.with_options)
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

static DEFINITION: Definition = Definition::new(
    c"read",
    ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: read },
    ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
    DOC,
);

/// The builtin function of a new reader.
pub fn new(
    py: Python<'_>,
    cache: Py<Cache>,
    loader: Object,
    with_options: Option<Object>,
) -> PyResult<Bound<'_, PyAny>> {
    let reader = Bound::new(py, Reader { cache, loader, with_options })?;
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
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls this attached, with the `self` of `new`, which is a `Reader`.
    let (py, reader) = unsafe {
        let py = Python::assume_attached();
        (py, Borrowed::from_ptr(py, reader).cast_unchecked::<Reader>())
    };
    if count != 1 || !names.is_null() {
        // SAFETY: as Python passed them, to this call.
        return catch(py, || unsafe { read_with_options(py, reader.get(), values, count, names) });
    }
    // SAFETY: there is one argument, borrowed for the time of the call.
    let key = unsafe { Borrowed::from_ptr(py, *values) };
    catch(py, || reader.get().read(&key))
}

/// # Safety
///
/// The arguments are those that Python passed, alive for the time of the call.
#[cold]
#[inline(never)]
unsafe fn read_with_options(
    py: Python<'_>,
    reader: &Reader,
    values: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let function = reader.with_options.as_ref().filter(|_| count == 1);
    let Some(function) = function else {
        PyTypeError::new_err(format!("read takes 1 argument, not {count}, and no options"))
            .restore(py);
        return ptr::null_mut();
    };
    // SAFETY: the caller answers for them; there is one that is no option.
    let answer = unsafe { loader::vectorcall(function.bind(py), values, 1, names) };
    match answer {
        Ok(value) => value.into_ptr(),
        Err(error) => {
            error.restore(py);
            ptr::null_mut()
        }
    }
}
