//! The parts of a cache's state, each behind a lock of its own.

use pyo3::Python;

use super::lock::{Held, Lock};
use crate::core::cache::Bound;

pub use imp::Shards;

/// With a GIL there is one part, in place: threads do not get in each other's way.
#[cfg(not(Py_GIL_DISABLED))]
mod imp {
    use super::{Bound, Lock};

    #[derive(Debug)]
    pub struct Shards<T>([Lock<T>; 1]);

    impl<T> Shards<T> {
        pub fn new(bound: Bound, _divisible: bool, make: impl Fn(Bound) -> T) -> Self {
            Self([Lock::new(make(bound))])
        }

        /// The part that keys of this hash belong to.
        #[inline(always)]
        #[expect(clippy::inline_always, reason = "there is but one")]
        pub const fn of(&self, _hash: u64) -> &Lock<T> {
            &self.0[0]
        }

        pub const fn all(&self) -> &[Lock<T>] {
            &self.0
        }
    }
}

/// Without a GIL a cache of many entries has several parts, so that threads seldom wait for each
/// other. A bound by weight, or by exact recency, is one of the whole and not of parts.
#[cfg(Py_GIL_DISABLED)]
mod imp {
    use super::{Bound, Lock};

    /// Fewer entries than this are not worth a part of their own.
    const SMALLEST: u32 = 1_024;
    const MOST: usize = 256;

    #[derive(Debug)]
    pub struct Shards<T>(Box<[Lock<T>]>);

    impl<T> Shards<T> {
        pub fn new(bound: Bound, divisible: bool, make: impl Fn(Bound) -> T) -> Self {
            match bound {
                Bound::Entries(entries) if divisible => {
                    let count = count(entries);
                    let (each, rest) = (entries / count, entries % count);
                    let part = |nth| Bound::Entries(each + u32::from(nth < rest));
                    Self((0..count).map(|nth| Lock::new(make(part(nth)))).collect())
                }
                _ => Self([Lock::new(make(bound))].into()),
            }
        }

        /// The part that keys of this hash belong to: by bits of it that choose nothing else.
        #[inline]
        pub fn of(&self, hash: u64) -> &Lock<T> {
            &self.0[(hash >> 48) as usize % self.0.len()]
        }

        pub const fn all(&self) -> &[Lock<T>] {
            &self.0
        }
    }

    /// Four for each processor, while each is worth it.
    fn count(entries: u32) -> u32 {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let most = (processors * 4).next_power_of_two().min(MOST);
        (entries / SMALLEST).clamp(1, u32::try_from(most).unwrap_or(1))
    }
}

impl<T> Shards<T> {
    /// Holds every part, always in the same order.
    pub fn hold_all<'a>(&'a self, py: Python<'_>) -> Vec<Held<'a, T>> {
        self.all().iter().map(|part| part.hold(py)).collect()
    }
}
