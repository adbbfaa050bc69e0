//! Dates and instants as PostgreSQL counts them: from the beginning of the year 2000.

const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i64 = 10_957;

/// Days from 2000-01-01 to a date of the proleptic Gregorian calendar, years 1 to 9999.
///
/// The era arithmetic is Howard Hinnant's `days_from_civil`.
#[must_use]
pub fn days(year: i32, month: u8, day: u8) -> i32 {
    let month = i64::from(month);
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let since_1970 = era * 146_097 + day_of_era - 719_468;
    i32::try_from(since_1970 - EPOCH_DAYS).unwrap_or(i32::MAX)
}

/// Microseconds from 2000-01-01 00:00 to a time of day `micros` after midnight of a date.
#[must_use]
pub fn micros(days: i32, micros: i64) -> i64 {
    i64::from(days) * MICROS_PER_DAY + micros
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_count_from_2000() {
        assert_eq!(days(2000, 1, 1), 0);
        assert_eq!(days(1999, 12, 31), -1);
        assert_eq!(days(2000, 3, 1), 60);
        assert_eq!(days(1970, 1, 1), -10_957);
        assert_eq!(days(1, 1, 1), -730_119);
        assert_eq!(days(9999, 12, 31), 2_921_939);
    }

    #[test]
    fn micros_count_from_2000() {
        assert_eq!(micros(0, 0), 0);
        assert_eq!(micros(-1, 86_399_999_999), -1);
    }
}
