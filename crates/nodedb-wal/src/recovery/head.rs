//! What a segment starts with, and what was found of it.

use super::scan::SegmentScan;
use crate::{
    WalError,
    batch::LINK,
    error::Evidence,
    format::{HEADER_PAGE, in_memory},
    segment::{SegmentHeader, SegmentLink, index::SparseIndex},
};
use nodedb_env::{Env, File, Open};
use nodedb_types::{LogEpoch, Lsn};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// One segment that checks out.
#[derive(Debug)]
pub(crate) struct SurveyedSegment {
    pub(crate) path: PathBuf,
    pub(crate) header: SegmentHeader,
    pub(crate) link: SegmentLink,
    /// Where its valid part ends.
    pub(crate) end: u64,
    pub(crate) chain: u32,
    /// Last record up to its end, in it or before.
    pub(crate) last: Option<Lsn>,
    pub(crate) records: u64,
    pub(crate) epoch: LogEpoch,
    pub(crate) commit_ms: u64,
    pub(crate) index: SparseIndex,
}

/// What every segment of a log has in common; CONTROL says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) log_id: [u8; 16],
    pub(crate) segment_bytes: u64,
}

/// Header and link of a segment, which were durable before it had its name.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) path: PathBuf,
    pub(crate) header: SegmentHeader,
    pub(crate) link: SegmentLink,
}

impl Head {
    pub(crate) fn read(env: &Env, path: &Path, shape: Shape) -> Result<Self, WalError> {
        let damaged = |reason| WalError::Damaged { path: path.to_owned(), reason };
        let io = |operation| WalError::io(operation, path);
        let file = env.files.open(path, Open::Read).map_err(io("open"))?;
        if file.len().map_err(io("look at"))? != shape.segment_bytes {
            return Err(damaged("its length is not that of a segment"));
        }
        let mut page = vec![0; in_memory(HEADER_PAGE)];
        file.read_exact_at(&mut page, 0).map_err(io("read"))?;
        let header = SegmentHeader::decode(&page, path)?;
        if header.identity.log_id != shape.log_id {
            return Err(WalError::WrongLog { path: path.to_owned() });
        }
        if header.segment_bytes != shape.segment_bytes {
            return Err(damaged("its header names another segment size"));
        }
        let link = read_link(file, path, &header)?
            .ok_or_else(|| damaged("its link batch does not check out"))?;
        Ok(Self { path: path.to_owned(), header, link })
    }

    /// Opens the file again. It is not kept open: a log that an archive holds back may have more segments
    /// than a process may have files.
    pub(crate) fn open(&self, env: &Env) -> Result<Arc<dyn File>, WalError> {
        env.files.open(&self.path, Open::Read).map_err(WalError::io("open", &self.path))
    }

    pub(crate) const fn number(&self) -> u64 {
        self.header.identity.segment
    }

    /// Whether a walk over this segment came to where the next one's link says that it ends.
    pub(crate) fn is_whole(&self, scan: &SegmentScan, next: &SegmentLink) -> bool {
        scan.offset == next.prev_end
            && scan.last() == next.prev_last
            && scan.chain == next.prev_chain
            && next.prev_segment == self.number()
            && next.base_offset == self.link.base_offset + next.prev_end
    }

    pub(crate) const fn link_evidence(&self) -> Evidence {
        Evidence::SegmentLink { segment: self.number() }
    }

    pub(crate) fn surveyed(&self, scan: SegmentScan) -> SurveyedSegment {
        SurveyedSegment {
            path: self.path.clone(),
            header: self.header,
            link: self.link,
            end: scan.offset,
            chain: scan.chain,
            last: scan.last(),
            records: scan.records,
            epoch: scan.epoch,
            commit_ms: scan.commit_ms,
            index: scan.index.unwrap_or_else(|| SparseIndex::new(Lsn::after(self.link.prev_last))),
        }
    }
}

/// The link batch; `None` if it does not check out.
pub(crate) fn read_link(
    file: Arc<dyn File>,
    path: &Path,
    header: &SegmentHeader,
) -> Result<Option<SegmentLink>, WalError> {
    let mut scan = SegmentScan::new(file, path, header);
    let Some(batch) = scan.next(header.segment_bytes)? else {
        return Ok(None);
    };
    if batch.header.kind != LINK {
        return Ok(None);
    }
    let link = SegmentLink::decode(batch.body()).ok();
    Ok(link.filter(|link| Lsn::after(link.prev_last) == batch.header.first_lsn))
}
