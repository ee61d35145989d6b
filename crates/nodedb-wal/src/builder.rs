//! Building a log from the batches of an archive.

use crate::{
    Control, GroupFlags, LogOptions, Record, WalError,
    batch::{Draft, RECORDS, SYNC_POINT},
    control::ControlFile,
    format::{BATCH_HEADER, batch_len, body_max, records_end},
    handle::{check_empty, lock},
    record,
    segment::{Reason, SegmentLink, SegmentWriter, Spare, Start},
};
use crc32c::crc32c;
use nodedb_env::{Env, FileLock};
use nodedb_types::{LogEpoch, Lsn};
use std::path::{Path, PathBuf};

/// A record with its place in its atomic group.
#[derive(Clone, Copy, Debug)]
pub struct StoredRecord<'a> {
    /// The record.
    pub record: Record<'a>,
    /// Its place in its group.
    pub group: GroupFlags,
}

/// Builds a fresh log that holds what another one held: LSNs, epochs, commit times and groups stay.
/// Until [`LogBuilder::finish`] returns, the directory is no log.
#[derive(Debug)]
pub struct LogBuilder {
    env: Env,
    dir: PathBuf,
    log_id: [u8; 16],
    segment_bytes: u64,
    writer: Option<SegmentWriter>,
    first: Lsn,
    next: Lsn,
    /// The last record of the segments that are complete and synced.
    synced: Option<Lsn>,
    epoch: LogEpoch,
    epoch_floor: LogEpoch,
    commit_ms: u64,
    spares: u64,
    _lock: Box<dyn FileLock>,
}

impl LogBuilder {
    /// Starts in an empty directory; the first record will be `first`.
    ///
    /// # Errors
    /// [`WalError::InvalidOptions`], [`WalError::Locked`], [`WalError::NotEmpty`], [`WalError::Io`].
    #[expect(clippy::needless_pass_by_value, reason = "as `Wal::create`, which keeps them")]
    pub fn create(
        env: &Env,
        dir: &Path,
        options: LogOptions,
        first: Lsn,
    ) -> Result<Self, WalError> {
        options.validate()?;
        let LogOptions { segment_bytes, .. } = options;
        let lock = lock(env, dir)?;
        check_empty(env, dir)?;
        Ok(Self {
            env: env.clone(),
            dir: dir.to_owned(),
            log_id: env.random.id().map_err(WalError::io("name", dir))?,
            segment_bytes,
            writer: None,
            first,
            next: first,
            synced: first.previous(),
            epoch: LogEpoch::new(0),
            epoch_floor: LogEpoch::new(0),
            commit_ms: 0,
            spares: 0,
            _lock: lock,
        })
    }

    /// Makes the lives of the new log begin above `epoch`: above everything that its engines' files
    /// were written in, also where no batch of it is archived.
    pub fn raise_epoch(&mut self, epoch: LogEpoch) {
        self.epoch_floor = self.epoch_floor.max(epoch);
    }

