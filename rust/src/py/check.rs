//! `EntityChecker`.

use pyo3::PyTraverseError;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDate, PyDateAccess, PyDateTime, PyDelta, PyDict, PyFloat, PyInt, PyList,
    PyString, PyTime, PyType, PyTzInfo, PyTzInfoAccess,
};

use super::exact::{decimal_class, uuid_class};
use super::fields::Fields;

/// What a value must be for nothing to be left to check.
enum Kind {
    Bool,
    Int {
        least: i64,
        most: i64,
    },
    Float {
        least: f64,
        most: f64,
    },
    Text {
        least: usize,
        most: usize,
    },
    Bytes {
        least: usize,
        most: usize,
    },
    Decimal,
    Uuid,
    Instant,
    Local,
    Date,
    Time,
    Delta,
    /// A member of an Enum.
    Member(Py<PyType>),
    /// One of a Literal's values.
    Literal(Py<PyDict>),
}

type Described = (PyBackedStr, bool, Option<Py<PyAny>>, Option<Py<PyAny>>);

impl Kind {
    fn named(
        py: Python<'_>,
        name: &str,
        least: Option<Py<PyAny>>,
        most: Option<Py<PyAny>>,
    ) -> PyResult<Option<Self>> {
        let length = |bound: Option<Py<PyAny>>, usual: usize| {
            bound.map_or(Ok(usual), |bound| bound.extract(py))
        };
        Ok(Some(match (name, least, most) {
            ("int", Some(least), Some(most)) => {
                Self::Int { least: least.extract(py)?, most: most.extract(py)? }
            }
            ("float", Some(least), Some(most)) => {
                Self::Float { least: least.extract(py)?, most: most.extract(py)? }
            }
            ("text", least, most) => {
                Self::Text { least: length(least, 0)?, most: length(most, usize::MAX)? }
            }
            ("bytes", least, most) => {
                Self::Bytes { least: length(least, 0)?, most: length(most, usize::MAX)? }
            }
            ("member", Some(class), None) => Self::Member(class.extract(py)?),
            ("literal", Some(choices), None) => Self::Literal(choices.extract(py)?),
            (name, None, None) => match name {
                "bool" => Self::Bool,
                "decimal" => Self::Decimal,
                "uuid" => Self::Uuid,
                "instant" => Self::Instant,
                "local" => Self::Local,
                "date" => Self::Date,
                "time" => Self::Time,
                "delta" => Self::Delta,
                _ => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }

    /// Whether the value surely fits. Only exact types do: what others mean, Python decides.
    #[inline]
    fn fits(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let py = value.py();
        Ok(match self {
            Self::Bool => value.is_exact_instance_of::<PyBool>(),
            Self::Int { least, most } => {
                value.is_exact_instance_of::<PyInt>()
                    && value.extract().is_ok_and(|value| (*least..=*most).contains(&value))
            }
            Self::Float { least, most } => value.cast_exact::<PyFloat>().is_ok_and(|value| {
                // Without bounds it may be no number.
                (*least == f64::NEG_INFINITY && *most == f64::INFINITY)
                    || (*least..=*most).contains(&value.value())
            }),
            Self::Text { least, most } => value.cast_exact::<PyString>().is_ok_and(|text| {
                // SAFETY: an exact `str`, alive.
                let length = unsafe { ffi::PyUnicode_GetLength(text.as_ptr()) }.unsigned_abs();
                (*least..=*most).contains(&length)
                    && text.to_str().is_ok_and(|text| !text.as_bytes().contains(&0))
            }),
            Self::Bytes { least, most } => value
                .cast_exact::<PyBytes>()
                .is_ok_and(|bytes| (*least..=*most).contains(&bytes.as_bytes().len())),
            Self::Decimal => value.is_exact_instance(decimal_class(py)?),
            Self::Uuid => value.is_exact_instance(uuid_class(py)?),
            Self::Instant => match value.cast_exact::<PyDateTime>() {
                // In the first and the last year the zone decides whether UTC has a form for it.
                Ok(at) if (2..=9998).contains(&at.get_year()) => match at.get_tzinfo() {
                    Some(zone) => is_known(&zone)?,
                    None => false,
                },
                _ => false,
            },
            Self::Local => {
                value.cast_exact::<PyDateTime>().is_ok_and(|at| at.get_tzinfo().is_none())
            }
            Self::Date => value.is_exact_instance_of::<PyDate>(),
            Self::Time => value.cast_exact::<PyTime>().is_ok_and(|at| at.get_tzinfo().is_none()),
            Self::Delta => value.is_exact_instance_of::<PyDelta>(),
            Self::Member(class) => value.is_exact_instance(class.bind(py)),
            Self::Literal(choices) => {
                (value.is_exact_instance_of::<PyString>() || value.is_exact_instance_of::<PyInt>())
                    && choices.bind(py).contains(value)?
            }
        })
    }
}

/// Whether the zone is one of the standard library's, which have an offset at any time.
fn is_known(zone: &Bound<'_, PyTzInfo>) -> PyResult<bool> {
    static FIXED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static NAMED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = zone.py();
    Ok(zone.is(PyTzInfo::utc(py)?)
        || zone.is_exact_instance(FIXED.import(py, "datetime", "timezone")?)
        || zone.is_exact_instance(NAMED.import(py, "zoneinfo", "ZoneInfo")?))
}

#[pyclass(frozen, module = "tierline._core")]
pub struct EntityChecker {
    fields: Fields,
    /// Each with whether None fits too.
    kinds: Vec<(Kind, bool)>,
}

#[pymethods]
impl EntityChecker {
    #[new]
    fn new(
        entity: Py<PyType>,
        names: Vec<Py<PyString>>,
        kinds: Vec<Described>,
        py: Python<'_>,
    ) -> PyResult<Self> {
        if names.len() != kinds.len() {
            return Err(PyValueError::new_err("names and kinds differ in length"));
        }
        let kinds = kinds
            .into_iter()
            .map(|(name, nullable, least, most)| {
                let kind = Kind::named(py, &name, least, most)?.ok_or_else(|| {
                    PyValueError::new_err(format!(
                        "kind {name} is unknown, or has other bounds than it takes"
                    ))
                })?;
                Ok((kind, nullable))
            })
            .collect::<PyResult<_>>()?;
        Ok(Self { fields: Fields::new(entity, names, py)?, kinds })
    }

    #[pyo3(signature = (entities, /))]
    fn unsure(&self, entities: &Bound<'_, PyList>) -> PyResult<Vec<usize>> {
        let mut unsure = Vec::new();
        for (position, entity) in entities.iter().enumerate() {
            if !self.fits(&entity)? {
                unsure.push(position);
            }
        }
        Ok(unsure)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        for (kind, _) in &self.kinds {
            match kind {
                Kind::Member(class) => visit.call(class)?,
                Kind::Literal(choices) => visit.call(choices)?,
                _ => {}
            }
        }
        visit.call(self.fields.class())
    }
}

impl EntityChecker {
    fn fits(&self, entity: &Bound<'_, PyAny>) -> PyResult<bool> {
        if !self.fields.are_of(entity) {
            return Ok(false);
        }
        for (at, (kind, nullable)) in self.kinds.iter().enumerate() {
            // A field that was deleted is for Python to tell.
            let Ok(value) = self.fields.read(entity, at) else { return Ok(false) };
            let fits = if value.is_none() { *nullable } else { kind.fits(&value)? };
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
