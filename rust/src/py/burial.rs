//! Lets go of what a dying cache holds, however deep caches lie in each other.

use std::cell::{Cell, RefCell};

use super::state::Object;
use crate::core::cache::Cleared;

/// Caches that may die on the stack of the one that held them, as in Python's own containers.
const DEEPEST: u32 = 50;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// What the deeper ones held.
    static WAITING: RefCell<Vec<Cleared<Object, Object>>> = const { RefCell::new(Vec::new()) };
}

/// Drops what a cache held, or leaves it to the outermost cache that is dying in this thread.
pub fn bury(content: Cleared<Object, Object>) {
    let depth = DEPTH.get();
    if depth == DEEPEST {
        // In a thread that is about to end there may be no list any more; it is dropped here then.
        let _ = WAITING.try_with(|waiting| waiting.borrow_mut().push(content));
        return;
    }
    DEPTH.set(depth + 1);
    drop(content);
    if depth == 0 {
        while let Ok(Some(content)) = WAITING.try_with(|waiting| waiting.borrow_mut().pop()) {
            drop(content);
        }
    }
    DEPTH.set(depth);
}
