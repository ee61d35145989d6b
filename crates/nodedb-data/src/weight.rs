//! How much memory a request takes while it waits.

use crate::{Change, Group, Op, Part, Search, Write};

/// As a request says it. Limits are far below the most that it can say.
pub(crate) fn weight(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Op {
    /// About how many bytes it holds beside itself: values and vectors, which may be large. Filters and keys
    /// of reads are bounded by limits that make them small beside the request itself.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Write(write) => write.bytes(),
            Self::CrdtMerge { update, .. } => update.len(),
            Self::CrdtExport { since, .. } => since.as_ref().map_or(0, Vec::len),
            Self::Search(Search { vector, .. }) | Self::ExplainSearch(Search { vector, .. }) => {
                size_of_val(vector.as_slice())
            }
            Self::Get { .. }
            | Self::Scan(_)
            | Self::Statistics { .. }
            | Self::Tally(_)
            | Self::IndexStatistics { .. }
            | Self::Explain { .. }
            | Self::Count { .. }
            | Self::BuildIndex(_)
            | Self::Flush { .. }
            | Self::Image { .. }
            | Self::Status => 0,
        }
    }
}

impl Op {
    /// About how many bytes of users it adds to the log; `None` of what logs nothing, or what housekeeping
    /// asks for.
    pub fn logged_bytes(&self) -> Option<usize> {
        match self {
            Self::Write(write) => Some(write.bytes()),
            Self::CrdtMerge { update, .. } => Some(update.len()),
            Self::Get { .. }
            | Self::CrdtExport { .. }
            | Self::Search(_)
            | Self::ExplainSearch(_)
            | Self::Scan(_)
            | Self::Statistics { .. }
            | Self::Tally(_)
            | Self::IndexStatistics { .. }
            | Self::Explain { .. }
            | Self::Count { .. }
            | Self::BuildIndex(_)
            | Self::Flush { .. }
            | Self::Image { .. }
            | Self::Status => None,
        }
    }
}

impl Group {
    /// About how many bytes its writes hold.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(Part::bytes).sum()
    }
}

impl Write {
    /// About how many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        match &self.change {
            Change::Put { key, value, vectors, .. } => {
                let vectors = vectors.iter().filter_map(|change| change.vector.as_ref());
                let vectors: usize = vectors.map(|vector| size_of_val(vector.as_slice())).sum();
                key.len() + value.len() + vectors
            }
            Change::Delete { key } => key.len(),
            Change::Catalog(_) => 0,
        }
    }
}

impl Part {
    /// About how many bytes it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.writes.iter().map(Write::bytes).sum()
    }
}
