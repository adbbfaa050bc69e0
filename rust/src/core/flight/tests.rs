use super::*;

type Table = Flights<&'static str, u8, u8>;

fn board(table: &mut Table, key: &'static str, me: u8, token: u64) -> Boarding<u8> {
    let at = table
        .locate(7, |other| if *other == key { Match::Equal } else { Match::Different })
        .unwrap();
    table.board(at, 7, || key, (&me, token, token), || me)
}

fn lead(table: &mut Table, key: &'static str, me: u8, token: u64) -> Flight {
    match board(table, key, me, token) {
        Boarding::Lead(flight) => flight,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_first_leads_and_the_others_join_until_it_lands() {
    let mut table = Table::new(1);
    let flight = lead(&mut table, "a", 1, 0);
    assert_eq!(board(&mut table, "a", 2, 0), Boarding::Join { flight, leader: 1 });
    assert_eq!(board(&mut table, "a", 3, 0), Boarding::Join { flight, leader: 1 });
    assert_eq!(table.len(), 1);
    let landed = table.land(flight);
    assert_eq!((landed.waiters, landed.key), (vec![2, 3], Some("a")));
    assert!(table.is_empty());
    lead(&mut table, "a", 2, 0);
}

#[test]
fn keys_of_one_hash_fly_apart() {
    let mut table = Table::new(1);
    let (a, b) = (lead(&mut table, "a", 1, 0), lead(&mut table, "b", 2, 0));
    assert_eq!(board(&mut table, "b", 3, 0), Boarding::Join { flight: b, leader: 2 });
    assert!(table.land(a).waiters.is_empty());
    assert_eq!(table.land(b).waiters, [3]);
}

#[test]
fn a_leader_that_asks_for_its_own_key_is_told() {
    let mut table = Table::new(1);
    let flight = lead(&mut table, "a", 1, 0);
    assert_eq!(board(&mut table, "a", 1, 0), Boarding::Reentered);
    // Also when the key was invalidated meanwhile.
    assert_eq!(board(&mut table, "a", 1, 5), Boarding::Reentered);
    lead(&mut table, "b", 1, 0);
    assert!(table.land(flight).waiters.is_empty());
}

#[test]
fn nobody_boards_a_flight_that_began_before_an_invalidation() {
    let mut table = Table::new(1);
    let old = lead(&mut table, "a", 1, 0);
    assert_eq!(board(&mut table, "a", 2, 0), Boarding::Join { flight: old, leader: 1 });
    let new = lead(&mut table, "a", 3, 1);
    assert_eq!(board(&mut table, "a", 4, 1), Boarding::Join { flight: new, leader: 3 });
    // The old one lands for those on board and leaves the gate to the new one.
    let landed = table.land(old);
    assert_eq!((landed.waiters, landed.key), (vec![2], None));
    assert_eq!(board(&mut table, "a", 5, 1), Boarding::Join { flight: new, leader: 3 });
    let landed = table.land(new);
    assert_eq!((landed.waiters, landed.key), (vec![4, 5], Some("a")));
}

#[test]
fn what_cannot_be_compared_here_is_undecided() {
    let mut table = Table::new(1);
    lead(&mut table, "a", 1, 0);
    assert_eq!(table.locate(7, |_| Match::Unknown), Err(Undecided));
    assert_eq!(table.locate(8, |_| Match::Unknown), Ok(None));
}

#[test]
fn a_fork_leaves_only_the_flights_of_the_thread_that_forked() {
    let mut table = Table::new(1);
    let (mine, theirs) = (lead(&mut table, "a", 1, 0), lead(&mut table, "b", 2, 0));
    assert_eq!(board(&mut table, "b", 3, 0), Boarding::Join { flight: theirs, leader: 2 });
    assert_eq!(table.survive_fork(1, &1).len(), 0);
    let lost = table.survive_fork(9, &1);
    assert_eq!(lost.iter().map(|landed| landed.key).collect::<Vec<_>>(), [Some("b")]);
    assert_eq!(table.survive_fork(9, &1).len(), 0);
    assert_eq!(board(&mut table, "a", 1, 0), Boarding::Reentered);
    lead(&mut table, "b", 4, 0);
    assert_eq!(table.land(theirs).key, None);
    assert_eq!(table.land(mine).key, Some("a"));
}

#[test]
fn landing_twice_does_nothing() {
    let mut table = Table::new(1);
    let flight = lead(&mut table, "a", 1, 0);
    assert_eq!(table.land(flight).key, Some("a"));
    lead(&mut table, "a", 2, 0);
    assert_eq!(table.land(flight).key, None);
    assert_eq!(table.len(), 1);
}

#[test]
fn who_leaves_is_not_told_and_the_others_are() {
    let mut table = Table::new(1);
    let flight = lead(&mut table, "a", 1, 0);
    for waiter in [2, 3, 4] {
        assert_eq!(board(&mut table, "a", waiter, 0), Boarding::Join { flight, leader: 1 });
    }
    assert_eq!(table.leave(flight, |&waiter| waiter == 2), Some(2));
    assert_eq!(table.leave(flight, |&waiter| waiter == 2), None);
    let mut told = table.land(flight).waiters;
    told.sort_unstable();
    assert_eq!(told, [3, 4]);
    assert_eq!(table.leave(flight, |_| true), None);
}
