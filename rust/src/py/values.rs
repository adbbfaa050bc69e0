//! Python's objects for PostgreSQL's values.

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDate, PyDateTime, PyDelta, PyFloat, PyInt, PyList, PyTime, PyTzInfo,
};

use super::exact::{decimal, uuid};
use crate::core::decode::times::{self, Date, Time};
use crate::core::decode::{self, Unreadable, array};

/// A type with a decoder here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytea,
    Json,
    Jsonb,
    Uuid,
    Date,
    Time,
    TimeTz,
    Timestamp,
    TimestampTz,
    Interval,
}

impl Kind {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "int2" => Self::Int2,
            "int4" => Self::Int4,
            "int8" => Self::Int8,
            "oid" => Self::Oid,
            "float4" => Self::Float4,
            "float8" => Self::Float8,
            "numeric" => Self::Numeric,
            "text" => Self::Text,
            "bytea" => Self::Bytea,
            "json" => Self::Json,
            "jsonb" => Self::Jsonb,
            "uuid" => Self::Uuid,
            "date" => Self::Date,
            "time" => Self::Time,
            "timetz" => Self::TimeTz,
            "timestamp" => Self::Timestamp,
            "timestamptz" => Self::TimestampTz,
            "interval" => Self::Interval,
            _ => return None,
        })
    }

    /// The object for a value that is not NULL; `scratch` is memory to work in.
    #[inline]
    pub fn object<'py>(
        self,
        py: Python<'py>,
        data: &[u8],
        scratch: &mut Vec<u8>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self {
            Self::Bool => {
                PyBool::new(py, decode::bool(data).map_err(unreadable)?).to_owned().into_any()
            }
            Self::Int2 => int(py, i64::from(decode::int2(data).map_err(unreadable)?)),
            Self::Int4 => int(py, i64::from(decode::int4(data).map_err(unreadable)?)),
            Self::Int8 => int(py, decode::int8(data).map_err(unreadable)?),
            Self::Oid => int(py, i64::from(decode::oid(data).map_err(unreadable)?)),
            Self::Float4 => {
                let value = decode::float4(data).map_err(unreadable)?;
                PyFloat::new(py, f64::from(value)).into_any()
            }
            Self::Float8 => PyFloat::new(py, decode::float8(data).map_err(unreadable)?).into_any(),
            Self::Numeric => decimal(py, data, scratch)?,
            Self::Text => text(py, data)?,
            Self::Bytea | Self::Json => PyBytes::new(py, data).into_any(),
            Self::Jsonb => PyBytes::new(py, decode::jsonb(data).map_err(unreadable)?).into_any(),
            Self::Uuid => uuid(py, decode::uuid(data).map_err(unreadable)?)?,
            Self::Date => {
                let Date { year, month, day } = times::date(data).map_err(unreadable)?;
                PyDate::new(py, year, month, day)?.into_any()
            }
            Self::Time => time(py, times::time(data).map_err(unreadable)?, None)?,
            Self::TimeTz => {
                let (at, east) = times::timetz(data).map_err(unreadable)?;
                let offset = PyDelta::new(py, 0, east, 0, true)?;
                time(py, at, Some(&PyTzInfo::fixed_offset(py, offset)?))?
            }
            Self::Timestamp => instant(py, data, None)?,
            Self::TimestampTz => instant(py, data, Some(&*PyTzInfo::utc(py)?))?,
            Self::Interval => {
                let span = times::interval(data).map_err(unreadable)?;
                PyDelta::new(py, span.days, span.seconds, span.micros, false)?.into_any()
            }
        })
    }

    /// A list of the items of an array, each passed through `each`.
    pub fn list<'py>(
        self,
        py: Python<'py>,
        data: &[u8],
        scratch: &mut Vec<u8>,
        each: impl Fn(Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for item in array::items(data).map_err(unreadable)? {
            list.append(each(self.object(py, item.map_err(unreadable)?, scratch)?)?)?;
        }
        Ok(list)
    }
}

pub fn unreadable(error: Unreadable) -> PyErr {
    PyValueError::new_err(error.message())
}

#[inline]
fn int(py: Python<'_>, value: i64) -> Bound<'_, PyAny> {
    PyInt::new(py, value).into_any()
}

#[inline]
fn text<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let length = isize::try_from(data.len()).map_err(|_| unreadable(Unreadable::Length))?;
    // SAFETY: Python reads so many bytes; it checks that they are UTF-8. The result is a new
    // reference, or null with an error set.
    unsafe {
        let text = ffi::PyUnicode_DecodeUTF8(data.as_ptr().cast(), length, std::ptr::null());
        Bound::from_owned_ptr_or_err(py, text)
    }
}

fn time<'py>(
    py: Python<'py>,
    at: Time,
    zone: Option<&Bound<'py, PyTzInfo>>,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(PyTime::new(py, at.hour, at.minute, at.second, at.micros, zone)?.into_any())
}

#[inline]
fn instant<'py>(
    py: Python<'py>,
    data: &[u8],
    zone: Option<&Bound<'py, PyTzInfo>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (Date { year, month, day }, at) = times::timestamp(data).map_err(unreadable)?;
    let (hour, minute, second) = (at.hour, at.minute, at.second);
    Ok(PyDateTime::new(py, year, month, day, hour, minute, second, at.micros, zone)?.into_any())
}
