//! The one place where segments are written.

use super::{
    Identity, Segment, SegmentHeader, SegmentLink, Spare, index::SparseIndex, name::segment_path,
};
use crate::{
    WalError,
    batch::{self, Draft, LINK},
    format::{BATCH_ALIGN, BATCH_HEADER, HEADER_PAGE, in_memory},
    recovery::SurveyedSegment,
};
use nodedb_env::{Env, File, Open};
use nodedb_types::{LogEpoch, Lsn};
use std::{path::Path, path::PathBuf, sync::Arc};

/// What a segment starts with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) log_id: [u8; 16],
    pub(crate) number: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) epoch: LogEpoch,
    pub(crate) commit_ms: u64,
    pub(crate) link: SegmentLink,
}

/// The segment that is being appended to.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    file: Arc<dyn File>,
    path: PathBuf,
    identity: Identity,
    base_offset: u64,
    offset: u64,
    chain: u32,
}

impl SegmentWriter {
    /// Turns a spare into a segment. When this returns, header, link and name are durable.
    ///
    /// Order: contents, sync, rename, sync of the directory. So a file that bears the name of a segment
    /// has a whole header and link at every crash point, and a record is only ever written into a file
    /// whose name cannot vanish.
    ///
    /// # Errors
    /// `Io` or `NoSpace`; the log must then be opened again.
    pub(crate) fn start(
        env: &Env,
        dir: &Path,
        spare: Spare,
        start: &Start,
    ) -> Result<(Self, Arc<Segment>), WalError> {
        let (mut writer, header) = Self::begin(env, spare, start)?;
        writer.sync()?;
        writer.name(env, dir)?;
        let first_lsn = Lsn::after(start.link.prev_last);
        let index = SparseIndex::for_writer(first_lsn, start.segment_bytes);
        let segment = Segment::new(writer.path.clone(), &header, &start.link, writer.offset, index);
        Ok((writer, Arc::new(segment)))
    }

    /// Writes header and link into a spare, which stays one.
    ///
    /// # Errors
    /// `Io` or `NoSpace`.
    pub(crate) fn begin(
        env: &Env,
        spare: Spare,
        start: &Start,
    ) -> Result<(Self, SegmentHeader), WalError> {
        let Spare { path, file } = spare;
        let seed = env.random.u32().map_err(WalError::io("seed", &path))?;
        let created_unix_ms = env.clock.unix_ms();
        let identity = Identity { log_id: start.log_id, segment: start.number, seed };
        let header = SegmentHeader {
            identity,
            segment_bytes: start.segment_bytes,
            epoch: start.epoch,
            created_unix_ms,
        };
        let (first, chain) = first_bytes(&header, start);
        file.write_all_at(&first, 0).map_err(WalError::io("write", &path))?;
        let base_offset = start.link.base_offset;
        let offset = first.len() as u64;
        Ok((Self { file, path, identity, base_offset, offset, chain }, header))
    }

    /// Gives a synced spare the name of its segment, in the place of a segment of that number.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn name(&mut self, env: &Env, dir: &Path) -> Result<(), WalError> {
        let path = segment_path(dir, self.identity.segment);
        env.files.rename(&self.path, &path).map_err(WalError::io("rename", &self.path))?;
        env.files.sync_dir(dir).map_err(WalError::io("sync directory", dir))?;
        self.path = path;
        Ok(())
    }

    /// Goes on behind the valid part of a segment that was found, where the disk is too full to start
    /// another one.
    ///
    /// What lies there was dropped. What it proves is no more than what is kept, or the log would not have
    /// opened. [`SegmentWriter::erase_ahead`] comes before the first write.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn resume(env: &Env, found: &SurveyedSegment) -> Result<Self, WalError> {
        let path = found.path.clone();
        let file = env.files.open(&path, Open::ReadWrite).map_err(WalError::io("open", &path))?;
        Ok(Self {
            file,
            path,
            identity: found.header.identity,
            base_offset: found.link.base_offset,
            offset: found.end,
            chain: found.chain,
        })
    }

    /// Erases the header of a dropped batch where the next one goes, durably. A batch counts only in the
    /// chain of all before it, so none behind it can come back. It could: what a torn write of the next
    /// batch left might complete it, where both have most of their bytes in common, as a write has that is
    /// tried again.
    ///
    /// # Errors
    /// `Io`; the log must then be opened again.
    pub(crate) fn erase_ahead(&self, segment_bytes: u64) -> Result<(), WalError> {
        if self.offset + BATCH_ALIGN > segment_bytes {
            return Ok(());
        }
        let zeros = vec![0; in_memory(BATCH_ALIGN)];
        self.file.write_all_at(&zeros, self.offset).map_err(WalError::io("write", &self.path))?;
        self.sync()
    }

    /// Writes a batch: `bytes` is room for the header, then the body. Not durable before
    /// [`SegmentWriter::sync`].
    ///
    /// # Errors
    /// `Io`; the log must then be opened again.
    pub(crate) fn write(&mut self, bytes: &mut Vec<u8>, draft: &Draft) -> Result<(), WalError> {
        let chain = batch::seal(bytes, draft, &self.identity, self.offset, self.chain);
        self.file.write_all_at(bytes, self.offset).map_err(WalError::io("write", &self.path))?;
        self.offset += bytes.len() as u64;
        self.chain = chain;
        Ok(())
    }

    /// Makes all batches written so far durable. Never called again after it failed.
    ///
    /// # Errors
    /// `Io`; the log must then be opened again.
    pub(crate) fn sync(&self) -> Result<(), WalError> {
        self.file.sync_data().map_err(WalError::io("sync", &self.path))
    }

    pub(crate) const fn number(&self) -> u64 {
        self.identity.segment
    }

    /// Where the next batch goes.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Byte position of the next batch in the whole log.
    pub(crate) const fn log_offset(&self) -> u64 {
        self.base_offset + self.offset
    }

    /// Link of the segment after this one.
    pub(crate) const fn link(&self, last: Option<Lsn>, reason: super::Reason) -> SegmentLink {
        SegmentLink {
            prev_segment: self.identity.segment,
            prev_last: last,
            prev_end: self.offset,
            base_offset: self.log_offset(),
            prev_chain: self.chain,
            reason,
        }
    }
}

/// Header page and link batch, and the chain crc behind them.
fn first_bytes(header: &SegmentHeader, start: &Start) -> (Vec<u8>, u32) {
    let mut link = vec![0; BATCH_HEADER];
    start.link.encode(&mut link);
    let draft = Draft {
        kind: LINK,
        first_lsn: Lsn::after(start.link.prev_last),
        record_count: 0,
        epoch: start.epoch,
        durable: start.link.prev_last,
        commit_ms: start.commit_ms,
    };
    let seed = header.identity.seed;
    let chain = batch::seal(&mut link, &draft, &header.identity, HEADER_PAGE, seed);
    let mut first = header.encode();
    assert_eq!(first.len(), in_memory(HEADER_PAGE), "the header owns a page");
    first.extend_from_slice(&link);
    (first, chain)
}
