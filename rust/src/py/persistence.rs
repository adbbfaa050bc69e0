//! Copies of a cache: in memory, and as bytes that another process can read.

use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt, PyList, PyTuple};

use super::cache::{Cache, refuse_derived};
use super::lookup::hash;
use super::reading::Answer;
use super::state::{CLOCK, Exported};
use super::store::{store_again, weigh};
use crate::core::clock::{Clock, NEVER};
use crate::core::guards::Life;

/// What a snapshot begins with, so that other bytes are told apart.
const FORMAT: &str = "tierline.Cache";
const VERSION: u64 = 1;

/// A key, its value, the milliseconds it is fresh if they are limited, and its tags.
type Row<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Option<u64>, Vec<u64>);

#[pymethods]
impl Cache {
    fn copy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        refuse_derived(slf, "copy")?;
        let py = slf.py();
        let copy = Bound::new(py, Self::of(slf.get().settings.clone_ref(py)))?;
        for Exported { key, value, life, weight } in slf.get().export(py) {
            store_again(copy.get(), key.bind(py), value.bind(py), life, weight)?;
        }
        Ok(copy)
    }

    fn __copy__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        Self::copy(slf)
    }

    #[pyo3(signature = (*, enc_hook=None))]
    fn snapshot<'py>(
        &self,
        py: Python<'py>,
        enc_hook: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let now_ms = CLOCK.now_ms();
        let rows = PyList::empty(py);
        for Exported { key, value, life, .. } in self.export(py) {
            // Whether a value read from PostgreSQL is still right, only this process hears.
            if life.snapshot.is_none() {
                let rest_ms =
                    (life.fresh_until != NEVER).then(|| life.fresh_until.saturating_sub(now_ms));
                rows.append((key, value, rest_ms, life.tags.to_vec()))?;
            }
        }
        let options = PyDict::new(py);
        options.set_item("enc_hook", enc_hook)?;
        let content = (FORMAT, VERSION, wall_ms(), rows);
        let encoded = msgpack(py)?.call_method("encode", (content,), Some(&options))?;
        Ok(encoded.cast_into()?)
    }

    #[pyo3(
        signature = (data, /, *, key=None, value=None, dec_hook=None),
        text_signature = "($self, data, /, *, key=typing.Any, value=typing.Any, dec_hook=None)"
    )]
    fn restore<'py>(
        slf: &Bound<'py, Self>,
        data: &Bound<'py, PyAny>,
        key: Option<Bound<'py, PyAny>>,
        value: Option<Bound<'py, PyAny>>,
        dec_hook: Option<Bound<'py, PyAny>>,
    ) -> PyResult<usize> {
        let (taken_ms, rows) = decode(data, key, value, dec_hook)?;
        let (this, now_ms) = (slf.get(), CLOCK.now_ms());
        // A clock that was set back meanwhile makes nothing younger than it was.
        let passed_ms = wall_ms().saturating_sub(taken_ms);
        let mut restored = 0;
        for (key, value, rest_ms, tags) in rows {
            let fresh_until = match rest_ms.map(|rest_ms| rest_ms.saturating_sub(passed_ms)) {
                None => NEVER,
                Some(0) => continue,
                Some(rest_ms) => now_ms.saturating_add(rest_ms).min(NEVER),
            };
            // What came since is newer.
            if !matches!(this.peek(&key, hash(&key)?)?, Answer::Nothing) {
                continue;
            }
            let life = this.settings.lives.with_windows(fresh_until);
            let weight = weigh(slf, &key, &value)?;
            let life = Life { tags: tags.into(), ..life };
            restored += usize::from(store_again(this, &key, &value, life, weight)?);
        }
        Ok(restored)
    }
}

impl Cache {
    /// The live entries, in about the order in which they would have to go.
    pub(super) fn export(&self, py: Python<'_>) -> Vec<Exported> {
        self.state.all().iter().flat_map(|part| part.with(py, |state| state.export(py))).collect()
    }
}

fn msgpack(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import("msgspec.msgpack")
}

/// When a snapshot was taken, in milliseconds of Unix time, and its rows.
///
/// # Errors
///
/// `ValueError` if it is none of such keys and values; what a hook raised that is no `Exception`.
fn decode<'py>(
    data: &Bound<'py, PyAny>,
    key: Option<Bound<'py, PyAny>>,
    value: Option<Bound<'py, PyAny>>,
    dec_hook: Option<Bound<'py, PyAny>>,
) -> PyResult<(u64, Vec<Row<'py>>)> {
    let py = data.py();
    let options = PyDict::new(py);
    options.set_item("type", snapshot_type(py, key, value)?)?;
    options.set_item("dec_hook", dec_hook)?;
    let decoded = msgpack(py)?.call_method("decode", (data,), Some(&options));
    decoded.and_then(|content| rows_of(&content)).map_err(|error| {
        if !error.is_instance_of::<PyException>(py) {
            return error;
        }
        let refused = PyValueError::new_err(format!(
            "not a snapshot of a cache of these keys and values: {}",
            error.value(py)
        ));
        refused.set_cause(py, Some(error));
        refused
    })
}

/// Reads all rows before any is stored: numbers that are none of ours, and keys that cannot be
/// hashed, as lists that were tuples, are found here.
fn rows_of<'py>(content: &Bound<'py, PyAny>) -> PyResult<(u64, Vec<Row<'py>>)> {
    let (_, _, taken_ms, rows): (Bound<'py, PyAny>, u64, u64, Vec<Row<'py>>) = content.extract()?;
    for (key, ..) in &rows {
        hash(key)?;
    }
    Ok((taken_ms, rows))
}

/// The type that msgspec checks a snapshot against.
fn snapshot_type<'py>(
    py: Python<'py>,
    key: Option<Bound<'py, PyAny>>,
    value: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let typing = py.import("typing")?;
    let any = typing.getattr("Any")?;
    let literal = typing.getattr("Literal")?;
    let (tuple, list, int) =
        (py.get_type::<PyTuple>(), py.get_type::<PyList>(), py.get_type::<PyInt>());
    let limited = typing.getattr("Optional")?.get_item(&int)?;
    let row = tuple.get_item((
        key.unwrap_or_else(|| any.clone()),
        value.unwrap_or(any),
        limited,
        list.get_item(&int)?,
    ))?;
    let content =
        (literal.get_item(FORMAT)?, literal.get_item(VERSION)?, &int, list.get_item(row)?);
    tuple.get_item(content)
}

/// Unix time, by which another process tells how old a snapshot is.
fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
