//! `Cache.get`, written against the C interface.
//!
//! PyO3 takes as long to unpack an optional argument as a lookup takes, and moves results through
//! memory that here stay in registers.

use std::ffi::CStr;
use std::ptr;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::{PyTypeInfo, ffi};

use super::cache::Cache;
use super::lookup::Raised;
use super::native::{Definition, catch};

const DOC: &CStr = c"get($self, key, default=None, /)\n--\n\n\
The live value of a key, or the default; counts a hit or a miss.";

static DEFINITION: Definition = Definition::new(
    c"get",
    ffi::PyMethodDefPointer { PyCFunctionFast: get },
    ffi::METH_FASTCALL,
    DOC,
);

/// Makes `get` a method of `Cache`.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let class = Cache::type_object(py);
    // SAFETY: the definition is static, and its function takes an instance of this class as `self`;
    // the result is a new reference or null with an error set.
    let method = unsafe {
        let method = ffi::PyDescr_NewMethod(class.as_type_ptr(), DEFINITION.as_ptr());
        Bound::from_owned_ptr_or_err(py, method)?
    };
    class.setattr("get", method)
}

unsafe extern "C" fn get(
    cache: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls this attached, with an instance of the class that `install` named and
    // with `count` arguments, all borrowed for the time of the call.
    unsafe {
        let py = Python::assume_attached();
        if count != 1 && count != 2 {
            let message = format!("get takes 1 or 2 arguments, not {count}");
            PyTypeError::new_err(message).restore(py);
            return ptr::null_mut();
        }
        let cache = Borrowed::from_ptr(py, cache);
        let key = Borrowed::from_ptr(py, *arguments);
        let cache = cache.cast_unchecked::<Cache>();
        catch(py, || match cache.get().read(&key) {
            Ok(Some(value)) => value.into_ptr(),
            Ok(None) if count == 2 => ffi::Py_NewRef(*arguments.add(1)),
            Ok(None) => ffi::Py_NewRef(ffi::Py_None()),
            Err(Raised) => ptr::null_mut(),
        })
    }
}
