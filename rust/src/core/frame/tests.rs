use super::*;

use proptest::prelude::*;

const STAMP: Stamp = Stamp { fingerprint: 0x0102_0304_0506_0708, written_at_ms: -2 };
const PLACE: &[u8] = b"cache:{flights:[1]}";
const NEVER: usize = usize::MAX;

fn keyring(current: &str) -> Keyring {
    Keyring::new(current, [("old", &[1; KEY][..]), ("new", &[2; KEY][..])]).unwrap()
}

fn plain(payload: &[u8]) -> Vec<u8> {
    seal(payload, STAMP, PLACE, NEVER, None).unwrap()
}

/// One frame of each kind, with the keys it needs.
fn frames(payload: &[u8]) -> [(Vec<u8>, Option<Keyring>); 4] {
    [(NEVER, false), (0, false), (NEVER, true), (0, true)].map(|(from, encrypted)| {
        let keys = encrypted.then(|| keyring("old"));
        (seal(payload, STAMP, PLACE, from, keys.as_ref()).unwrap(), keys)
    })
}

fn opened(frame: &[u8], keys: Option<&Keyring>) -> Option<(Vec<u8>, i64)> {
    open(frame, STAMP.fingerprint, PLACE, keys).map(|(payload, at)| (payload.into_owned(), at))
}

/// The same bytes with the checksum that they should have.
fn with_good_checksum(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let checksum = checksum(&frame[..CHECKSUM_AT], PLACE, &frame[HEADER..]);
    frame[CHECKSUM_AT..HEADER].copy_from_slice(&checksum.to_le_bytes());
    frame
}

#[test]
fn a_frame_opens_to_what_was_put_in() {
    for payload in [&b""[..], b"x", &[0; 10_000]] {
        for (frame, keys) in frames(payload) {
            assert_eq!(opened(&frame, keys.as_ref()), Some((payload.to_vec(), -2)));
        }
    }
}

#[test]
fn the_layout_is_the_documented_one() {
    let frame = plain(b"payload");
    assert_eq!(frame[..8], *b"\x89TLF\x02\x00\x00\x00");
    assert_eq!(frame[8..16], [8, 7, 6, 5, 4, 3, 2, 1]);
    assert_eq!(frame[16..24], [0xFE, 255, 255, 255, 255, 255, 255, 255]);
    assert_eq!(frame[24..28], [7, 0, 0, 0]);
    let checksum = crc32fast::hash(&[&frame[..28], PLACE, b"payload"].concat());
    assert_eq!(frame[28..32], checksum.to_le_bytes());
    assert_eq!(frame[32..], *b"payload");
    let encrypted = seal(b"payload", STAMP, PLACE, NEVER, Some(&keyring("old"))).unwrap();
    assert_eq!(encrypted[..8], *b"\x89TLF\x02\x02\x00\x00");
    assert_eq!(encrypted[32..36], *b"\x03old");
    assert_eq!(encrypted.len(), 32 + 4 + 12 + 7 + 16);
}

#[test]
fn only_what_gets_shorter_is_compressed() {
    let long = [7; 2_000];
    assert_eq!(seal(&long, STAMP, PLACE, 2_001, None).unwrap(), plain(&long));
    assert!(seal(&long, STAMP, PLACE, 2_000, None).unwrap().len() < 200);
    assert_eq!(seal(b"short", STAMP, PLACE, 0, None).unwrap(), plain(b"short"));
}

#[test]
fn another_schema_or_place_does_not_open_it() {
    for (frame, keys) in frames(&[7; 100]) {
        let keys = keys.as_ref();
        assert_eq!(open(&frame, STAMP.fingerprint + 1, PLACE, keys), None);
        assert_eq!(open(&frame, STAMP.fingerprint, b"cache:{flights:[2]}", keys), None);
        assert_eq!(open(&frame, STAMP.fingerprint, b"", keys), None);
    }
}

