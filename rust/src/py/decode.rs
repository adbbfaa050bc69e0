//! `RowDecoder`.

use std::ffi::c_int;
use std::ptr;

use pyo3::PyTraverseError;
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

use super::libpq::Libpq;
use super::loader;
use super::values::Kind;

enum Load {
    Value(Kind),
    /// An array of such values.
    Array(Kind),
    /// By a Python function from bytes.
    Other(Py<PyAny>),
}

/// How one value of a row is made.
struct Column {
    position: c_int,
    load: Load,
    required: bool,
    choices: Option<Py<PyDict>>,
    convert: Option<Py<PyAny>>,
}

/// Position, kind, whether it must not be NULL, loader, choices, converter.
type Described =
    (c_int, PyBackedStr, bool, Option<Py<PyAny>>, Option<Py<PyDict>>, Option<Py<PyAny>>);

impl Column {
    fn new((position, kind, required, load, choices, convert): Described) -> PyResult<Self> {
        let load = match (load, kind.strip_suffix("[]")) {
            (Some(load), None) if &*kind == "other" => Some(Load::Other(load)),
            (None, Some(element)) => Kind::named(element).map(Load::Array),
            (None, None) => Kind::named(&kind).map(Load::Value),
            _ => None,
        };
        let load = load.ok_or_else(|| {
            PyValueError::new_err(format!(
                "kind {kind} is unknown, or has a loader and takes none, or lacks one"
            ))
        })?;
        Ok(Self { position, load, required, choices, convert })
    }

    #[inline]
    fn value<'py>(
        &self,
        py: Python<'py>,
        cell: Option<&[u8]>,
        scratch: &mut Vec<u8>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(data) = cell else {
            return if self.required { Err(null()) } else { Ok(py.None().into_bound(py)) };
        };
        let value = match &self.load {
            Load::Value(kind) => self.chosen(kind.object(py, data, scratch)?)?,
            Load::Array(kind) => kind.list(py, data, scratch, |item| self.chosen(item))?.into_any(),
            Load::Other(load) => {
                self.chosen(loader::call(load.bind(py), &PyBytes::new(py, data))?)?
            }
        };
        match &self.convert {
            None => Ok(value),
            Some(convert) => loader::call(convert.bind(py), &value),
        }
    }

    /// What the value stands for, where not every one does.
    #[inline]
    fn chosen<'py>(&self, value: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match &self.choices {
            None => Ok(value),
            Some(choices) => choices
                .bind(value.py())
                .get_item(&value)?
                .ok_or_else(|| PyKeyError::new_err("not one of the choices")),
        }
    }
}

#[cold]
fn null() -> PyErr {
    PyValueError::new_err("NULL where a value is required")
}

/// What a row's values are made into.
enum Target {
    First,
    Tuple,
    /// What a function makes of them, the last of which are passed by these names.
    Call(Py<PyAny>, Option<Py<PyTuple>>),
}

#[pyclass(frozen, module = "tierline._core")]
pub struct RowDecoder {
    libpq: Py<Libpq>,
    types: Vec<u32>,
    columns: Vec<Column>,
    target: Target,
}

#[pymethods]
impl RowDecoder {
    #[new]
    #[pyo3(signature = (libpq, types, columns, shape, into = None, names = None))]
    fn new(
        libpq: Py<Libpq>,
        types: Vec<u32>,
        columns: Vec<Described>,
        shape: &str,
        into: Option<Py<PyAny>>,
        names: Option<Py<PyTuple>>,
        py: Python<'_>,
    ) -> PyResult<Self> {
        let columns = columns.into_iter().map(Column::new).collect::<PyResult<Vec<_>>>()?;
        let width = c_int::try_from(types.len()).unwrap_or(0);
        if columns.iter().any(|column| !(0..width).contains(&column.position)) {
            return Err(PyValueError::new_err("a column stands where the result has none"));
        }
        if names.as_ref().is_some_and(|names| names.bind(py).len() > columns.len()) {
            return Err(PyValueError::new_err("more names than columns"));
        }
        let target = match (shape, into, names) {
            ("first", None, None) if !columns.is_empty() => Target::First,
            ("tuple", None, None) => Target::Tuple,
            ("call", Some(into), names) => Target::Call(into, names),
            _ => return Err(PyValueError::new_err("no such shape, or not of these")),
        };
        Ok(Self { libpq, types, columns, target })
    }

    #[pyo3(signature = (result, /))]
    fn decode<'py>(&self, result: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyList>>> {
        let py = result.py();
        let rows = self.libpq.get().rows(result)?;
        if !rows.are_of(&self.types) {
            return Ok(None);
        }
        let count = rows.count();
        let mut made = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        let mut values = Vec::with_capacity(self.columns.len());
        let mut scratch = Vec::new();
        for row in 0..count {
            for column in &self.columns {
                let cell = rows.cell(row, column.position);
                values.push(column.value(py, cell, &mut scratch)?);
            }
            made.push(self.make(py, &values)?);
            values.clear();
        }
        PyList::new(py, made).map(Some)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for column in &self.columns {
            if let Load::Other(load) = &column.load {
                visit.call(load)?;
            }
            visit.call(&column.choices)?;
            visit.call(&column.convert)?;
        }
        if let Target::Call(into, names) = &self.target {
            visit.call(into)?;
            visit.call(names)?;
        }
        visit.call(&self.libpq)
    }
}

impl RowDecoder {
    #[inline]
    fn make<'py>(
        &self,
        py: Python<'py>,
        values: &[Bound<'py, PyAny>],
    ) -> PyResult<Bound<'py, PyAny>> {
        match &self.target {
            Target::First => Ok(values[0].clone()),
            Target::Tuple => PyTuple::new(py, values).map(Bound::into_any),
            Target::Call(into, names) => {
                let by_name = names.as_ref().map_or(0, |names| names.bind(py).len());
                let positional = values.len() - by_name;
                let names = names.as_ref().map_or(ptr::null_mut(), Py::as_ptr);
                // SAFETY: a `Bound` is a pointer to its object. So many values are alive for the
                // time of the call, and as many of the last have names as there are names.
                unsafe {
                    let values = values.as_ptr().cast::<*mut ffi::PyObject>();
                    loader::vectorcall(into.bind(py), values, positional, names)
                }
            }
        }
    }
}
