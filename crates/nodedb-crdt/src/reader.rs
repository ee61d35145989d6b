//! Reading the parts of an update, none of which is trusted.

use crate::CrdtError;

/// The rest of some bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], CrdtError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(cut)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], CrdtError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(cut)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, CrdtError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16_le(&mut self) -> Result<u16, CrdtError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32_le(&mut self) -> Result<u32, CrdtError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64_le(&mut self) -> Result<u64, CrdtError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number with seven bits in each byte, the lowest first.
    pub(crate) fn varint(&mut self) -> Result<u64, CrdtError> {
        let mut value = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(CrdtError::invalid("a number in it is too large"))
    }

    pub(crate) fn varint_u32(&mut self) -> Result<u32, CrdtError> {
        let value = self.varint()?;
        u32::try_from(value).ok().ok_or_else(|| CrdtError::invalid("a number in it is too large"))
    }

    /// A signed number, zigzag.
    pub(crate) fn varint_signed(&mut self) -> Result<i64, CrdtError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Skips a number of any size.
    pub(crate) fn skip_varint(&mut self) -> Result<(), CrdtError> {
        while self.u8()? >= 0x80 {}
        Ok(())
    }

    /// Bytes with their length in front.
    pub(crate) fn blob(&mut self) -> Result<&'a [u8], CrdtError> {
        let length = self.varint()?;
        self.take(usize::try_from(length).ok().ok_or_else(cut)?)
    }
}

fn cut() -> CrdtError {
    CrdtError::invalid("it ends too early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_and_none_beyond() {
        let read = |bytes: &[u8]| Reader::new(bytes).varint().ok();
        assert_eq!(read(&[0]), Some(0));
        assert_eq!(read(&[0xac, 2]), Some(300));
        assert_eq!(read(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]), Some(u64::MAX));
        assert_eq!(read(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 2]), None);
        assert_eq!(read(&[128; 11]), None);
        assert_eq!(read(&[128]), None);
        for (byte, value) in [(0, 0), (1, -1), (2, 1), (3, -2)] {
            assert_eq!(Reader::new(&[byte]).varint_signed().ok(), Some(value));
        }
        assert!(Reader::new(&[5, 1]).blob().is_err());
    }
}
