//! Labels that entries carry, so that all entries of one can be invalidated at once.

use std::collections::HashMap;

#[derive(Debug, Default)]
struct Tag {
    entries: u32,
    /// When it was last invalidated, in the order of the cache's changes.
    invalidated: u64,
}

/// The tags of the entries that are there, by hash: tags of one hash are one tag, which can only
/// invalidate too much.
///
/// Invalidating a tag notes the moment and touches no entry; an entry stored earlier is outdated and
/// leaves when it is met.
#[derive(Debug, Default)]
pub struct Tags(HashMap<u64, Tag>);

impl Tags {
    /// Notes that an entry carries these tags.
    pub fn add(&mut self, tags: &[u64]) {
        for &tag in tags {
            self.0.entry(tag).or_default().entries += 1;
        }
    }

    /// Notes that an entry with these tags left; forgets those that no other carries.
    pub fn remove(&mut self, tags: &[u64]) {
        for tag in tags {
            if let Some(known) = self.0.get_mut(tag) {
                known.entries -= 1;
                if known.entries == 0 {
                    self.0.remove(tag);
                }
            }
        }
    }

    /// Makes what carries the tag outdated, at this moment of the cache's changes.
    pub fn invalidate(&mut self, tag: u64, moment: u64) {
        if let Some(tag) = self.0.get_mut(&tag) {
            tag.invalidated = moment;
        }
    }

    /// Whether a tag was invalidated after an entry that carries it was stored.
    pub fn are_outdated(&self, tags: &[u64], stored: u64) -> bool {
        tags.iter().any(|tag| self.0.get(tag).is_some_and(|tag| tag.invalidated > stored))
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalidation_outdates_what_was_stored_before() {
        let mut tags = Tags::default();
        tags.add(&[1, 2]);
        tags.invalidate(2, 5);
        assert!(tags.are_outdated(&[1, 2], 4));
        assert!(!tags.are_outdated(&[1], 4));
        assert!(!tags.are_outdated(&[1, 2], 5));
    }

    #[test]
    fn a_tag_is_forgotten_with_its_last_entry() {
        let mut tags = Tags::default();
        tags.add(&[1]);
        tags.add(&[1, 2]);
        tags.invalidate(3, 9);
        tags.remove(&[1, 2]);
        assert_eq!(tags.0.len(), 1);
        tags.remove(&[1]);
        assert!(tags.is_empty());
    }
}
