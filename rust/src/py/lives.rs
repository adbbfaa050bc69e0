//! How long entries live: what a cache was told of time, and what that makes of one entry.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::loader::call_with;
use super::state::{CLOCK, Object};
use crate::core::clock::{Clock, NEVER, Ttl, advance, ahead_ms};
use crate::core::guards::Life;
use crate::core::hash::spread;

/// The time to live that entries have of the cache.
pub enum Rule {
    None,
    Fixed(Ttl),
    /// Of a key and its value.
    Function(Object),
}

/// How a cache stores what comes without terms of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// With a deadline at most: no weight, no listener, no window.
    Plain(Option<Ttl>),
    /// With all that an entry can have.
    Living,
}

/// Everything that a cache was told of time.
pub struct Lives {
    pub rule: Rule,
    /// The part of a time to live, from 0 to 1, that chance may take away.
    pub jitter: f64,
    pub stale_ms: u64,
    pub error_ms: u64,
    pub negative: Option<Ttl>,
}

impl Lives {
    pub fn new(
        ttl_s: Option<&Bound<'_, PyAny>>,
        jitter: f64,
        (stale_s, error_s): (f64, f64),
        negative_s: Option<f64>,
    ) -> PyResult<Self> {
        if !(0.0..=1.0).contains(&jitter) {
            return Err(PyValueError::new_err("ttl_jitter must be from 0 to 1"));
        }
        Ok(Self {
            rule: ttl_s.map_or(Ok(Rule::None), Rule::new)?,
            jitter,
            stale_ms: span_ms(stale_s, "stale_while_revalidate_s")?,
            error_ms: span_ms(error_s, "stale_if_error_s")?,
            negative: negative_s.map(|seconds| ttl_of(seconds, "negative_ttl_s")).transpose()?,
        })
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        let rule = match &self.rule {
            Rule::None => Rule::None,
            Rule::Fixed(ttl) => Rule::Fixed(*ttl),
            Rule::Function(function) => Rule::Function(function.clone_ref(py)),
        };
        Self { rule, ..*self }
    }

    /// Whether values may be of use past their time.
    pub const fn has_windows(&self) -> bool {
        self.stale_ms != 0 || self.error_ms != 0
    }

    /// How entries are stored, as far as time is concerned.
    pub fn manner(&self) -> Manner {
        let bare = self.jitter == 0.0 && !self.has_windows();
        match self.rule {
            Rule::None if bare => Manner::Plain(None),
            Rule::Fixed(ttl) if bare => Manner::Plain(Some(ttl)),
            _ => Manner::Living,
        }
    }

    /// The life of an entry that is stored now, with a time to live of its own or the cache's. May
    /// run the user's function.
    pub fn of(
        &self,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
        own: Option<Ttl>,
    ) -> PyResult<Life> {
        let ttl = match (own, &self.rule) {
            (Some(ttl), _) | (None, &Rule::Fixed(ttl)) => Some(ttl),
            (None, Rule::None) => None,
            (None, Rule::Function(function)) => {
                let seconds = call_with(function.bind(key.py()), [key, value])?;
                let seconds: Option<f64> = seconds.extract()?;
                seconds.map(|seconds| ttl_of(seconds, "the ttl_s of an entry")).transpose()?
            }
        };
        let fresh_until = ttl.map_or(NEVER, |ttl| self.shaken(ttl).deadline(&CLOCK));
        Ok(self.with_windows(fresh_until))
    }

    /// The life of an entry that is fresh up to this moment.
    pub fn with_windows(&self, fresh_until: u64) -> Life {
        let until = |ms| fresh_until.saturating_add(ms).min(NEVER);
        Life {
            stale_until: until(self.stale_ms),
            error_until: until(self.error_ms),
            ..Life::plain(fresh_until)
        }
    }

    /// The life of an entry with these tags that says that there is nothing, if such are kept.
    pub fn of_absence(&self, own: Option<Ttl>, tags: &[u64]) -> Option<Life> {
        let ttl = own.or(self.negative)?;
        Some(Life { absent: true, tags: tags.into(), ..Life::plain(ttl.deadline(&CLOCK)) })
    }

    fn shaken(&self, ttl: Ttl) -> Ttl {
        if self.jitter == 0.0 { ttl } else { ttl.shortened(self.jitter * chance()) }
    }
}

impl Rule {
    fn new(ttl_s: &Bound<'_, PyAny>) -> PyResult<Self> {
        if ttl_s.is_callable() {
            return Ok(Self::Function(ttl_s.clone().unbind()));
        }
        Ok(Self::Fixed(ttl_of(ttl_s.extract()?, "ttl_s")?))
    }
}

pub fn ttl_of(seconds: f64, name: &str) -> PyResult<Ttl> {
    Ttl::from_seconds(seconds).ok_or_else(|| {
        PyValueError::new_err(format!("{name} must be finite and at least 0.001, not {seconds:?}"))
    })
}

/// Milliseconds from seconds, which may be none.
pub fn span_ms(seconds: f64, name: &str) -> PyResult<u64> {
    if seconds == 0.0 {
        return Ok(0);
    }
    match Ttl::from_seconds(seconds) {
        Some(span) => Ok(span.ms()),
        None => Err(PyValueError::new_err(format!(
            "{name} must be 0 or finite and at least 0.001, not {seconds:?}"
        ))),
    }
}

/// The moment of the cache's clock at which Python's `time.monotonic()` gives these seconds: not
/// later, though the cache's clock may lag by a tick.
pub fn moment_ms(monotonic_s: f64) -> PyResult<u64> {
    const TICK_MS: f64 = 10.0;
    if !monotonic_s.is_finite() {
        return Err(PyTypeError::new_err("a moment must be finite seconds of time.monotonic()"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
    let ms = (monotonic_s * 1_000.0 - TICK_MS).floor() as u64;
    Ok(ms.saturating_add(ahead_ms()).min(NEVER - 1))
}

/// Moves the clock of every cache ahead.
#[pyfunction]
#[pyo3(signature = (seconds, /))]
pub fn advance_clock(seconds: f64) -> PyResult<()> {
    advance(span_ms(seconds, "seconds")?);
    Ok(())
}

/// A number from 0 to 1, never the same twice in a row. Good enough to spread expiry.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what is used")]
fn chance() -> f64 {
    static STATE: AtomicU64 = AtomicU64::new(0);
    let step = STATE.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    let mixed = spread((step ^ CLOCK.now_ms() << 32).cast_signed());
    (spread(mixed.cast_signed()) >> 11) as f64 / (1_u64 << 53) as f64
}
