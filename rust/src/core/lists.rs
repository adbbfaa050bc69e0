//! Queues of numbered slots.

use super::stamp::Queue;

/// The first number of a slot. Those below are where the two queues' ends meet, so that no
/// operation has a special case for them.
pub const FIRST_SLOT: u32 = 2;

#[derive(Clone, Copy, Debug)]
struct Link {
    older: u32,
    newer: u32,
}

/// Two doubly linked lists over slot numbers, held apart from the entries.
///
/// Moving a slot to the end touches three other slots; as 8-byte links these share cache lines
/// far more often than whole entries would.
#[derive(Debug)]
pub struct Lists {
    links: Vec<Link>,
}

impl Lists {
    pub fn new() -> Self {
        Self { links: (0..FIRST_SLOT).map(|own| Link { older: own, newer: own }).collect() }
    }

    /// Adds a slot that is in neither queue, as the newest.
    #[inline]
    pub fn add(&mut self, queue: Queue, slot: u32) {
        if slot as usize >= self.links.len() {
            self.links.resize(slot as usize + 1, Link { older: slot, newer: slot });
        }
        self.append(queue, slot);
    }

    /// Takes a slot out of its queue.
    #[inline]
    pub fn remove(&mut self, slot: u32) {
        let Link { older, newer } = self.link(slot);
        self.set_newer(older, newer);
        self.set_older(newer, older);
    }

    /// Makes a slot of a queue its newest.
    #[inline]
    pub fn touch(&mut self, queue: Queue, slot: u32) {
        if self.link(slot).newer != queue as u32 {
            self.remove(slot);
            self.append(queue, slot);
        }
    }

    /// A queue's oldest slot.
    #[inline]
    pub fn oldest(&self, queue: Queue) -> Option<u32> {
        self.newer_than(queue as u32)
    }

    /// The slots of the small queue, then those of the main one, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        [Queue::Small, Queue::Main].into_iter().flat_map(|queue| {
            std::iter::successors(self.oldest(queue), |&slot| self.newer_than(slot))
        })
    }

    #[inline]
    fn newer_than(&self, slot: u32) -> Option<u32> {
        Some(self.link(slot).newer).filter(|&newer| newer >= FIRST_SLOT)
    }

    #[inline]
    fn append(&mut self, queue: Queue, slot: u32) {
        let newest = self.link(queue as u32).older;
        self.set_older(slot, newest);
        self.set_newer(slot, queue as u32);
        self.set_newer(newest, slot);
        self.set_older(queue as u32, slot);
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

    fn order(lists: &Lists) -> Vec<u32> {
        lists.iter().collect()
    }

    #[test]
    fn slots_come_out_in_the_order_of_their_use() {
        let mut lists = Lists::new();
        assert_eq!(lists.oldest(Queue::Main), None);
        (2..=5).for_each(|slot| lists.add(Queue::Main, slot));
        lists.touch(Queue::Main, 5);
        lists.touch(Queue::Main, 3);
        lists.touch(Queue::Main, 2);
        assert_eq!(order(&lists), [4, 5, 3, 2]);
    }

    #[test]
    fn any_slot_can_be_removed_and_added_again() {
        let mut lists = Lists::new();
        (2..=5).for_each(|slot| lists.add(Queue::Small, slot));
        for slot in [5, 2, 4] {
            lists.remove(slot);
        }
        assert_eq!(order(&lists), [3]);
        lists.add(Queue::Small, 2);
        lists.remove(3);
        assert_eq!(order(&lists), [2]);
        lists.remove(2);
        assert_eq!(lists.oldest(Queue::Small), None);
    }

    #[test]
    fn the_queues_are_apart_and_a_slot_may_change_over() {
        let mut lists = Lists::new();
        lists.add(Queue::Main, 2);
        lists.add(Queue::Small, 3);
        lists.add(Queue::Main, 4);
        assert_eq!(order(&lists), [3, 2, 4]);
        lists.remove(2);
        lists.add(Queue::Small, 2);
        assert_eq!(order(&lists), [3, 2, 4]);
        assert_eq!((lists.oldest(Queue::Small), lists.oldest(Queue::Main)), (Some(3), Some(4)));
    }
}
