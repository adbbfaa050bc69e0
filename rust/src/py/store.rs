//! Stores values, with all that an entry can have.

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;

use super::cache::Cache;
use super::lives::Manner;
use super::loader;
use super::lookup::{Raised, hash, with_slot};
use super::native::counted;
use super::state::{CLOCK, Stored, Storing, When, absent};
use super::weigher::Weigher;
use crate::core::clock::{NEVER, Ttl};
use crate::core::guards::Life;
use crate::core::snapshot::Snapshot;

/// What a store says of its entry beyond key and value.
#[derive(Default)]
pub struct Terms {
    /// Seconds it lives, instead of the cache's own.
    pub ttl: Option<Ttl>,
    pub tags: Box<[u64]>,
    pub snapshot: Option<Box<Snapshot>>,
    /// Milliseconds before the end of its time from which on it is loaded anew.
    pub early_ms: u64,
}

impl Terms {
    fn is_plain(&self) -> bool {
        self.tags.is_empty() && self.snapshot.is_none() && self.early_ms == 0
    }
}

/// Stores a value as `cache[key] = value` does.
#[inline(always)]
#[expect(clippy::inline_always, reason = "is a hot path")]
pub fn store_own(
    cache: &Bound<'_, Cache>,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> Result<(), Raised> {
    let Manner::Plain(ttl) = cache.get().manner else { return store_own_living(cache, key, value) };
    let hash = hash(key)?;
    let deadline = ttl.map_or(NEVER, |ttl| ttl.deadline(&CLOCK));
    let displaced = with_slot(cache.get().shard(hash), key, hash, |state, at| {
        state.store(at, hash, key, value, deadline)
    })?;
    displaced.release(key.py());
    Ok(())
}

#[cold]
#[inline(never)]
fn store_own_living(
    cache: &Bound<'_, Cache>,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> Result<(), Raised> {
    counted(|| {
        store(cache, key, value, &Terms::default()).map_err(|error| Raised::set(error, key.py()))
    })
}

/// Stores a value, or raises `ValueError` if it is too large.
pub fn store(
    cache: &Bound<'_, Cache>,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    terms: &Terms,
) -> PyResult<()> {
    match store_if(cache, key, value, (hash(key)?, When::Always), terms)? {
        Stored::TooLarge => Err(PyValueError::new_err("value too large")),
        Stored::Yes | Stored::Refused => Ok(()),
    }
}

/// Stores a value if the condition holds.
pub fn store_if(
    cache: &Bound<'_, Cache>,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    (hash, when): (u64, When),
    terms: &Terms,
) -> PyResult<Stored> {
    let this = cache.get();
    let mut life = this.settings.lives.of(key, value, terms.ttl)?;
    if this.manner != Manner::Living && terms.is_plain() && when == When::Always {
        let displaced = with_slot(this.shard(hash), key, hash, |state, at| {
            state.store(at, hash, key, value, life.fresh_until)
        })?;
        displaced.release(key.py());
        return Ok(Stored::Yes);
    }
    life.fresh_until = life.fresh_until.saturating_sub(terms.early_ms);
    life.tags.clone_from(&terms.tags);
    life.snapshot.clone_from(&terms.snapshot);
    let weight = weigh(cache, key, value)?;
    store_living(this, Storing { key, value, hash, life, weight, when })
}

/// Notes that there is nothing under a key. That weighs one.
pub fn store_absence(
    cache: &Bound<'_, Cache>,
    key: &Bound<'_, PyAny>,
    (hash, when): (u64, When),
    life: Life,
) -> PyResult<Stored> {
    let value = &absent(key.py())?;
    store_living(cache.get(), Storing { key, value, hash, life, weight: 1, when })
}

fn store_living(cache: &Cache, storing: Storing<'_, '_>) -> PyResult<Stored> {
    let Storing { key, hash, .. } = storing;
    let (stored, gone) =
        with_slot(cache.shard(hash), key, hash, |state, at| state.store_living(at, storing))?;
    cache.dismiss(key.py(), Some(key), gone)?;
    Ok(stored)
}

/// Stores what another cache held, with the life it has left, unless its key has a live value;
/// whether it was stored.
pub fn store_again(
    cache: &Cache,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    life: Life,
    weight: u64,
) -> PyResult<bool> {
    let hash = hash(key)?;
    let storing = Storing { key, value, hash, life, weight, when: When::Missing };
    Ok(store_living(cache, storing)? == Stored::Yes)
}

/// What an entry weighs.
pub fn weigh(
    cache: &Bound<'_, Cache>,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<u64> {
    match &cache.get().settings.weigher {
        None => Ok(1),
        Some(weigher @ Weigher::Value(_)) => weigher.of_value(value),
        Some(Weigher::Entry(function)) => {
            Weigher::read(&loader::call_with(function.bind(key.py()), [key, value])?)
        }
        Some(Weigher::Method) => {
            let method = cache.getattr(intern!(key.py(), "getsizeof"))?;
            Weigher::read(&loader::call(&method, value)?)
        }
    }
}
