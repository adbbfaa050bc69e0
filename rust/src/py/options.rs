//! What a cache is made with.

use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;

use crate::core::cache::{Bound as Limit, MAX_ENTRIES, MAX_WEIGHT};
use crate::core::policy::Policy;

/// The bound as given and as it is meant.
pub fn limit(maxsize: &Bound<'_, PyAny>, weighted: bool) -> PyResult<(u64, Limit)> {
    let most = if weighted { MAX_WEIGHT } else { u64::from(MAX_ENTRIES) };
    let refuse = || PyValueError::new_err(format!("maxsize must be from 1 to {most}"));
    let size = match maxsize.extract::<u64>() {
        Ok(size) if (1..=most).contains(&size) => size,
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
