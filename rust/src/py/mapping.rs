//! The methods of `Cache` that make it a mapping like those of cachetools.

use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyMapping, PyTuple};

use super::cache::Cache;
use super::loader::call;
use super::loading::own_ttl;
use super::lookup::{hash, with_slot};
use super::options::tags_of;
use super::reading::{Answer, missing};
use super::state::{CLOCK, Gone, Object, Stored, When};
use super::store::{Terms, store, store_if, store_own};
use crate::core::cache::Cause;

#[pymethods]
impl Cache {
    #[pyo3(
        signature = (key, value, /, *, ttl_s=None, tags=None),
        text_signature = "($self, key, value, /, *, ttl_s=None, tags=())"
    )]
    fn set(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        ttl_s: Option<f64>,
        tags: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let terms = Terms { ttl: own_ttl(ttl_s)?, tags: tags_of(tags)?, ..Terms::default() };
        store(slf, key, value, &terms)
    }

    #[pyo3(
        signature = (items, /, *, ttl_s=None, tags=None),
        text_signature = "($self, items, /, *, ttl_s=None, tags=())"
    )]
    fn set_many(
        slf: &Bound<'_, Self>,
        items: &Bound<'_, PyAny>,
        ttl_s: Option<f64>,
        tags: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let terms = Terms { ttl: own_ttl(ttl_s)?, tags: tags_of(tags)?, ..Terms::default() };
        for_each_item(items, |key, value| store(slf, key, value, &terms))
    }

    #[pyo3(signature = (keys, /))]
    fn get_many<'py>(&self, keys: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(keys.py());
        for key in keys.try_iter()? {
            let key = key?;
            if let Some(value) = self.read(&key)? {
                found.set_item(key, value)?;
            }
        }
        Ok(found)
    }

    #[pyo3(
        signature = (key, /, *default),
        text_signature = "($self, key, default=<unrepresentable>, /)"
    )]
    fn pop<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if default.len() > 1 {
            let message = format!("pop takes 1 or 2 arguments, not {}", default.len() + 1);
            return Err(PyTypeError::new_err(message));
        }
        match self.take(key)? {
            Some(value) => Ok(value),
            None => default.get_item(0).map_err(|_| missing(key)),
        }
    }

    fn popitem(&self, py: Python<'_>) -> PyResult<(Object, Object)> {
        for part in self.state.all() {
            if let Some(entry) = part.with(py, |state| state.cache.pop(&CLOCK)) {
                return Ok((entry.key, entry.value));
            }
        }
        Err(PyKeyError::new_err("popitem(): the cache is empty"))
    }

    #[pyo3(signature = (key, default=None, /))]
    fn setdefault<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let default = default.unwrap_or_else(|| slf.py().None().into_bound(slf.py()));
        loop {
            if let Some(value) = slf.get().read(key)? {
                return Ok(value);
            }
            let when = (hash(key)?, When::Missing);
            match store_if(slf, key, &default, when, &Terms::default())? {
                Stored::Refused => {}
                Stored::Yes | Stored::TooLarge => return Ok(default),
            }
        }
    }

    #[pyo3(
        signature = (items=None, /, **named),
        text_signature = "($self, items=(), /, **named)"
    )]
    fn update(
        slf: &Bound<'_, Self>,
        items: Option<&Bound<'_, PyAny>>,
        named: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        if let Some(items) = items {
            for_each_item(items, |key, value| Ok(store_own(slf, key, value)?))?;
        }
        for (key, value) in named.into_iter().flatten() {
            store_own(slf, &key, &value)?;
        }
        Ok(())
    }

    #[pyo3(signature = (key, /, *, ttl_s=None))]
    fn touch(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>, ttl_s: Option<f64>) -> PyResult<bool> {
        let (this, ttl, hash) = (slf.get(), own_ttl(ttl_s)?, hash(key)?);
        let Answer::Value(value) = this.peek(key, hash)? else { return Ok(false) };
        let life = this.settings.lives.of(key, &value, ttl)?;
        Ok(with_slot(this.shard(hash), key, hash, |state, at| state.prolong(at, &life))?)
    }

    fn expire<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let (expired, mut first) = (PyList::empty(py), Ok(()));
        for part in self.state.all() {
            let dead = part.with(py, |state| state.cache.remove_all_dead(&CLOCK));
            for (entry, _) in dead.iter().filter(|(_, cause)| *cause == Cause::Expired) {
                let value = entry.value.bind(py);
                if !super::state::is_absent(value) {
                    expired.append((entry.key.bind(py), value))?;
                }
            }
            first = first.and(self.dismiss(py, None, dead.into_iter().map(Gone::from)));
        }
        first.map(|()| expired)
    }

    fn clear(&self, py: Python<'_>) -> PyResult<()> {
        self.empty(py, Cause::Cleared).map(drop)
    }

    fn keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        live(slf)?.call_method0(intern!(slf.py(), "keys"))
    }

    fn values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        live(slf)?.call_method0(intern!(slf.py(), "values"))
    }

    fn items<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        live(slf)?.call_method0(intern!(slf.py(), "items"))
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match slf.get().read(key)? {
            Some(value) => Ok(value),
            None => call(&slf.getattr(intern!(slf.py(), "__missing__"))?, key),
        }
    }

    #[expect(clippy::unused_self, reason = "derived classes replace it")]
    fn __missing__(&self, key: &Bound<'_, PyAny>) -> PyResult<Object> {
        Err(missing(key))
    }

    fn __setitem__(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        Ok(store_own(slf, key, value)?)
    }

    fn __delitem__(&self, key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.delete(key)
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.has(key)?)
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyIterator>> {
        let py = slf.py();
        let mut keys: Vec<Object> = Vec::new();
        for part in slf.get().state.all() {
            part.with(py, |state| {
                keys.extend(state.cache.keys(&CLOCK).map(|key| key.clone_ref(py)));
            });
        }
        PyList::new(py, keys)?.try_iter()
    }

    /// Equal to a mapping of the same live items, as every mapping is.
    fn __richcmp__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        op: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if !matches!(op, CompareOp::Eq | CompareOp::Ne) || other.cast::<PyMapping>().is_err() {
            return Ok(py.NotImplemented().into_bound(py));
        }
        let theirs = if let Ok(other) = other.cast::<Self>() {
            live(other)?
        } else {
            let theirs = PyDict::new(py);
            theirs.update(other.cast::<PyMapping>()?)?;
            theirs
        };
        live(slf)?.rich_compare(theirs, op)
    }
}

