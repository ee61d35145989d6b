//! What is measured: something that stores records.

use anyhow::Result;
use std::path::Path;

/// Bytes of every record that is stored.
pub const PAYLOAD_BYTES: usize = 256;

/// What is asked of a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Workload {
    /// Many threads that wait for their own records.
    Commits {
        /// How many there are.
        threads: usize,
        /// Records that each keeps on the way.
        depth: usize,
    },
    /// One thread that only wants its records to survive a killed process.
    Buffered,
}

/// A kind of store: ours, the bare disk, or a peer.
pub trait Subject {
    /// `limit`, `nodedb`, or the name of a peer.
    fn who(&self) -> &'static str;

    /// Whether it has something that can fairly be called this workload.
    fn takes(&self, workload: Workload) -> bool;

    /// Makes a new store in an empty directory, tuned for the workload.
    ///
    /// # Errors
    /// Whatever keeps it from that.
    fn create(&self, dir: &Path, workload: Workload) -> Result<Box<dyn Store>>;
}

/// A store of records.
pub trait Store {
    /// A writer for one thread.
    ///
    /// # Errors
    /// Whatever keeps it from that.
    fn writer(&self) -> Result<Box<dyn Writer>>;

    /// Returns when nothing of what was done so far is still going on in the background. Called out of
    /// the measured time: before the first turn and after each.
    ///
    /// # Errors
    /// Whatever went wrong there.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Syncs of its writers so far, if it counts them.
    fn syncs(&self) -> Option<u64> {
        None
    }

    /// Closes the store, opens it again and counts the records that are really there. All writers are
    /// gone by then.
    ///
    /// # Errors
    /// Whatever keeps it from that, and if a record is not what was stored.
    fn reopen_and_count(self: Box<Self>) -> Result<u64>;
}

/// One thread's way to store records of [`PAYLOAD_BYTES`].
pub trait Writer: Send {
    /// Stores records until `depth` of them are not acknowledged yet, then waits until the oldest is
    /// durable. Answers how many became so. A store without a pipeline stores `depth` records as one
    /// durable group.
    ///
    /// # Errors
    /// Whatever keeps a record from being durable.
    fn advance(&mut self, depth: usize) -> Result<u64>;

    /// Waits until nothing is on the way. Answers how many records that were.
    ///
    /// # Errors
    /// Whatever keeps a record from being durable.
    fn drain(&mut self) -> Result<u64> {
        Ok(0)
    }

    /// Stores a record that need not survive a killed process before [`Writer::flush`].
    ///
    /// # Errors
    /// Whatever keeps it from that.
    fn append(&mut self) -> Result<()> {
        anyhow::bail!("no record is stored without a sync")
    }

    /// Waits until everything appended would survive a killed process.
    ///
    /// # Errors
    /// Whatever keeps it from that.
    fn flush(&mut self) -> Result<()> {
        anyhow::bail!("no record is stored without a sync")
    }
}
