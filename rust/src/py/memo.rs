//! The callable behind `tl.cached`.
//!
//! Python calls it by the vectorcall protocol: arguments come as an array, and a call that is a hit
//! of one `str` or `int` makes no object at all.

use std::mem::offset_of;
use std::ptr;

use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple};
use pyo3::{PyTraverseError, PyTypeInfo};

use super::arguments::{Arguments, compare_items, hash_items, mark, stands_for_itself};
use super::cache::Cache;
use super::flight::{Wish, fly};
use super::lookup::{Raised, hash};
use super::native::{catch, counted};
use super::objects::release;
use super::reading::Found;
use super::reload::{self, Reload};
use super::state::Object;
use crate::core::cache::Undecided;

static METHOD: PyOnceLock<Object> = PyOnceLock::new();

/// It has no `__clear__`: like a tuple it is immutable but for its `__dict__`, so a cycle through
/// it has a member that can be cleared.
#[pyclass(frozen, dict, weakref, module = "tierline._core")]
pub struct Memo {
    /// Where Python finds what to call, by the offset that `install` gives the type.
    vectorcall: ffi::vectorcallfunc,
    cache: Py<Cache>,
    function: Object,
    make_key: Option<Object>,
}

#[pymethods]
impl Memo {
    #[new]
    #[pyo3(signature = (function, cache, key=None, /))]
    fn new(
        function: &Bound<'_, PyAny>,
        cache: &Bound<'_, Cache>,
        key: Option<Object>,
    ) -> PyResult<Self> {
        if !function.is_callable() {
            return Err(PyTypeError::new_err("only a callable can be cached"));
        }
        let function = function.clone().unbind();
        Ok(Self { vectorcall: call, cache: cache.clone().unbind(), function, make_key: key })
    }

    #[getter]
    fn cache(&self, py: Python<'_>) -> Py<Cache> {
        self.cache.clone_ref(py)
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let kwargs = kwargs.map_or(ptr::null_mut(), Bound::as_ptr);
        // SAFETY: all three are alive, the type has a vectorcall offset since `install`, and the
        // result is a new reference or null with an error set.
        unsafe {
            let result = ffi::PyVectorcall_Call(slf.as_ptr(), args.as_ptr(), kwargs);
            Bound::from_owned_ptr_or_err(slf.py(), result)
        }
    }

    /// Binds like a function, so that methods can be cached.
    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: &Bound<'py, PyAny>,
        owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = owner;
        if instance.is_none() {
            return Ok(slf.clone().into_any());
        }
        METHOD.import(slf.py(), "types", "MethodType")?.call1((slf, instance))
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn cache_key<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = args.py();
        if let Some(make_key) = &self.make_key {
            return make_key.bind(py).call(args, kwargs);
        }
        let mut items: Vec<_> = args.iter().collect();
        if let Some(kwargs) = kwargs.filter(|kwargs| !kwargs.is_empty()) {
            items.push(mark(py)?);
            items.extend(kwargs.iter().flat_map(|(name, value)| [name, value]));
        }
        match items.as_slice() {
            [only] if stands_for_itself(only) => Ok(only.clone()),
            _ => Ok(PyTuple::new(py, items)?.into_any()),
        }
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn cache_invalidate<'py>(
        &self,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<bool> {
        self.cache.get().invalidate(&self.cache_key(args, kwargs)?)
    }

    #[pyo3(signature = (key, /))]
    fn reconsider<'py>(
        &self,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, bool)>> {
        self.cache.get().reconsider(key)
    }

    #[pyo3(signature = (key, answers, /))]
    fn rescue<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        answers: bool,
    ) -> PyResult<Option<(Bound<'py, PyAny>,)>> {
        let found = self.cache.get().rescue(key, hash(key)?, answers)?;
        Ok(found.map(|value| (value,)))
    }

    #[pyo3(signature = (ok, elapsed_ns, /))]
    fn count_load(&self, py: Python<'_>, ok: bool, elapsed_ns: u64) {
        self.cache.get().count_load(py, ok, elapsed_ns);
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<cached {}>", self.function.bind(py).repr()?))
    }

    /// Copies and pickles by name, as functions do.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.getattr("__qualname__")
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__<'py>(slf: Bound<'py, Self>, memo: &Bound<'py, PyAny>) -> Bound<'py, Self> {
        let _ = memo;
        slf
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.cache)?;
        visit.call(&self.function)?;
        visit.call(&self.make_key)
    }
}

impl Memo {
    #[inline]
    fn answer(&self, py: Python<'_>, arguments: Arguments) -> *mut ffi::PyObject {
        if self.make_key.is_none()
            && cfg!(target_pointer_width = "64")
            && let Some(items) = arguments.positional()
        {
            if let [only] = items {
                // SAFETY: an argument, alive for the time of the call.
                let only = unsafe { Borrowed::from_ptr(py, *only) };
                if stands_for_itself(&only) {
                    return self.read_or_load(&only, arguments);
                }
            }
            return self.answer_items(py, items, arguments);
        }
        let key = match &self.make_key {
            None => arguments.key(py),
            Some(make_key) => arguments.pass(make_key.bind(py)),
        };
        Self::answer_key(py, key, |key| self.read_or_load(key, arguments))
    }

