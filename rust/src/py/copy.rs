//! `CopyEncoder`.

use pyo3::PyTraverseError;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{
    PyBool, PyBytes, PyDate, PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyFloat, PyInt,
    PyString, PyTimeAccess, PyTuple, PyType, PyTzInfo, PyTzInfoAccess,
};

use super::exact::{decimal_class, uuid_class};
use super::fields::Fields;
use crate::core::copy::calendar::{days, micros};
use crate::core::copy::{Rows, TooLong};

#[derive(Clone, Copy)]
enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float8,
    Numeric,
    Text,
    Bytea,
    Jsonb,
    Uuid,
    Date,
    Timestamp,
    TimestampTz,
}

impl Kind {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "int2" => Self::Int2,
            "int4" => Self::Int4,
            "int8" => Self::Int8,
            "float8" => Self::Float8,
            "numeric" => Self::Numeric,
            "text" => Self::Text,
            "bytea" => Self::Bytea,
            "jsonb" => Self::Jsonb,
            "uuid" => Self::Uuid,
            "date" => Self::Date,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::TimestampTz,
            _ => return None,
        })
    }

    const fn takes(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int2 | Self::Int4 | Self::Int8 => "int",
            Self::Float8 => "float or int",
            Self::Numeric => "Decimal",
            Self::Text => "str",
            Self::Bytea | Self::Jsonb => "bytes",
            Self::Uuid => "UUID",
            Self::Date => "date",
            Self::Timestamp => "datetime without time zone",
            Self::TimestampTz => "datetime with time zone",
        }
    }

    /// Writes a value; `None` if it is not of this kind.
    fn write(self, value: &Bound<'_, PyAny>, rows: &mut Rows) -> PyResult<Option<()>> {
        match self {
            Self::Bool => {
                let Ok(value) = value.cast_exact::<PyBool>() else { return Ok(None) };
                rows.bool(value.is_true());
            }
            Self::Int2 | Self::Int4 | Self::Int8 => return self.write_int(value, rows),
            Self::Float8 => {
                let is_number = value.is_exact_instance_of::<PyFloat>()
                    || value.is_exact_instance_of::<PyInt>();
                if !is_number {
                    return Ok(None);
                }
                rows.float8(value.extract()?);
            }
            Self::Numeric => {
                if !value.is_exact_instance(decimal_class(value.py())?) {
                    return Ok(None);
                }
                let text = value.str()?;
                rows.numeric(text.to_str()?).map_err(|_| {
                    PyOverflowError::new_err("a Decimal that PostgreSQL's numeric cannot hold")
                })?;
            }
            Self::Text => {
                // A subclass (an Enum of str) is read as the text it is.
                let Ok(value) = value.cast::<PyString>() else { return Ok(None) };
                rows.bytes(value.to_str()?.as_bytes()).map_err(too_long)?;
            }
            Self::Bytea => {
                let Ok(value) = value.cast_exact::<PyBytes>() else { return Ok(None) };
                rows.bytes(value.as_bytes()).map_err(too_long)?;
            }
            Self::Jsonb => {
                let Ok(value) = value.cast_exact::<PyBytes>() else { return Ok(None) };
                rows.jsonb(value.as_bytes()).map_err(too_long)?;
            }
            Self::Uuid => {
                if !value.is_instance(uuid_class(value.py())?)? {
                    return Ok(None);
                }
                rows.uuid(value.getattr(intern!(value.py(), "int"))?.extract()?);
            }
            Self::Date => {
                let Ok(value) = value.cast_exact::<PyDate>() else { return Ok(None) };
                rows.int4(days(value.get_year(), value.get_month(), value.get_day()));
            }
            Self::Timestamp | Self::TimestampTz => return self.write_instant(value, rows),
        }
        Ok(Some(()))
    }

    fn write_int(self, value: &Bound<'_, PyAny>, rows: &mut Rows) -> PyResult<Option<()>> {
        // A subclass (an Enum of int) is read as the number it is, but a bool is none.
        if value.is_exact_instance_of::<PyBool>() || !value.is_instance_of::<PyInt>() {
            return Ok(None);
        }
        match self {
            Self::Int2 => rows.int2(value.extract()?),
            Self::Int4 => rows.int4(value.extract()?),
            _ => rows.int8(value.extract()?),
        }
        Ok(Some(()))
    }

    fn write_instant(self, value: &Bound<'_, PyAny>, rows: &mut Rows) -> PyResult<Option<()>> {
        let Ok(value) = value.cast_exact::<PyDateTime>() else { return Ok(None) };
        let zone = value.get_tzinfo();
        let offset = match (self, zone) {
            (Self::Timestamp, None) => 0,
            (Self::TimestampTz, Some(zone)) => offset_micros(value, &zone)?,
            _ => return Ok(None),
        };
        let seconds = i64::from(value.get_hour()) * 3_600
            + i64::from(value.get_minute()) * 60
            + i64::from(value.get_second());
        let of_day = seconds * 1_000_000 + i64::from(value.get_microsecond());
        let days = days(value.get_year(), value.get_month(), value.get_day());
        rows.int8(micros(days, of_day) - offset);
        Ok(Some(()))
    }
}

