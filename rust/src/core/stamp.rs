//! What an entry knows about its own life, in one word: deadline, queue and frequency.

use super::clock::NEVER;

/// Frequencies above this are not told apart, so that a hit seldom writes.
pub const FREQUENT: u64 = 2;

const FREQUENCY: u64 = 0b011;
const MAIN: u64 = 0b100;
const GUARDED: u64 = 0b1000;
/// The bits below the deadline. [`NEVER`] leaves this many free.
const FLAGS: u32 = 8;
const _: () = assert!(NEVER == u64::MAX >> FLAGS);

/// One of a policy's queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    Small = 0,
    Main = 1,
}

/// A deadline in milliseconds with, for the policy, a queue and a frequency from 0 to [`FREQUENT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(u64);

impl Stamp {
    /// Of a new entry, not yet used.
    #[inline]
    pub const fn new(deadline: u64, queue: Queue) -> Self {
        Self(deadline << FLAGS).moved(queue)
    }

    #[inline]
    pub const fn deadline(self) -> u64 {
        self.0 >> FLAGS
    }

    #[inline]
    pub const fn set_deadline(&mut self, deadline: u64) {
        self.0 = deadline << FLAGS | self.0 & (GUARDED | MAIN | FREQUENCY);
    }

    /// Whether the entry has a [`Guard`](super::guards::Guard), which knows more of its life.
    #[inline]
    pub const fn is_guarded(self) -> bool {
        self.0 & GUARDED != 0
    }

    #[inline]
    pub const fn set_guarded(&mut self, guarded: bool) {
        self.0 = self.0 & !GUARDED | if guarded { GUARDED } else { 0 };
    }

    #[inline]
    pub const fn queue(self) -> Queue {
        if self.0 & MAIN == 0 { Queue::Small } else { Queue::Main }
    }

    #[inline]
    pub const fn frequency(self) -> u64 {
        self.0 & FREQUENCY
    }

    /// Notes a use; writes only what changes.
    #[inline]
    pub const fn bump(&mut self) {
        if self.frequency() < FREQUENT {
            self.0 += 1;
        }
    }

    /// Takes one from a frequency above 0.
    #[inline]
    pub const fn age(&mut self) {
        debug_assert!(self.frequency() > 0);
        self.0 -= 1;
    }

    /// In a queue, with its frequency to be earned again.
    #[inline]
    pub const fn moved(self, queue: Queue) -> Self {
        let queue = match queue {
            Queue::Small => 0,
            Queue::Main => MAIN,
        };
        Self(self.0 & !(MAIN | FREQUENCY) | queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_do_not_disturb_each_other() {
        let mut stamp = Stamp::new(NEVER, Queue::Main);
        (0..5).for_each(|_| stamp.bump());
        assert_eq!((stamp.deadline(), stamp.queue()), (NEVER, Queue::Main));
        assert_eq!(stamp.frequency(), FREQUENT);
        stamp.set_guarded(true);
        stamp.set_deadline(0);
        assert_eq!((stamp.deadline(), stamp.queue()), (0, Queue::Main));
        assert!(stamp.is_guarded());
        stamp.set_guarded(false);
        assert!(!stamp.is_guarded());
        stamp.age();
        assert_eq!(stamp.frequency(), FREQUENT - 1);
        assert_eq!(stamp.moved(Queue::Small), Stamp::new(0, Queue::Small));
    }
}
