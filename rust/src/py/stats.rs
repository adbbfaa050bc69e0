//! `CacheStats`.

use pyo3::prelude::*;

use crate::core::stats::Stats;

#[pyclass(frozen, get_all, eq, module = "tierline._core")]
#[derive(PartialEq, Eq)]
pub struct CacheStats {
    hits: u64,
    misses: u64,
    stale_hits: u64,
    negative_hits: u64,
    loads: u64,
    failed_loads: u64,
    load_ns: u64,
    fills: u64,
    refused_fills: u64,
    evictions: u64,
    expirations: u64,
    replacements: u64,
    invalidations: u64,
    cleared: u64,
    entries: u64,
    weight: u64,
}

impl From<Stats> for CacheStats {
    fn from(stats: Stats) -> Self {
        Self {
            hits: stats.hits,
            misses: stats.misses,
            stale_hits: stats.stale_hits,
            negative_hits: stats.negative_hits,
            loads: stats.loads,
            failed_loads: stats.failed_loads,
            load_ns: stats.load_ns,
            fills: stats.fills,
            refused_fills: stats.refused_fills,
            evictions: stats.evictions,
            expirations: stats.expirations,
            replacements: stats.replacements,
            invalidations: stats.invalidations,
            cleared: stats.cleared,
            entries: stats.entries,
            weight: stats.weight,
        }
    }
}

#[pymethods]
impl CacheStats {
    fn __repr__(&self) -> String {
        let counters = [
            ("hits", self.hits),
            ("misses", self.misses),
            ("stale_hits", self.stale_hits),
            ("negative_hits", self.negative_hits),
            ("loads", self.loads),
            ("failed_loads", self.failed_loads),
            ("load_ns", self.load_ns),
            ("fills", self.fills),
            ("refused_fills", self.refused_fills),
            ("evictions", self.evictions),
            ("expirations", self.expirations),
            ("replacements", self.replacements),
            ("invalidations", self.invalidations),
            ("cleared", self.cleared),
            ("entries", self.entries),
            ("weight", self.weight),
        ];
        let shown = counters.map(|(name, count)| format!("{name}={count}")).join(", ");
        format!("CacheStats({shown})")
    }
}
