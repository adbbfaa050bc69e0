//! The methods of `Cache` by which data is loaded into it, and by which it is told of changes.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::cache::Cache;
use super::flight::{self, OnError, Wish};
use super::lives::{moment_ms, span_ms, ttl_of};
use super::lookup::{hash, with_slot};
use super::many;
use super::options::{tag_of, tags_of};
use super::reader;
use super::state::{CLOCK, Gone, Stored, When};
use super::store::{Terms, store_absence, store_if};
use crate::core::cache::{Cause, Entry};
use crate::core::clock::{NEVER, Ttl};
use crate::core::snapshot::Snapshot;

#[pymethods]
impl Cache {
    #[pyo3(signature = (key, /))]
    fn begin(&self, key: &Bound<'_, PyAny>) -> PyResult<u64> {
        let hash = hash(key)?;
        Ok(self.shard(hash).with(key.py(), |state| state.cache.begin()))
    }

    /// As `begin`, of each key in turn.
    #[pyo3(signature = (keys, /))]
    fn begin_many(&self, keys: &Bound<'_, PyAny>) -> PyResult<Vec<u64>> {
        keys.try_iter()?.map(|key| self.begin(&key?)).collect()
    }

    #[pyo3(signature = (key, token, /))]
    fn is_current(&self, key: &Bound<'_, PyAny>, token: u64) -> PyResult<bool> {
        let hash = hash(key)?;
        Ok(self.shard(hash).with(key.py(), |state| {
            token >= state.cache.current(hash, &[]) && state.cache.is_within_horizon(&CLOCK)
        }))
    }

