//! Finds a key and acts on it in one locked section, with `__hash__` and `__eq__` run outside.

use std::collections::HashMap;

use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;

use super::compare::compare;
use super::layout::{known_hash, known_tuple_hash};
use super::lock::Lock;
use super::state::{Object, State};
use crate::core::cache::{Match, Slot, Undecided};
use crate::core::hash::spread;

/// Comparisons allowed beyond one for each entry. More means that `__eq__` or another thread
/// changes the cache as fast as it is searched.
const EXTRA_COMPARISONS: usize = 1_024;

/// An exception is set in the interpreter.
///
/// It is no larger than nothing, so that the results of lookups stay in registers.
#[derive(Debug)]
pub struct Raised;

impl Raised {
    #[cold]
    pub fn set(error: PyErr, py: Python<'_>) -> Self {
        error.restore(py);
        Self
    }
}

impl From<Raised> for PyErr {
    #[cold]
    fn from(Raised: Raised) -> Self {
        Python::attach(Self::fetch)
    }
}

/// A locked table of keys that [`with_slot`] can search.
pub trait Table {
    /// Where a key was found.
    type Place;

    fn locate(
        &self,
        hash: u64,
        compare: impl FnMut(&Object) -> Match,
    ) -> Result<Option<Self::Place>, Undecided>;

    /// Keys held.
    fn len(&self) -> usize;
}

impl Table for State {
    type Place = Slot;

    #[inline]
    fn locate(
        &self,
        hash: u64,
        compare: impl FnMut(&Object) -> Match,
    ) -> Result<Option<Slot>, Undecided> {
        self.cache.locate(hash, compare)
    }

    fn len(&self) -> usize {
        self.cache.len()
    }
}

/// The hash under which a key is stored. May run the key's `__hash__`.
#[inline]
pub fn hash(key: &Bound<'_, PyAny>) -> Result<u64, Raised> {
    python_hash(key).map(|hash| spread(hash as i64))
}

/// The hash as Python has it. May run the key's `__hash__`.
#[inline]
pub fn python_hash(key: &Bound<'_, PyAny>) -> Result<isize, Raised> {
    match known_hash(key) {
        Some(hash) => Ok(hash),
        None => other_hash(key),
    }
}

/// The hash of what is not an exact `str` or `int`, or was never hashed before. Apart, so that
/// those that are find all they need in registers.
#[inline(never)]
fn other_hash(key: &Bound<'_, PyAny>) -> Result<isize, Raised> {
    if let Some(hash) = known_tuple_hash(key) {
        return Ok(hash);
    }
    // SAFETY: the key is alive and its token proves that the thread is attached.
    let hash = unsafe { ffi::PyObject_Hash(key.as_ptr()) };
    if hash == -1 { Err(Raised) } else { Ok(hash) }
}

/// Runs `section` on the table with the key's place, if it has one.
#[inline(always)]
#[expect(clippy::inline_always, reason = "keeps results in registers; the cold part is apart")]
pub fn with_slot<T: Table, R>(
    lock: &Lock<T>,
    key: &Bound<'_, PyAny>,
    hash: u64,
    section: impl FnOnce(&mut T, Option<T::Place>) -> R,
) -> Result<R, Raised> {
    let py = key.py();
    let mut state = lock.hold(py);
    if let Ok(slot) = state.locate(hash, |stored| compare(stored.bind(py), key)) {
        return Ok(section(&mut state, slot));
    }
    drop(state);
    with_slot_asking(lock, key, hash, section)
}

/// What `__eq__` said of keys that the cache holds or held.
///
/// A verdict belongs to an object, not to a place in the cache: holding the object keeps its
/// identity from being used again, so a verdict stays true however the cache changes meanwhile.
#[derive(Default)]
struct Verdicts<'py> {
    equal: Option<Bound<'py, PyAny>>,
    /// By address, so that thousands of keys of one hash cost as many comparisons and no more.
    different: HashMap<*mut ffi::PyObject, Bound<'py, PyAny>>,
}

impl<'py> Verdicts<'py> {
    fn of(&self, stored: &Bound<'py, PyAny>) -> Match {
        if self.equal.as_ref().is_some_and(|equal| equal.is(stored)) {
            Match::Equal
        } else if self.different.contains_key(&stored.as_ptr()) {
            Match::Different
        } else {
            Match::Unknown
        }
    }

    /// Runs `__eq__` of the candidates up to the first that is equal.
    fn ask(&mut self, candidates: Vec<Bound<'py, PyAny>>, key: &Bound<'py, PyAny>) -> PyResult<()> {
        for candidate in candidates {
            if candidate.eq(key)? {
                self.equal = Some(candidate);
                break;
            }
            self.different.insert(candidate.as_ptr(), candidate);
        }
        Ok(())
    }
}

/// Alternates between searching under the lock and comparing outside it, until the search needs
/// no comparison that has not been made.
#[cold]
#[inline(never)]
fn with_slot_asking<T: Table, R>(
    lock: &Lock<T>,
    key: &Bound<'_, PyAny>,
    hash: u64,
    section: impl FnOnce(&mut T, Option<T::Place>) -> R,
) -> Result<R, Raised> {
    let py = key.py();
    let mut verdicts = Verdicts::default();
    let mut section = Some(section);
    loop {
        let mut candidates = Vec::new();
        let (outcome, entries) = lock.with(py, |state| {
            let located = state.locate(hash, |stored| {
                let stored = stored.bind(py);
                match compare(stored, key) {
                    Match::Unknown => {}
                    known => return known,
                }
                let verdict = verdicts.of(stored);
                if verdict == Match::Unknown {
                    candidates.push(stored.clone());
                }
                verdict
            });
            let outcome = match located {
                Ok(slot) => section.take().map(|section| section(state, slot)),
                Err(Undecided) => None,
            };
            (outcome, state.len())
        });
        if let Some(result) = outcome {
            return Ok(result);
        }
        if verdicts.different.len() > entries + EXTRA_COMPARISONS {
            let error = PyRuntimeError::new_err("the cache kept changing while keys were compared");
            return Err(Raised::set(error, py));
        }
        verdicts.ask(candidates, key).map_err(|error| Raised::set(error, py))?;
    }
}
