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

/// The rows of an interval in one direction, each as the newest layer that knows it says. Of a deleted
/// row, and of one that the reader does not see yet, there is only the key: whoever reads counts it, so
/// that a long run of them ends a page instead of keeping the core. Expired rows are shown. After an error
/// there is nothing more.
pub(crate) struct MergedRows<'a> {
    direction: Direction,
    /// Newest first.
    memtables: Vec<MemtableHead<'a>>,
    tables: &'a TableSnapshot,
    rows: Rows<'a>,
    head: Option<(Bytes, Option<Bytes>)>,
    failed: Option<EngineError>,
}

struct MemtableHead<'a> {
    rows: MemtableRows<'a>,
    head: Option<(&'a Bytes, Option<&'a Version>)>,
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
            return Some(self.decode(row).map(|stored| (key, stored)));
        };
        let mut seen: Option<&Version> = None;
        for memtable in self.memtables.iter_mut().skip(layer) {
            if memtable.head.is_some_and(|(other, _)| *other == key) {
                seen = seen.or(memtable.pop());
            }
        }
        let mut below = None;
        if let Some((_, row)) = self.head.take_if(|(other, _)| *other == key) {
            below = row;
            self.advance_tables();
        }
        let stored = match seen {
            Some(version) => Ok(version.stored()),
            None => self.decode(below),
        };
        Some(stored.map(|stored| (key, stored)))
    }

    fn decode(&self, row: Option<Bytes>) -> Result<Option<Stored>, EngineError> {
        row.map(|row| self.tables.decode(row)).transpose()
    }

    /// Whether there is another row, or an error to be told.
    pub(crate) fn has_more(&self) -> bool {
        self.failed.is_some()
            || self.head.is_some()
            || self.memtables.iter().any(|memtable| memtable.head.is_some())
    }

    /// The key of the next row, unless there is an error to be told first.
    pub(crate) fn peek(&self) -> Option<&Bytes> {
        if self.failed.is_some() {
            return None;
        }
        let memtables = self.memtables.iter().filter_map(|memtable| Some(memtable.head?.0));
        let tables = self.head.as_ref().map(|(key, _)| key);
        memtables.chain(tables).min_by(|one, other| self.direction.compare(*one, *other))
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
        let below = |(other, _): &(Bytes, Option<Bytes>)| {
            self.direction.compare(other, key) == Ordering::Less
        };
        (!tables.is_some_and(below)).then(|| (layer, key.clone()))
    }
}

impl<'a> MemtableHead<'a> {
    fn pop(&mut self) -> Option<&'a Version> {
        let next = self.rows.next();
        std::mem::replace(&mut self.head, next).and_then(|(_, version)| version)
    }
}

impl Iterator for MergedRows<'_> {
    type Item = Result<(Bytes, Option<Stored>), EngineError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pop()
    }
}
