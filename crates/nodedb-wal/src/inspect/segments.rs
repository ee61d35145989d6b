//! The segments of a sound log.

use crate::{
    SegmentInfo, WalError,
    recovery::{Purpose, Survey, SurveyedSegment, survey},
};
use nodedb_env::Env;
use nodedb_types::Lsn;
use std::path::Path;

/// The segments of a log, oldest first.
///
/// # Errors
/// As [`verify`](crate::inspect::verify).
pub fn segments(env: &Env, dir: &Path) -> Result<Vec<SegmentInfo>, WalError> {
    Ok(infos(&survey(env, dir, Purpose::Verify)?))
}

pub(super) fn infos(survey: &Survey) -> Vec<SegmentInfo> {
    let newest = survey.newest().header.identity.segment;
    let info = |segment: &SurveyedSegment| SegmentInfo {
        number: segment.header.identity.segment,
        path: segment.path.clone(),
        first_lsn: Lsn::after(segment.link.prev_last),
        last_lsn: segment.last.filter(|_| segment.records > 0),
        bytes: segment.end,
        base_offset: segment.link.base_offset,
        epoch: segment.header.epoch,
        sealed: segment.header.identity.segment != newest,
        created_unix_ms: segment.header.created_unix_ms,
    };
    survey.segments.iter().map(info).collect()
}
