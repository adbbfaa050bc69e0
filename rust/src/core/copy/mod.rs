//! Rows of PostgreSQL's `COPY … (FORMAT binary)`.
//!
//! A row is a 16-bit field count, then for each field a 32-bit length and that many bytes; length
//! -1 is NULL. All integers are big-endian. See "Binary Format" on PostgreSQL's page of COPY.

pub mod calendar;
pub mod numeric;

use numeric::NotNumeric;

/// PostgreSQL allocates no field of 1 GiB or more.
pub const MAX_FIELD: usize = (1 << 30) - 1;

/// A field is longer than PostgreSQL takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Rows under construction.
#[derive(Debug, Default)]
pub struct Rows {
    bytes: Vec<u8>,
}

impl Rows {
    /// The rows written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Starts a row; `fields` fields must follow.
    pub fn row(&mut self, fields: i16) {
        self.bytes.extend_from_slice(&fields.to_be_bytes());
    }

    pub fn null(&mut self) {
        self.bytes.extend_from_slice(&(-1_i32).to_be_bytes());
    }

    pub fn bool(&mut self, value: bool) {
        self.bytes.extend_from_slice(&[0, 0, 0, 1, u8::from(value)]);
    }

    pub fn int8(&mut self, value: i64) {
        self.bytes.extend_from_slice(&8_i32.to_be_bytes());
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn int4(&mut self, value: i32) {
        self.bytes.extend_from_slice(&4_i32.to_be_bytes());
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub fn int2(&mut self, value: i16) {
        self.bytes.extend_from_slice(&2_i32.to_be_bytes());
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// The 128 bits of a UUID, as one number.
    pub fn uuid(&mut self, value: u128) {
        self.bytes.extend_from_slice(&16_i32.to_be_bytes());
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// A number from its decimal text.
    ///
    /// # Errors
    ///
    /// [`NotNumeric`]; then the row is incomplete.
    pub fn numeric(&mut self, text: &str) -> Result<(), NotNumeric> {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        numeric::encode(text, &mut self.bytes)?;
        let length = i32::try_from(self.bytes.len() - at - 4).map_err(|_| NotNumeric)?;
        self.bytes[at..at + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// JSON text, behind the version byte of `jsonb`.
    ///
    /// # Errors
    ///
    /// [`TooLong`] from 1 GiB on.
    pub fn jsonb(&mut self, text: &[u8]) -> Result<(), TooLong> {
        if text.len() >= MAX_FIELD {
            return Err(TooLong);
        }
        let length = i32::try_from(text.len() + 1).map_err(|_| TooLong)?;
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.push(1);
        self.bytes.extend_from_slice(text);
        Ok(())
    }

    pub fn float8(&mut self, value: f64) {
        self.bytes.extend_from_slice(&8_i32.to_be_bytes());
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// `bytea`, UTF-8 `text`, or a field that is encoded already.
    ///
    /// # Errors
    ///
    /// [`TooLong`] from 1 GiB on.
    pub fn bytes(&mut self, value: &[u8]) -> Result<(), TooLong> {
        if value.len() > MAX_FIELD {
            return Err(TooLong);
        }
        let length = i32::try_from(value.len()).map_err(|_| TooLong)?;
        self.bytes.extend_from_slice(&length.to_be_bytes());
        self.bytes.extend_from_slice(value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_postgresqls_layout() {
        let mut rows = Rows::default();
        rows.row(6);
        rows.null();
        rows.bool(true);
        rows.int8(-2);
        rows.float8(1.0);
        rows.bytes("é".as_bytes()).unwrap();
        rows.bytes(b"").unwrap();
        let expected = [
            &[0, 6][..],
            &[255, 255, 255, 255],
            &[0, 0, 0, 1, 1],
            &[0, 0, 0, 8, 255, 255, 255, 255, 255, 255, 255, 254],
            &[0, 0, 0, 8, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 2, 0xC3, 0xA9],
            &[0, 0, 0, 0],
        ];
        assert_eq!(rows.as_bytes(), expected.concat());
    }

    #[test]
    fn a_field_of_a_gibibyte_is_refused_and_leaves_nothing() {
        // Zeroed memory that is never touched costs no memory.
        let gibibyte = vec![0; MAX_FIELD + 1];
        let mut rows = Rows::default();
        assert_eq!(rows.bytes(&gibibyte), Err(TooLong));
        assert!(rows.as_bytes().is_empty());
    }
}
