//! Hashes, compares and releases objects: all by which their own Python code may run.
//!
//! It may run for as long as a loader, and for the same reason its thread may have to be
//! [stopped](super::loader::stopping).

use std::ffi::c_int;
use std::hint::black_box;
use std::mem;

use pyo3::ffi;
use pyo3::prelude::*;

use super::loader::stopping;
use super::lookup::Raised;
use super::state::Object;

// Python's functions, declared as ones that may end their thread.
type Hash = unsafe extern "C-unwind" fn(*mut ffi::PyObject) -> ffi::Py_hash_t;
type Compare = unsafe extern "C-unwind" fn(*mut ffi::PyObject, *mut ffi::PyObject, c_int) -> c_int;
type Release = unsafe extern "C-unwind" fn(*mut ffi::PyObject);

/// What `hash(object)` gives.
pub fn hash(object: &Bound<'_, PyAny>) -> Result<isize, Raised> {
    // SAFETY: the object is alive and its token proves that the thread is attached. Of the types
    // as in `loader::vectorcall`.
    let hash = unsafe {
        let python: Hash = mem::transmute(ffi::PyObject_Hash as *const ());
        stopping(|| black_box(python)(object.as_ptr()))
    };
    if hash == -1 { Err(Raised) } else { Ok(hash) }
}

/// Whether two objects are one or equal.
pub fn equal(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> Result<bool, Raised> {
    // SAFETY: as in `hash`.
    let equal = unsafe {
        let python: Compare = mem::transmute(ffi::PyObject_RichCompareBool as *const ());
        stopping(|| black_box(python)(one.as_ptr(), other.as_ptr(), ffi::Py_EQ))
    };
    if equal < 0 { Err(Raised) } else { Ok(equal != 0) }
}

/// Lets go of an object at once.
///
/// Dropping it would not where PyO3 has not counted the thread as attached, as in functions that
/// Python calls directly: it then keeps the object for later.
#[inline]
pub fn release(object: Object, py: Python<'_>) {
    // SAFETY: the object is alive.
    if unsafe { ffi::Py_REFCNT(object.as_ptr()) } > 1 {
        object.drop_ref(py);
    } else {
        release_last(object);
    }
}

#[inline(never)]
fn release_last(object: Object) {
    // SAFETY: as in `hash`, whose token the caller had; the reference is given up here.
    unsafe {
        let python: Release = mem::transmute(ffi::Py_DecRef as *const ());
        stopping(|| black_box(python)(object.into_ptr()));
    }
}
