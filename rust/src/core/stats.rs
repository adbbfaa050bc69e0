//! What a cache counts about itself.

/// Counters since the cache was made, with the entries it holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub hits: u64,
    pub misses: u64,
    /// Answers with a value past its time.
    pub stale_hits: u64,
    /// Hits that said that there is nothing.
    pub negative_hits: u64,
    pub loads: u64,
    pub failed_loads: u64,
    pub load_ns: u64,
    pub fills: u64,
    pub refused_fills: u64,
    pub evictions: u64,
    pub expirations: u64,
    pub replacements: u64,
    pub invalidations: u64,
    pub cleared: u64,
    pub entries: u64,
    pub weight: u64,
}

impl std::iter::Sum for Stats {
    /// Of the parts of one cache.
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |one, other| Self {
            hits: one.hits.saturating_add(other.hits),
            misses: one.misses.saturating_add(other.misses),
            stale_hits: one.stale_hits.saturating_add(other.stale_hits),
            negative_hits: one.negative_hits.saturating_add(other.negative_hits),
            loads: one.loads.saturating_add(other.loads),
            failed_loads: one.failed_loads.saturating_add(other.failed_loads),
            load_ns: one.load_ns.saturating_add(other.load_ns),
            fills: one.fills.saturating_add(other.fills),
            refused_fills: one.refused_fills.saturating_add(other.refused_fills),
            evictions: one.evictions.saturating_add(other.evictions),
            expirations: one.expirations.saturating_add(other.expirations),
            replacements: one.replacements.saturating_add(other.replacements),
            invalidations: one.invalidations.saturating_add(other.invalidations),
            cleared: one.cleared.saturating_add(other.cleared),
            entries: one.entries.saturating_add(other.entries),
            weight: one.weight.saturating_add(other.weight),
        })
    }
}
