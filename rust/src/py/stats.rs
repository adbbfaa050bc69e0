//! `CacheStats`.

use pyo3::prelude::*;

use crate::core::stats::Stats;

#[pyclass(frozen, get_all, eq, module = "tierline._core")]
#[derive(PartialEq, Eq)]
pub struct CacheStats {
    hits: u64,
    misses: u64,
    evictions: u64,
    expirations: u64,
    invalidations: u64,
    fills: u64,
    refused_fills: u64,
    loads: u64,
    failed_loads: u64,
    load_ns: u64,
    entries: u64,
}

impl From<Stats> for CacheStats {
    fn from(stats: Stats) -> Self {
        Self {
            hits: stats.hits,
            misses: stats.misses,
            evictions: stats.evictions,
            expirations: stats.expirations,
            invalidations: stats.invalidations,
            fills: stats.fills,
            refused_fills: stats.refused_fills,
            loads: stats.loads,
            failed_loads: stats.failed_loads,
            load_ns: stats.load_ns,
            entries: stats.entries,
        }
    }
}

#[pymethods]
impl CacheStats {
    fn __repr__(&self) -> String {
        format!(
            "CacheStats(hits={}, misses={}, evictions={}, expirations={}, invalidations={}, \
             fills={}, refused_fills={}, loads={}, failed_loads={}, load_ns={}, entries={})",
            self.hits,
            self.misses,
            self.evictions,
            self.expirations,
            self.invalidations,
            self.fills,
            self.refused_fills,
            self.loads,
            self.failed_loads,
            self.load_ns,
            self.entries
        )
    }
}
