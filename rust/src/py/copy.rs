//! `CopyEncoder`.

use pyo3::PyTraverseError;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString, PyTuple};

use crate::core::copy::{Rows, TooLong};

enum Column {
    Bool,
    Int8,
    Float8,
    Text,
    Bytea,
    /// Encoded by a Python function.
    Other(Py<PyAny>),
}

impl Column {
    fn new(kind: &str, encoder: Option<Py<PyAny>>) -> Option<Self> {
        match (kind, encoder) {
            ("bool", None) => Some(Self::Bool),
            ("int8", None) => Some(Self::Int8),
            ("float8", None) => Some(Self::Float8),
            ("text", None) => Some(Self::Text),
            ("bytea", None) => Some(Self::Bytea),
            ("other", Some(encoder)) => Some(Self::Other(encoder)),
            _ => None,
        }
    }

    const fn takes(&self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int8 => "int",
            Self::Float8 => "float or int",
            Self::Text => "str",
            Self::Bytea => "bytes",
            Self::Other(_) => "a value that its encoder turns into bytes",
        }
    }

    /// Writes a value; `None` if it is not of this column's kind.
    fn write(&self, value: &Bound<'_, PyAny>, rows: &mut Rows) -> PyResult<Option<()>> {
        match self {
            Self::Bool => {
                let Ok(value) = value.cast_exact::<PyBool>() else { return Ok(None) };
                rows.bool(value.is_true());
            }
            Self::Int8 => {
                let Ok(value) = value.cast_exact::<PyInt>() else { return Ok(None) };
                rows.int8(value.extract()?);
            }
            Self::Float8 => {
                let is_number = value.is_exact_instance_of::<PyFloat>()
                    || value.is_exact_instance_of::<PyInt>();
                if !is_number {
                    return Ok(None);
                }
                rows.float8(value.extract()?);
            }
            Self::Text => {
                let Ok(value) = value.cast_exact::<PyString>() else { return Ok(None) };
                rows.bytes(value.to_str()?.as_bytes()).map_err(too_long)?;
            }
            Self::Bytea => {
                let Ok(value) = value.cast_exact::<PyBytes>() else { return Ok(None) };
                rows.bytes(value.as_bytes()).map_err(too_long)?;
            }
            Self::Other(encoder) => {
                let bytes = encoder.bind(value.py()).call1((value,))?;
                let Ok(bytes) = bytes.cast_exact::<PyBytes>() else { return Ok(None) };
                rows.bytes(bytes.as_bytes()).map_err(too_long)?;
            }
        }
        Ok(Some(()))
    }
}

fn too_long(_: TooLong) -> PyErr {
    PyOverflowError::new_err("a value of 1 GiB or more does not fit a PostgreSQL field")
}

#[pyclass(frozen, module = "tierline._core")]
pub struct CopyEncoder {
    columns: Vec<Column>,
    width: i16,
}

#[pymethods]
impl CopyEncoder {
    #[new]
    fn new(kinds: Vec<PyBackedStr>, encoders: Vec<Option<Py<PyAny>>>) -> PyResult<Self> {
        if kinds.len() != encoders.len() {
            return Err(PyValueError::new_err("kinds and encoders differ in length"));
        }
        let width = i16::try_from(kinds.len())
            .map_err(|_| PyValueError::new_err("a COPY row has at most 32,767 columns"))?;
        let columns = kinds
            .into_iter()
            .zip(encoders)
            .map(|(kind, encoder)| {
                Column::new(&kind, encoder).ok_or_else(|| {
                    PyValueError::new_err(format!(
                        "kind {kind} is unknown, or has an encoder and takes none, or lacks one"
                    ))
                })
            })
            .collect::<PyResult<_>>()?;
        Ok(Self { columns, width })
    }

    #[pyo3(signature = (rows, /))]
    fn encode<'py>(&self, rows: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let mut encoded = Rows::default();
        for row in rows.try_iter()? {
            self.write(&row?, &mut encoded)?;
        }
        Ok(PyBytes::new(rows.py(), encoded.as_bytes()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.columns.iter().try_for_each(|column| match column {
            Column::Other(encoder) => visit.call(encoder),
            _ => Ok(()),
        })
    }
}

impl CopyEncoder {
    fn write(&self, row: &Bound<'_, PyAny>, rows: &mut Rows) -> PyResult<()> {
        let row = row.cast::<PyTuple>()?;
        if row.len() != self.columns.len() {
            return Err(PyValueError::new_err(format!(
                "a row of {} values for {} columns",
                row.len(),
                self.columns.len()
            )));
        }
        rows.row(self.width);
        for (index, (column, value)) in self.columns.iter().zip(row.iter_borrowed()).enumerate() {
            if value.is_none() {
                rows.null();
            } else if column.write(&value, rows)?.is_none() {
                return Err(PyTypeError::new_err(format!(
                    "column {index} takes {}, not {}",
                    column.takes(),
                    value.get_type().name()?
                )));
            }
        }
        Ok(())
    }
}
