//! Monotonic time in milliseconds, and how long entries live by it.

use std::sync::atomic::{AtomicU64, Ordering};

/// The deadline of an entry that never expires, two million years from the start of the clock.
///
/// It leaves the byte free that an entry keeps beside its deadline.
pub const NEVER: u64 = u64::MAX >> 8;

/// How far tests have moved the clock of the whole process ahead.
static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

/// Moves the system's clock ahead, as far as this process's caches are concerned: for tests, which
/// cannot wait.
pub fn advance(ms: u64) {
    AHEAD_MS.fetch_add(ms, Ordering::Relaxed);
}

/// How far the clock has been moved.
pub fn ahead_ms() -> u64 {
    AHEAD_MS.load(Ordering::Relaxed)
}

/// A source of monotonic milliseconds.
pub trait Clock {
    /// Milliseconds since some fixed moment; never goes back.
    fn now_ms(&self) -> u64;
}

/// The system's coarse monotonic clock.
///
/// It moves in scheduler ticks (4 ms on most kernels) and reading it costs a quarter of reading
/// the exact one, which a cache hit would notice. Wall-clock adjustments do not touch it.
#[derive(Clone, Copy, Debug, Default)]
pub struct MonotonicClock;

#[cfg(target_os = "linux")]
const COARSE: rustix::time::ClockId = rustix::time::ClockId::MonotonicCoarse;
#[cfg(not(target_os = "linux"))]
const COARSE: rustix::time::ClockId = rustix::time::ClockId::Monotonic;

impl Clock for MonotonicClock {
    #[inline]
    fn now_ms(&self) -> u64 {
        let now = rustix::time::clock_gettime(COARSE);
        let whole = now.tv_sec.cast_unsigned().wrapping_mul(1_000);
        let ms = whole.wrapping_add(now.tv_nsec.cast_unsigned() / 1_000_000);
        ms.wrapping_add(ahead_ms())
    }
}

/// A time to live in whole milliseconds, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl(u64);

impl Ttl {
    /// From seconds; `None` unless they are finite and at least 0.001.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "float casts saturate, and the value is at least 1"
    )]
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        (seconds.is_finite() && seconds >= 0.001).then(|| Self((seconds * 1_000.0).ceil() as u64))
    }

    #[must_use]
    pub const fn ms(self) -> u64 {
        self.0
    }

    /// Less a part from 0 to 1 of it, and still at least a millisecond.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "float casts saturate, and a millisecond more or less does not matter"
    )]
    pub fn shortened(self, part: f64) -> Self {
        Self(((self.0 as f64 * (1.0 - part)) as u64).clamp(1, self.0))
    }

    /// The moment at which an entry stored now is no longer served.
    #[inline]
    pub fn deadline(self, clock: &impl Clock) -> u64 {
        clock.now_ms().saturating_add(self.0).min(NEVER)
    }
}

/// Whether a deadline has passed. Reads the clock only if there is one.
#[inline]
pub fn is_past(deadline: u64, clock: &impl Clock) -> bool {
    deadline != NEVER && clock.now_ms() >= deadline
}

/// A clock that moves when told to.
#[cfg(test)]
#[derive(Debug, Default)]
pub struct ManualClock(std::cell::Cell<u64>);

#[cfg(test)]
impl ManualClock {
    pub fn advance(&self, ms: u64) {
        self.0.set(self.0.get() + ms);
    }
}

#[cfg(test)]
impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_finite_and_at_least_a_millisecond() {
        for refused in [f64::NAN, f64::INFINITY, -1.0, 0.0, 0.000_9] {
            assert_eq!(Ttl::from_seconds(refused), None);
        }
        assert_eq!(Ttl::from_seconds(0.001), Some(Ttl(1)));
        assert_eq!(Ttl::from_seconds(1.000_1), Some(Ttl(1_001)));
    }

    #[test]
    fn a_ttl_is_shortened_by_a_part_and_never_to_nothing() {
        assert_eq!(Ttl(1_000).shortened(0.25), Ttl(750));
        assert_eq!(Ttl(1_000).shortened(0.0), Ttl(1_000));
        assert_eq!(Ttl(1_000).shortened(1.0), Ttl(1));
    }

    #[test]
    fn an_enormous_ttl_saturates() {
        let ttl = Ttl::from_seconds(f64::MAX);
        assert_eq!(ttl.map(|ttl| ttl.deadline(&ManualClock::default())), Some(NEVER));
    }

    #[test]
    fn a_deadline_is_past_at_its_own_millisecond() {
        let clock = ManualClock::default();
        clock.advance(7);
        assert!(!is_past(8, &clock));
        clock.advance(1);
        assert!(is_past(8, &clock));
        assert!(!is_past(NEVER, &clock));
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let first = MonotonicClock.now_ms();
        assert!(MonotonicClock.now_ms() >= first);
    }
}
