//! Columns of run-length encoded values.

use crate::{CrdtError, reader::Reader};

/// The columns of a table of so many.
pub(crate) fn columns<const N: usize>(table: &[u8]) -> Result<[&[u8]; N], CrdtError> {
    let mut reader = Reader::new(table);
    if reader.varint()? != 1 || reader.varint()? != N as u64 {
        return Err(CrdtError::invalid("a table of it has other columns"));
    }
    let mut columns: [&[u8]; N] = [&[]; N];
    for column in &mut columns {
        *column = reader.blob()?;
    }
    Ok(columns)
}

/// Skips a number of any size.
pub(crate) fn skip_number(reader: &mut Reader<'_>) -> Result<(), CrdtError> {
    reader.skip_varint()
}

/// Skips a byte.
pub(crate) fn skip_byte(reader: &mut Reader<'_>) -> Result<(), CrdtError> {
    reader.u8().map(drop)
}

/// The runs of a column.
#[derive(Debug)]
pub(crate) struct Runs<'a> {
    rest: Reader<'a>,
    /// Rows that it may still have.
    left: u64,
    literal: bool,
}

impl<'a> Runs<'a> {
    pub(crate) const fn new(column: &'a [u8], rows_max: u64) -> Self {
        Self { rest: Reader::new(column), left: rows_max, literal: false }
    }

    /// Whether the last run has a value for each of its rows, not one for all.
    pub(crate) const fn is_literal(&self) -> bool {
        self.literal
    }

    /// The next run: how many rows, and where its values begin.
    pub(crate) fn next(
        &mut self,
        skip: impl Fn(&mut Reader<'a>) -> Result<(), CrdtError>,
    ) -> Result<Option<(u64, Reader<'a>)>, CrdtError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let count = self.rest.varint_signed()?;
        self.literal = count < 0;
        let rows = count.unsigned_abs();
        if rows == 0 || rows > self.left {
            return Err(CrdtError::invalid("a column has more rows than it has operations"));
        }
        self.left -= rows;
        let values = self.rest;
        for _ in 0..if self.literal { rows } else { 1 } {
            skip(&mut self.rest)?;
        }
        Ok(Some((rows, values)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_one_value_or_one_for_each_row() {
        // Three times 7, then 8 and 300.
        let column = [6, 7, 3, 8, 0xac, 2];
        let mut runs = Runs::new(&column, 5);
        let (rows, mut values) = runs.next(skip_number).expect("sound").expect("a run");
        assert_eq!((rows, runs.is_literal(), values.varint().expect("sound")), (3, false, 7));
        let (rows, mut values) = runs.next(skip_number).expect("sound").expect("a run");
        assert_eq!((rows, runs.is_literal()), (2, true));
        assert_eq!([values.varint().expect("8"), values.varint().expect("300")], [8, 300]);
        assert!(runs.next(skip_number).expect("sound").is_none());
        let mut short = Runs::new(&column, 4);
        assert!(short.next(skip_number).is_ok());
        assert!(short.next(skip_number).is_err(), "a row too many");
        assert!(Runs::new(&[0, 1], 9).next(skip_number).is_err(), "a run of none");
    }
}
