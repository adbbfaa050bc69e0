//! Dates and instants as PostgreSQL counts them: from the beginning of the year 2000.

pub const MICROS_PER_DAY: i64 = 86_400_000_000;
/// Days from 1970-01-01 to 2000-01-01.
pub const EPOCH_DAYS: i32 = 10_957;

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
    i32::try_from(since_1970 - i64::from(EPOCH_DAYS)).unwrap_or(i32::MAX)
}

/// Year, month and day of a date of the years 1 to 9999, from its days since 1970-01-01.
///
/// Howard Hinnant's `civil_from_days`, whose years begin in March.
#[must_use]
pub fn date_of(since_1970: i32) -> (i32, u8, u8) {
    let day = since_1970 + 719_468;
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + day.div_euclid(146_097) * 400 + i32::from(month <= 2);
    // Both are small by construction.
    (year, u8::try_from(month).unwrap_or(0), u8::try_from(day_of_month).unwrap_or(0))
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
    fn every_date_is_found_again() {
        for day in days(1, 1, 1)..=days(9999, 12, 31) {
            let (year, month, of_month) = date_of(day + EPOCH_DAYS);
            assert!((1..=12).contains(&month) && (1..=31).contains(&of_month));
            assert_eq!(days(year, month, of_month), day);
        }
    }

    #[test]
    fn micros_count_from_2000() {
        assert_eq!(micros(0, 0), 0);
        assert_eq!(micros(-1, 86_399_999_999), -1);
    }
}