#[test]
fn no_flipped_bit_goes_unnoticed() {
    for (frame, keys) in frames(&[7; 40]) {
        for bit in 0..frame.len() * 8 {
            let mut torn = frame.clone();
            torn[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&torn, keys.as_ref()), None, "bit {bit}");
        }
    }
}

#[test]
fn no_flipped_bit_of_an_encrypted_frame_passes_even_with_a_good_checksum() {
    for (frame, keys) in frames(&[7; 40]).into_iter().filter(|(_, keys)| keys.is_some()) {
        for bit in (0..CHECKSUM_AT * 8).chain(HEADER * 8..frame.len() * 8) {
            let mut forged = frame.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(opened(&with_good_checksum(&forged), keys.as_ref()), None, "bit {bit}");
        }
    }
}

#[test]
fn an_encrypted_frame_moved_elsewhere_does_not_open_even_with_a_good_checksum() {
    let keys = keyring("old");
    let elsewhere = seal(b"payload", STAMP, b"elsewhere", NEVER, Some(&keys)).unwrap();
    assert_eq!(opened(&with_good_checksum(&elsewhere), Some(&keys)), None);
}

#[test]
fn a_frame_of_another_length_does_not_open() {
    for (frame, keys) in frames(&[7; 40]) {
        for length in 0..frame.len() {
            assert_eq!(opened(&frame[..length], keys.as_ref()), None, "{length} bytes");
        }
        assert_eq!(opened(&[&frame[..], b"x"].concat(), keys.as_ref()), None);
    }
}

#[test]
fn unknown_versions_and_flags_do_not_open_even_with_a_good_checksum() {
    let frame = plain(b"payload");
    for at in 0..8 {
        for flip in [1, 2, 4, 0x40] {
            let mut forged = frame.clone();
            forged[at] ^= flip;
            assert_eq!(opened(&with_good_checksum(&forged), None), None, "byte {at}");
        }
    }
}

#[test]
fn keys_are_rotated_by_their_ids() {
    let by_old = seal(b"payload", STAMP, PLACE, NEVER, Some(&keyring("old"))).unwrap();
    assert_eq!(opened(&by_old, Some(&keyring("new"))), Some((b"payload".to_vec(), -2)));
    let forgotten = Keyring::new("new", [("new", &[2; KEY][..])]).unwrap();
    assert_eq!(opened(&by_old, Some(&forgotten)), None);
    let other = Keyring::new("old", [("old", &[3; KEY][..])]).unwrap();
    assert_eq!(opened(&by_old, Some(&other)), None);
}

#[test]
fn where_there_are_keys_only_encrypted_frames_open_and_elsewhere_none_of_them() {
    assert_eq!(opened(&plain(b"payload"), Some(&keyring("old"))), None);
    let encrypted = seal(b"payload", STAMP, PLACE, NEVER, Some(&keyring("old"))).unwrap();
    assert_eq!(opened(&encrypted, None), None);
}

#[test]
fn a_payload_is_good_for_what_is_left_of_its_time_and_for_no_longer() {
    let left = |written_at_ms, now_s| (life_s(written_at_ms, now_s, 60.0) * 1000.0).round();
    assert!((left(10_000, 10.0) - 60_000.0).abs() < 0.5);
    assert!((left(10_000, 30.5) - 39_500.0).abs() < 0.5);
    assert!(left(10_000, 71.0) < 0.0);
    // Written by a clock that stands before ours.
    assert!((left(99_000, 10.0) - 60_000.0).abs() < 0.5);
}

proptest! {
    #[test]
    fn whatever_stands_in_a_body_is_opened_or_refused(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        flags in 0_u8..4,
    ) {
        let mut frame = plain(&body);
        frame[FLAGS_AT] = flags;
        let frame = with_good_checksum(&frame);
        let keys = keyring("old");
        let found = opened(&frame, (flags & ENCRYPTED != 0).then_some(&keys));
        match flags {
            0 => prop_assert_eq!(found, Some((body, -2))),
            COMPRESSED => prop_assert!(found.is_none_or(|(text, _)| text.len() <= PLAIN_MAX)),
            _ => prop_assert_eq!(found, None),
        }
    }
}
