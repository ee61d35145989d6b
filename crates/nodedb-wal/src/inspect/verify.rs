//! Judging a log as an open would.

use crate::{
    PinInfo, SegmentInfo, WalError,
    inspect::segments::infos,
    recovery::{Purpose, Survey, survey},
};
use nodedb_env::Env;
use nodedb_types::{LogEpoch, Lsn};
use std::path::Path;

/// A log that checks out.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Which log it is.
    pub log_id: [u8; 16],
    /// Its last life.
    pub epoch: LogEpoch,
    /// The oldest record there is, or would be.
    pub oldest: Lsn,
    /// The last valid record.
    pub last: Option<Lsn>,
    /// The last record that is proven to be durable.
    pub proven: Option<Lsn>,
    /// The first record that recovery of the engines needs.
    pub redo: Lsn,
    /// Number of records.
    pub records: u64,
    /// The segments, oldest first.
    pub segments: Vec<SegmentInfo>,
    /// The named pins, by name.
    pub pins: Vec<PinInfo>,
    /// Bytes of recognisable batches behind the last record, which an open would drop.
    pub dropped_bytes: u64,
    /// Whether the log was closed in order.
    pub clean_shutdown: bool,
    /// How many of the two slots of CONTROL are intact.
    pub control_slots_intact: usize,
}

/// Reads every byte of a log that means something and judges it as an open would.
///
/// # Errors
/// What [`Wal::open`](crate::Wal::open) would report, except that nothing is locked.
pub fn verify(env: &Env, dir: &Path) -> Result<VerifyReport, WalError> {
    let survey = survey(env, dir, Purpose::Verify)?;
    let segments = infos(&survey);
    let first = survey.segments.first();
    Ok(VerifyReport {
        log_id: survey.control.log_id,
        epoch: survey.epoch(),
        oldest: Lsn::after(first.and_then(|first| first.link.prev_last)),
        last: survey.last(),
        proven: survey.proven,
        redo: survey.control.redo,
        records: survey.segments.iter().map(|segment| segment.records).sum(),
        segments,
        pins: pins(&survey),
        dropped_bytes: survey.dropped_bytes,
        clean_shutdown: survey.control.clean_shutdown,
        control_slots_intact: survey.control_slots_intact,
    })
}

fn pins(survey: &Survey) -> Vec<PinInfo> {
    let bytes_from = |lsn| {
        let first = |segment: &crate::recovery::SurveyedSegment| Lsn::after(segment.link.prev_last);
        let after = survey.segments.partition_point(|segment| first(segment) <= lsn);
        let held = survey.segments.iter().skip(after.saturating_sub(1));
        held.map(|segment| segment.end).sum()
    };
    survey.pins.iter().map(|(name, pin)| pin.info(name, bytes_from)).collect()
}