    /// The answer to arguments that are a tuple as a key; makes it on a miss only.
    #[inline]
    fn answer_items(
        &self,
        py: Python<'_>,
        items: &[*mut ffi::PyObject],
        arguments: Arguments,
    ) -> *mut ffi::PyObject {
        let Ok(hash) = hash_items(py, items) else { return ptr::null_mut() };
        let cache = self.cache.get();
        let key = || arguments.key(py);
        match cache.read_decided(py, hash, |stored| compare_items(stored, items)) {
            Ok(Found::Value(value)) => value.into_ptr(),
            Ok(Found::Nothing | Found::Absent) => {
                Self::answer_key(py, key(), |key| self.load(key, arguments))
            }
            Ok(Found::Expired) => {
                Self::answer_key(py, key(), |key| match cache.remove_expired(key, hash) {
                    Ok(()) => self.load(key, arguments),
                    Err(Raised) => ptr::null_mut(),
                })
            }
            Err(Undecided) => Self::answer_key(py, key(), |key| self.read_or_load(key, arguments)),
        }
    }

    #[inline]
    fn answer_key(
        py: Python<'_>,
        key: PyResult<Bound<'_, PyAny>>,
        answer: impl FnOnce(&Bound<'_, PyAny>) -> *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        match key {
            Ok(key) => {
                let answer = answer(&key);
                release(key.unbind(), py);
                answer
            }
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        }
    }

    #[inline]
    fn read_or_load(&self, key: &Bound<'_, PyAny>, arguments: Arguments) -> *mut ffi::PyObject {
        match self.cache.get().read(key) {
            Ok(Some(value)) => value.into_ptr(),
            Ok(None) => self.load(key, arguments),
            Err(Raised) => ptr::null_mut(),
        }
    }

    #[cold]
    #[inline(never)]
    fn load(&self, key: &Bound<'_, PyAny>, arguments: Arguments) -> *mut ffi::PyObject {
        let py = key.py();
        counted(|| match self.stale_or_loaded(key, arguments) {
            Ok(value) => value.into_ptr(),
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        })
    }

    fn stale_or_loaded<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        arguments: Arguments,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = key.py();
        let (cache, function) = (self.cache.bind(py), self.function.bind(py));
        let Some((value, reload)) = self.cache.get().reconsider(key)? else {
            return fly(cache, key, &Wish::default(), || arguments.pass(function));
        };
        if reload {
            reload::start(Reload::call(cache, key, &arguments.later(function)?), py)?;
        }
        Ok(value)
    }
}

unsafe extern "C" fn call(
    memo: *mut ffi::PyObject,
    values: *const *mut ffi::PyObject,
    flagged_count: usize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: Python calls this attached, with the `Memo` in which it found the pointer and with
    // arguments that are borrowed for the time of the call.
    let (py, memo) = unsafe {
        let py = Python::assume_attached();
        (py, Borrowed::from_ptr(py, memo).cast_unchecked::<Memo>())
    };
    // SAFETY: as Python passed them, to this call.
    let arguments = unsafe { Arguments::new(values, flagged_count, names) };
    catch(py, || memo.get().answer(py, arguments))
}

/// Lets Python call instances by vectorcall, and methods without binding them first.
pub fn install(py: Python<'_>) -> PyResult<()> {
    let class = Memo::type_object(py);
    let cache = py.get_type::<Cache>().call1((1,))?.cast_into::<Cache>()?;
    let instance = Bound::new(py, Memo::new(class.as_any(), &cache, None)?)?;
    let memo = ptr::from_ref(instance.get()).cast::<u8>();
    // SAFETY: the instance's Rust part lies inside the object, at the same place in every instance,
    // as PyO3 gives the type one layout. The type is fresh: nobody has looked at its flags, and it
    // can have no subclass.
    unsafe {
        let inside = memo.offset_from(instance.as_ptr().cast::<u8>());
        let class = class.as_type_ptr();
        (*class).tp_vectorcall_offset = inside + offset_of!(Memo, vectorcall).cast_signed();
        #[cfg(not(Py_GIL_DISABLED))]
        {
            (*class).tp_flags |=
                ffi::Py_TPFLAGS_HAVE_VECTORCALL | ffi::Py_TPFLAGS_METHOD_DESCRIPTOR;
        }
        #[cfg(Py_GIL_DISABLED)]
        (*class).tp_flags.fetch_or(
            ffi::Py_TPFLAGS_HAVE_VECTORCALL | ffi::Py_TPFLAGS_METHOD_DESCRIPTOR,
            std::sync::atomic::Ordering::Relaxed,
        );
        ffi::PyType_Modified(class);
    }
    Ok(())
}
