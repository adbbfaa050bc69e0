//! The user's function that says what an entry weighs.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyInt;

use super::state::Object;

/// Called before a cache is locked, for it is Python code.
pub enum Weigher {
    /// Of a value, as in cachetools.
    Value(Object),
    /// Of a key and its value.
    Entry(Object),
}

impl Weigher {
    /// From the arguments of those names, of which at most one may be given.
    pub fn new(
        getsizeof: Option<Bound<'_, PyAny>>,
        weigher: Option<Bound<'_, PyAny>>,
    ) -> PyResult<Option<Self>> {
        let weigher = match (getsizeof, weigher) {
            (None, None) => return Ok(None),
            (Some(function), None) => Self::Value(callable(function, "getsizeof")?),
            (None, Some(function)) => Self::Entry(callable(function, "weigher")?),
            (Some(_), Some(_)) => {
                return Err(PyTypeError::new_err("give getsizeof or weigher, not both"));
            }
        };
        Ok(Some(weigher))
    }

    pub const fn function(&self) -> &Object {
        match self {
            Self::Value(function) | Self::Entry(function) => function,
        }
    }

    /// What an entry weighs.
    pub fn weigh(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        match self {
            Self::Value(_) => self.of_value(value),
            Self::Entry(function) => weight(&function.bind(key.py()).call1((key, value))?),
        }
    }

    /// What a value weighs under any key.
    pub fn of_value(&self, value: &Bound<'_, PyAny>) -> PyResult<u64> {
        match self {
            Self::Value(function) => weight(&function.bind(value.py()).call1((value,))?),
            Self::Entry(_) => {
                Err(PyTypeError::new_err("this cache weighs a value together with its key"))
            }
        }
    }
}

fn callable(function: Bound<'_, PyAny>, name: &str) -> PyResult<Object> {
    if function.is_callable() {
        Ok(function.unbind())
    } else {
        Err(PyTypeError::new_err(format!("{name} must be callable")))
    }
}

/// Weights beyond 64 bits are the largest of them: no cache can hold them.
fn weight(answer: &Bound<'_, PyAny>) -> PyResult<u64> {
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
