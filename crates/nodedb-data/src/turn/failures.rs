//! What the work beside requests failed with.

use crate::core::Core;
use nodedb_engine::EngineError;
use nodedb_types::{ErrorKind, VshardId};
use std::collections::BTreeMap;

/// The work that a core has done beside requests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Work {
    Flush,
    Merge,
    Rebuild,
}

/// The last failure of each work, until it succeeds. What fails for one vshard mostly fails for all, a full
/// disk above all: it is logged once, and the status names the vshards.
#[derive(Default)]
pub(crate) struct Failures {
    last: BTreeMap<Work, ErrorKind>,
}

impl Work {
    const fn name(self) -> &'static str {
        match self {
            Self::Flush => "flushing",
            Self::Merge => "merging tables",
            Self::Rebuild => "rebuilding a vector segment",
        }
    }
}

impl Failures {
    /// Whether this is another failure than the last one of the work.
    fn is_news(&mut self, work: Work, kind: ErrorKind) -> bool {
        self.last.insert(work, kind) != Some(kind)
    }

    pub(super) fn end(&mut self, work: Work) {
        self.last.remove(&work);
    }
}

impl Core {
    /// Shows the failure of a vshard, and logs it if it is news.
    pub(super) fn note_failure(&mut self, id: VshardId, work: Work, error: &EngineError) {
        let described = describe(error);
        if self.failures.is_news(work, error.kind()) {
            let (core_id, work) = (self.id, work.name());
            if error.kind() == ErrorKind::NoSpace {
                tracing::warn!(
                    %core_id, vshard_id = %id, work, error = described,
                    "no room on the disk: what is acknowledged is safe in the log; free some room, or delete and \
                     checkpoint"
                );
            } else {
                tracing::error!(%core_id, vshard_id = %id, work, error = described, "failed");
            }
        }
        self.shared.board.set_failure(id, Some(described));
    }
}

/// The error with its causes.
fn describe(error: &EngineError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each vshard had a line of its own, without the cause.
    #[test]
    fn a_failure_is_news_once_until_its_work_succeeds() {
        let mut failures = Failures::default();
        assert!(failures.is_news(Work::Flush, ErrorKind::NoSpace));
        assert!(!failures.is_news(Work::Flush, ErrorKind::NoSpace));
        assert!(failures.is_news(Work::Merge, ErrorKind::NoSpace), "another work");
        assert!(failures.is_news(Work::Flush, ErrorKind::Corrupt), "another failure");
        failures.end(Work::Flush);
        assert!(failures.is_news(Work::Flush, ErrorKind::Corrupt), "it had succeeded");
        assert!(!failures.is_news(Work::Merge, ErrorKind::NoSpace));
    }
}
