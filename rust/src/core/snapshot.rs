//! PostgreSQL's snapshots: which transactions a value that was read includes.

/// What `pg_current_snapshot()` says, in the statement that read a value.
///
/// A transaction is *settled* in a snapshot when it had ended, by commit or abort, before the
/// snapshot was taken: the value then includes its change, or will never need to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    xmin: u64,
    xmax: u64,
    /// Those from `xmin` to `xmax` that were running, in rising order.
    running: Box<[u64]>,
    /// Whether a standby took it. It leaves out what is running there, so that only what lies
    /// below `xmin` is known to be settled.
    standby: bool,
}

/// The bytes are no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Snapshot {
    /// Reads PostgreSQL's binary form of `pg_snapshot`: the number of running transactions in 32
    /// bits, then `xmin`, `xmax` and the running ones in 64 bits each, big end first.
    ///
    /// # Errors
    ///
    /// [`Malformed`] unless the bytes are exactly that, with `0 < xmin <= xmax` and the running
    /// ones rising between them.
    pub fn read(bytes: &[u8], standby: bool) -> Result<Self, Malformed> {
        let (count, words) = bytes.split_first_chunk::<4>().ok_or(Malformed)?;
        let count = usize::try_from(u32::from_be_bytes(*count)).map_err(|_| Malformed)?;
        let (words, rest) = words.as_chunks::<8>();
        if !rest.is_empty() || words.len() != count.checked_add(2).ok_or(Malformed)? {
            return Err(Malformed);
        }
        let mut words = words.iter().map(|word| u64::from_be_bytes(*word));
        let (xmin, xmax) = words.next().zip(words.next()).ok_or(Malformed)?;
        let running: Box<[u64]> = words.collect();
        let rising = running.is_sorted_by(|one, next| one < next);
        let inside = running.iter().all(|xid| (xmin..xmax).contains(xid));
        if 0 < xmin && xmin <= xmax && rising && inside {
            Ok(Self { xmin, xmax, running, standby })
        } else {
            Err(Malformed)
        }
    }

    /// Whether a transaction had ended before the snapshot was taken.
    #[must_use]
    pub fn settles(&self, xid: u64) -> bool {
        xid < self.xmin
            || !self.standby && xid < self.xmax && self.running.binary_search(&xid).is_err()
    }

    /// Whether every transaction up to this one had.
    #[must_use]
    pub const fn settles_all_up_to(&self, xid: u64) -> bool {
        xid < self.xmin
    }

    #[must_use]
    pub const fn is_of_standby(&self) -> bool {
        self.standby
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    pub(in crate::core) fn binary(xmin: u64, xmax: u64, running: &[u64]) -> Vec<u8> {
        let count = u32::try_from(running.len()).unwrap().to_be_bytes().to_vec();
        let words = [xmin, xmax].into_iter().chain(running.iter().copied());
        count.into_iter().chain(words.flat_map(u64::to_be_bytes)).collect()
    }

    pub(in crate::core) fn snapshot(xmin: u64, xmax: u64, running: &[u64]) -> Snapshot {
        Snapshot::read(&binary(xmin, xmax, running), false).unwrap()
    }

    #[test]
    fn what_ended_before_it_is_settled() {
        let taken = snapshot(10, 15, &[10, 12]);
        let settled: Vec<u64> = (8..17).filter(|&xid| taken.settles(xid)).collect();
        assert_eq!(settled, [8, 9, 11, 13, 14]);
        assert!(taken.settles_all_up_to(9) && !taken.settles_all_up_to(10));
    }

    #[test]
    fn a_standby_does_not_say_what_was_running() {
        // As PostgreSQL 18 gave it while 754 was running: `754:756:`.
        let taken = Snapshot::read(&binary(754, 756, &[]), true).unwrap();
        assert!(taken.settles(753));
        assert!(!taken.settles(754) && !taken.settles(755));
    }

    #[test]
    fn other_bytes_are_no_snapshot() {
        for bytes in [
            vec![],
            vec![0; 4],
            binary(1, 1, &[])[..19].to_vec(),
            [binary(1, 1, &[]), vec![0]].concat(),
            binary(0, 1, &[]),
            binary(2, 1, &[]),
            binary(2, 5, &[5]),
            binary(2, 5, &[1]),
            binary(2, 5, &[3, 3]),
            binary(2, 5, &[4, 3]),
            [vec![255; 4], vec![0; 16]].concat(),
        ] {
            assert_eq!(Snapshot::read(&bytes, false), Err(Malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..64)) {
            let _ = Snapshot::read(&bytes, false);
        }
    }
}
