//! Bounded decoding of persisted bytes. Everything is little-endian; nothing is indexed.

use crate::Lsn;

/// Why bytes could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends inside a field.
    #[error("input ends inside {field}: {needed} bytes needed, {left} left")]
    Short {
        /// Which field.
        field: &'static str,
        /// Bytes it needs.
        needed: usize,
        /// Bytes there are.
        left: usize,
    },
    /// Bytes are left after the last field.
    #[error("{left} bytes are left after the last field")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// A field holds a value outside its range.
    #[error("{field} holds {value}, which is out of range")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
    /// A text field is not UTF-8.
    #[error("{field} is not UTF-8")]
    NotText {
        /// Which field.
        field: &'static str,
    },
}

/// The highest position that is believed when it is read: one per nanosecond for 292 years.
const LSN_MAX: u64 = u64::MAX >> 1;

/// A cursor over persisted bytes. Each step checks what is left before it reads or allocates.
///
/// Its steps are inlined into the crates that decode: recovery takes several of them for each record.
#[derive(Clone, Copy, Debug)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
}

impl<'a> ByteReader<'a> {
    /// Starts at the first byte.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Bytes not read yet.
    #[inline]
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if fewer are left.
    #[inline]
    pub fn take(&mut self, field: &'static str, count: usize) -> Result<&'a [u8], DecodeError> {
        let left = self.rest.len();
        let short = || DecodeError::Short { field, needed: count, left };
        let (head, rest) = self.rest.split_at_checked(count).ok_or_else(short)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        self.chunk(field).copied()
    }

    /// The next `N` bytes where they stand.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if fewer are left.
    #[inline]
    pub fn chunk<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<&'a [u8; N], DecodeError> {
        let left = self.rest.len();
        let short = || DecodeError::Short { field, needed: N, left };
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or_else(short)?;
        self.rest = rest;
        Ok(head)
    }

    /// One byte.
    ///
    /// # Errors
    /// [`DecodeError::Short`] at the end of the input.
    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// Two bytes, little-endian.
    ///
    /// # Errors
    /// [`DecodeError::Short`] at the end of the input.
    #[inline]
    pub fn u16(&mut self, field: &'static str) -> Result<u16, DecodeError> {
        self.array(field).map(u16::from_le_bytes)
    }

    /// Four bytes, little-endian.
    ///
    /// # Errors
    /// [`DecodeError::Short`] at the end of the input.
    #[inline]
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_le_bytes)
    }

    /// Eight bytes, little-endian.
    ///
    /// # Errors
    /// [`DecodeError::Short`] at the end of the input.
    #[inline]
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// A position, where 0 stands for `None`.
    ///
    /// # Errors
    /// [`DecodeError::Short`] at the end of the input, [`DecodeError::OutOfRange`] for a number that no
    /// log reaches, so that stepping on from what was decoded cannot overflow.
    #[inline]
    pub fn position(&mut self, field: &'static str) -> Result<Option<Lsn>, DecodeError> {
        match self.u64(field)? {
            value if value > LSN_MAX => Err(DecodeError::OutOfRange { field, value }),
            value => Ok(Lsn::from_u64(value)),
        }
    }

    /// A position that must be there.
    ///
    /// # Errors
    /// As [`ByteReader::position`], and [`DecodeError::OutOfRange`] for 0.
    #[inline]
    pub fn lsn(&mut self, field: &'static str) -> Result<Lsn, DecodeError> {
        self.position(field)?.ok_or(DecodeError::OutOfRange { field, value: 0 })
    }

    /// A `u32` length and that many bytes, as [`put_bytes`] writes them.
    ///
    /// # Errors
    /// [`DecodeError::Short`] if the length promises more than is left.
    pub fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let length = self.u32(field)?;
        let Ok(needed) = usize::try_from(length) else {
            return Err(DecodeError::OutOfRange { field, value: u64::from(length) });
        };
        self.take(field, needed)
    }

    /// A `u32` length and that much UTF-8.
    ///
    /// # Errors
    /// As [`ByteReader::bytes`], and [`DecodeError::NotText`].
    pub fn text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes(field)?;
        str::from_utf8(bytes).or(Err(DecodeError::NotText { field }))
    }

    /// Ends the decoding.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`] if anything is left.
    pub const fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { left }),
        }
    }
}

/// Appends a `u32` length and the bytes.
///
/// # Panics
/// If `bytes` is 4 GiB or longer; callers have checked the far lower limits of [`crate::limits`].
#[expect(clippy::expect_used, reason = "limits keep every field far below 4 GiB")]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("fields are shorter than 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_back_and_every_prefix_is_short() {
        let mut bytes = vec![7, 1, 2];
        bytes.extend_from_slice(&9_u64.to_le_bytes());
        put_bytes(&mut bytes, b"key");
        let decode = |input: &[u8]| {
            let mut reader = ByteReader::new(input);
            let read =
                (reader.u8("a")?, reader.u16("b")?, reader.lsn("c")?, reader.text("d")?.len());
            reader.finish().map(|()| read)
        };
        assert_eq!(decode(&bytes), Ok((7, 0x0201, Lsn::FIRST.advance(8), 3)));
        for cut in 0..bytes.len() {
            assert!(matches!(decode(&bytes[..cut]), Err(DecodeError::Short { .. })), "{cut}");
        }
        bytes.push(0);
        assert_eq!(decode(&bytes), Err(DecodeError::Trailing { left: 1 }));
    }

    /// Found by review: 2^64 - 1 was believed, and the step to the record after it panicked.
    #[test]
    fn a_position_that_no_log_reaches_is_refused() {
        for value in [u64::MAX, LSN_MAX + 1] {
            let error = DecodeError::OutOfRange { field: "x", value };
            assert_eq!(ByteReader::new(&value.to_le_bytes()).position("x"), Err(error));
        }
        let most = ByteReader::new(&LSN_MAX.to_le_bytes()).position("x");
        assert_eq!(most, Ok(Lsn::from_u64(LSN_MAX)));
    }

    #[test]
    fn a_huge_length_is_refused_before_anything_is_allocated() {
        let bytes = u32::MAX.to_le_bytes();
        assert!(matches!(ByteReader::new(&bytes).bytes("x"), Err(DecodeError::Short { .. })));
    }
}
