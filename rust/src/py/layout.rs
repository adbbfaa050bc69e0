//! What exact `str`, `int` and `tuple` objects look like inside, for the releases whose headers say so.
//!
//! Calling Python for the hash and the equality of a key takes longer than the rest of a lookup.
//! Everything here answers `None` where the layout is not known; Python is then asked.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyTuple};

#[cfg(not(Py_3_14))]
use crate::core::bytes;
#[cfg(all(target_pointer_width = "64", not(Py_3_14)))]
use crate::core::hash::TupleHash;

/// The hash of a `str` that has computed it before, or of an `int` of one digit.
#[inline]
pub fn known_hash(key: &Bound<'_, PyAny>) -> Option<isize> {
    if key.is_exact_instance_of::<PyString>() {
        str_hash(key)
    } else if key.is_exact_instance_of::<PyInt>() {
        Int::of(key).and_then(Int::hash)
    } else {
        None
    }
}

/// The hash of a `tuple` of such keys. From 3.14 on tuples remember their own.
#[cfg(all(target_pointer_width = "64", not(Py_3_14)))]
#[inline]
pub fn known_tuple_hash(key: &Bound<'_, PyAny>) -> Option<isize> {
    let tuple = key.cast_exact::<PyTuple>().ok()?;
    let mut hash = TupleHash::default();
    for item in tuple.iter_borrowed() {
        hash.add(known_hash(&item)? as i64);
    }
    isize::try_from(hash.finish(tuple.len())).ok()
}

#[cfg(not(all(target_pointer_width = "64", not(Py_3_14))))]
pub const fn known_tuple_hash(_key: &Bound<'_, PyAny>) -> Option<isize> {
    None
}

/// Whether two objects of type `tuple`, of items of those types, are equal.
#[inline]
pub fn known_equal_tuples(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> Option<bool> {
    let (one, other) = (one.cast_exact::<PyTuple>().ok()?, other.cast_exact::<PyTuple>().ok()?);
    if one.len() != other.len() {
        return Some(false);
    }
    for (one, other) in one.iter_borrowed().zip(other.iter_borrowed()) {
        if !one.is(other) && !known_equal(&one, &other)? {
            return Some(false);
        }
    }
    Some(true)
}

/// Whether two objects of type `str`, or two of type `int`, are equal.
#[inline(always)]
#[expect(clippy::inline_always, reason = "keeps the search of the index in registers")]
pub fn known_equal(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> Option<bool> {
    if one.is_exact_instance_of::<PyString>() && other.is_exact_instance_of::<PyString>() {
        equal_strs(one, other)
    } else if one.is_exact_instance_of::<PyInt>() && other.is_exact_instance_of::<PyInt>() {
        Some(Int::of(one)?.equals(Int::of(other)?))
    } else {
        None
    }
}

#[cfg(not(Py_GIL_DISABLED))]
#[inline]
fn str_hash(text: &Bound<'_, PyAny>) -> Option<isize> {
    // SAFETY: every `str` begins so. It writes its hash holding the GIL, as does this thread.
    let hash = unsafe { (*text.as_ptr().cast::<ffi::PyASCIIObject>()).hash };
    (hash != -1).then_some(hash)
}

/// Another thread may be writing the hash.
#[cfg(Py_GIL_DISABLED)]
fn str_hash(_text: &Bound<'_, PyAny>) -> Option<isize> {
    None
}

#[cfg(not(Py_3_14))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "as for other releases")]
fn equal_strs(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> Option<bool> {
    // SAFETY: both are exact `str`; they have been hashed, so they are ready, and their data never
    // changes while they are alive. Length and kind say how many bytes there are.
    unsafe {
        let (one, other) = (one.as_ptr(), other.as_ptr());
        let (length, kind) = (ffi::PyUnicode_GET_LENGTH(one), ffi::PyUnicode_KIND(one));
        if ffi::PyUnicode_GET_LENGTH(other) != length || ffi::PyUnicode_KIND(other) != kind {
            return Some(false);
        }
        let size = length.cast_unsigned() * kind as usize;
        let view = |text| std::slice::from_raw_parts(ffi::PyUnicode_DATA(text).cast(), size);
        Some(bytes::equal(view(one), view(other)))
    }
}

/// Its accessors are function calls, no faster than asking for the whole comparison.
#[cfg(Py_3_14)]
fn equal_strs(_one: &Bound<'_, PyAny>, _other: &Bound<'_, PyAny>) -> Option<bool> {
    None
}

/// An `int`: its sign with the number of its digits, and the digits, least first.
#[repr(C)]
struct Int {
    head: ffi::PyObject,
    tag: isize,
    digit: u32,
}

impl Int {
    /// The releases whose headers have been read.
    #[cfg(not(Py_3_15))]
    #[inline]
    #[expect(clippy::unnecessary_wraps, reason = "as for other releases")]
    fn of<'a>(int: &'a Bound<'_, PyAny>) -> Option<&'a Self> {
        // SAFETY: an exact `int` of these releases begins so, even one without digits, and never
        // changes while it is alive.
        Some(unsafe { &*int.as_ptr().cast::<Self>() })
    }

    #[cfg(Py_3_15)]
    const fn of<'a>(_int: &'a Bound<'_, PyAny>) -> Option<&'a Self> {
        None
    }

    /// From -1 to 1.
    #[inline]
    const fn sign(&self) -> isize {
        if cfg!(Py_3_12) { 1 - (self.tag & 3) } else { self.tag.signum() }
    }

    #[inline]
    const fn count(&self) -> usize {
        if cfg!(Py_3_12) { (self.tag >> 3).unsigned_abs() } else { self.tag.unsigned_abs() }
    }

    /// An integer below 2^30 is its own hash, save that -1 stands for an error.
    #[inline]
    const fn hash(&self) -> Option<isize> {
        if self.count() > 1 {
            return None;
        }
        match self.sign() * self.digit.cast_signed() as isize {
            -1 => Some(-2),
            hash => Some(hash),
        }
    }

    #[inline]
    fn equals(&self, other: &Self) -> bool {
        self.sign() == other.sign()
            && self.count() == other.count()
            && (self.count() == 0 || self.digit == other.digit)
            && (self.count() < 2 || self.digits() == other.digits())
    }

    fn digits(&self) -> &[u32] {
        // SAFETY: this many digits follow the tag.
        unsafe { std::slice::from_raw_parts(&raw const self.digit, self.count()) }
    }
}
