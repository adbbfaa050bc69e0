//! What functions written against the C interface share.

use std::ffi::{CStr, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use pyo3::ffi;
use pyo3::panic::PanicException;
use pyo3::prelude::*;

use super::lookup::Raised;

/// A static function definition.
pub struct Definition(ffi::PyMethodDef);

// SAFETY: what keeps `PyMethodDef` from being `Sync` are its pointers, which point to statics that
// nobody writes.
unsafe impl Sync for Definition {}

impl Definition {
    pub const fn new(
        name: &'static CStr,
        function: ffi::PyMethodDefPointer,
        flags: c_int,
        doc: &'static CStr,
    ) -> Self {
        Self(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: function,
            ml_flags: flags,
            ml_doc: doc.as_ptr(),
        })
    }

    /// For Python, which asks for a mutable pointer and does not write.
    pub const fn as_ptr(&'static self) -> *mut ffi::PyMethodDef {
        ptr::from_ref(&self.0).cast_mut()
    }
}

/// Runs the body of such a function; a panic becomes the exception that PyO3 makes of it.
#[inline]
pub fn catch(py: Python<'_>, body: impl FnOnce() -> *mut ffi::PyObject) -> *mut ffi::PyObject {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        PanicException::new_err("the native core panicked").restore(py);
        ptr::null_mut()
    })
}

/// The same of a function that returns a status.
#[inline]
pub fn catch_status(py: Python<'_>, body: impl FnOnce() -> Result<(), Raised>) -> c_int {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => 0,
        Ok(Err(Raised)) => -1,
        Err(_) => {
            PanicException::new_err("the native core panicked").restore(py);
            -1
        }
    }
}

/// Runs `body` in a thread that PyO3 counts as attached and releases objects in at once.
///
/// While the interpreter ends PyO3 counts none, though Python code still runs and comes here.
pub fn counted<R>(body: impl Fn() -> R) -> R {
    Python::try_attach(|_| body()).unwrap_or_else(body)
}
