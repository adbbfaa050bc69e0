//! From hashes to slots.

/// The first size; a power of two, as all sizes are.
const SMALLEST: usize = 16;

/// Up to this size, in which memory hardly counts, more buckets stay free: every removal and every
/// addition then has fewer branches that the processor guesses wrong.
const SPARSE: usize = 1 << 17;

/// No slot has this number.
const NONE: u32 = 0;

/// A slot with the low half of its hash. The hash says where its bucket should be; the halves
/// tell most other keys apart without looking at their entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    tag: u32,
    slot: u32,
}

const EMPTY: Bucket = Bucket { tag: 0, slot: NONE };

/// A hash table with linear probing, of which at most three quarters are full, or of a small one
/// seven sixteenths.
///
/// Finding a key reads one cache line, where a table with its tags apart reads two. Removal closes
/// the gap, so that no mark of what was there slows searches down later.
#[derive(Debug, Default)]
pub struct Index {
    buckets: Vec<Bucket>,
    len: usize,
}

impl Index {
    pub const fn new() -> Self {
        Self { buckets: Vec::new(), len: 0 }
    }

    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The slots that may be of a hash; those that are, and a few others.
    #[inline]
    pub fn candidates(&self, hash: u64) -> Candidates<'_> {
        let (tag, mask) = (tag(hash), self.mask());
        Candidates { buckets: &self.buckets, tag, at: tag as usize & mask, mask }
    }

    /// Adds a slot that is not there.
    pub fn insert(&mut self, hash: u64, slot: u32) {
        if self.len >= most_full(self.buckets.len()) {
            self.grow();
        }
        self.place(Bucket { tag: tag(hash), slot });
        self.len += 1;
    }

    /// Takes a slot out.
    pub fn remove(&mut self, hash: u64, slot: u32) {
        let (tag, mask) = (tag(hash), self.mask());
        let mut at = tag as usize & mask;
        loop {
            match self.buckets.get(at) {
                None | Some(&EMPTY) => return,
                Some(bucket) if bucket.slot == slot => break,
                Some(_) => at = (at + 1) & mask,
            }
        }
        self.len -= 1;
        self.close(at, mask);
    }

    /// Moves into a gap what the search would not find behind it.
    fn close(&mut self, gap: usize, mask: usize) {
        let (mut gap, mut at) = (gap, gap);
        loop {
            at = (at + 1) & mask;
            let bucket = self.buckets[at];
            if bucket.slot == NONE {
                break;
            }
            let home = bucket.tag as usize & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(gap) & mask {
                self.buckets[gap] = bucket;
                gap = at;
            }
        }
        self.buckets[gap] = EMPTY;
    }

    fn place(&mut self, bucket: Bucket) {
        let mask = self.mask();
        let mut at = bucket.tag as usize & mask;
        while self.buckets[at].slot != NONE {
            at = (at + 1) & mask;
        }
        self.buckets[at] = bucket;
    }

    #[cold]
    fn grow(&mut self) {
        let size = (self.buckets.len() * 2).max(SMALLEST);
        let old = std::mem::replace(&mut self.buckets, vec![EMPTY; size]);
        old.into_iter().filter(|bucket| bucket.slot != NONE).for_each(|bucket| self.place(bucket));
    }

    #[inline]
    const fn mask(&self) -> usize {
        self.buckets.len().wrapping_sub(1)
    }
}

/// How many of these buckets may be full.
#[inline]
const fn most_full(buckets: usize) -> usize {
    if buckets <= SPARSE { buckets / 16 * 7 } else { buckets / 4 * 3 }
}

/// See [`Index::candidates`].
#[derive(Debug)]
pub struct Candidates<'a> {
    buckets: &'a [Bucket],
    tag: u32,
    at: usize,
    mask: usize,
}

impl Iterator for Candidates<'_> {
    type Item = u32;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "this loop is what a lookup consists of")]
    fn next(&mut self) -> Option<u32> {
        loop {
            let bucket = self.buckets.get(self.at)?;
            if bucket.slot == NONE {
                return None;
            }
            self.at = (self.at + 1) & self.mask;
            if bucket.tag == self.tag {
                return Some(bucket.slot);
            }
        }
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the tag is a part of the hash")]
const fn tag(hash: u64) -> u32 {
    hash as u32
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn found(index: &Index, hash: u64) -> HashSet<u32> {
        index.candidates(hash).collect()
    }

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_and_not_taken_out(
            steps in vec((0_u32..40, any::<bool>()), 0..300), spread in 1_u64..100_000,
        ) {
            // Few hashes, near each other or apart, so that runs of buckets touch and wrap around.
            let hash = |slot: u32| u64::from(slot % 10).wrapping_mul(spread).wrapping_sub(3);
            let (mut index, mut model) = (Index::new(), HashSet::new());
            for (slot, add) in steps {
                let slot = slot + 2;
                if !add {
                    index.remove(hash(slot), slot);
                    model.remove(&slot);
                } else if model.insert(slot) {
                    index.insert(hash(slot), slot);
                }
                prop_assert_eq!(index.len(), model.len());
                for slot in 2..42 {
                    prop_assert_eq!(found(&index, hash(slot)).contains(&slot), model.contains(&slot));
                }
            }
        }
    }

    #[test]
    fn an_empty_index_has_no_candidates() {
        let mut index = Index::new();
        assert_eq!(found(&index, 7).len(), 0);
        index.remove(7, 2);
        assert_eq!(index.len(), 0);
    }

    #[test]
    fn a_quarter_stays_free_and_of_a_small_table_more_than_half() {
        let mut index = Index::new();
        for slot in 2..200_000 {
            index.insert(u64::from(slot), slot);
            let (len, buckets) = (index.len(), index.buckets.len());
            assert!(len * 4 <= buckets * 3);
            assert!(len * 2 < buckets || buckets > SPARSE);
        }
    }
}