/// The live items at this moment, in about the order in which they would have to go.
fn live<'py>(cache: &Bound<'py, Cache>) -> PyResult<Bound<'py, PyDict>> {
    let (py, items) = (cache.py(), PyDict::new(cache.py()));
    for exported in cache.get().export(py) {
        items.set_item(exported.key, exported.value)?;
    }
    Ok(items)
}

/// Goes through the items of a mapping or of an iterable of pairs, as `dict.update` does.
fn for_each_item<'py>(
    items: &Bound<'py, PyAny>,
    mut each: impl FnMut(&Bound<'py, PyAny>, &Bound<'py, PyAny>) -> PyResult<()>,
) -> PyResult<()> {
    if items.hasattr(intern!(items.py(), "keys"))? {
        for key in items.call_method0(intern!(items.py(), "keys"))?.try_iter()? {
            let key = key?;
            each(&key, &items.get_item(&key)?)?;
        }
        return Ok(());
    }
    for item in items.try_iter()? {
        let pair: Vec<_> = item?.try_iter()?.collect::<PyResult<_>>()?;
        let [key, value] = &pair[..] else {
            let message = format!("an item must be a key and a value, not {} things", pair.len());
            return Err(PyValueError::new_err(message));
        };
        each(key, value)?;
    }
    Ok(())
}
