//! The simulated disk for the conformance suite.

use nodedb_engine::conformance::{Disk, Fault};
use nodedb_env::Files;
use nodedb_testkit::SimFiles;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct SimDisk(SimFiles);

impl Disk for SimDisk {
    fn new(seed: u64) -> Self {
        Self(SimFiles::new(seed))
    }

    fn files(&self) -> Arc<dyn Files> {
        Arc::new(self.0.clone())
    }

    fn die_after(&self, operations: u64) {
        self.0.crash_after(operations);
    }

    fn operations(&self) -> u64 {
        self.0.operations()
    }

    fn fail(&self, fault: Fault, nth: u64) {
        match fault {
            Fault::Write => self.0.fail_write(nth),
            Fault::Sync => self.0.fail_sync(nth),
            Fault::SyncDirectory => self.0.fail_dir_sync(nth),
        }
    }

    fn heal(&self) {
        self.0.clear_faults();
    }

    fn images(&self) -> Vec<Self> {
        let images = [
            self.0.crash_losing_all(),
            self.0.crash_keeping_all(),
            self.0.crash(),
            self.0.crash(),
            self.0.crash(),
        ];
        images.map(Self).into()
    }
}
