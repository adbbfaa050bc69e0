//! What a cache counts about itself.

/// Counters since the cache was made, with the entries it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub hits: u64,
    pub misses: u64,
    pub evictions: u64,
    pub expirations: u64,
    pub invalidations: u64,
    pub fills: u64,
    pub refused_fills: u64,
    pub loads: u64,
    pub failed_loads: u64,
    pub load_ns: u64,
    pub entries: u64,
}
