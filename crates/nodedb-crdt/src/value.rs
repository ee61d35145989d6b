//! Values of operations, which may hold values.

use crate::{CrdtError, reader::Reader, weight::Weight};

/// How deep a value may hold values. Loro drops and reads them by recursion.
const DEPTH_MAX: usize = 128;
/// More levels than any document may have.
const MOVED: u64 = 1 << 32;

/// What an operation does with its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Skipped {
    /// By how many levels it can make the document deeper.
    pub(crate) levels: u64,
    /// What it takes in memory.
    pub(crate) weight: Weight,
}

impl Skipped {
    pub(crate) fn add(&mut self, other: &Self) {
        self.levels = self.levels.saturating_add(other.levels);
        self.weight += other.weight;
    }
}

/// Skips the value of an operation, and checks that what it announces is there.
pub(crate) fn skip(kind: u8, values: &mut Reader<'_>) -> Result<Skipped, CrdtError> {
    let kind = kind & 0x7f;
    let before = values.left();
    let mut skipped = match kind {
        11 => skip_nested(values)?,
        15 => {
            skip_numbers(values, 2)?;
            skip_nested(values)?
        }
        _ => {
            skip_flat(kind, values)?;
            Skipped::default()
        }
    };
    match kind {
        7 => skipped.levels = 1,
        // What is moved takes along whatever it holds.
        13 | 14 | 16 => skipped.levels = MOVED,
        _ => {}
    }
    skipped.weight += Weight::operation(kind, (before - values.left()) as u64);
    Ok(skipped)
}

fn skip_flat(kind: u8, values: &mut Reader<'_>) -> Result<(), CrdtError> {
    match kind {
        // Null, true, false, and the two kinds of deletes.
        0..=2 | 8 | 9 => Ok(()),
        // A number, the kind of a container, a difference.
        3 | 7 | 10 => values.skip_varint(),
        4 => values.u64_le().map(drop),
        // The start of a mark: flags, length, key, value.
        12 => {
            values.u8()?;
            skip_numbers(values, 2)?;
            skip_nested(values).map(drop)
        }
        // A tree move: subject, whether it is a root, position, parent.
        13 => {
            values.skip_varint()?;
            let root = values.u8()? != 0;
            skip_numbers(values, if root { 1 } else { 2 })
        }
        14 => skip_numbers(values, 3),
        // A tree move with its ids in full.
        16 => {
            skip_numbers(values, 3)?;
            let root = values.u8()? != 0;
            skip_numbers(values, if root { 0 } else { 2 })
        }
        // Text, bytes, and kinds of later versions, which are kept as bytes.
        _ => values.blob().map(drop),
    }
}

fn skip_numbers(values: &mut Reader<'_>, count: usize) -> Result<(), CrdtError> {
    (0..count).try_for_each(|_| values.skip_varint())
}

/// A list or map that has so many values still to come.
struct Open {
    left: u64,
    map: bool,
}

/// Skips a value with its kind in front, and all that it holds. It makes the document deeper by the
/// levels that it has.
fn skip_nested(values: &mut Reader<'_>) -> Result<Skipped, CrdtError> {
    let mut open: Vec<Open> = Vec::new();
    let (mut levels, mut weight) = (0, Weight::default());
    loop {
        let kind = values.u8()?;
        weight += Weight::value();
        match kind {
            0..=2 => {}
            3 => values.skip_varint()?,
            4 => values.u64_le().map(drop)?,
            5 | 6 => values.blob().map(drop)?,
            7 | 8 => {
                let left = values.varint()?;
                // Each takes a byte at least.
                if left > values.left() as u64 || open.len() >= DEPTH_MAX {
                    return Err(CrdtError::invalid("a value in it is nested too deep or cut"));
                }
                open.push(Open { left, map: kind == 8 });
            }
            9 => values.u8().map(drop)?,
            _ => return Err(CrdtError::invalid("a value in it is of an unknown kind")),
        }
        levels = levels.max(open.len() as u64 + u64::from(kind == 9));
        while open.last().is_some_and(|open| open.left == 0) {
            open.pop();
        }
        let Some(inner) = open.last_mut() else {
            return Ok(Skipped { levels, weight });
        };
        inner.left -= 1;
        if inner.map {
            values.skip_varint()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_values_are_skipped_to_their_end_and_no_deeper_than_the_limit() {
        // [null, {key 0: 5}], then something else.
        let bytes = [7, 2, 0, 8, 1, 0, 3, 5, 99];
        let mut values = Reader::new(&bytes);
        skip(11, &mut values).expect("sound");
        assert_eq!(values.u8().expect("left"), 99);
        let deep = |depth: usize| {
            let mut bytes = [7, 1].repeat(depth);
            bytes.push(0);
            skip(11, &mut Reader::new(&bytes))
        };
        assert!(deep(DEPTH_MAX).is_ok());
        assert!(deep(DEPTH_MAX + 1).is_err());
        assert!(skip(11, &mut Reader::new(&[7, 0x80, 0x80, 0x80, 0x80, 1])).is_err(), "a bomb");
    }
}
