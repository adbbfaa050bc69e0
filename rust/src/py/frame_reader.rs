//! `FrameReader`: what Redis answers for many keys, unpacked, decoded and kept in one call.

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyTypeInfo};

use super::cache::Cache;
use super::frame::{FrameKeys, LIFE_S_MIN};
use super::loader;
use super::loading::own_ttl;
use super::lookup::hash;
use super::state::{Object, Stored, When};
use super::store::{Terms, store_if};
use crate::core::frame;

/// How the frames of one table become values, and what holds them in L1.
#[pyclass(frozen, module = "tierline._core")]
pub struct FrameReader {
    fingerprint: u64,
    decode: Object,
    /// What `decode` raises of bytes that are none of ours.
    undecodable: Py<PyTuple>,
    /// The class of what L1 keeps, and the slot in which it holds a value.
    holder: Py<PyType>,
    slot: Py<PyString>,
    keys: Option<Py<FrameKeys>>,
}

#[pymethods]
impl FrameReader {
    #[new]
    #[pyo3(signature = (fingerprint, decode, *, undecodable, holder, slot, keys=None))]
    fn new(
        fingerprint: u64,
        decode: Object,
        undecodable: Py<PyTuple>,
        holder: Py<PyType>,
        slot: Py<PyString>,
        keys: Option<Py<FrameKeys>>,
    ) -> Self {
        Self { fingerprint, decode, undecodable, holder, slot, keys }
    }

    #[pyo3(signature = (
        cache, into, keys, tokens, names, frames, /, *, beginning, now_s, ttl_s, rest_s,
    ))]
    #[expect(clippy::too_many_arguments, reason = "Python calls it with names")]
    fn take<'py>(
        &self,
        cache: &Bound<'py, Cache>,
        into: &Bound<'py, PyDict>,
        keys: &Bound<'py, PyList>,
        tokens: Vec<u64>,
        names: &Bound<'py, PyList>,
        frames: &Bound<'py, PyList>,
        beginning: &str,
        now_s: f64,
        ttl_s: f64,
        rest_s: f64,
    ) -> PyResult<usize> {
        if [tokens.len(), names.len(), frames.len()] != [keys.len(); 3] {
            return Err(PyValueError::new_err("keys, tokens, names and frames are of one length"));
        }
        let py = cache.py();
        let frame_keys = self.keys.as_ref().map(|keys| &keys.get().0);
        let decode = self.decode.bind(py);
        let mut place = beginning.as_bytes().to_vec();
        let mut hits = 0;
        for (((key, token), name), bytes) in keys.iter().zip(tokens).zip(names).zip(frames) {
            place.truncate(beginning.len());
            place.extend_from_slice(name.cast::<PyString>()?.to_str()?.as_bytes());
            // What is no bytes is no frame: Redis answers with nothing where there is no key.
            let Ok(bytes) = bytes.cast::<PyBytes>() else { continue };
            let opened = frame::open(bytes.as_bytes(), self.fingerprint, &place, frame_keys);
            let value = opened.and_then(|(payload, at_ms)| {
                let life_s = frame::life_s(at_ms, now_s, ttl_s);
                (life_s >= LIFE_S_MIN).then(|| (PyBytes::new(py, &payload), life_s))
            });
            let decoded = value.map(|(payload, life_s)| {
                self.decoded(decode, &payload).map(|value| value.map(|value| (value, life_s)))
            });
            let Some((value, life_s)) = decoded.transpose()?.flatten() else { continue };
            let terms = Terms { ttl: own_ttl(Some(life_s.min(rest_s)))?, ..Terms::default() };
            let at = (hash(&key)?, When::Current(token));
            let _: Stored = store_if(cache, &key, &self.held(&value)?, at, &terms)?;
            into.set_item(key, value)?;
            hits += 1;
        }
        Ok(hits)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.decode)?;
        visit.call(&self.undecodable)?;
        visit.call(&self.holder)?;
        visit.call(&self.keys)
    }
}

impl FrameReader {
    /// The value of a payload; `None` if it is none of ours.
    fn decoded<'py>(
        &self,
        decode: &Bound<'py, PyAny>,
        payload: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = decode.py();
        match loader::call(decode, payload) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.matches(py, self.undecodable.bind(py))? => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An instance of the holder with a value in its slot, made as `object.__new__` and
    /// `object.__setattr__` do: its own may take longer, or refuse.
    fn held<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        let class = self.holder.bind(py).as_type_ptr();
        // SAFETY: `object` is a static type and has a `tp_new`, which takes any class, a tuple and
        // no names, and answers with a new reference or null with an error set. The setter takes
        // objects that are alive.
        unsafe {
            let object = PyAny::type_object_raw(py);
            let arguments = PyTuple::empty(py);
            let made = (*object)
                .tp_new
                .map(|new| new(class, arguments.as_ptr(), std::ptr::null_mut()))
                .unwrap_or_default();
            let made = Bound::from_owned_ptr_or_err(py, made)?;
            let slot = self.slot.as_ptr();
            if ffi::PyObject_GenericSetAttr(made.as_ptr(), slot, value.as_ptr()) != 0 {
                return Err(PyErr::fetch(py));
            }
            Ok(made)
        }
    }
}
