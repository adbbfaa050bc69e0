//! What a Python cache locks.

use pyo3::ffi;
use pyo3::prelude::*;

use crate::core::cache::{Bound as Limit, Cache, Entry, Slot};
use crate::core::policy::Policy;

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
    ///
    /// Dropping them would not where PyO3 has not counted the thread as attached, as in functions
    /// that Python calls directly: it then keeps them for later.
    #[inline]
    pub fn release(self, py: Python<'_>) {
        if let Some(value) = self.value {
            value.drop_ref(py);
        }
        if let Some(key) = self.key {
            key.drop_ref(py);
        }
    }
}

impl From<Entry<Object, Object>> for Displaced {
    #[inline]
    fn from(entry: Entry<Object, Object>) -> Self {
        Self { value: Some(entry.value), key: Some(entry.key) }
    }
}

#[derive(Debug)]
pub struct State {
    pub cache: Cache<Object, Object>,
    /// Whether any key or value has been of a type that the garbage collector follows. Until then
    /// a collection need not walk the entries.
    pub may_hold_cycles: bool,
}

impl State {
    pub fn new(limit: Limit, policy: Policy) -> Self {
        Self { cache: Cache::new(limit, policy), may_hold_cycles: false }
    }

    #[cold]
    pub fn expire(&mut self, slot: Slot) -> Displaced {
        self.cache.expire(slot).map(Displaced::from).unwrap_or_default()
    }

    pub fn invalidate(&mut self, slot: Slot) -> Displaced {
        self.cache.invalidate(slot).map(Displaced::from).unwrap_or_default()
    }

    /// Takes an entry out; its value is wanted.
    pub fn take(&mut self, slot: Slot) -> (Option<Object>, Displaced) {
        let Displaced { value, key } =
            self.cache.remove(slot).map(Displaced::from).unwrap_or_default();
        (value, Displaced { value: None, key })
    }

    /// Stores a value that weighs one under a located key.
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
        let evicted = self.cache.insert(hash, key.clone().unbind(), value, deadline);
        evicted.map(Displaced::from).unwrap_or_default()
    }
}

/// What leaves a cache that is bound by weight, to be dropped after unlocking.
#[derive(Debug, Default)]
#[must_use = "its objects are released by `release`, outside the lock"]
pub struct Overweight {
    replaced: Displaced,
    evicted: Vec<Entry<Object, Object>>,
}

impl Overweight {
    /// As [`Displaced::release`].
    pub fn release(self, py: Python<'_>) {
        self.replaced.release(py);
        self.evicted.into_iter().for_each(|entry| Displaced::from(entry).release(py));
    }
}

impl State {
    /// Stores a value under a located key, unless it is too heavy: then the old one goes all the
    /// same. Says whether it was stored.
    pub fn store_weighing(
        &mut self,
        at: Option<Slot>,
        hash: u64,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        deadline: u64,
        weight: u64,
    ) -> (bool, Overweight) {
        if !self.cache.can_hold(weight) {
            let old = at.and_then(|slot| self.cache.remove(slot));
            let replaced = old.map(Displaced::from).unwrap_or_default();
            return (false, Overweight { replaced, evicted: Vec::new() });
        }
        self.may_hold_cycles |= is_collectable(key) || is_collectable(value);
        let value = value.clone().unbind();
        let (value, evicted) = if let Some(slot) = at {
            self.cache.replace_weighing(slot, value, deadline, weight)
        } else {
            let key = key.clone().unbind();
            (None, self.cache.insert_weighing(hash, key, value, deadline, weight))
        };
        (true, Overweight { replaced: Displaced { value, key: None }, evicted })
    }
}

/// Whether objects of this one's type can be part of a reference cycle.
#[inline]
fn is_collectable(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the object is alive, hence its type, whose flags never change once it is in use.
    unsafe { ffi::PyType_HasFeature(ffi::Py_TYPE(object.as_ptr()), ffi::Py_TPFLAGS_HAVE_GC) != 0 }
}
