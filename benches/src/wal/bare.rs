//! The bare disk: the least work that gives the same promise.

use super::{
    calls::record,
    store::{PAYLOAD_BYTES, Store, Subject, Workload, Writer},
};
use crate::{BareFile, LIMIT, payload};
use anyhow::Result;
use parking_lot::Mutex;
use std::{path::Path, sync::Arc};

/// A batch on disk, as docs/formats/wal.md has it.
const BATCH_HEADER: usize = 64;
const BATCH_ALIGN: usize = 512;
/// One write of a buffered workload.
const CHUNK_BYTES: usize = 256 << 10;
/// As long as a segment of the log.
const FILE_BYTES: usize = 64 << 20;

/// Bytes that one batch of so many records takes in the log.
pub(super) fn batch_bytes(records: usize) -> usize {
    let body = records * record(&[0; PAYLOAD_BYTES]).encoded_len();
    (BATCH_HEADER + body).next_multiple_of(BATCH_ALIGN)
}

/// Positioned writes of the log's bytes to blocks that were written before, by one thread; each is
/// synced where the workload says so. There is no queue, no checksum and no number in it.
#[derive(Debug)]
pub(super) struct BareDisk;

impl Subject for BareDisk {
    fn who(&self) -> &'static str {
        LIMIT
    }

    fn takes(&self, _: Workload) -> bool {
        true
    }

    fn create(&self, _: &Path, _: Workload) -> Result<Box<dyn Store>> {
        let written = Written { file: BareFile::with_len(FILE_BYTES)?, records: 0, syncs: 0 };
        Ok(Box::new(OpenDisk { written: Arc::new(Mutex::new(written)) }))
    }
}

struct OpenDisk {
    written: Arc<Mutex<Written>>,
}

struct Written {
    file: BareFile,
    records: u64,
    syncs: u64,
}

impl Store for OpenDisk {
    fn writer(&self) -> Result<Box<dyn Writer>> {
        let written = Arc::clone(&self.written);
        Ok(Box::new(DiskWriter { written, batch: Vec::new(), depth: 0, waiting: 0 }))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.written.lock().file.sync()?)
    }

    fn syncs(&self) -> Option<u64> {
        Some(self.written.lock().syncs)
    }

    /// It names no records, so it has only its own word for their number.
    fn reopen_and_count(self: Box<Self>) -> Result<u64> {
        Ok(self.written.lock().records)
    }
}

struct DiskWriter {
    written: Arc<Mutex<Written>>,
    /// The bytes of `depth` records.
    batch: Vec<u8>,
    depth: usize,
    waiting: usize,
}

impl DiskWriter {
    fn batch_of(&mut self, depth: usize) {
        if self.depth != depth {
            self.batch = payload(2, batch_bytes(depth));
            self.depth = depth;
        }
    }

    fn write_waiting(&mut self) -> Result<()> {
        self.batch_of(self.waiting);
        let mut written = self.written.lock();
        written.file.write(&self.batch)?;
        written.records += self.waiting as u64;
        self.waiting = 0;
        Ok(())
    }
}

impl Writer for DiskWriter {
    fn advance(&mut self, depth: usize) -> Result<u64> {
        self.batch_of(depth);
        let mut written = self.written.lock();
        written.file.write_synced(&self.batch)?;
        written.syncs += 1;
        written.records += depth as u64;
        Ok(depth as u64)
    }

    fn append(&mut self) -> Result<()> {
        self.waiting += 1;
        if batch_bytes(self.waiting + 1) > CHUNK_BYTES {
            self.write_waiting()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.waiting > 0 { self.write_waiting() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_the_bytes_that_the_log_writes() {
        // 32 bytes of record header and 256 of payload behind 64 of batch header.
        assert_eq!(batch_bytes(1), 512);
        assert_eq!(batch_bytes(8), 2_560);
        assert_eq!(batch_bytes(64), 18_944);
    }

    #[test]
    fn every_record_counts_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = BareDisk.create(dir.path(), Workload::Buffered).expect("created");
        let mut writer = store.writer().expect("a writer");
        for _ in 0..2_000 {
            writer.append().expect("written");
        }
        writer.flush().expect("written");
        assert_eq!(writer.advance(64).expect("synced"), 64);
        drop(writer);
        assert_eq!(store.syncs(), Some(1));
        assert_eq!(store.reopen_and_count().expect("counted"), 2_064);
    }
}
