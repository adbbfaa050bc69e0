//! The lock around a cache's state, by build of the interpreter.

use pyo3::Python;

pub use imp::Lock;

impl<T> Lock<T> {
    /// Runs `section` on the state, alone.
    ///
    /// `section` must run no Python code and release no Python object: it could come back here.
    #[inline]
    pub fn with<R>(&self, _py: Python<'_>, section: impl FnOnce(&mut T) -> R) -> R {
        self.enter(section)
    }

    /// For the garbage collector, which must not wait: `None` while the state is in use.
    pub fn with_if_free<R>(&self, section: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.try_enter(section)
    }
}

/// With a GIL, the GIL is the lock: a section runs no Python code, so no other thread gets in.
#[cfg(not(Py_GIL_DISABLED))]
mod imp {
    use std::cell::{Cell, UnsafeCell};

    #[derive(Debug)]
    pub struct Lock<T> {
        busy: Cell<bool>,
        state: UnsafeCell<T>,
    }

    // SAFETY: `state` and `busy` are reached only through `enter`, by a thread that holds the GIL
    // (`with` takes the proof; the collector holds it too) and does not let go of it on the way.
    unsafe impl<T: Send> Sync for Lock<T> {}

    /// Marks the state as free again, also when a section panics.
    struct Busy<'a>(&'a Cell<bool>);

    impl Drop for Busy<'_> {
        #[inline]
        fn drop(&mut self) {
            self.0.set(false);
        }
    }

    impl<T> Lock<T> {
        pub const fn new(state: T) -> Self {
            Self { busy: Cell::new(false), state: UnsafeCell::new(state) }
        }

        #[inline(always)]
        #[expect(clippy::inline_always, reason = "keeps results of sections in registers")]
        pub(super) fn enter<R>(&self, section: impl FnOnce(&mut T) -> R) -> R {
            assert!(!self.busy.replace(true), "a locked cache was entered again");
            let _busy = Busy(&self.busy);
            // SAFETY: the GIL keeps other threads out and the flag this one, so the reference is
            // the only one.
            section(unsafe { &mut *self.state.get() })
        }

        pub(super) fn try_enter<R>(&self, section: impl FnOnce(&mut T) -> R) -> Option<R> {
            (!self.busy.get()).then(|| self.enter(section))
        }
    }
}

/// Without a GIL, a mutex. Waiting for it while attached to the interpreter is sound because its
/// holder never waits: a section neither detaches nor stops for a collection or a fork.
#[cfg(Py_GIL_DISABLED)]
mod imp {
    use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

    #[derive(Debug)]
    pub struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub const fn new(state: T) -> Self {
            Self(Mutex::new(state))
        }

        #[inline]
        pub(super) fn enter<R>(&self, section: impl FnOnce(&mut T) -> R) -> R {
            section(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
        }

        pub(super) fn try_enter<R>(&self, section: impl FnOnce(&mut T) -> R) -> Option<R> {
            let mut guard: MutexGuard<'_, T> = match self.0.try_lock() {
                Ok(guard) => guard,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => return None,
            };
            Some(section(&mut guard))
        }
    }
}
