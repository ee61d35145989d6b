//! Writing and syncing: what one thread at a time may do to the newest segment.

use crate::{
    WalError,
    batch::{Draft, RECORDS, SYNC_POINT},
    core::Core,
    format::BATCH_HEADER,
    segment::{Reason, Segment, SegmentWriter, Start},
    stage::StagedBatch,
};
use nodedb_types::Lsn;
use std::sync::Arc;

/// The right to write, as a value: there is one, and who owns it leads. It rests in the stage while nobody
/// does, and is gone for good once a write or sync has failed or the log is closed.
#[derive(Debug)]
pub(crate) struct Committer {
    writer: SegmentWriter,
    segment: Arc<Segment>,
    written: Option<Lsn>,
    /// The highest durable position that a batch header carries, and that a synced one carries: what a
    /// recovery may know, and what it will.
    stamped: Option<Lsn>,
    evidence: Option<Lsn>,
    /// What the pass under way writes. Empty at its end, with the memory of the largest.
    pub(crate) batches: Vec<StagedBatch>,
    /// Memory for a batch that holds no records.
    bare: Vec<u8>,
}

impl Committer {
    /// Everything up to `written` is durable, and the link that `writer` has just written says so.
    pub(crate) const fn new(
        writer: SegmentWriter,
        segment: Arc<Segment>,
        written: Option<Lsn>,
    ) -> Self {
        Self {
            writer,
            segment,
            written,
            stamped: written,
            evidence: written,
            batches: Vec::new(),
            bare: Vec::new(),
        }
    }

    /// Byte position of the end of what is written, in the whole log.
    pub(crate) const fn log_offset(&self) -> u64 {
        self.writer.log_offset()
    }

    /// The durable position that a recovery will find proven.
    pub(crate) const fn evidence(&self) -> Option<Lsn> {
        self.evidence
    }

    /// Writes the batches of a pass and syncs them if that is asked for by the time they are written.
    ///
    /// # Errors
    /// A failed write or sync: the log must be poisoned.
    pub(crate) fn pass(&mut self, core: &Core) -> Result<(), WalError> {
        let mut batches = std::mem::take(&mut self.batches);
        for batch in &mut batches {
            if batch.opens_segment {
                self.rotate(core)?;
            }
            self.write(core, batch)?;
        }
        self.batches = batches;
        core.publish_written(self.written, self.writer.log_offset());
        // As late as possible: who asked while this was being written is served by the same sync.
        if core.sync_is_due(self.written) {
            self.sync(core)?;
        }
        Ok(())
    }

    /// Writes and syncs a batch without records, whose header proves all before it durable.
    ///
    /// # Errors
    /// As [`Committer::pass`].
    pub(crate) fn sync_point(&mut self, core: &Core, offset: u64) -> Result<(), WalError> {
        assert_eq!(self.writer.offset(), offset, "a SyncPoint follows all records");
        if self.written > core.durable() {
            self.sync(core)?;
        }
        let draft = draft(core, SYNC_POINT, Lsn::after(self.written), 0);
        self.bare.clear();
        self.bare.resize(BATCH_HEADER, 0);
        self.writer.write(&mut self.bare, &draft)?;
        self.stamped = draft.durable;
        self.segment.grow_to(self.writer.offset());
        self.sync(core)?;
        core.publish_written(self.written, self.writer.log_offset());
        Ok(())
    }

    fn write(&mut self, core: &Core, batch: &mut StagedBatch) -> Result<(), WalError> {
        assert_eq!(self.writer.offset(), batch.offset, "a batch is written where it was placed");
        assert_eq!(
            batch.first_lsn,
            Lsn::after(self.written),
            "batches follow each other without a gap"
        );
        let draft = draft(core, RECORDS, batch.first_lsn, batch.records);
        self.writer.write(&mut batch.bytes, &draft)?;
        self.written = batch.first_lsn.advance(u64::from(batch.records)).previous();
        self.segment.note(batch.first_lsn, batch.offset);
        self.segment.grow_to(self.writer.offset());
        self.stamped = draft.durable;
        Ok(())
    }

    /// The one call that makes records durable.
    fn sync(&mut self, core: &Core) -> Result<(), WalError> {
        self.writer.sync()?;
        self.evidence = self.stamped;
        core.publish_durable(self.written)
    }

    /// Goes on in the next segment.
    fn rotate(&mut self, core: &Core) -> Result<(), WalError> {
        // First the sync: the link that is written next claims that this segment is durable.
        core.publish_written(self.written, self.writer.log_offset());
        self.sync(core)?;
        let spare = core.stage.lock().take_spare();
        core.shortage.notify_all();
        let start = Start {
            log_id: core.log_id,
            number: self.writer.number() + 1,
            segment_bytes: core.segment_bytes,
            epoch: core.epoch,
            commit_ms: core.commit_ms(),
            link: self.writer.link(self.written, Reason::Rotate),
        };
        let (writer, segment) =
            core.change_directory(|| SegmentWriter::start(&core.env, &core.dir, spare, &start))?;
        // Before any record goes in: from now on recovery misses this segment if it is gone.
        core.change_control(|control| {
            control.write(|state| {
                state.newest_segment = start.number;
                state.durable = start.link.prev_last;
            })
        })?;
        core.segments.push(Arc::clone(&segment));
        self.writer = writer;
        self.segment = segment;
        self.stamped = self.written;
        self.evidence = self.written;
        Ok(())
    }
}

fn draft(core: &Core, kind: u16, first_lsn: Lsn, record_count: u32) -> Draft {
    Draft {
        kind,
        first_lsn,
        record_count,
        epoch: core.epoch,
        durable: core.durable(),
        commit_ms: core.commit_ms(),
    }
}
