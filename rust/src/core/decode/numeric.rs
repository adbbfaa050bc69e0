//! PostgreSQL's binary `numeric`, made into decimal text; the other way is
//! [`crate::core::copy::numeric`].

use super::{Unreadable, take};
use crate::core::copy::numeric::{INFINITY, NAN, NEGATIVE, NEGATIVE_INFINITY, POSITIVE};

const BASE: u16 = 10_000;

/// Appends the number's text, which is ASCII, with all digits of its display scale, as `numeric_out` writes it.
///
/// # Errors
///
/// [`Unreadable::Length`] and [`Unreadable::Form`]; then nothing was appended.
pub fn write(mut data: &[u8], out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let mut head = || take(&mut data).copied();
    let (count, weight) = (u16::from_be_bytes(head()?), i16::from_be_bytes(head()?));
    let (sign, scale) = (u16::from_be_bytes(head()?), u16::from_be_bytes(head()?));
    let (groups, rest) = data.as_chunks::<2>();
    if groups.len() != usize::from(count) || !rest.is_empty() {
        return Err(Unreadable::Length);
    }
    let special = match sign {
        POSITIVE | NEGATIVE => None,
        NAN => Some("NaN"),
        INFINITY => Some("Infinity"),
        NEGATIVE_INFINITY => Some("-Infinity"),
        _ => return Err(Unreadable::Form),
    };
    if let Some(name) = special {
        out.extend_from_slice(name.as_bytes());
        return Ok(());
    }
    if groups.iter().any(|group| u16::from_be_bytes(*group) >= BASE) {
        return Err(Unreadable::Form);
    }
    if sign == NEGATIVE && groups.iter().any(|group| *group != [0, 0]) {
        out.push(b'-');
    }
    // The digits of 10,000 to the power of `exponent`.
    let group = |exponent: i32| {
        let at = usize::try_from(i32::from(weight) - exponent).ok();
        at.and_then(|at| groups.get(at)).map_or(0, |group| u16::from_be_bytes(*group))
    };
    let first = i32::from(weight.max(0));
    push_short(out, group(first));
    for exponent in (0..first).rev() {
        push_four(out, group(exponent));
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + usize::from(scale);
        let mut exponent = -1;
        while out.len() < end {
            push_four(out, group(exponent));
            exponent -= 1;
        }
        out.truncate(end);
    }
    Ok(())
}

fn push_four(out: &mut Vec<u8>, group: u16) {
    out.extend_from_slice(&digits(group));
}

/// Without leading zeros.
fn push_short(out: &mut Vec<u8>, group: u16) {
    let digits = digits(group);
    let zeros = digits.iter().take(3).take_while(|digit| **digit == b'0').count();
    out.extend_from_slice(&digits[zeros..]);
}

/// The four digits of a number below 10,000.
fn digits(group: u16) -> [u8; 4] {
    [group / 1_000, group / 100 % 10, group / 10 % 10, group % 10]
        .map(|digit| b'0' + u8::try_from(digit).unwrap_or(0))
}
