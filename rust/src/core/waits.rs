//! Which thread waits for which, so that no two wait for each other.

use std::collections::HashMap;
use std::hash::Hash;

/// Waiting would never end: the awaited thread waits, directly or not, for the one that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlock;

/// Every thread that waits for a flight, with the leader it waits for and its seat.
///
/// A leader hands the outcome to a seat before it does anything else, so a seat that has its outcome
/// no longer holds its thread up, even if that thread has not woken yet to [`leave`](Waits::leave).
#[derive(Debug)]
pub struct Waits<T, S> {
    waiting: HashMap<T, (T, S)>,
}

impl<T, S> Default for Waits<T, S> {
    fn default() -> Self {
        Self { waiting: HashMap::new() }
    }
}

impl<T: Copy + Eq + Hash, S> Waits<T, S> {
    /// Notes that `me` waits in `seat` for `leader`.
    ///
    /// # Errors
    ///
    /// [`Deadlock`] if that would close a circle of threads, none of whose seats is `served`.
    pub fn enter(
        &mut self,
        me: T,
        leader: T,
        seat: S,
        served: impl Fn(&S) -> bool,
    ) -> Result<(), Deadlock> {
        let mut awaited = leader;
        // Each step is another waiting thread, unless there is a circle without `me` in it. Such a
        // one cannot close; the bound only says so to the reader.
        for _ in 0..=self.waiting.len() {
            if awaited == me {
                return if served(&seat) { Ok(()) } else { Err(Deadlock) };
            }
            match self.waiting.get(&awaited) {
                Some((next, seat)) if !served(seat) => awaited = *next,
                _ => break,
            }
        }
        self.waiting.insert(me, (leader, seat));
        Ok(())
    }

    /// Notes that `me` waits no more; returns its seat.
    #[must_use = "dropping a seat may run foreign code"]
    pub fn leave(&mut self, me: &T) -> Option<S> {
        self.waiting.remove(me).map(|(_, seat)| seat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(waits: &mut Waits<u8, bool>, me: u8, leader: u8) -> Result<(), Deadlock> {
        waits.enter(me, leader, false, |&served| served)
    }

    #[test]
    fn a_circle_of_any_length_is_refused_and_a_chain_is_not() {
        let mut waits = Waits::default();
        assert_eq!(enter(&mut waits, 1, 2), Ok(()));
        assert_eq!(enter(&mut waits, 2, 3), Ok(()));
        assert_eq!(enter(&mut waits, 4, 2), Ok(()));
        assert_eq!(enter(&mut waits, 3, 1), Err(Deadlock));
        assert_eq!(enter(&mut waits, 3, 4), Err(Deadlock));
        assert_eq!(enter(&mut waits, 5, 5), Err(Deadlock));
        assert_eq!(waits.leave(&2), Some(false));
        assert_eq!(enter(&mut waits, 3, 1), Ok(()));
    }

    #[test]
    fn a_thread_that_was_handed_its_outcome_holds_nobody_up() {
        let mut waits = Waits::default();
        // 1 waited for 2, which has landed and now waits for what 1 loads.
        assert_eq!(waits.enter(1, 2, true, |&served| served), Ok(()));
        assert_eq!(enter(&mut waits, 2, 1), Ok(()));
        assert_eq!(waits.leave(&1), Some(true));
        assert_eq!(waits.leave(&1), None);
    }
}
