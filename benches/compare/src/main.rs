//! The benches of the log and of the facade, with peers as more contenders:
//! `cargo xtask bench wal|facade --peers`.
//!
//! Every peer stores the same records of 256 bytes, in the mode in which an answer means that a power
//! cut takes nothing, and is tuned as its users would for this work. What it claims to have stored is
//! counted after it was opened again. docs/benchmarks.md says how each is driven.
#![forbid(unsafe_code)]

mod fjall_keyspace;
mod numbers;
mod okaywal_entries;
mod raft_engine_entries;
mod redb_table;
mod sqlite_table;

use anyhow::Result;
use nodedb_bench::{Arguments, run_group, wal};

const PEERS: [&dyn wal::Subject; 5] = [
    &okaywal_entries::Okaywal,
    &raft_engine_entries::RaftEngine,
    &redb_table::Redb,
    &fjall_keyspace::Fjall,
    &sqlite_table::Sqlite,
];

/// Those that are databases.
const DATABASES: [&dyn wal::Subject; 3] =
    [&redb_table::Redb, &fjall_keyspace::Fjall, &sqlite_table::Sqlite];

/// The word for the bench of the log; others are groups.
const LOG: &str = "wal";

fn main() -> Result<()> {
    let mut arguments = Arguments::from_env()?;
    // The log also asks this of itself, in a process of its own, without naming anything.
    if arguments.take(LOG) || arguments.recover.is_some() {
        return wal::run(&arguments, &PEERS);
    }
    run_group(&arguments, &DATABASES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_bench::wal::Workload;

    /// Two threads store 5 records each in `depth`s, in two turns.
    fn check(peer: &dyn wal::Subject, workload: Workload, depth: usize) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = peer.create(dir.path(), workload).expect("created");
        let mut acknowledged = 0;
        for _ in 0..2 {
            let mut writers = [(); 2].map(|()| store.writer().expect("a writer"));
            for _ in 0..5 {
                for writer in &mut writers {
                    acknowledged += writer.advance(depth).expect("durable");
                }
            }
            drop(writers);
            store.settle().expect("settled");
        }
        let found = store.reopen_and_count().expect("counted");
        assert_eq!((found, acknowledged), (20 * depth as u64, found), "{}", peer.who());
    }

    #[test]
    fn every_peer_keeps_what_it_has_acknowledged() {
        for peer in PEERS {
            for depth in [1, 64] {
                check(peer, Workload::Commits { threads: 2, depth }, depth);
            }
        }
    }

    #[test]
    fn who_takes_a_buffered_workload_flushes_it() {
        for peer in PEERS.into_iter().filter(|peer| peer.takes(Workload::Buffered)) {
            let dir = tempfile::tempdir().expect("a directory");
            let store = peer.create(dir.path(), Workload::Buffered).expect("created");
            let mut writer = store.writer().expect("a writer");
            for _ in 0..100 {
                writer.append().expect("appended");
            }
            writer.flush().expect("flushed");
            drop(writer);
            assert_eq!(store.reopen_and_count().expect("counted"), 100, "{}", peer.who());
        }
    }
}
