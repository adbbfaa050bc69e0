//! PostgreSQL's binary `numeric`, from a number's decimal text.
//!
//! The layout is that of `numeric_send`: count of digits, weight of the first, sign, display scale,
//! then digits of base 10,000. `NaN` and the infinities are signs without digits.

const BASE_DIGITS: i64 = 4;
pub const POSITIVE: u16 = 0x0000;
pub const NEGATIVE: u16 = 0x4000;
pub const NAN: u16 = 0xC000;
pub const INFINITY: u16 = 0xD000;
pub const NEGATIVE_INFINITY: u16 = 0xF000;
const MAX_SCALE: i64 = 0x3FFF;

/// The text is no decimal number, or one beyond PostgreSQL's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotNumeric;

/// Appends the binary form of `text`, as Python's `str(Decimal)` writes it.
///
/// # Errors
///
/// [`NotNumeric`]; then nothing was appended.
pub fn encode(text: &str, out: &mut Vec<u8>) -> Result<(), NotNumeric> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let special = match unsigned {
        "NaN" => Some(NAN),
        "Infinity" if negative => Some(NEGATIVE_INFINITY),
        "Infinity" => Some(INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        header(0, 0, sign, 0, out);
        return Ok(());
    }
    let (mantissa, exponent) = match unsigned.split_once(['E', 'e']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse().map_err(|_| NotNumeric)?),
        None => (unsigned, 0_i64),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(NotNumeric);
    }
    let point = length(whole).checked_add(exponent).ok_or(NotNumeric)?;
    let scale = length(fraction).checked_sub(exponent).ok_or(NotNumeric)?.max(0);
    finite(&digits, point, scale, if negative { NEGATIVE } else { POSITIVE }, out)
}

/// `digits` is a fraction `0.d1d2…` times ten to the power of `point`.
fn finite(
    digits: &[u8],
    point: i64,
    scale: i64,
    sign: u16,
    out: &mut Vec<u8>,
) -> Result<(), NotNumeric> {
    if scale > MAX_SCALE {
        return Err(NotNumeric);
    }
    let scale = u16::try_from(scale).map_err(|_| NotNumeric)?;
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    let last = digits.iter().rposition(|digit| *digit != b'0').map_or(zeros, |last| last + 1);
    let significant = &digits[zeros..last];
    if significant.is_empty() {
        header(0, 0, POSITIVE, scale, out);
        return Ok(());
    }
    let point = point - i64::try_from(zeros).map_err(|_| NotNumeric)?;
    let weight = (point - 1).div_euclid(BASE_DIGITS);
    // How many decimal digits the first group of four has.
    let first = usize::try_from(point - weight * BASE_DIGITS).map_err(|_| NotNumeric)?;
    let (head, tail) = significant.split_at(first.min(significant.len()));
    let groups = 1 + tail.len().div_ceil(4);
    let count = i16::try_from(groups).map_err(|_| NotNumeric)?;
    let weight = i16::try_from(weight).map_err(|_| NotNumeric)?;
    header(count, weight, sign, scale, out);
    out.extend_from_slice(&group(head, first).to_be_bytes());
    for chunk in tail.chunks(4) {
        out.extend_from_slice(&group(chunk, 4).to_be_bytes());
    }
    Ok(())
}

fn header(count: i16, weight: i16, sign: u16, scale: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
}

/// The value of up to four digits, as if filled up with zeros to `width`.
fn group(digits: &[u8], width: usize) -> u16 {
    let value = digits.iter().fold(0, |value, digit| value * 10 + u16::from(digit - b'0'));
    (digits.len()..width).fold(value, |value, _| value * 10)
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shorts(text: &str) -> Vec<u16> {
        let mut out = Vec::new();
        encode(text, &mut out).unwrap();
        out.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
    }

    #[test]
    fn digits_go_in_groups_of_four_around_the_point() {
        assert_eq!(shorts("12345.678"), [3, 1, POSITIVE, 3, 1, 2345, 6780]);
        assert_eq!(shorts("-0.001"), [1, 0xFFFF, NEGATIVE, 3, 10]);
        assert_eq!(shorts("1E+5"), [1, 1, POSITIVE, 0, 10]);
        assert_eq!(shorts("1.50"), [2, 0, POSITIVE, 2, 1, 5000]);
        assert_eq!(shorts("1E-9"), [1, 0xFFFD, POSITIVE, 9, 1000]);
    }

    #[test]
    fn zeros_keep_their_scale_and_lose_their_sign() {
        assert_eq!(shorts("0"), [0, 0, POSITIVE, 0]);
        assert_eq!(shorts("-0.00"), [0, 0, POSITIVE, 2]);
        assert_eq!(shorts("0E+3"), [0, 0, POSITIVE, 0]);
    }

    #[test]
    fn what_is_no_number_has_a_sign_of_its_own() {
        assert_eq!(shorts("NaN"), [0, 0, NAN, 0]);
        assert_eq!(shorts("Infinity"), [0, 0, INFINITY, 0]);
        assert_eq!(shorts("-Infinity"), [0, 0, NEGATIVE_INFINITY, 0]);
    }

    #[test]
    fn what_postgresql_cannot_hold_is_refused_and_leaves_nothing() {
        let mut out = Vec::new();
        for text in ["", "-", "sNaN", "1x", "1E+999999", "1E-99999", "1E99999999999999999999"] {
            assert_eq!(encode(text, &mut out), Err(NotNumeric), "{text}");
        }
        assert!(out.is_empty());
    }
}
