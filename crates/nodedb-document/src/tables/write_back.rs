//! Sends tables to the device while the library still writes them.

use nodedb_env::{Files, Open};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes of rows after which the system is asked to begin writing.
const STEP: usize = 256 << 10;

/// Follows the tables that a flush or a merge writes one after another, which the library syncs only when
/// each is whole. Left to that sync, up to 64 MiB would go to the device at once, and the log's sync, on which
/// writers wait, would stand behind them (measured: 14 MiB hold it for 7 ms).
#[derive(Clone, Debug)]
pub(super) struct WriteBack {
    files: Arc<dyn Files>,
    /// The folder of the tables.
    dir: PathBuf,
    /// The number of the table that is being written.
    table: u64,
    /// Bytes of it that were asked for.
    sent: u64,
    /// Bytes of rows since then.
    pending: usize,
}

impl WriteBack {
    /// For the tables numbered from `first` on. `dir` is the folder of the tables.
    pub(super) fn new(files: &Arc<dyn Files>, dir: &Path, first: u64) -> Self {
        let (files, dir) = (Arc::clone(files), dir.to_owned());
        Self { files, dir, table: first, sent: 0, pending: 0 }
    }

    /// Counts bytes that were given to the library.
    pub(super) fn add(&mut self, bytes: usize) {
        self.pending = self.pending.saturating_add(bytes);
        if self.pending >= STEP {
            self.pending = 0;
            self.send();
        }
    }

    /// A hint, so whatever fails here is left to the sync that the library makes of each table.
    fn send(&mut self) {
        // A table that has a successor is whole and synced.
        while let Ok(Some(_)) = self.files.entry(&self.path(self.table + 1)) {
            self.table += 1;
            self.sent = 0;
        }
        if let Ok(file) = self.files.open(&self.path(self.table), Open::Read)
            && let Ok(len) = file.len()
            && len > self.sent
        {
            file.start_write_back(self.sent);
            self.sent = len;
        }
    }

    fn path(&self, table: u64) -> PathBuf {
        self.dir.join(table.to_string())
    }
}
