//! The user's function that says what an entry weighs.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyType};
use pyo3::{PyTypeInfo, intern};

use super::cache::Cache;
use super::loader;
use super::state::Object;

/// Called before a cache is locked, for it is Python code.
pub enum Weigher {
    /// Of a value, as in cachetools.
    Value(Object),
    /// Of a key and its value.
    Entry(Object),
    /// Of a value, by the method `getsizeof` of a derived class.
    Method,
}

impl Weigher {
    /// From the arguments of those names, of which at most one may be given, or from the class.
    pub fn new(
        class: &Bound<'_, PyType>,
        getsizeof: Option<Bound<'_, PyAny>>,
        weigher: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Option<Self>> {
        let weigher = match (getsizeof, weigher) {
            (None, None) if overrides_getsizeof(class)? => Self::Method,
            (None, None) => return Ok(None),
            (Some(function), None) => Self::Value(callable(function, "getsizeof")?),
            (None, Some(function)) => Self::Entry(callable(function, "weigher")?),
            (Some(_), Some(_)) => {
                return Err(PyTypeError::new_err("give getsizeof or weigher, not both"));
            }
        };
        Ok(Some(weigher))
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        match self {
            Self::Value(function) => Self::Value(function.clone_ref(py)),
            Self::Entry(function) => Self::Entry(function.clone_ref(py)),
            Self::Method => Self::Method,
        }
    }

    pub const fn function(&self) -> Option<&Object> {
        match self {
            Self::Value(function) | Self::Entry(function) => Some(function),
            Self::Method => None,
        }
    }

    /// What a value weighs under any key.
    pub fn of_value(&self, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        match self {
            Self::Value(function) => Self::read(&loader::call(function.bind(value.py()), value)?),
            Self::Entry(_) | Self::Method => {
                Err(PyTypeError::new_err("this cache weighs a value together with its key"))
            }
        }
    }

    /// Reads a weight. Those beyond 64 bits are the largest: no cache can hold them.
    pub fn read(answer: &Bound<'_, PyAny>) -> PyResult<u64> {
        if !answer.is_instance_of::<PyInt>() {
            let name = answer.get_type().name()?;
            return Err(PyTypeError::new_err(format!("a weight must be an int, not {name}")));
        }
        if answer.lt(0)? {
            return Err(PyValueError::new_err("a weight must not be negative"));
        }
        match answer.extract::<u64>() {
            Err(error) if error.is_instance_of::<PyOverflowError>(answer.py()) => Ok(u64::MAX),
            weight => weight,
        }
    }
}

fn overrides_getsizeof(class: &Bound<'_, PyType>) -> PyResult<bool> {
    let name = intern!(class.py(), "getsizeof");
    let own = Cache::type_object(class.py());
    Ok(!class.is(&own) && !class.getattr(name)?.is(&own.getattr(name)?))
}

fn callable(function: Bound<'_, PyAny>, name: &str) -> PyResult<Object> {
    if function.is_callable() {
        Ok(function.unbind())
    } else {
        Err(PyTypeError::new_err(format!("{name} must be callable")))
    }
}
