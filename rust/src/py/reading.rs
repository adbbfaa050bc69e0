//! Reads the cache, for the methods that do.

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

use super::cache::Cache;
use super::listener::dismiss;
use super::lookup::{Raised, hash, with_slot};
use super::state::{CLOCK, Displaced, Gone};
use crate::core::cache::{Consulted, Held, Match, Read, Undecided};

/// What reading a key gave, without what has to be released.
pub enum Found<'py> {
    Value(Bound<'py, PyAny>),
    Absent,
    Nothing,
    Expired,
}

/// What a load finds.
pub enum Answer<'py> {
    Value(Bound<'py, PyAny>),
    /// It is known that there is nothing under the key.
    Absent,
    /// A stale value that will do; `reload` if this caller is to load another.
    Stale {
        value: Bound<'py, PyAny>,
        reload: bool,
    },
    Nothing,
    Expired,
}

impl Cache {
    /// The live value of a key; counts a hit or a miss.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its callers are the hot paths")]
    pub fn read<'py>(&self, key: &Bound<'py, PyAny>) -> Result<Option<Bound<'py, PyAny>>, Raised> {
        let py = key.py();
        let hash = hash(key)?;
        let found = with_slot(self.shard(hash), key, hash, |state, at| {
            match state.cache.get(at, &CLOCK) {
                Read::Hit(value) => Found::Value(value.bind(py).clone()),
                Read::Absent => Found::Absent,
                Read::Miss => Found::Nothing,
                Read::Expired(_) => Found::Expired,
            }
        })?;
        match found {
            Found::Value(value) => Ok(Some(value)),
            Found::Absent | Found::Nothing => Ok(None),
            Found::Expired => self.remove_expired(key, hash).map(|()| None),
        }
    }

    /// What is kept under a key that needs no `__eq__` to be found; counts as `read` does.
    #[inline]
    pub fn read_decided<'py>(
        &self,
        py: Python<'py>,
        hash: u64,
        mut compare: impl FnMut(&Bound<'py, PyAny>) -> Match,
    ) -> Result<Found<'py>, Undecided> {
        let mut state = self.shard(hash).hold(py);
        let at = state.cache.locate(hash, |stored| compare(stored.bind(py)))?;
        Ok(match state.cache.get(at, &CLOCK) {
            Read::Hit(value) => Found::Value(value.bind(py).clone()),
            Read::Absent => Found::Absent,
            Read::Miss => Found::Nothing,
            Read::Expired(_) => Found::Expired,
        })
    }

    /// What a load finds; counts a hit or a miss.
    pub fn consult<'py>(&self, key: &Bound<'py, PyAny>, hash: u64) -> PyResult<Answer<'py>> {
        let py = key.py();
        let bound = |value: &super::state::Object| value.bind(py).clone();
        let answer = with_slot(self.shard(hash), key, hash, |state, at| {
            match state.cache.consult(at, &CLOCK) {
                Consulted::Fresh(value) => Answer::Value(bound(value)),
                Consulted::Stale { value, reload } => Answer::Stale { value: bound(value), reload },
                Consulted::Absent => Answer::Absent,
                Consulted::Missing => Answer::Nothing,
                Consulted::Dead(_) => Answer::Expired,
            }
        })?;
        if matches!(answer, Answer::Expired) {
            self.remove_expired(key, hash)?;
            return Ok(Answer::Nothing);
        }
        Ok(answer)
    }

    /// After a miss: the stale value that will do all the same, and whether the caller is to load
    /// another.
    pub fn reconsider<'py>(
        &self,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, bool)>> {
        if !self.settings.lives.has_windows() {
            return Ok(None);
        }
        let hash = hash(key)?;
        Ok(with_slot(self.shard(hash), key, hash, |state, at| {
            let (value, reload) = state.cache.reconsider(at?, &CLOCK)?;
            Some((value.bind(key.py()).clone(), reload))
        })?)
    }

    /// What is fresh under a key, a value or nothing; counts nothing.
    pub fn peek<'py>(&self, key: &Bound<'py, PyAny>, hash: u64) -> Result<Answer<'py>, Raised> {
        with_slot(self.shard(hash), key, hash, |state, at| {
            match at.and_then(|slot| state.cache.peek(slot, &CLOCK)) {
                Some(Held::Value(value)) => Answer::Value(value.bind(key.py()).clone()),
                Some(Held::Absent) => Answer::Absent,
                None => Answer::Nothing,
            }
        })
    }

    /// The stale value that may stand in for a load that failed.
    pub fn rescue<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        hash: u64,
        answers: bool,
    ) -> Result<Option<Bound<'py, PyAny>>, Raised> {
        with_slot(self.shard(hash), key, hash, |state, at| {
            Some(state.cache.rescue(at?, answers, &CLOCK)?.bind(key.py()).clone())
        })
    }

    /// Whether a key has a live value.
    pub fn has(&self, key: &Bound<'_, PyAny>) -> Result<bool, Raised> {
        let hash = hash(key)?;
        with_slot(self.shard(hash), key, hash, |state, at| {
            at.is_some_and(|slot| state.cache.is_live(slot, &CLOCK))
        })
    }

    /// Takes an entry out that has been found dead. Apart, so that a hit need not make room for
    /// what would have to be released.
    #[cold]
    #[inline(never)]
    pub(super) fn remove_expired(&self, key: &Bound<'_, PyAny>, hash: u64) -> Result<(), Raised> {
        let py = key.py();
        let dead = with_slot(self.shard(hash), key, hash, |state, at| {
            at.and_then(|slot| state.cache.remove_dead(slot, &CLOCK))
        })?;
        self.dismiss(py, None, dead.map(Gone::from)).map_err(|error| Raised::set(error, py))
    }

    /// Takes a live entry out and returns its value. A dead one is only taken out.
    pub fn take<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = key.py();
        let hash = hash(key)?;
        let (value, rest, dead) = with_slot(self.shard(hash), key, hash, |state, at| {
            let Some(slot) = at else { return (None, Displaced::default(), None) };
            if state.cache.is_live(slot, &CLOCK) {
                let (value, rest) = state.take(slot);
                (value, rest, None)
            } else {
                let dead = state.cache.remove_dead(slot, &CLOCK);
                (None, Displaced::default(), dead)
            }
        })?;
        rest.release(py);
        self.dismiss(py, None, dead.map(Gone::from))?;
        Ok(value.map(|value| value.into_bound(py)))
    }

    /// Invalidates a key; raises `KeyError` if it has no live value.
    pub fn delete(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        if self.invalidate(key)? { Ok(()) } else { Err(missing(key)) }
    }

    /// Releases what left, and tells the listener of it.
    #[inline]
    pub fn dismiss(
        &self,
        py: Python<'_>,
        key: Option<&Bound<'_, PyAny>>,
        gone: impl IntoIterator<Item = Gone>,
    ) -> PyResult<()> {
        dismiss(py, self.settings.listener.as_ref(), key, gone)
    }
}

pub fn missing(key: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err((key.clone().unbind(),))
}
