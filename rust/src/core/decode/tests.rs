//! What the encoder of COPY writes is read back; other bytes are refused and never panic.

use proptest::prelude::*;

use super::times::{Date, Interval, Time};
use super::{Unreadable, array, numeric, times};
use crate::core::copy::Rows;
use crate::core::copy::calendar::{days, micros};

/// The bytes of the one field that `write` writes.
fn field(write: impl FnOnce(&mut Rows)) -> Vec<u8> {
    let mut rows = Rows::default();
    write(&mut rows);
    rows.as_bytes()[4..].to_vec()
}

fn text(data: &[u8]) -> Result<String, Unreadable> {
    let mut out = b"> ".to_vec();
    let result = numeric::write(data, &mut out);
    let result = result.map(|()| String::from_utf8(out[2..].to_vec()).unwrap());
    assert!(result.is_ok() || out == b"> ", "what is refused leaves nothing");
    result
}

fn numeric_of(count: u16, weight: i16, sign: u16, scale: u16, groups: &[u16]) -> Vec<u8> {
    let head = [count, weight.cast_unsigned(), sign, scale];
    head.iter().chain(groups).flat_map(|short| short.to_be_bytes()).collect()
}

proptest! {
    #[test]
    fn numbers_are_read_as_written(a: i16, b: i32, c: i64, d: f64, e: u128, f: bool, g: f32, h: u32) {
        prop_assert_eq!(super::int2(&field(|rows| rows.int2(a))), Ok(a));
        prop_assert_eq!(super::int4(&field(|rows| rows.int4(b))), Ok(b));
        prop_assert_eq!(super::int8(&field(|rows| rows.int8(c))), Ok(c));
        prop_assert_eq!(super::float8(&field(|rows| rows.float8(d))).unwrap().to_bits(), d.to_bits());
        prop_assert_eq!(super::uuid(&field(|rows| rows.uuid(e))), Ok(e));
        prop_assert_eq!(super::bool(&field(|rows| rows.bool(f))), Ok(f));
        prop_assert_eq!(super::float4(&g.to_be_bytes()).unwrap().to_bits(), g.to_bits());
        prop_assert_eq!(super::oid(&h.to_be_bytes()), Ok(h));
    }

    #[test]
    fn instants_are_read_as_written(
        year in 1..=9999, month in 1..=12_u8, day in 1..=28_u8, of_day in 0..86_400_000_000_i64,
    ) {
        let at = days(year, month, day);
        let date = Date { year, month, day };
        prop_assert_eq!(times::date(&at.to_be_bytes()), Ok(date));
        let read = times::timestamp(&micros(at, of_day).to_be_bytes());
        prop_assert_eq!(read.unwrap().0, date);
        let time = read.unwrap().1;
        prop_assert_eq!(times::time(&of_day.to_be_bytes()), Ok(time));
        let seconds = i64::from(time.hour) * 3_600 + i64::from(time.minute) * 60 + i64::from(time.second);
        prop_assert_eq!(seconds * 1_000_000 + i64::from(time.micros), of_day);
        prop_assert!(time.minute < 60 && time.second < 60 && time.micros < 1_000_000);
    }

    #[test]
    fn decimals_are_read_as_written(sign in "-?", whole in "0|[1-9][0-9]{0,30}", part in "[0-9]{0,30}") {
        let written = if part.is_empty() { whole } else { format!("{whole}.{part}") };
        let is_zero = written.bytes().all(|byte| b"0.".contains(&byte));
        let written = if is_zero { written } else { sign + &written };
        prop_assert_eq!(text(&field(|rows| rows.numeric(&written).unwrap())), Ok(written));
    }

    #[test]
    fn a_span_has_the_length_that_was_written(micros: i64, day in -9_999..9_999_i32, month in -999..999_i32) {
        let data = [&micros.to_be_bytes()[..], &day.to_be_bytes(), &month.to_be_bytes()].concat();
        let read = times::interval(&data).unwrap();
        let days = i128::from(day) + i128::from(month / 12 * 365 + month % 12 * 30);
        let expected = days * 86_400_000_000 + i128::from(micros);
        let found = (i128::from(read.days) * 86_400 + i128::from(read.seconds)) * 1_000_000;
        prop_assert_eq!(found + i128::from(read.micros), expected);
        prop_assert!((0..86_400).contains(&read.seconds) && (0..1_000_000).contains(&read.micros));
    }

    #[test]
    fn items_are_read_as_written(items: Vec<Vec<u8>>, lower_bound: i32) {
        let data = array_of(&items, lower_bound);
        let read: Vec<_> = array::items(&data).unwrap().collect();
        prop_assert_eq!(read, items.iter().map(|item| Ok(&item[..])).collect::<Vec<_>>());
        let mut longer = data.clone();
        longer.push(0);
        prop_assert_eq!(array::items(&longer).unwrap().last(), Some(Err(Unreadable::Length)));
        if !items.is_empty() {
            let shorter = &data[..data.len() - 1];
            prop_assert_eq!(array::items(shorter).unwrap().last(), Some(Err(Unreadable::Length)));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut data: Vec<u8>, head in any::<bool>()) {
        if head {
            data.splice(0..0, [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 25]);
        }
        let count = array::items(&data).map_or(0, Iterator::count);
        prop_assert!(count <= data.len());
        let _ = text(&data);
        prop_assert_eq!(super::int8(&data).is_ok(), data.len() == 8);
        let _ = (times::date(&data), times::timestamp(&data), times::time(&data));
        let _ = (times::timetz(&data), times::interval(&data), super::jsonb(&data));
    }

    #[test]
    fn any_fixed_bytes_are_a_moment_of_python_or_refused(data: [u8; 16]) {
        if let Ok(Date { year, month, day }) = times::date(&data[..4]) {
            prop_assert_eq!(&days(year, month, day).to_be_bytes()[..], &data[..4]);
        }
        if let Ok((Date { year, month, day }, _)) = times::timestamp(&data[..8]) {
            let at = i64::from_be_bytes(data[..8].try_into().unwrap());
            prop_assert_eq!(i64::from(days(year, month, day)), at.div_euclid(86_400_000_000));
        }
        let _ = (times::interval(&data), times::timetz(&data[..12]));
    }
}

fn array_of(items: &[Vec<u8>], lower_bound: i32) -> Vec<u8> {
    let mut data = [1, 0, 25].map(i32::to_be_bytes).concat();
    data.extend(i32::try_from(items.len()).unwrap().to_be_bytes());
    data.extend(lower_bound.to_be_bytes());
    for item in items {
        data.extend(i32::try_from(item.len()).unwrap().to_be_bytes());
        data.extend(item);
    }
    data
}

#[test]
fn the_ends_of_time_are_exact() {
    let day = |day: i32| times::date(&day.to_be_bytes());
    assert_eq!(day(-730_119), Ok(Date { year: 1, month: 1, day: 1 }));
    assert_eq!(day(2_921_939), Ok(Date { year: 9999, month: 12, day: 31 }));
    for outside in [-730_120, 2_921_940, i32::MIN, i32::MAX] {
        assert_eq!(day(outside), Err(Unreadable::Range));
    }
    let at = |micros: i64| times::timestamp(&micros.to_be_bytes());
    let last = 2_921_940 * 86_400_000_000 - 1;
    let midnight = Time { hour: 23, minute: 59, second: 59, micros: 999_999 };
    assert_eq!(at(last), Ok((Date { year: 9999, month: 12, day: 31 }, midnight)));
    for outside in [last + 1, -730_119 * 86_400_000_000 - 1, i64::MIN, i64::MAX] {
        assert_eq!(at(outside), Err(Unreadable::Range));
    }
}

#[test]
fn a_time_of_day_ends_before_24_and_may_have_an_offset() {
    let time = |micros: i64| times::time(&micros.to_be_bytes());
    assert_eq!(time(86_400_000_000), Err(Unreadable::Range));
    assert_eq!(time(-1), Err(Unreadable::Range));
    let zoned = [&3_600_000_000_i64.to_be_bytes()[..], &(-7_200_i32).to_be_bytes()].concat();
    let one = Time { hour: 1, minute: 0, second: 0, micros: 0 };
    assert_eq!(times::timetz(&zoned), Ok((one, 7_200)));
}

#[test]
fn a_span_is_no_longer_than_pythons() {
    let span = |micros: i64, days: i32, months: i32| {
        times::interval(
            &[&micros.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat(),
        )
    };
    let longest = Interval { days: 999_999_999, seconds: 86_399, micros: 999_999 };
    assert_eq!(span(86_399_999_999, 999_999_999, 0), Ok(longest));
    assert_eq!(span(86_400_000_000, 999_999_999, 0), Err(Unreadable::Range));
    assert_eq!(span(-1, -999_999_999, 0), Err(Unreadable::Range));
    assert_eq!(span(i64::MAX, i32::MAX, i32::MAX), Err(Unreadable::Range));
    assert_eq!(span(i64::MIN, i32::MIN, i32::MIN), Err(Unreadable::Range));
    assert_eq!(span(0, 0, -13), Ok(Interval { days: -395, seconds: 0, micros: 0 }));
}

#[test]
fn numbers_that_are_none_have_names_and_unknown_forms_are_refused() {
    assert_eq!(text(&numeric_of(0, 0, 0xC000, 0, &[])).as_deref(), Ok("NaN"));
    assert_eq!(text(&numeric_of(0, 0, 0xD000, 0, &[])).as_deref(), Ok("Infinity"));
    assert_eq!(text(&numeric_of(0, 0, 0xF000, 0, &[])).as_deref(), Ok("-Infinity"));
    assert_eq!(text(&numeric_of(0, 0, 0x1234, 0, &[])), Err(Unreadable::Form));
    assert_eq!(text(&numeric_of(1, 0, 0, 0, &[10_000])), Err(Unreadable::Form));
    assert_eq!(text(&numeric_of(2, 0, 0, 0, &[1])), Err(Unreadable::Length));
    assert_eq!(text(&[0; 7]), Err(Unreadable::Length));
    assert_eq!(text(&[0; 9]), Err(Unreadable::Length));
}

#[test]
fn the_display_scale_says_how_many_digits_there_are() {
    assert_eq!(text(&numeric_of(0, 0, 0x4000, 2, &[])).as_deref(), Ok("0.00"));
    assert_eq!(text(&numeric_of(1, 2, 0, 0, &[7])).as_deref(), Ok("700000000"));
    assert_eq!(text(&numeric_of(1, -3, 0x4000, 10, &[12])).as_deref(), Ok("-0.0000000000"));
    assert_eq!(text(&numeric_of(1, -3, 0, 12, &[12])).as_deref(), Ok("0.000000000012"));
    assert_eq!(text(&numeric_of(2, 0, 0, 1, &[3, 9_999])).as_deref(), Ok("3.9"));
}

#[test]
fn an_array_with_null_or_of_two_dimensions_is_refused_and_an_empty_one_is_not() {
    let head = |dimensions: i32| [dimensions, 0, 25].map(i32::to_be_bytes).concat();
    assert_eq!(array::items(&head(0)).unwrap().count(), 0);
    assert_eq!(array::items(&head(2)).err(), Some(Unreadable::Array));
    assert_eq!(array::items(&head(-1)).err(), Some(Unreadable::Form));
    let null = [&head(1)[..], &[1, 1, -1].map(i32::to_be_bytes).concat()].concat();
    assert_eq!(array::items(&null).unwrap().next(), Some(Err(Unreadable::Array)));
}

#[test]
fn json_has_a_version_byte() {
    assert_eq!(super::jsonb(b"\x01{}"), Ok(&b"{}"[..]));
    assert_eq!(super::jsonb(b"\x02{}"), Err(Unreadable::Form));
    assert_eq!(super::jsonb(b""), Err(Unreadable::Form));
}
