//! What a Python cache locks.

use pyo3::ffi;
use pyo3::prelude::*;

use crate::core::cache::{Cache, Entry, Slot};

/// A cached Python object with its key.
pub type Object = Py<PyAny>;

/// What leaves a cache when something is stored: for the caller to drop after unlocking.
#[derive(Debug)]
pub enum Displaced {
    Nothing,
    Value(#[expect(dead_code, reason = "held to be dropped")] Object),
    Entry(#[expect(dead_code, reason = "held to be dropped")] Entry<Object, Object>),
}

#[derive(Debug)]
pub struct State {
    pub cache: Cache<Object, Object>,
    /// Whether any key or value has been of a type that the garbage collector follows. Until then
    /// a collection need not walk the entries.
    pub may_hold_cycles: bool,
}

impl State {
    pub fn new(max_entries: u32) -> Self {
        Self { cache: Cache::new(max_entries), may_hold_cycles: false }
    }

    /// Stores a value under a located key.
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
            let old = self.cache.replace(slot, value, deadline);
            return old.map_or(Displaced::Nothing, Displaced::Value);
        }
        self.may_hold_cycles |= is_collectable(key);
        let evicted = self.cache.insert(hash, key.clone().unbind(), value, deadline);
        evicted.map_or(Displaced::Nothing, Displaced::Entry)
    }
}

/// Whether objects of this one's type can be part of a reference cycle.
fn is_collectable(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the object is alive, hence its type, whose flags never change once it is in use.
    unsafe { ffi::PyType_HasFeature(ffi::Py_TYPE(object.as_ptr()), ffi::Py_TPFLAGS_HAVE_GC) != 0 }
}
