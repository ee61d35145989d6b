//! What must hold from part to part of the runs.

use crate::{
    layout::Layout,
    run::{Part, Row},
};
use nodedb_types::DecodeError;

/// Sees all parts of all runs, oldest first.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    layout: &'a Layout,
    /// Run and part that came last, with its watermark and last row.
    last: Option<(usize, Part)>,
}

impl<'a> Order<'a> {
    pub(crate) const fn new(layout: &'a Layout) -> Self {
        Self { layout, last: None }
    }

    pub(crate) fn check(&mut self, run: usize, part: &Part) -> Result<(), DecodeError> {
        let wrong = |field, value| Err(DecodeError::OutOfRange { field, value });
        let number = match &self.last {
            Some((last, before)) if *last == run => {
                let ascending =
                    before.rows.last().map(Row::place) < part.rows.first().map(Row::place);
                if !ascending || before.watermark != part.watermark {
                    return wrong("order of parts", u64::from(part.number));
                }
                before.number + 1
            }
            // A flush that only takes a rebuilt segment in may have the watermark of the one before.
            Some((_, before)) if before.watermark > part.watermark => {
                return wrong("order of runs", part.watermark.get());
            }
            _ => 0,
        };
        if part.number != number {
            return wrong("part number", u64::from(part.number));
        }
        for row in &part.rows {
            let (Some(numbers), Some(known)) = (&row.numbers, self.layout.indexes.get(&row.index))
            else {
                continue;
            };
            if numbers.len() != known.definition.width() * size_of::<f32>() {
                return wrong("vector bytes", numbers.len() as u64);
            }
        }
        let last = part.rows.last().cloned();
        self.last = Some((run, Part { rows: last.into_iter().collect(), ..*part }));
        Ok(())
    }
}
