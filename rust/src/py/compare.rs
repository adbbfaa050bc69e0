//! Compares keys where no Python code may run.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyString, PyTuple};

use super::layout::{known_equal, known_equal_tuples};
use crate::core::cache::Match;

/// Deeper tuples are left to Python, which guards its own recursion.
const TUPLE_DEPTH: u32 = 4;

/// Builtin types whose comparison with each other runs no Python code. Exact types only: a subclass
/// may define `__eq__`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Str,
    Bytes,
    /// `int`, `bool` and `float`, which equal each other across types.
    Number,
    None,
    Tuple,
    Other,
}

fn kind(object: &Bound<'_, PyAny>) -> Kind {
    if object.is_exact_instance_of::<PyString>() {
        Kind::Str
    } else if object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyBool>()
    {
        Kind::Number
    } else if object.is_exact_instance_of::<PyTuple>() {
        Kind::Tuple
    } else if object.is_exact_instance_of::<PyBytes>() {
        Kind::Bytes
    } else if object.is_none() {
        Kind::None
    } else {
        Kind::Other
    }
}

/// Whether two keys of one hash are equal, as far as it can be told without Python code.
#[inline(always)]
#[expect(clippy::inline_always, reason = "keeps the search of the index in registers")]
pub fn compare(stored: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> Match {
    if stored.is(key) {
        return Match::Equal;
    }
    match known_equal(stored, key) {
        Some(true) => Match::Equal,
        Some(false) => Match::Different,
        None => compare_others(stored, key),
    }
}

/// The same of keys that are not both `str` or both `int`. Apart, for the sake of those that are.
#[inline(never)]
fn compare_others(stored: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>) -> Match {
    match known_equal_tuples(stored, key) {
        Some(true) => Match::Equal,
        Some(false) => Match::Different,
        None => compare_values(stored, key, TUPLE_DEPTH),
    }
}

#[cold]
#[inline(never)]
fn compare_values(stored: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>, depth: u32) -> Match {
    match (kind(stored), kind(key)) {
        (Kind::Other, _) | (_, Kind::Other) => Match::Unknown,
        // The slot of `float` knows `int`, not the other way round.
        (Kind::Number, Kind::Number) if key.is_exact_instance_of::<PyFloat>() => {
            compare_slots(key, stored)
        }
        (Kind::Str, Kind::Str) | (Kind::Bytes, Kind::Bytes) | (Kind::Number, Kind::Number) => {
            compare_slots(stored, key)
        }
        (Kind::Tuple, Kind::Tuple) => compare_tuples(stored, key, depth),
        (Kind::None, Kind::None) => Match::Equal,
        _ => Match::Different,
    }
}

/// Item by item, as tuples do: identity, then equality.
fn compare_tuples(stored: &Bound<'_, PyAny>, key: &Bound<'_, PyAny>, depth: u32) -> Match {
    let (Ok(stored), Ok(key)) = (stored.cast::<PyTuple>(), key.cast::<PyTuple>()) else {
        return Match::Unknown;
    };
    if stored.len() != key.len() {
        return Match::Different;
    }
    if depth == 0 {
        return Match::Unknown;
    }
    for (stored, key) in stored.iter_borrowed().zip(key.iter_borrowed()) {
        if !stored.is(key) {
            match compare_values(&stored, &key, depth - 1) {
                Match::Equal => {}
                decided => return decided,
            }
        }
    }
    Match::Equal
}

/// The type's own comparison, without the recursion check that could raise an error on the way.
fn compare_slots(left: &Bound<'_, PyAny>, right: &Bound<'_, PyAny>) -> Match {
    // SAFETY: both objects are alive and exact builtins of kinds that `tp_richcompare` of the left
    // one's type compares without running Python code. A result is a new reference to a constant,
    // which is immortal in effect: releasing it frees nothing. No result is an error, which can
    // only be a lack of memory.
    unsafe {
        let Some(richcompare) = (*ffi::Py_TYPE(left.as_ptr())).tp_richcompare else {
            return Match::Unknown;
        };
        let result = richcompare(left.as_ptr(), right.as_ptr(), ffi::Py_EQ);
        if result.is_null() {
            ffi::PyErr_Clear();
            return Match::Unknown;
        }
        ffi::Py_DECREF(result);
        if result == ffi::Py_True() {
            Match::Equal
        } else if result == ffi::Py_False() {
            Match::Different
        } else {
            Match::Unknown
        }
    }
}
