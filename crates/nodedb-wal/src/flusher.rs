//! The one thread that writes and syncs segments.

use crate::{
    PoisonCause, WalError,
    batch::{Draft, RECORDS, SYNC_POINT},
    core::Core,
    format::BATCH_HEADER,
    segment::{Reason, Segment, SegmentWriter, Start},
    stage::{Stage, StagedBatch},
};
use nodedb_types::Lsn;
use parking_lot::MutexGuard;
use std::{sync::Arc, time::Duration};

/// What to do next.
enum Step {
    /// Write everything staged.
    Pass(Vec<StagedBatch>),
    /// Sync what is written.
    Sync,
    /// Write and sync evidence for what is durable, at this offset.
    SyncPoint(u64),
    /// The log is closed and drained, or poisoned.
    Stop,
}

/// State of the flusher. Everything it writes goes through here.
#[derive(Debug)]
pub(crate) struct Flusher {
    core: Arc<Core>,
    writer: SegmentWriter,
    segment: Arc<Segment>,
    written: Option<Lsn>,
    /// The highest durable position that a batch header carries, and that a synced one carries: what a
    /// recovery may know, and what it will.
    stamped: Option<Lsn>,
    evidence: Option<Lsn>,
}

impl Flusher {
    pub(crate) fn new(core: Arc<Core>, writer: SegmentWriter, segment: Arc<Segment>) -> Self {
        let written = core.written();
        Self {
            core,
            writer,
            segment,
            written,
            // The link of the new segment carries it.
            stamped: written,
            evidence: written,
        }
    }

    /// Runs until the log is closed or poisoned.
    pub(crate) fn run(mut self) {
        let alarm = Alarm(Arc::clone(&self.core));
        loop {
            let done = match self.next_step() {
                Step::Pass(batches) => self.pass(batches),
                Step::Sync => self.sync(),
                Step::SyncPoint(offset) => self.sync_point(offset),
                Step::Stop => break,
            };
            if let Err(error) = done {
                self.core.poison(&PoisonCause::from_failure(error));
                break;
            }
        }
        drop(alarm);
    }

    fn next_step(&self) -> Step {
        let mut stage = self.core.stage.lock();
        loop {
            if stage.poison.is_some() {
                return Step::Stop;
            }
            if !stage.is_empty() {
                return Step::Pass(stage.take_pass());
            }
            if self.must_sync(&stage) {
                stage.flight = self.written;
                stage.sync_due = None;
                return Step::Sync;
            }
            let lacks_evidence = self.core.durable() > self.evidence;
            if stage.closing && !lacks_evidence {
                return Step::Stop;
            }
            if stage.closing || (self.wait(&mut stage) && stage.is_empty() && lacks_evidence) {
                return Step::SyncPoint(stage.take_sync_point());
            }
        }
    }

    /// Whether something written must be synced now.
    fn must_sync(&self, stage: &Stage) -> bool {
        let durable = self.core.durable();
        let now = || self.core.env.clock.now();
        self.written > durable
            && (stage.closing
                || stage.sync_wanted > durable
                || stage.sync_due.is_some_and(|due| due <= now()))
    }

    /// Sleeps until there may be something to do; answers whether the log was quiet long enough for
    /// its evidence to be written.
    fn wait(&self, stage: &mut MutexGuard<'_, Stage>) -> bool {
        let now = self.core.env.clock.now();
        let timer = stage.sync_due.map(|due| due.saturating_sub(now));
        let lacks_evidence = self.core.durable() > self.evidence;
        let quiet = lacks_evidence.then_some(self.core.options.sync_point_idle);
        let patience: Option<Duration> = match (timer, quiet) {
            (Some(timer), Some(quiet)) => Some(timer.min(quiet)),
            (one, other) => one.or(other),
        };
        let Some(patience) = patience else {
            self.core.work.wait(stage);
            return false;
        };
        if !self.core.work.wait_for(stage, patience).timed_out() {
            return false;
        }
        if timer == Some(patience) {
            // Time has passed even where the clock is a simulated one that stands still.
            stage.sync_due = None;
            stage.sync_wanted = stage.sync_wanted.max(stage.appended());
            return false;
        }
        true
    }

