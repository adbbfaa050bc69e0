//! The lock around a cache's state, by build of the interpreter.

use pyo3::Python;

pub use imp::{Held, Lock};

impl<T> Lock<T> {
    /// Holds the state until the guard is dropped.
    ///
    /// Meanwhile run no Python code and release no Python object: it could come back here.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "keeps the state's fields in registers")]
    pub fn hold(&self, _py: Python<'_>) -> Held<'_, T> {
        self.enter()
    }

    /// Runs `section` on the state, alone.
    ///
    /// `section` must run no Python code and release no Python object: it could come back here.
    #[inline]
    pub fn with<R>(&self, py: Python<'_>, section: impl FnOnce(&mut T) -> R) -> R {
        section(&mut self.hold(py))
    }

    /// For the garbage collector, which must not wait: `None` while the state is in use.
    pub fn with_if_free<R>(&self, section: impl FnOnce(&mut T) -> R) -> Option<R> {
        self.try_enter().map(|mut held| section(&mut held))
    }
}

/// With a GIL, the GIL is the lock: a section runs no Python code, so no other thread gets in.
#[cfg(not(Py_GIL_DISABLED))]
mod imp {
    use std::cell::{Cell, UnsafeCell};
    use std::ops::{Deref, DerefMut};

    #[derive(Debug)]
    pub struct Lock<T> {
        busy: Cell<bool>,
        state: UnsafeCell<T>,
    }

    // SAFETY: `state` and `busy` are reached only through `enter`, by a thread that holds the GIL
    // (`hold` takes the proof; the collector holds it too) and does not let go of it on the way.
    unsafe impl<T: Send> Sync for Lock<T> {}

    /// Marks the state as free again when dropped, also by a panic.
    #[derive(Debug)]
    pub struct Held<'a, T>(&'a Lock<T>);

    impl<T> Deref for Held<'_, T> {
        type Target = T;

        #[inline]
        fn deref(&self) -> &T {
            // SAFETY: as in `deref_mut`; and the guard is borrowed, so nobody has it mutably.
            unsafe { &*self.0.state.get() }
        }
    }

    impl<T> DerefMut for Held<'_, T> {
        #[inline]
        fn deref_mut(&mut self) -> &mut T {
            // SAFETY: the GIL keeps other threads out and the flag this one: there is one guard,
            // which is borrowed mutably, so the reference is the only one.
            unsafe { &mut *self.0.state.get() }
        }
    }

    impl<T> Drop for Held<'_, T> {
        #[inline]
        fn drop(&mut self) {
            self.0.busy.set(false);
        }
    }

    impl<T> Lock<T> {
        pub const fn new(state: T) -> Self {
            Self { busy: Cell::new(false), state: UnsafeCell::new(state) }
        }

        #[inline(always)]
        #[expect(clippy::inline_always, reason = "as `hold`")]
        pub(super) fn enter(&self) -> Held<'_, T> {
            assert!(!self.busy.replace(true), "a locked cache was entered again");
            Held(self)
        }

        pub(super) fn try_enter(&self) -> Option<Held<'_, T>> {
            (!self.busy.get()).then(|| self.enter())
        }
    }
}

/// Without a GIL, a mutex. Waiting for it while attached to the interpreter is sound because its
/// holder never waits: a section neither detaches nor stops for a collection or a fork.
#[cfg(Py_GIL_DISABLED)]
mod imp {
    use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

    pub type Held<'a, T> = MutexGuard<'a, T>;

    #[derive(Debug)]
    pub struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub const fn new(state: T) -> Self {
            Self(Mutex::new(state))
        }

        #[inline]
        pub(super) fn enter(&self) -> Held<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(super) fn try_enter(&self) -> Option<Held<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }
    }
}