    #[pyo3(signature = (
        key, value, token, /, *, ttl_s=None, tags=None, snapshot=None, standby=false, early_s=0.0,
    ), text_signature = "($self, key, value, token, /, *, ttl_s=None, tags=(), snapshot=None, standby=False, early_s=0.0)")]
    #[expect(clippy::too_many_arguments, reason = "Python calls it with names")]
    fn fill(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        token: u64,
        ttl_s: Option<f64>,
        tags: Option<&Bound<'_, PyAny>>,
        snapshot: Option<&[u8]>,
        standby: bool,
        early_s: f64,
    ) -> PyResult<bool> {
        let terms = Terms {
            ttl: own_ttl(ttl_s)?,
            tags: tags_of(tags)?,
            snapshot: snapshot.map(|bytes| read_snapshot(bytes, standby)).transpose()?,
            early_ms: span_ms(early_s, "early_s")?,
        };
        let when = When::Current(token);
        Ok(store_if(slf, key, value, (hash(key)?, when), &terms)? == Stored::Yes)
    }

    /// As `fill`, of many: lists of one length say what of each.
    #[pyo3(signature = (keys, values, tokens, ttls_s, /))]
    fn fill_many(
        slf: &Bound<'_, Self>,
        keys: &Bound<'_, PyList>,
        values: &Bound<'_, PyList>,
        tokens: Vec<u64>,
        ttls_s: Vec<f64>,
    ) -> PyResult<usize> {
        if [values.len(), tokens.len(), ttls_s.len()] != [keys.len(); 3] {
            return Err(PyValueError::new_err("keys, values, tokens and ttls_s are of one length"));
        }
        let mut stored = 0;
        for (((key, value), token), ttl_s) in keys.iter().zip(values).zip(tokens).zip(ttls_s) {
            let terms = Terms { ttl: own_ttl(Some(ttl_s))?, ..Terms::default() };
            let at = (hash(&key)?, When::Current(token));
            stored += usize::from(store_if(slf, &key, &value, at, &terms)? == Stored::Yes);
        }
        Ok(stored)
    }

    #[pyo3(
        signature = (key, loader, *, ttl_s=None, tags=None, on_error=OnError::Share),
        text_signature = "($self, /, key, loader, *, ttl_s=None, tags=(), on_error='share')"
    )]
    fn get_or_load<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        loader: &Bound<'py, PyAny>,
        ttl_s: Option<f64>,
        tags: Option<&Bound<'py, PyAny>>,
        on_error: OnError,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wish = Wish { on_error, ttl: own_ttl(ttl_s)?, tags: tags_of(tags)?, is_reload: false };
        flight::get_or_load(slf, key, loader, wish)
    }

    #[pyo3(
        signature = (keys, loader, *, ttl_s=None, tags=None, on_error=OnError::Share),
        text_signature = "($self, /, keys, loader, *, ttl_s=None, tags=(), on_error='share')"
    )]
    fn get_or_load_many<'py>(
        slf: &Bound<'py, Self>,
        keys: &Bound<'py, PyAny>,
        loader: &Bound<'py, PyAny>,
        ttl_s: Option<f64>,
        tags: Option<&Bound<'py, PyAny>>,
        on_error: OnError,
    ) -> PyResult<Bound<'py, PyDict>> {
        let wish = Wish { on_error, ttl: own_ttl(ttl_s)?, tags: tags_of(tags)?, is_reload: false };
        many::get_or_load_many(slf, keys, loader, &wish)
    }

    #[pyo3(signature = (key, /, *, ttl_s=None))]
    fn set_absent(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        ttl_s: Option<f64>,
    ) -> PyResult<()> {
        let Some(life) = slf.get().settings.lives.of_absence(own_ttl(ttl_s)?, &[]) else {
            return Err(PyValueError::new_err(
                "give ttl_s, or make the cache with negative_ttl_s: absence is not kept for ever",
            ));
        };
        store_absence(slf, key, (hash(key)?, When::Always), life)?;
        Ok(())
    }

    #[pyo3(signature = (key, /))]
    pub(super) fn invalidate(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        let hash = hash(key)?;
        let (live, gone) = with_slot(self.shard(hash), key, hash, |state, at| {
            state.cache.refuse_loads(hash);
            let Some(slot) = at else { return (false, None) };
            if let Some(dead) = state.cache.remove_dead(slot, &CLOCK) {
                return (false, Some(Gone::from(dead)));
            }
            let live = state.cache.is_live(slot, &CLOCK);
            (live, state.cache.invalidate(slot).map(invalidated))
        })?;
        self.dismiss(key.py(), None, gone)?;
        Ok(live)
    }

    #[pyo3(signature = (keys, /))]
    fn invalidate_many(&self, keys: &Bound<'_, PyAny>) -> PyResult<usize> {
        let mut removed = 0;
        for key in keys.try_iter()? {
            removed += usize::from(self.invalidate(&key?)?);
        }
        Ok(removed)
    }

    #[pyo3(signature = (tag, /))]
    fn invalidate_tag(&self, tag: &Bound<'_, PyAny>) -> PyResult<()> {
        let hash = tag_of(tag)?;
        for part in self.state.all() {
            part.with(tag.py(), |state| state.cache.invalidate_tag(hash));
        }
        Ok(())
    }

    pub(super) fn invalidate_all(&self, py: Python<'_>) -> PyResult<usize> {
        self.empty(py, Cause::Invalidated)
    }

    #[pyo3(signature = (key, xid, /))]
    fn announce(&self, key: &Bound<'_, PyAny>, xid: u64) -> PyResult<bool> {
        let hash = hash(key)?;
        let gone = with_slot(self.shard(hash), key, hash, |state, at| {
            state.cache.announce(hash, at, xid, &CLOCK)
        })?;
        let dropped = gone.is_some();
        self.dismiss(key.py(), None, gone.map(invalidated))?;
        Ok(dropped)
    }

    #[pyo3(signature = (xid, /))]
    fn announce_all(&self, py: Python<'_>, xid: u64) -> PyResult<usize> {
        let mut dropped = 0;
        let mut first = Ok(());
        for part in self.state.all() {
            let gone = part.with(py, |state| state.cache.announce_all(xid, &CLOCK));
            dropped += gone.len();
            first = first.and(self.dismiss(py, None, gone.into_iter().map(invalidated)));
        }
        first.map(|()| dropped)
    }

    #[pyo3(signature = (monotonic_s, /))]
    fn serve_until(&self, py: Python<'_>, monotonic_s: Option<f64>) -> PyResult<()> {
        let horizon = monotonic_s.map_or(Ok(NEVER), moment_ms)?;
        for part in self.state.all() {
            part.with(py, |state| state.cache.set_horizon(horizon));
        }
        Ok(())
    }

    #[pyo3(signature = (loader, with_options=None, /))]
    fn reader<'py>(
        slf: &Bound<'py, Self>,
        loader: &Bound<'py, PyAny>,
        with_options: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let with_options = with_options.map(|function| function.clone().unbind());
        reader::new(slf.py(), slf.clone().unbind(), loader.clone().unbind(), with_options)
    }
}

impl Cache {
    /// Takes everything out; how many entries there were.
    pub(super) fn empty(&self, py: Python<'_>, cause: Cause) -> PyResult<usize> {
        let mut entries = 0;
        let mut first = Ok(());
        for part in self.state.all() {
            let cleared = part.with(py, |state| {
                state.may_hold_cycles = false;
                match cause {
                    Cause::Invalidated => state.cache.invalidate_all(),
                    _ => state.cache.clear(),
                }
            });
            entries += cleared.len();
            let gone = cleared.into_entries().map(|entry| Gone::from((entry, cause)));
            first = first.and(self.dismiss(py, None, gone));
        }
        first.map(|()| entries)
    }
}

fn invalidated(entry: Entry<super::state::Object, super::state::Object>) -> Gone {
    Gone::from((entry, Cause::Invalidated))
}

/// The time to live that a call gives an entry.
pub fn own_ttl(ttl_s: Option<f64>) -> PyResult<Option<Ttl>> {
    ttl_s.map(|seconds| ttl_of(seconds, "ttl_s")).transpose()
}

fn read_snapshot(bytes: &[u8], standby: bool) -> PyResult<Box<Snapshot>> {
    Snapshot::read(bytes, standby).map(Box::new).map_err(|_| {
        PyValueError::new_err("snapshot must be the binary form of PostgreSQL's pg_snapshot")
    })
}
