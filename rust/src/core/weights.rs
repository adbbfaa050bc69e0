//! What entries weigh.

/// The weight of every entry: one each, unless the cache was made for other weights.
#[derive(Debug)]
pub struct Weights {
    /// By slot; `None` if all weigh one.
    by_slot: Option<Vec<u64>>,
    total: u64,
    entries: u64,
}

impl Weights {
    pub fn new(weighted: bool) -> Self {
        Self { by_slot: weighted.then(Vec::new), total: 0, entries: 0 }
    }

    /// The weight of an entry that is there.
    #[inline]
    pub fn of(&self, slot: u32) -> u64 {
        match &self.by_slot {
            None => 1,
            Some(weights) => weights.get(slot as usize).copied().unwrap_or(0),
        }
    }

    /// Adds a new entry.
    #[inline]
    pub fn add(&mut self, slot: u32, weight: u64) {
        if let Some(weights) = &mut self.by_slot {
            let place = slot as usize;
            if place >= weights.len() {
                weights.resize(place + 1, 0);
            }
            weights[place] = weight;
        }
        self.entries += 1;
        self.total += weight;
    }

    /// Takes an entry out.
    #[inline]
    pub fn remove(&mut self, slot: u32) {
        self.total -= self.of(slot);
        self.entries -= 1;
    }

    pub const fn total(&self) -> u64 {
        self.total
    }

    /// What an entry weighs on average, at least one.
    pub const fn mean(&self) -> u64 {
        match self.total.checked_div(self.entries) {
            None | Some(0) => 1,
            Some(mean) => mean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_weights_the_total_is_the_count() {
        let mut weights = Weights::new(false);
        (2..5).for_each(|slot| weights.add(slot, 1));
        weights.remove(3);
        assert_eq!((weights.of(4), weights.total(), weights.mean()), (1, 2, 1));
    }

    #[test]
    fn with_weights_the_total_is_their_sum() {
        let mut weights = Weights::new(true);
        weights.add(2, 10);
        weights.add(3, 0);
        assert_eq!((weights.of(2), weights.of(3), weights.total()), (10, 0, 10));
        assert_eq!(weights.mean(), 5);
        weights.remove(2);
        assert_eq!((weights.total(), weights.mean()), (0, 1));
    }
}