/// A zoned datetime's offset from UTC, in microseconds.
fn offset_micros(value: &Bound<'_, PyDateTime>, zone: &Bound<'_, PyTzInfo>) -> PyResult<i64> {
    let py = value.py();
    if zone.is(PyTzInfo::utc(py)?) {
        return Ok(0);
    }
    // The zone's own code may run here.
    let offset = value.call_method0(intern!(py, "utcoffset"))?;
    let offset = offset
        .cast::<PyDelta>()
        .map_err(|_| PyValueError::new_err("a datetime whose zone tells no offset from UTC"))?;
    let seconds = i64::from(offset.get_days()) * 86_400 + i64::from(offset.get_seconds());
    Ok(seconds * 1_000_000 + i64::from(offset.get_microseconds()))
}

enum Column {
    Native(Kind),
    /// Encoded by a Python function.
    Other(Py<PyAny>),
}

impl Column {
    fn new(kind: &str, encoder: Option<Py<PyAny>>) -> Option<Self> {
        match (kind, encoder) {
            ("other", Some(encoder)) => Some(Self::Other(encoder)),
            (kind, None) => Kind::named(kind).map(Self::Native),
            _ => None,
        }
    }

    const fn takes(&self) -> &'static str {
        match self {
            Self::Native(kind) => kind.takes(),
            Self::Other(_) => "a value that its encoder turns into bytes",
        }
    }

    /// Writes a value; `None` if it is not of this column's kind.
    fn write(&self, value: &Bound<'_, PyAny>, rows: &mut Rows) -> PyResult<Option<()>> {
        match self {
            Self::Native(kind) => kind.write(value, rows),
            Self::Other(encoder) => {
                let bytes = encoder.bind(value.py()).call1((value,))?;
                let Ok(bytes) = bytes.cast_exact::<PyBytes>() else { return Ok(None) };
                rows.bytes(bytes.as_bytes()).map_err(too_long)?;
                Ok(Some(()))
            }
        }
    }
}

fn too_long(_: TooLong) -> PyErr {
    PyOverflowError::new_err("a value of 1 GiB or more does not fit a PostgreSQL field")
}

#[pyclass(frozen, module = "tierline._core")]
pub struct CopyEncoder {
    columns: Vec<Column>,
    width: i16,
    /// Where rows may be entities, too.
    fields: Option<Fields>,
}

#[pymethods]
impl CopyEncoder {
    #[new]
    #[pyo3(signature = (kinds, encoders, entity = None, names = None))]
    fn new(
        kinds: Vec<PyBackedStr>,
        encoders: Vec<Option<Py<PyAny>>>,
        entity: Option<Py<PyType>>,
        names: Option<Vec<Py<PyString>>>,
        py: Python<'_>,
    ) -> PyResult<Self> {
        if kinds.len() != encoders.len() {
            return Err(PyValueError::new_err("kinds and encoders differ in length"));
        }
        let width = i16::try_from(kinds.len())
            .map_err(|_| PyValueError::new_err("a COPY row has at most 32,767 columns"))?;
        let columns: Vec<_> = kinds
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
        let fields = match (entity, names) {
            (Some(entity), Some(names)) if names.len() == columns.len() => {
                Some(Fields::new(entity, names, py)?)
            }
            (None, None) => None,
            _ => return Err(PyValueError::new_err("an entity has as many names as kinds")),
        };
        Ok(Self { columns, width, fields })
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
        visit.call(self.fields.as_ref().map(Fields::class))?;
        self.columns.iter().try_for_each(|column| match column {
            Column::Other(encoder) => visit.call(encoder),
            Column::Native(_) => Ok(()),
        })
    }
}

impl CopyEncoder {
    fn write(&self, row: &Bound<'_, PyAny>, rows: &mut Rows) -> PyResult<()> {
        if let Some(fields) = &self.fields
            && fields.are_of(row)
        {
            rows.row(self.width);
            for at in 0..fields.len() {
                self.write_value(at, &fields.read(row, at)?, true, rows)?;
            }
            return Ok(());
        }
        let row = row.cast::<PyTuple>()?;
        if row.len() != self.columns.len() {
            return Err(PyValueError::new_err(format!(
                "a row of {} values for {} columns",
                row.len(),
                self.columns.len()
            )));
        }
        rows.row(self.width);
        for (at, value) in row.iter_borrowed().enumerate() {
            self.write_value(at, &value, false, rows)?;
        }
        Ok(())
    }

    /// Writes a value, or what an Enum's member stands for.
    #[inline]
    fn write_value(
        &self,
        at: usize,
        value: &Bound<'_, PyAny>,
        may_be_member: bool,
        rows: &mut Rows,
    ) -> PyResult<()> {
        let column = &self.columns[at];
        if value.is_none() {
            rows.null();
        } else if column.write(value, rows)?.is_none() {
            let inner = value.getattr(intern!(value.py(), "_value_"));
            return match inner {
                Ok(inner) if may_be_member => self.write_value(at, &inner, false, rows),
                _ => Err(PyTypeError::new_err(format!(
                    "column {at} takes {}, not {}",
                    column.takes(),
                    value.get_type().name()?
                ))),
            };
        }
        Ok(())
    }
}
