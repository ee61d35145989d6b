//! The rows of all layers of a store, merged in the order of their keys.

use crate::{
    Direction, DocumentEngine, ReadAt, Stored, TableSnapshot,
    memtable::{MemtableRows, Version},
    row_range::RowRange,
    tables::Rows,
};
use bytes::Bytes;
use nodedb_engine::{EngineError, SnapshotExpired};
use std::cmp::Ordering;

/// The rows of an interval in one direction, each as the newest layer that knows it says. Deleted ones
/// are left out, expired ones are not. After an error there is nothing more.
pub(crate) struct MergedRows<'a> {
    direction: Direction,
    /// Newest first.
    memtables: Vec<MemtableHead<'a>>,
    tables: &'a TableSnapshot,
    rows: Rows<'a>,
    head: Option<(Bytes, Bytes)>,
    failed: Option<EngineError>,
}

struct MemtableHead<'a> {
    rows: MemtableRows<'a>,
    head: Option<(&'a Bytes, &'a Version)>,
}

impl DocumentEngine {
    /// The rows of an interval as of a position. Rows of dropped collections are among them: the caller
    /// knows whose rows it asks for.
    pub(crate) fn rows(
        &self,
        range: &RowRange,
        direction: Direction,
        at: ReadAt,
    ) -> Result<MergedRows<'_>, SnapshotExpired> {
        self.tables.check(at)?;
        let mut merged = MergedRows {
            direction,
            memtables: Vec::new(),
            tables: &self.tables,
            rows: Box::new(std::iter::empty()),
            head: None,
            failed: None,
        };
        let Some(bounds) = range.bounds() else {
            return Ok(merged);
        };
        let frozen = self.frozen.as_ref().map(|frozen| &*frozen.memtable);
        for memtable in [Some(&self.active), frozen].into_iter().flatten() {
            let mut rows = memtable.range(bounds, direction, at);
            let head = rows.next();
            merged.memtables.push(MemtableHead { rows, head });
        }
        merged.rows = self.tables.range(bounds, direction);
        merged.advance_tables();
        Ok(merged)
    }
}

impl MergedRows<'_> {
    fn advance_tables(&mut self) {
        self.head = match self.rows.next().transpose() {
            Ok(head) => head,
            Err(error) => {
                self.failed = Some(error);
                None
            }
        };
    }

    /// The first row of all layers, and what the newest that knows it says.
    fn pop(&mut self) -> Option<Result<(Bytes, Option<Stored>), EngineError>> {
        if let Some(error) = self.failed.take() {
            // What the memtables still hold would look like all there is.
            self.memtables.clear();
            return Some(Err(error));
        }
        let Some((layer, key)) = self.first() else {
            let (key, row) = self.head.take()?;
            self.advance_tables();
            return Some(self.tables.decode(row).map(|stored| (key, Some(stored))));
        };
        let popped = self.memtables.get_mut(layer)?.pop()?;
        for older in self.memtables.iter_mut().skip(layer + 1) {
            if older.head.is_some_and(|(other, _)| *other == key) {
                older.pop();
            }
        }
        if self.head.as_ref().is_some_and(|(other, _)| *other == key) {
            self.advance_tables();
        }
        Some(Ok((key, popped.stored())))
    }

    /// The newest memtable that holds the first row; `None` if only the tables do.
    fn first(&self) -> Option<(usize, Bytes)> {
        let mut first: Option<(usize, &Bytes)> = None;
        for (layer, memtable) in self.memtables.iter().enumerate() {
            let Some((key, _)) = memtable.head else {
                continue;
            };
            // Of equal keys the one of the newer layer stays.
            if first.is_none_or(|(_, least)| self.direction.compare(key, least) == Ordering::Less) {
                first = Some((layer, key));
            }
        }
        let (layer, key) = first?;
        let tables = self.head.as_ref();
        let below =
            |(other, _): &(Bytes, Bytes)| self.direction.compare(other, key) == Ordering::Less;
        (!tables.is_some_and(below)).then(|| (layer, key.clone()))
    }
}

impl<'a> MemtableHead<'a> {
    fn pop(&mut self) -> Option<&'a Version> {
        let next = self.rows.next();
        std::mem::replace(&mut self.head, next).map(|(_, version)| version)
    }
}

impl Iterator for MergedRows<'_> {
    type Item = Result<(Bytes, Stored), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.pop()? {
                Ok((key, Some(stored))) => return Some(Ok((key, stored))),
                Ok((_, None)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