    /// Adds the records of one batch: whole groups, in the order of the archive.
    ///
    /// # Errors
    /// [`WalError::NotConsecutive`] if `first_lsn` is not the next record; [`WalError::Malformed`] if a
    /// group is not whole, or epoch or commit time goes back; [`WalError::TooLarge`] if a group does not
    /// fit into a segment; [`WalError::NoSpace`], [`WalError::Io`]. Start again in an empty directory then.
    pub fn push(
        &mut self,
        epoch: LogEpoch,
        first_lsn: Lsn,
        commit_ms: u64,
        records: &[StoredRecord<'_>],
    ) -> Result<(), WalError> {
        self.check(epoch, first_lsn, commit_ms, records)?;
        self.epoch = epoch;
        self.commit_ms = commit_ms;
        let mut open = Open::new(self.next);
        for group in records.chunk_by(|one, _| !one.group.last) {
            let bytes = group.iter().map(|one| one.record.encoded_len()).sum();
            let limit = body_max(self.segment_bytes);
            if bytes > limit {
                return Err(WalError::TooLarge { bytes, limit });
            }
            if !self.fits(open.body_len() + bytes)? {
                self.write(std::mem::replace(&mut open, Open::new(self.next)))?;
                open.first = self.next;
                if !self.fits(bytes)? {
                    self.rotate()?;
                }
            }
            open.add(group);
        }
        self.write(open)
    }

    /// Completes the log: all its records are durable, and recovery of the engines starts at `redo`.
    ///
    /// # Errors
    /// [`WalError::NoSpace`], [`WalError::Io`].
    ///
    /// # Panics
    /// If `redo` lies before the first record or behind the end.
    pub fn finish(mut self, redo: Lsn) -> Result<(), WalError> {
        assert!(redo >= self.first, "recovery starts at a record that is there");
        assert!(redo <= self.next, "recovery starts no later than at the end");
        let last = self.next.previous();
        let draft = Draft { durable: last, ..self.draft(SYNC_POINT, self.next, 0) };
        let writer = self.writer()?;
        writer.sync()?;
        // After the sync only: it says that all records are durable.
        writer.write(&mut vec![0; BATCH_HEADER], &draft)?;
        writer.sync()?;
        let newest_segment = writer.number();
        let state = Control {
            log_id: self.log_id,
            generation: 0,
            epoch: self.epoch.max(self.epoch_floor),
            segment_bytes: self.segment_bytes,
            redo,
            checkpoint_record: None,
            durable: last,
            archived: None,
            oldest_segment: 1,
            newest_segment,
            clean_shutdown: true,
        };
        ControlFile::create(&self.env, &self.dir, state).map(|_| ())
    }

    fn check(
        &self,
        epoch: LogEpoch,
        first_lsn: Lsn,
        commit_ms: u64,
        records: &[StoredRecord<'_>],
    ) -> Result<(), WalError> {
        if first_lsn != self.next {
            return Err(WalError::NotConsecutive { expected: self.next, found: first_lsn });
        }
        let refuse = |reason| {
            let lsn = first_lsn;
            Err(WalError::Malformed { lsn, reason })
        };
        if epoch < self.epoch || commit_ms < self.commit_ms {
            return refuse("epoch or commit time goes back");
        }
        let mut within = false;
        for one in records {
            if one.group.first == within {
                return refuse("an atomic group does not begin where the one before ends");
            }
            within = !one.group.last;
        }
        if within || records.is_empty() {
            return refuse("it does not end with the end of an atomic group");
        }
        Ok(())
    }

    fn draft(&self, kind: u16, first_lsn: Lsn, record_count: u32) -> Draft {
        Draft {
            kind,
            first_lsn,
            record_count,
            epoch: self.epoch,
            durable: self.synced,
            commit_ms: self.commit_ms,
        }
    }

    fn fits(&mut self, body: usize) -> Result<bool, WalError> {
        let end = records_end(self.segment_bytes);
        Ok(self.writer()?.offset() + batch_len(body) <= end)
    }

    fn write(&mut self, mut open: Open) -> Result<(), WalError> {
        if open.count == 0 {
            return Ok(());
        }
        let draft = self.draft(RECORDS, open.first, open.count);
        self.writer()?.write(&mut open.bytes, &draft)?;
        self.next = open.first.advance(u64::from(open.count));
        Ok(())
    }

    /// The segment being written; the first one is started when its epoch is known.
    fn writer(&mut self) -> Result<&mut SegmentWriter, WalError> {
        let writer = if let Some(writer) = self.writer.take() {
            writer
        } else {
            let link = SegmentLink::first(self.first.previous());
            self.start(1, link)?
        };
        Ok(self.writer.insert(writer))
    }

    fn rotate(&mut self) -> Result<(), WalError> {
        let last = self.next.previous();
        let writer = self.writer()?;
        // The link that is written next claims that this segment is durable.
        writer.sync()?;
        let (number, link) = (writer.number() + 1, writer.link(last, Reason::Rotate));
        self.synced = last;
        self.writer = Some(self.start(number, link)?);
        Ok(())
    }

    fn start(&mut self, number: u64, link: SegmentLink) -> Result<SegmentWriter, WalError> {
        let spare = Spare::prepare(&self.env, &self.dir, self.spares, self.segment_bytes)?;
        self.spares += 1;
        let start = Start {
            log_id: self.log_id,
            number,
            segment_bytes: self.segment_bytes,
            epoch: self.epoch,
            commit_ms: self.commit_ms,
            link,
        };
        let (writer, _) = SegmentWriter::start(&self.env, &self.dir, spare, &start)?;
        Ok(writer)
    }
}

/// A batch being put together.
struct Open {
    bytes: Vec<u8>,
    first: Lsn,
    count: u32,
}

impl Open {
    fn new(first: Lsn) -> Self {
        Self { bytes: vec![0; BATCH_HEADER], first, count: 0 }
    }

    fn body_len(&self) -> usize {
        self.bytes.len() - BATCH_HEADER
    }

    fn add(&mut self, group: &[StoredRecord<'_>]) {
        for one in group {
            let lsn = self.first.advance(u64::from(self.count));
            let crc = crc32c(one.record.payload);
            record::encode(&mut self.bytes, &one.record, lsn, one.group, crc);
            self.count += 1;
        }
    }
}
