//! The workloads.

use super::{field::Field, recovery, store::Subject};
use crate::{Outcome, Site};
use anyhow::Result;

/// A workload that the log, the bare disk and peers are measured with.
///
/// - `blocking-N`: N threads, each stores one record of 256 bytes and waits until it is durable. The
///   limit writes and syncs one batch of N records at a time.
/// - `pipelined-Nx64`: N threads, each keeps 64 records on the way and waits for the oldest of them. The
///   limit writes and syncs batches of N * 64 records.
/// - `buffered-1`: one thread stores records as fast as it can and waits at the end until a killed process
///   would not lose them. All turns together stay within one segment of 1 GiB, because the end of a
///   segment syncs it. The limit writes 256 KiB at a time and never syncs.
/// - `append-p99`: 99 of 100 appends of a thread that makes one about every 20 us take no longer, while
///   another thread commits all the time. The limit is a checksum and a copy of the same bytes under a
///   lock that nobody else takes, seen through the same clock.
/// - `recovery-1g`: a log of 16 segments, 1 GiB of 256-byte records, is opened and every record is read.
///   The limit reads the same files in windows of 1 MiB and checksums them. `recovery-scan` is the open
///   alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Case {
    /// Its name on the command line and in rows.
    pub id: &'static str,
    work: Work,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Work {
    Commits { threads: usize, depth: usize },
    Buffered,
    Append,
    Recovery,
}

impl Case {
    /// All cases, in the order in which they run.
    pub const ALL: [Self; 8] = [
        Self::commits("blocking-1", 1, 1),
        Self::commits("blocking-8", 8, 1),
        Self::commits("blocking-64", 64, 1),
        Self::commits("pipelined-1x64", 1, 64),
        Self::commits("pipelined-8x64", 8, 64),
        Self { id: "buffered-1", work: Work::Buffered },
        Self { id: "append-p99", work: Work::Append },
        Self { id: "recovery-1g", work: Work::Recovery },
    ];

    const fn commits(id: &'static str, threads: usize, depth: usize) -> Self {
        Self { id, work: Work::Commits { threads, depth } }
    }

    /// Measures everybody with this workload, each in a fresh directory.
    pub(super) fn measure(self, site: &Site, peers: &[&dyn Subject]) -> Result<Vec<Outcome>> {
        let field = Field { site, peers };
        let (unit, contenders) = match self.work {
            Work::Commits { threads, depth } => ("records/s", field.commits(threads, depth)?),
            Work::Buffered => ("records/s", field.buffered()?),
            Work::Append => ("ns", field.append()?),
            Work::Recovery => {
                return Ok(recovery::measure(&site.fresh("nodedb")?, site.effort)?.into());
            }
        };
        Ok(vec![site.race(unit, contenders)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_that_others_compare_by() {
        let ids = Case::ALL.map(|case| case.id);
        let expected = [
            "blocking-1",
            "blocking-8",
            "blocking-64",
            "pipelined-1x64",
            "pipelined-8x64",
            "buffered-1",
            "append-p99",
            "recovery-1g",
        ];
        assert_eq!(ids, expected);
    }
}
