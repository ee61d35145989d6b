//! Scans over all partitions of a collection, in key order, at one snapshot.

use crate::{Collection, Document, Error, Pending, ScanOptions};
use bytes::Bytes;
use nodedb_data::{Op, Outcome, Page, Row};
use nodedb_document::{Direction, Filter, KeyRange};
use nodedb_engine::Snapshot;
use nodedb_types::{
    ByteReader, CollectionId, ErrorKind, Incarnation, VshardId, from_hex, put_bytes, to_hex,
};
use std::{cmp::Ordering, collections::VecDeque, sync::Arc};

/// Rows per page and partition.
const PAGE_ROWS: usize = 512;
/// Bytes per page and partition, about.
const PAGE_BYTES: usize = 1 << 20;

/// A scan under way: an iterator over the documents of a collection in the order of their keys. All of
/// them are read at one snapshot, which the first call took.
#[derive(Debug)]
pub struct Scan {
    collection: Collection,
    snapshot: Option<Snapshot>,
    filter: Option<Arc<Filter>>,
    prefix: Bytes,
    keys: KeyRange,
    direction: Direction,
    /// The time that expiry is judged by, the same for all pages.
    now_ms: u64,
    partitions: Vec<Partition>,
    left: usize,
    last: Option<Bytes>,
    failed: bool,
}

/// Where the next page of a partition begins.
#[derive(Clone, Debug)]
enum NextPage {
    /// At the first key.
    First,
    /// Behind this key, in the order of the scan.
    After(Bytes),
    /// There is none: the partition has answered everything.
    Ended,
}

/// The part of a scan that one vshard answers.
#[derive(Debug)]
struct Partition {
    vshard: VshardId,
    rows: VecDeque<Row>,
    next: NextPage,
    /// The page that is being read ahead.
    page: Option<Pending<Page>>,
}

impl Collection {
    /// Reads documents in the order of their keys.
    ///
    /// # Errors
    /// [`Error::Document`] for a filter that cannot be read, [`Error::BadCursor`] for one of another
    /// collection or another direction,
    /// [`Error::WrongHistory`] for a cursor of another history, [`Error::Data`]. The iterator answers
    /// [`Error::SnapshotExpired`] if the scan takes so long that a flush had to go ahead of it.
    pub fn scan(&self, options: ScanOptions) -> Result<Scan, Error> {
        let inner = self.inner();
        inner.check_open()?;
        let filter = options.filter.as_deref().map(Filter::parse).transpose()?.map(Arc::new);
        let cursor =
            options.cursor.as_deref().map(|cursor| self.read_cursor(cursor, options.direction));
        let cursor = cursor.transpose()?;
        let snapshot = inner.sender.data.snapshot_at(options.consistency, inner.sender.due())?;
        let start = cursor.clone().map_or(NextPage::First, NextPage::After);
        let partitions = self.vshards().map(|vshard| Partition {
            vshard,
            rows: VecDeque::new(),
            // An empty log holds nothing to scan.
            next: if snapshot.is_some() { start.clone() } else { NextPage::Ended },
            page: None,
        });
        let partitions = partitions.collect();
        Ok(Scan {
            snapshot,
            filter,
            prefix: Bytes::from(options.prefix),
            keys: options.range,
            direction: options.direction,
            now_ms: inner.sender.data.commit_ms(),
            partitions,
            left: options.limit.unwrap_or(usize::MAX),
            last: cursor,
            failed: false,
            collection: self.clone(),
        })
    }

    fn read_cursor(&self, text: &str, direction: Direction) -> Result<Bytes, Error> {
        let bad = || Error::BadCursor { cursor: text.chars().take(80).collect() };
        let bytes = from_hex(text).ok_or_else(bad)?;
        let mut reader = ByteReader::new(&bytes);
        let incarnation = reader.array("incarnation").or(Err(bad()))?;
        if Incarnation::from_bytes(incarnation) != self.inner().identity.incarnation {
            return Err(Error::WrongHistory { what: "cursor" });
        }
        let collection = reader.u32("collection").or(Err(bad()))?;
        let found = reader.u8("direction").or(Err(bad()))?;
        let key = reader.bytes("key").map(Bytes::copy_from_slice).or(Err(bad()))?;
        reader.finish().or(Err(bad()))?;
        let mine = CollectionId::new(collection) == self.definition.id;
        if mine && found == direction_code(direction) { Ok(key) } else { Err(bad()) }
    }
}

