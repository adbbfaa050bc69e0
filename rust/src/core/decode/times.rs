//! Dates, times and intervals, which PostgreSQL counts from the beginning of the year 2000.
//!
//! Python's types hold the years 1 to 9999; what is outside is [`Unreadable::Range`].

use super::{Unreadable, fixed, take};
use crate::core::copy::calendar::{EPOCH_DAYS, MICROS_PER_DAY, date_of};

/// Days from 2000-01-01 to the first and the last date of Python.
const FIRST_DAY: i32 = -730_119;
const LAST_DAY: i32 = 2_921_939;

/// A timedelta's most days, to either side.
const DELTA_DAYS_MAX: i64 = 999_999_999;
const DAYS_PER_YEAR: i64 = 365;
const DAYS_PER_MONTH: i64 = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    pub year: i32,
    pub month: u8,
    pub day: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    pub hour: u8,
    pub minute: u8,
    pub second: u8,
    pub micros: u32,
}

/// As a `timedelta` has it: seconds within a day, microseconds within a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    pub days: i32,
    pub seconds: i32,
    pub micros: i32,
}

/// # Errors
///
/// [`Unreadable::Length`] and [`Unreadable::Range`], as of all functions here.
#[inline]
pub fn date(data: &[u8]) -> Result<Date, Unreadable> {
    date_on(i32::from_be_bytes(fixed(data)?))
}

/// A `timestamp`, or a `timestamptz` in UTC.
///
/// # Errors
///
/// As [`date`].
#[inline]
pub fn timestamp(data: &[u8]) -> Result<(Date, Time), Unreadable> {
    let micros = i64::from_be_bytes(fixed(data)?);
    let day = micros.div_euclid(MICROS_PER_DAY);
    let on = date_on(i32::try_from(day).map_err(|_| Unreadable::Range)?)?;
    Ok((on, time_at(micros.rem_euclid(MICROS_PER_DAY))?))
}

/// # Errors
///
/// As [`date`].
pub fn time(data: &[u8]) -> Result<Time, Unreadable> {
    time_at(i64::from_be_bytes(fixed(data)?))
}

/// A time of day with its offset from UTC in seconds, to the east.
///
/// # Errors
///
/// As [`date`].
pub fn timetz(mut data: &[u8]) -> Result<(Time, i32), Unreadable> {
    let micros = i64::from_be_bytes(*take(&mut data)?);
    let west = i32::from_be_bytes(fixed(data)?);
    Ok((time_at(micros)?, west.checked_neg().ok_or(Unreadable::Range)?))
}

/// Years count 365 days and months 30, as psycopg counts them.
///
/// # Errors
///
/// As [`date`].
pub fn interval(mut data: &[u8]) -> Result<Interval, Unreadable> {
    let micros = i64::from_be_bytes(*take(&mut data)?);
    let days = i64::from(i32::from_be_bytes(*take(&mut data)?));
    let months = i64::from(i32::from_be_bytes(fixed(data)?));
    let days = days
        + months / 12 * DAYS_PER_YEAR
        + months % 12 * DAYS_PER_MONTH
        + micros.div_euclid(MICROS_PER_DAY);
    if days.abs() > DELTA_DAYS_MAX {
        return Err(Unreadable::Range);
    }
    let of_day = micros.rem_euclid(MICROS_PER_DAY);
    Ok(Interval {
        days: narrow(days)?,
        seconds: narrow(of_day / 1_000_000)?,
        micros: narrow(of_day % 1_000_000)?,
    })
}

#[inline]
fn date_on(day: i32) -> Result<Date, Unreadable> {
    if !(FIRST_DAY..=LAST_DAY).contains(&day) {
        return Err(Unreadable::Range);
    }
    let (year, month, day) = date_of(day + EPOCH_DAYS);
    Ok(Date { year, month, day })
}

#[inline]
fn time_at(micros: i64) -> Result<Time, Unreadable> {
    // PostgreSQL also has 24:00.
    if !(0..MICROS_PER_DAY).contains(&micros) {
        return Err(Unreadable::Range);
    }
    let seconds: u32 = narrow(micros / 1_000_000)?;
    Ok(Time {
        hour: narrow(i64::from(seconds / 3_600))?,
        minute: narrow(i64::from(seconds / 60 % 60))?,
        second: narrow(i64::from(seconds % 60))?,
        micros: narrow(micros % 1_000_000)?,
    })
}

#[inline]
fn narrow<N: TryFrom<i64>>(value: i64) -> Result<N, Unreadable> {
    N::try_from(value).map_err(|_| Unreadable::Range)
}
