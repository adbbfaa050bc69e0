//! Values in PostgreSQL's binary form, as its `…_send` functions write them.
//!
//! All integers are big-endian. Each function takes the bytes of one value that is not NULL.

pub mod array;
pub mod numeric;
pub mod times;

/// Why bytes are no value, or none that Python's types hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Not as many bytes as the type has.
    Length,
    /// A moment or a span before or beyond Python's; infinite ones too.
    Range,
    /// A digit, sign or count that the type's form does not have.
    Form,
    /// An array with NULL items or of several dimensions.
    Array,
}

impl Unreadable {
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Length => "a value has another length than its type",
            Self::Range => "a date, time or interval that Python's types cannot hold",
            Self::Form => "a value is not in its type's binary form",
            Self::Array => "an array with NULL items or of several dimensions",
        }
    }
}

/// # Errors
///
/// [`Unreadable::Length`], as of all functions for values of a fixed length.
#[inline]
pub fn bool(data: &[u8]) -> Result<bool, Unreadable> {
    fixed::<1>(data).map(|[byte]| byte != 0)
}

/// # Errors
///
/// As [`bool`].
#[inline]
pub fn int2(data: &[u8]) -> Result<i16, Unreadable> {
    fixed(data).map(i16::from_be_bytes)
}

/// # Errors
///
/// As [`bool`].
#[inline]
pub fn int4(data: &[u8]) -> Result<i32, Unreadable> {
    fixed(data).map(i32::from_be_bytes)
}

/// # Errors
///
/// As [`bool`].
#[inline]
pub fn int8(data: &[u8]) -> Result<i64, Unreadable> {
    fixed(data).map(i64::from_be_bytes)
}

/// An object identifier.
///
/// # Errors
///
/// As [`bool`].
#[inline]
pub fn oid(data: &[u8]) -> Result<u32, Unreadable> {
    fixed(data).map(u32::from_be_bytes)
}

/// # Errors
///
/// As [`bool`].
#[inline]
pub fn float4(data: &[u8]) -> Result<f32, Unreadable> {
    fixed(data).map(f32::from_be_bytes)
}

/// # Errors
///
/// As [`bool`].
#[inline]
pub fn float8(data: &[u8]) -> Result<f64, Unreadable> {
    fixed(data).map(f64::from_be_bytes)
}

/// The 128 bits of a UUID, as one number.
///
/// # Errors
///
/// As [`bool`].
#[inline]
pub fn uuid(data: &[u8]) -> Result<u128, Unreadable> {
    fixed(data).map(u128::from_be_bytes)
}

/// The text of `jsonb`, which follows a version byte.
///
/// # Errors
///
/// [`Unreadable::Form`] without one, or with another than 1.
#[inline]
pub const fn jsonb(data: &[u8]) -> Result<&[u8], Unreadable> {
    match data {
        [1, text @ ..] => Ok(text),
        _ => Err(Unreadable::Form),
    }
}

#[inline]
fn fixed<const LENGTH: usize>(data: &[u8]) -> Result<[u8; LENGTH], Unreadable> {
    data.try_into().map_err(|_| Unreadable::Length)
}

/// Takes the first bytes off.
#[inline]
fn take<'a, const LENGTH: usize>(data: &mut &'a [u8]) -> Result<&'a [u8; LENGTH], Unreadable> {
    let (first, rest) = data.split_first_chunk().ok_or(Unreadable::Length)?;
    *data = rest;
    Ok(first)
}

#[cfg(test)]
mod tests;