impl Scan {
    /// Where a later scan goes on behind what this one has answered so far; `None` if it has answered
    /// nothing or everything. The later scan reads a newer snapshot.
    pub fn cursor(&self) -> Option<String> {
        let exhausted =
            self.partitions.iter().all(|part| part.next.is_ended() && part.rows.is_empty());
        let key = self.last.as_ref().filter(|_| !exhausted)?;
        let mut bytes = self.collection.inner().identity.incarnation.as_bytes().to_vec();
        bytes.extend_from_slice(&self.collection.definition.id.get().to_le_bytes());
        bytes.push(direction_code(self.direction));
        put_bytes(&mut bytes, key);
        Some(to_hex(&bytes))
    }

    fn step(&mut self) -> Result<Option<Document>, Error> {
        let Some(snapshot) = &self.snapshot else {
            return Ok(None);
        };
        let request = PageRequest {
            collection: &self.collection,
            prefix: &self.prefix,
            keys: &self.keys,
            direction: self.direction,
            filter: self.filter.as_ref(),
            lsn: snapshot.lsn(),
            now_ms: self.now_ms,
            rows: PAGE_ROWS.min(self.left),
        };
        // All partitions that ran dry read at the same time.
        for partition in &mut self.partitions {
            partition.ask(&request)?;
        }
        for partition in &mut self.partitions {
            partition.refill(&request)?;
        }
        // Rows that were read before this check were read while the snapshot still held.
        snapshot.check()?;
        let head = |part: &Partition| part.rows.front().map(|row| row.key.clone());
        let parts = self.partitions.iter_mut().filter(|part| !part.rows.is_empty());
        let direction = self.direction;
        let first = parts.min_by(|one, other| direction.compare(&head(one), &head(other)));
        let row = first.and_then(|part| part.rows.pop_front());
        Ok(row.map(self.collection.document()))
    }
}

impl Iterator for Scan {
    type Item = Result<Document, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.left == 0 {
            return None;
        }
        match self.step() {
            Ok(Some(document)) => {
                let behind = |last| self.direction.compare(last, &document.key) == Ordering::Less;
                assert!(self.last.as_ref().is_none_or(behind), "a scan answers keys in order");
                self.last = Some(document.key.clone());
                self.left -= 1;
                Some(Ok(document))
            }
            Ok(None) => None,
            Err(error) => {
                self.failed = true;
                Some(Err(error))
            }
        }
    }
}

/// How a cursor names the direction that it goes on in.
const fn direction_code(direction: Direction) -> u8 {
    match direction {
        Direction::Ascending => 0,
        Direction::Descending => 1,
    }
}

impl NextPage {
    const fn is_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }
}

/// What all pages of a scan have in common.
struct PageRequest<'a> {
    collection: &'a Collection,
    prefix: &'a Bytes,
    keys: &'a KeyRange,
    direction: Direction,
    filter: Option<&'a Arc<Filter>>,
    lsn: nodedb_types::Lsn,
    now_ms: u64,
    rows: usize,
}

impl Partition {
    /// Sends for the next page if there is none to answer from.
    fn ask(&mut self, request: &PageRequest<'_>) -> Result<(), Error> {
        if self.next.is_ended() || self.page.is_some() || !self.rows.is_empty() {
            return Ok(());
        }
        let inner = request.collection.inner();
        self.page = Some(inner.patiently(|| self.send(request))?);
        Ok(())
    }

    fn send(&self, request: &PageRequest<'_>) -> Result<Pending<Page>, Error> {
        let after = match &self.next {
            NextPage::After(key) => Some(key.clone()),
            NextPage::First | NextPage::Ended => None,
        };
        let op = Op::Scan(nodedb_data::Scan {
            collection: request.collection.definition.id,
            prefix: request.prefix.clone(),
            keys: request.keys.clone(),
            direction: request.direction,
            after,
            rows: request.rows,
            bytes: PAGE_BYTES,
            filter: request.filter.map(Arc::clone),
            snapshot: request.lsn,
            now_ms: Some(request.now_ms),
        });
        request.collection.send(self.vshard, op, |outcome| {
            let Outcome::Page(page) = outcome else {
                return Err(Error::mismatched("scan"));
            };
            Ok(page)
        })
    }

    /// Waits for the page, and for more of them while a filter leaves none of their rows.
    fn refill(&mut self, request: &PageRequest<'_>) -> Result<(), Error> {
        while let Some(page) = self.page.take() {
            let page = match page.wait() {
                // A page is read at the scan's snapshot whenever it is read.
                Err(error) if error.kind() == ErrorKind::Busy => {
                    request.collection.inner().patiently(|| self.send(request)?.wait())?
                }
                result => result?,
            };
            self.next = page.next.map_or(NextPage::Ended, NextPage::After);
            self.rows.extend(page.rows);
            self.ask(request)?;
        }
        Ok(())
    }
}
