//! Prepared files: allocated, zero-filled and synced before any segment needs them.

use super::name::{spare_path, unfinished_path};
use crate::{WalError, format::in_memory};
use nodedb_env::{Env, File, Open};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const FILL: usize = 1 << 20;

/// A file of segment size whose blocks are all written, so that writing into it needs no space.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) path: PathBuf,
    pub(crate) file: Arc<dyn File>,
}

impl Spare {
    /// Makes a new one. It takes the name of a spare only when it is complete.
    ///
    /// # Errors
    /// `NoSpace` or `Io`; then nothing is left of it.
    pub(crate) fn prepare(
        env: &Env,
        dir: &Path,
        number: u64,
        segment_bytes: u64,
    ) -> Result<Self, WalError> {
        let unfinished = unfinished_path(dir, number);
        let prepared = Self::fill(env, &unfinished, segment_bytes).and_then(|file| {
            let path = spare_path(dir, number);
            env.files.rename(&unfinished, &path).map_err(WalError::io("rename", &unfinished))?;
            Ok(Self { path, file })
        });
        if prepared.is_err()
            && let Err(error) = env.files.remove_file(&unfinished)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            // The next open sweeps it.
            tracing::debug!(%error, path = %unfinished.display(), "unfinished segment file stays");
        }
        prepared
    }

    fn fill(env: &Env, path: &Path, segment_bytes: u64) -> Result<Arc<dyn File>, WalError> {
        let file = env.files.open(path, Open::CreateNew).map_err(WalError::io("create", path))?;
        file.allocate(segment_bytes).map_err(WalError::io("allocate", path))?;
        let zeros = vec![0; FILL.min(in_memory(segment_bytes))];
        let mut offset = 0;
        while offset < segment_bytes {
            let left = in_memory(segment_bytes - offset).min(zeros.len());
            let chunk = zeros.get(..left).unwrap_or_default();
            file.write_all_at(chunk, offset).map_err(WalError::io("fill", path))?;
            offset += left as u64;
            // Each piece on its own: synced at the end, a whole segment would go to the device at once and
            // the syncs of the log, on which writers wait, would stand behind it for tens of milliseconds.
            file.sync_data().map_err(WalError::io("sync", path))?;
        }
        Ok(file)
    }

    /// Takes a complete one that an earlier life of the log, or a truncated segment, left.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn adopt(env: &Env, path: PathBuf) -> Result<Self, WalError> {
        let file = env.files.open(&path, Open::ReadWrite).map_err(WalError::io("open", &path))?;
        Ok(Self { path, file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_testkit::{Call, Operation, Probe, ProbedFiles, SimFiles};
    use parking_lot::Mutex;

    /// The writes and syncs, in their order.
    #[derive(Debug, Default)]
    struct Order(Mutex<Vec<Operation>>);

    impl Probe for Order {
        fn before(&self, call: &Call<'_>) -> std::io::Result<()> {
            if matches!(call.operation, Operation::Write | Operation::Sync) {
                self.0.lock().push(call.operation);
            }
            Ok(())
        }

        fn after(&self, _: &Call<'_>, _: bool) {}
    }

    /// The trace that led to it: 64 MiB in one sync held the syncs of writers for 13 to 34 ms.
    #[test]
    fn every_piece_of_a_spare_is_synced_before_the_next_is_written() {
        let sim = SimFiles::new(1);
        let order = Arc::new(Order::default());
        let files = ProbedFiles::new(Arc::new(sim.clone()), Arc::<Order>::clone(&order));
        let env = Env { files: Arc::new(files), ..sim.env() };
        let spare = Spare::prepare(&env, Path::new("/"), 1, 4 << 20).expect("prepared");
        assert_eq!(spare.file.len().expect("readable"), 4 << 20);
        assert_eq!(*order.0.lock(), [Operation::Write, Operation::Sync].repeat(4));
    }
}
