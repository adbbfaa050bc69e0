//! `cache[key]`, `cache[key] = value` and `del cache[key]`, written against the C interface.
//!
//! As for [`super::get`], what PyO3 does around these takes as long as a lookup takes.

use std::ffi::c_int;

use pyo3::prelude::*;
use pyo3::{PyTypeInfo, ffi, intern};

use super::cache::{Cache, is_exact};
use super::loader;
use super::lookup::Raised;
use super::native::{catch, catch_status};
use super::reading::missing;
use super::store::store_own;

/// Puts the functions below in the place of those that PyO3 made of the methods of `Cache`.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let class = Cache::type_object(py);
    // SAFETY: the class is a heap type with these slots, and nobody has used it yet. Both functions
    // take an instance of it as `self`. The methods that the class's dictionary holds for the old
    // functions stay good.
    unsafe {
        let slots = (*class.as_type_ptr()).tp_as_mapping;
        if slots.is_null() {
            return Err(pyo3::exceptions::PySystemError::new_err("Cache is no mapping"));
        }
        (*slots).mp_subscript = Some(get_item);
        (*slots).mp_ass_subscript = Some(set_item);
        ffi::PyType_Modified(class.as_type_ptr());
    }
    Ok(())
}

unsafe extern "C" fn get_item(
    cache: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls this attached, with an instance of the class that `install` named and
    // with a key, both borrowed for the time of the call.
    unsafe {
        let py = Python::assume_attached();
        let cache = Borrowed::from_ptr(py, cache).cast_unchecked::<Cache>();
        let key = Borrowed::from_ptr(py, key);
        catch(py, || match cache.get().read(&key) {
            Ok(Some(value)) => value.into_ptr(),
            Ok(None) => answer_missing(&cache, &key),
            Err(Raised) => std::ptr::null_mut(),
        })
    }
}

#[cold]
fn answer_missing(cache: &Bound<'_, Cache>, key: &Bound<'_, PyAny>) -> *mut ffi::PyObject {
    let answer = if is_exact(cache) {
        Err(missing(key))
    } else {
        cache
            .getattr(intern!(key.py(), "__missing__"))
            .and_then(|method| loader::call(&method, key))
    };
    match answer {
        Ok(value) => value.into_ptr(),
        Err(error) => {
            error.restore(key.py());
            std::ptr::null_mut()
        }
    }
}

unsafe extern "C" fn set_item(
    cache: *mut ffi::PyObject,
    key: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
) -> c_int {
    // SAFETY: as in `get_item`; the value is null if the item is to be deleted.
    unsafe {
        let py = Python::assume_attached();
        let cache = Borrowed::from_ptr(py, cache).cast_unchecked::<Cache>();
        let key = Borrowed::from_ptr(py, key);
        catch_status(py, || match Borrowed::from_ptr_or_opt(py, value) {
            Some(value) => store_own(&cache, &key, &value),
            None => cache.get().delete(&key).map_err(|error| Raised::set(error, py)),
        })
    }
}
