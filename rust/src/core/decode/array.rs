//! Arrays, as `array_send` writes them: dimensions, flags, the items' type, then each dimension's
//! size and lower bound, then each item's length and bytes.

use super::{Unreadable, take};

/// The items of an array of one dimension, or of none.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
    left: u32,
}

/// Reads an array's head.
///
/// # Errors
///
/// [`Unreadable::Array`] for several dimensions, [`Unreadable::Length`] or [`Unreadable::Form`] for
/// bytes that are no array.
pub fn items(mut data: &[u8]) -> Result<Items<'_>, Unreadable> {
    let dimensions = i32::from_be_bytes(*take(&mut data)?);
    let _flags: &[u8; 4] = take(&mut data)?;
    let _type: &[u8; 4] = take(&mut data)?;
    let left = match dimensions {
        0 => 0,
        1 => {
            let count = i32::from_be_bytes(*take(&mut data)?);
            let _lower_bound: &[u8; 4] = take(&mut data)?;
            u32::try_from(count).map_err(|_| Unreadable::Form)?
        }
        2.. => return Err(Unreadable::Array),
        _ => return Err(Unreadable::Form),
    };
    Ok(Items { rest: data, left })
}

impl<'a> Items<'a> {
    fn read(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = i32::from_be_bytes(*take(&mut self.rest)?);
        // Length -1 is NULL.
        let length = usize::try_from(length).map_err(|_| Unreadable::Array)?;
        let (item, rest) = self.rest.split_at_checked(length).ok_or(Unreadable::Length)?;
        self.rest = rest;
        Ok(item)
    }
}

/// Ends with an error if bytes are missing or left over.
impl<'a> Iterator for Items<'a> {
    type Item = Result<&'a [u8], Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left > 0 {
            self.left -= 1;
            let item = self.read();
            if item.is_err() {
                (self.left, self.rest) = (0, &[]);
            }
            return Some(item);
        }
        if self.rest.is_empty() {
            return None;
        }
        self.rest = &[];
        Some(Err(Unreadable::Length))
    }
}