    fn pass(&mut self, mut batches: Vec<StagedBatch>) -> Result<(), WalError> {
        for batch in &mut batches {
            if batch.opens_segment {
                self.rotate()?;
            }
            self.write(batch)?;
        }
        self.core.publish_written(self.written, self.writer.log_offset());
        // As late as possible: who asked while this was being written is served by the same sync.
        let sync = {
            let mut stage = self.core.stage.lock();
            let sync = self.must_sync(&stage);
            if sync && stage.is_empty() {
                stage.sync_due = None;
            }
            sync
        };
        if sync {
            self.sync_file()?;
        }
        let buffers = batches.into_iter().map(|batch| batch.bytes);
        self.core.end_pass(buffers);
        Ok(())
    }

    fn write(&mut self, batch: &mut StagedBatch) -> Result<(), WalError> {
        assert_eq!(self.writer.offset(), batch.offset, "a batch is written where it was placed");
        assert_eq!(
            batch.first_lsn,
            Lsn::after(self.written),
            "batches follow each other without a gap"
        );
        let draft = self.draft(RECORDS, batch.first_lsn, batch.records);
        self.writer.write(&mut batch.bytes, &draft)?;
        self.written = batch.first_lsn.advance(u64::from(batch.records)).previous();
        self.segment.note(batch.first_lsn, batch.offset);
        self.segment.grow_to(self.writer.offset());
        self.stamped = draft.durable;
        Ok(())
    }

    fn draft(&self, kind: u16, first_lsn: Lsn, record_count: u32) -> Draft {
        Draft {
            kind,
            first_lsn,
            record_count,
            epoch: self.core.epoch,
            durable: self.core.durable(),
            commit_ms: self.core.commit_ms(),
        }
    }

    /// The one call that makes records durable.
    fn sync_file(&mut self) -> Result<(), WalError> {
        self.writer.sync()?;
        self.evidence = self.stamped;
        self.core.publish_durable(self.written)
    }

    fn sync(&mut self) -> Result<(), WalError> {
        self.sync_file()?;
        self.core.end_pass(std::iter::empty());
        Ok(())
    }

    fn sync_point(&mut self, offset: u64) -> Result<(), WalError> {
        assert_eq!(self.writer.offset(), offset, "a SyncPoint follows all records");
        if self.written > self.core.durable() {
            self.sync_file()?;
        }
        let draft = self.draft(SYNC_POINT, Lsn::after(self.written), 0);
        self.writer.write(&mut vec![0; BATCH_HEADER], &draft)?;
        self.stamped = draft.durable;
        self.segment.grow_to(self.writer.offset());
        self.sync_file()?;
        self.core.publish_written(self.written, self.writer.log_offset());
        // Somebody may have asked meanwhile for what the first sync has covered.
        self.core.end_pass(std::iter::empty());
        Ok(())
    }

    /// Goes on in the next segment.
    fn rotate(&mut self) -> Result<(), WalError> {
        // First the sync: the link that is written next claims that this segment is durable.
        self.core.publish_written(self.written, self.writer.log_offset());
        self.sync_file()?;
        let spare = self.core.stage.lock().take_spare();
        self.core.shortage.notify_all();
        let start = Start {
            log_id: self.core.log_id,
            number: self.writer.number() + 1,
            segment_bytes: self.core.segment_bytes,
            epoch: self.core.epoch,
            commit_ms: self.core.commit_ms(),
            link: self.writer.link(self.written, Reason::Rotate),
        };
        let core = &self.core;
        let (writer, segment) = SegmentWriter::start(&core.env, &core.dir, spare, &start)?;
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

/// Poisons the log if the flusher panics: waiters must not hang on a dead thread.
struct Alarm(Arc<Core>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = std::io::Error::other("the flusher panicked");
            self.0.poison(&PoisonCause::new("flush", &self.0.dir, error));
        }
    }
}
