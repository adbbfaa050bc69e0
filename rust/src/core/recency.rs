//! The order of use of numbered slots.

/// The list's ends meet here, so that no operation has a special case for them.
const SENTINEL: u32 = 0;

#[derive(Clone, Copy, Debug)]
struct Link {
    older: u32,
    newer: u32,
}

/// A doubly linked list over slot numbers from 1, held apart from the entries.
///
/// Moving a slot to the front touches three other slots; as 8-byte links these share cache lines
/// far more often than whole entries would.
#[derive(Debug)]
pub struct Recency {
    links: Vec<Link>,
}

impl Recency {
    pub fn new() -> Self {
        Self { links: vec![Link { older: SENTINEL, newer: SENTINEL }] }
    }

    /// Adds a slot that is not in the list, as the most recently used.
    pub fn add(&mut self, slot: u32) {
        if slot as usize >= self.links.len() {
            self.links.resize(slot as usize + 1, Link { older: slot, newer: slot });
        }
        self.append(slot);
    }

    /// Takes a slot out of the list.
    #[inline]
    pub fn remove(&mut self, slot: u32) {
        let Link { older, newer } = self.link(slot);
        self.set_newer(older, newer);
        self.set_older(newer, older);
    }

    /// Makes a slot of the list the most recently used.
    #[inline]
    pub fn touch(&mut self, slot: u32) {
        if self.link(slot).newer != SENTINEL {
            self.remove(slot);
            self.append(slot);
        }
    }

    /// The least recently used slot.
    pub fn oldest(&self) -> Option<u32> {
        self.newer_than(SENTINEL)
    }

    /// The slots, least recently used first.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        std::iter::successors(self.oldest(), |&slot| self.newer_than(slot))
    }

    fn newer_than(&self, slot: u32) -> Option<u32> {
        match self.link(slot).newer {
            SENTINEL => None,
            newer => Some(newer),
        }
    }

    #[inline]
    fn append(&mut self, slot: u32) {
        let newest = self.link(SENTINEL).older;
        self.set_older(slot, newest);
        self.set_newer(slot, SENTINEL);
        self.set_newer(newest, slot);
        self.set_older(SENTINEL, slot);
    }

    // Slots outside the list do not occur. Ignoring them, not indexing, keeps the code that a
    // cache hit runs free of panics, hence of what it takes to catch one.

    #[inline]
    fn link(&self, slot: u32) -> Link {
        self.links.get(slot as usize).copied().unwrap_or(Link { older: slot, newer: slot })
    }

    #[inline]
    fn set_older(&mut self, slot: u32, older: u32) {
        if let Some(link) = self.links.get_mut(slot as usize) {
            link.older = older;
        }
    }

    #[inline]
    fn set_newer(&mut self, slot: u32, newer: u32) {
        if let Some(link) = self.links.get_mut(slot as usize) {
            link.newer = newer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(list: &Recency) -> Vec<u32> {
        list.iter().collect()
    }

    #[test]
    fn slots_come_out_in_the_order_of_their_use() {
        let mut list = Recency::new();
        assert_eq!(list.oldest(), None);
        (1..=4).for_each(|slot| list.add(slot));
        list.touch(4);
        list.touch(2);
        list.touch(1);
        assert_eq!(order(&list), [3, 4, 2, 1]);
    }

    #[test]
    fn any_slot_can_be_removed_and_added_again() {
        let mut list = Recency::new();
        (1..=4).for_each(|slot| list.add(slot));
        for slot in [4, 1, 3] {
            list.remove(slot);
        }
        assert_eq!(order(&list), [2]);
        list.add(1);
        list.remove(2);
        assert_eq!(order(&list), [1]);
        list.remove(1);
        assert_eq!(list.oldest(), None);
    }
}
