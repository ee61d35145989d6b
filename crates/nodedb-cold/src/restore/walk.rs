//! Through the log of an archive, object by object.

use crate::{
    ColdError,
    error::FormatError,
    layout::Layout,
    log_object::{ExpectedIdentity, HEADER_LEN, Header},
    record::{FenceRecord, RECORD_BYTES_MAX},
    restore::{Lineage, PlannedObject, lineage::EpochSpan},
    store::ObjectStore,
};
use nodedb_types::{Lsn, LsnRange};
use std::collections::BTreeSet;

/// Follows the names of the log objects, which each object's end predicts; a listing serves only to
/// find where to begin, and to tell a hole from the end.
#[derive(Debug)]
pub(crate) struct LogWalk<'a> {
    store: &'a dyn ObjectStore,
    lineage: &'a Lineage,
    span: usize,
    next: Lsn,
    listed: BTreeSet<Lsn>,
}

impl<'a> LogWalk<'a> {
    /// Begins with the object that holds `from`.
    pub(crate) async fn begin(
        store: &'a dyn ObjectStore,
        lineage: &'a Lineage,
        from: Lsn,
    ) -> Result<Self, ColdError> {
        let Some(span) = lineage.span_of(from) else {
            return Err(ColdError::Gap { from, to: lineage.start() });
        };
        let mut walk = Self { store, lineage, span, next: from, listed: BTreeSet::new() };
        walk.list().await?;
        let start = walk.current()?.record.start_lsn;
        let listed = walk.listed.range(start..=from).next_back();
        walk.next = listed.copied().unwrap_or(start);
        Ok(walk)
    }

    /// The first record that no object so far holds.
    pub(crate) const fn next_lsn(&self) -> Lsn {
        self.next
    }

    /// Goes on with the first listed object above the position, after an error there. `false` if
    /// there is none.
    pub(crate) async fn skip(&mut self) -> Result<bool, ColdError> {
        loop {
            let span = *self.current()?;
            let above = self.listed.range(self.next.next()..).next().copied();
            if let Some(above) = above.filter(|above| span.contains(*above)) {
                self.next = above;
                return Ok(true);
            }
            let Some(end) = span.end else {
                return Ok(false);
            };
            self.enter(end).await?;
            if self.listed.contains(&end) {
                return Ok(true);
            }
        }
    }

    /// The next object, or `None` at the end of the archive.
    pub(crate) async fn step(&mut self) -> Result<Option<PlannedObject>, ColdError> {
        while let Some(end) = self.current()?.end.filter(|end| *end <= self.next) {
            self.enter(end).await?;
        }
        let span = *self.current()?;
        let expected = ExpectedIdentity {
            database_id: span.record.writer.database_id,
            writer_epoch: span.record.writer.writer_epoch,
            start_lsn: self.next,
        };
        let key = expected.key();
        let head = self.store.get_range(&key, 0, HEADER_LEN as u64).await?;
        let bytes = self.store.stat(&key).await?;
        let (Some(head), Some(bytes)) = (head, bytes) else {
            return self.hole(&span).map(|()| None);
        };
        if bytes <= RECORD_BYTES_MAX && FenceRecord::decode(&head).is_ok() {
            // A take-over since the epochs were read: what follows is another writer's.
            return Ok(None);
        }
        let header = Header::decode(&head).map_err(ColdError::corrupt(&key))?;
        expected.check(&header).map_err(ColdError::corrupt(&key))?;
        if header.writer.nonce != span.record.writer.nonce {
            let problem = FormatError::Foreign { field: "writer nonce" };
            return Err(ColdError::Corrupt { key, problem });
        }
        let end = header.range.end();
        let end = span.end.map_or(end, |fork| fork.min(end));
        let range = LsnRange::new(self.next, end);
        self.next = end;
        Ok(Some(PlannedObject {
            key,
            range,
            bytes,
            raw_bytes: u64::from(header.raw_len),
            min_commit_ms: header.min_commit_ms,
            max_commit_ms: header.max_commit_ms,
            expected,
            previous: header.previous,
        }))
    }

    /// Nothing stands under the next name: the end, if nothing comes later.
    fn hole(&self, span: &EpochSpan) -> Result<(), ColdError> {
        let from = self.next;
        if self.listed.contains(&from) {
            let above = self.listed.range(from.next()..).next().copied();
            let to = above.unwrap_or_else(|| from.next());
            return Err(ColdError::Gap { from, to });
        }
        let later = self.listed.range(from..).next().copied();
        match later.filter(|later| span.contains(*later)).or(span.end) {
            Some(to) => Err(ColdError::Gap { from, to }),
            None => Ok(()),
        }
    }

    fn current(&self) -> Result<&'a EpochSpan, ColdError> {
        // `span` only ever moves to a span that `span_of` or the one before has named.
        self.lineage.spans().get(self.span).ok_or(ColdError::NoArchive)
    }

    async fn enter(&mut self, start: Lsn) -> Result<(), ColdError> {
        self.span += 1;
        self.next = start;
        self.list().await
    }

    async fn list(&mut self) -> Result<(), ColdError> {
        let epoch = self.current()?.record.writer.writer_epoch;
        let folder = self.lineage.layout.log_folder(epoch);
        let listing = self.store.list(&folder).await?;
        let names = listing.objects.iter();
        self.listed = names.filter_map(|name| Layout::log_start(name)).collect();
        Ok(())
    }
}
