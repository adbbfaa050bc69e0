//! What a cache is made with.

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::listener::Listener;
use super::lives::{Lives, span_ms, ttl_of};
use super::state::Object;
use super::weigher::Weigher;
use crate::core::cache::{Bound as Limit, MAX_ENTRIES, MAX_WEIGHT, Options};
use crate::core::clock::NEVER;
use crate::core::policy::Policy;

/// How a cache behaves. Copies of the cache behave alike.
pub struct Settings {
    pub maxsize: u64,
    pub limit: Limit,
    pub core: Options,
    pub lives: Lives,
    pub weigher: Option<Weigher>,
    pub listener: Option<Listener>,
    /// As they were given, for `ttl_s` and the other properties.
    pub ttl_s: Option<Object>,
}

impl Settings {
    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            maxsize: self.maxsize,
            limit: self.limit,
            core: self.core,
            lives: self.lives.clone_ref(py),
            weigher: self.weigher.as_ref().map(|weigher| weigher.clone_ref(py)),
            listener: self.listener.as_ref().map(|listener| listener.clone_ref(py)),
            ttl_s: self.ttl_s.as_ref().map(|ttl_s| ttl_s.clone_ref(py)),
        }
    }
}

/// The bound as given and as it is meant.
pub fn limit(maxsize: &Bound<'_, PyAny>, weighted: bool) -> PyResult<(u64, Limit)> {
    let most = if weighted { MAX_WEIGHT } else { u64::from(MAX_ENTRIES) };
    let refuse = || PyValueError::new_err(format!("maxsize must be from 0 to {most}"));
    let size = match maxsize.extract::<u64>() {
        Ok(size) if size <= most => size,
        Ok(_) => return Err(refuse()),
        Err(error) if error.is_instance_of::<PyOverflowError>(maxsize.py()) => return Err(refuse()),
        Err(error) => return Err(error),
    };
    match u32::try_from(size) {
        Ok(entries) if !weighted => Ok((size, Limit::Entries(entries))),
        _ => Ok((size, Limit::Weight(size))),
    }
}

pub fn policy_of(name: &str) -> PyResult<Policy> {
    match name {
        "lru" => Ok(Policy::Lru),
        "s3fifo" => Ok(Policy::S3Fifo),
        other => Err(PyValueError::new_err(format!(
            "policy must be \"s3fifo\" or \"lru\", not {other:?}"
        ))),
    }
}

/// What the core is told of time.
pub fn core_options(
    policy: &str,
    idle_s: Option<f64>,
    retry_s: f64,
    floor_s: f64,
) -> PyResult<Options> {
    let unused_ms =
        idle_s.map_or(Ok(NEVER), |seconds| Ok::<_, PyErr>(ttl_of(seconds, "idle_s")?.ms()));
    Ok(Options {
        policy: policy_of(policy)?,
        idle_ms: unused_ms?.min(NEVER),
        retry_ms: span_ms(retry_s, "retry_s")?,
        floor_ms: ttl_of(floor_s, "floor_s")?.ms(),
    })
}

/// The hashes of an entry's tags, each once.
pub fn tags_of(tags: Option<&Bound<'_, PyAny>>) -> PyResult<Box<[u64]>> {
    let Some(tags) = tags else { return Ok(Box::default()) };
    if tags.extract::<&str>().is_ok() {
        return Err(PyTypeError::new_err("tags must be several str, such as a tuple, not one str"));
    }
    let mut hashes = Vec::new();
    for tag in tags.try_iter()? {
        hashes.push(tag_of(&tag?)?);
    }
    hashes.sort_unstable();
    hashes.dedup();
    Ok(hashes.into())
}

/// The hash of a tag.
pub fn tag_of(tag: &Bound<'_, PyAny>) -> PyResult<u64> {
    let Ok(text) = tag.extract::<&str>() else {
        let name = tag.get_type().name()?;
        return Err(PyTypeError::new_err(format!("a tag must be a str, not {name}")));
    };
    Ok(crate::core::hash::of_bytes(text.as_bytes()))
}
