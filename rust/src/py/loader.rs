//! Calls loaders and other functions of the user, which may run for long: so long that the
//! interpreter ends meanwhile.
//!
//! Before Python 3.14 a daemon thread that asks for the interpreter after its end is ended by
//! unwinding its stack. Where that meets Rust code the process aborts, with a loader's caller on
//! the stack always. Here such a thread is stopped for ever instead, as Python 3.14 does itself.

use std::hint::black_box;
use std::mem;

use pyo3::ffi;
use pyo3::prelude::*;

/// Python's function, declared as one that may end its thread.
type Vectorcall = unsafe extern "C-unwind" fn(
    *mut ffi::PyObject,
    *const *mut ffi::PyObject,
    usize,
    *mut ffi::PyObject,
) -> *mut ffi::PyObject;

/// Dropped only by unwinding, which it ends by never returning.
struct Stop;

impl Drop for Stop {
    fn drop(&mut self) {
        loop {
            std::thread::park();
        }
    }
}

/// Runs `call`, which may end its thread by unwinding: then the thread stops here for ever.
#[inline]
pub fn stopping<R>(call: impl FnOnce() -> R) -> R {
    let stop = Stop;
    let result = call();
    mem::forget(stop);
    result
}

/// Calls a function with arguments in Python's vectorcall form.
///
/// # Safety
///
/// They are as `PyObject_Vectorcall` asks for them, alive for the time of the call.
pub unsafe fn vectorcall<'py>(
    function: &Bound<'py, PyAny>,
    values: *const *mut ffi::PyObject,
    flagged_count: usize,
    names: *mut ffi::PyObject,
) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the two types of function differ only in what the compiler may assume of unwinding;
    // the black box keeps it from remembering that other callers of the symbol assume there is
    // none. The caller answers for the arguments. The result is a new reference or null with an
    // error set.
    unsafe {
        let python: Vectorcall = mem::transmute(ffi::PyObject_Vectorcall as *const ());
        let result =
            stopping(|| black_box(python)(function.as_ptr(), values, flagged_count, names));
        Bound::from_owned_ptr_or_err(function.py(), result)
    }
}

/// Calls a function with one argument.
pub fn call<'py>(
    function: &Bound<'py, PyAny>,
    argument: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    call_with(function, [argument])
}

/// Calls a function with several arguments.
pub fn call_with<'py, const COUNT: usize>(
    function: &Bound<'py, PyAny>,
    arguments: [&Bound<'py, PyAny>; COUNT],
) -> PyResult<Bound<'py, PyAny>> {
    let values = arguments.map(Bound::as_ptr);
    // SAFETY: so many values, alive, and no names.
    unsafe { vectorcall(function, values.as_ptr(), COUNT, std::ptr::null_mut()) }
}
