//! What a Python cache locks.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use super::objects::release;
use crate::core::cache::{self as core, Bound as Limit, Cache, Entry, Left, Load, Options, Slot};
use crate::core::clock::MonotonicClock;
use crate::core::guards::Life;

pub const CLOCK: MonotonicClock = MonotonicClock;

/// A cached Python object with its key.
pub type Object = Py<PyAny>;

/// What leaves a cache when something is stored, to be dropped after unlocking: an old value, with
/// its key if that leaves too. Two words, so that it travels in registers.
#[derive(Debug, Default)]
#[must_use = "its objects are released by `release`, outside the lock"]
pub struct Displaced {
    value: Option<Object>,
    key: Option<Object>,
}

impl Displaced {
    /// Releases the objects at once.
    #[inline]
    pub fn release(self, py: Python<'_>) {
        if let Some(value) = self.value {
            release(value, py);
        }
        if let Some(key) = self.key {
            release(key, py);
        }
    }
}

impl From<Entry<Object, Object>> for Displaced {
    #[inline]
    fn from(entry: Entry<Object, Object>) -> Self {
        Self { value: Some(entry.value), key: Some(entry.key) }
    }
}

/// One thing that left a cache, or is to be told to have left.
pub type Gone = Left<Object, Object>;

static ABSENT: PyOnceLock<Object> = PyOnceLock::new();

/// What is kept as the value of an entry that says that there is nothing. Nobody sees it.
pub fn absent(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let absent =
        ABSENT.get_or_try_init(py, || py.get_type::<PyAny>().call0().map(Bound::unbind))?;
    Ok(absent.bind(py).clone())
}

/// Whether it is that.
pub fn is_absent(value: &Bound<'_, PyAny>) -> bool {
    ABSENT.get(value.py()).is_some_and(|absent| value.is(absent))
}

#[derive(Debug)]
pub struct State {
    pub cache: Cache<Object, Object>,
    /// Whether any key or value has been of a type that the garbage collector follows. Until then
    /// a collection need not walk the entries.
    pub may_hold_cycles: bool,
}

/// Something to be stored, with all that an entry can have.
pub struct Storing<'a, 'py> {
    pub key: &'a Bound<'py, PyAny>,
    pub value: &'a Bound<'py, PyAny>,
    pub hash: u64,
    pub life: Life,
    pub weight: u64,
    pub when: When,
}

/// On what condition something is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    Always,
    /// Its key has no live value.
    Missing,
    /// The load that began with this token is still current.
    Current(u64),
}

/// What became of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    Yes,
    /// The condition does not hold.
    Refused,
    /// It weighs more than the cache can hold.
    TooLarge,
}

impl State {
    pub fn new(limit: Limit, options: Options) -> Self {
        Self { cache: Cache::new(limit, options), may_hold_cycles: false }
    }

    /// Takes a live entry out; its value is wanted.
    pub fn take(&mut self, slot: Slot) -> (Option<Object>, Displaced) {
        let Displaced { value, key } =
            self.cache.remove(slot).map(Displaced::from).unwrap_or_default();
        (value, Displaced { value: None, key })
    }

    /// Stores a value that weighs one and has a deadline at most under a located key.
    #[inline]
    pub fn store(
        &mut self,
        at: Option<Slot>,
        hash: u64,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        deadline: u64,
    ) -> Displaced {
        self.may_hold_cycles |= is_collectable(value);
        let value = value.clone().unbind();
        if let Some(slot) = at {
            return Displaced { value: self.cache.replace(slot, value, deadline), key: None };
        }
        self.may_hold_cycles |= is_collectable(key);
        let key = key.clone().unbind();
        let evicted = self.cache.insert(hash, key, value, deadline, &CLOCK);
        evicted.map(Displaced::from).unwrap_or_default()
    }

    /// Stores a value under a located key. One that is too heavy is not stored, and the old one
    /// goes all the same.
    pub fn store_living(
        &mut self,
        at: Option<Slot>,
        storing: Storing<'_, '_>,
    ) -> (Stored, Vec<Gone>) {
        let Storing { key, value, hash, life, weight, when } = storing;
        let may = match when {
            When::Always => true,
            When::Missing => !at.is_some_and(|slot| self.cache.is_live(slot, &CLOCK)),
            When::Current(token) => {
                let snapshot = life.snapshot.as_deref();
                self.cache.admits(Load { hash, token, tags: &life.tags, snapshot }, &CLOCK)
            }
        };
        if !may {
            return (Stored::Refused, Vec::new());
        }
        if !self.cache.can_hold(weight) {
            let old = at.and_then(|slot| self.cache.displace(slot, &CLOCK));
            return (Stored::TooLarge, old.into_iter().collect());
        }
        self.may_hold_cycles |= is_collectable(key) || is_collectable(value);
        let value = value.clone().unbind();
        let gone = if let Some(slot) = at {
            self.cache.replace_living(slot, value, life, weight, &CLOCK)
        } else {
            let key = (hash, key.clone().unbind());
            self.cache.insert_living(key, value, life, weight, &CLOCK)
        };
        (Stored::Yes, gone)
    }

    /// Makes a live entry live anew. Whether there is one.
    pub fn prolong(&mut self, at: Option<Slot>, life: &Life) -> bool {
        let at = at.filter(|&slot| self.cache.is_live(slot, &CLOCK));
        if let Some(slot) = at {
            self.cache.prolong(slot, life, &CLOCK);
        }
        at.is_some()
    }

    /// The live entries, for another cache to store.
    pub fn export(&self, py: Python<'_>) -> Vec<Exported> {
        let export = |exported: core::Exported<'_, Object, Object>| Exported {
            key: exported.entry.key.clone_ref(py),
            value: exported.entry.value.clone_ref(py),
            life: exported.life,
            weight: exported.weight,
        };
        self.cache.export(&CLOCK).map(export).collect()
    }
}

/// An entry, with the life it has left.
pub struct Exported {
    pub key: Object,
    pub value: Object,
    pub life: Life,
    pub weight: u64,
}

/// Whether objects of this one's type can be part of a reference cycle.
#[inline]
fn is_collectable(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the object is alive, hence its type, whose flags never change once it is in use.
    unsafe { ffi::PyType_HasFeature(ffi::Py_TYPE(object.as_ptr()), ffi::Py_TPFLAGS_HAVE_GC) != 0 }
}
