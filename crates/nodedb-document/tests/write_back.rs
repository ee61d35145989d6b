//! Tables go to the device while they are written, so that no sync has much left to do.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use nodedb_document::{LsmTables, SortedTables, TableStore};
use nodedb_engine::IoBudget;
use nodedb_env::{Files, RealClock, RealFiles};
use nodedb_testkit::{Call, Operation, Probe, ProbedFiles};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// What may be left to the sync of a table, its index and filter among it.
const LEFT_MAX: u64 = 1 << 20;
const VALUE_BYTES: usize = 4 << 10;
const ROWS: u32 = 2048;

/// The lengths of files at each hint.
#[derive(Debug, Default)]
struct Hints(Mutex<BTreeMap<PathBuf, Vec<u64>>>);

impl Probe for Hints {
    fn before(&self, call: &Call<'_>) -> io::Result<()> {
        if call.operation == Operation::StartWriteBack {
            let len = call.path.metadata()?.len();
            self.0.lock().expect("no panic").entry(call.path.to_owned()).or_default().push(len);
        }
        Ok(())
    }

    fn after(&self, _: &Call<'_>, _: bool) {}
}

impl Hints {
    /// Asserts that each table was sent in pieces to its end, and forgets it.
    fn check(&self, dir: &Path, tables: usize) {
        let hints = std::mem::take(&mut *self.0.lock().expect("no panic"));
        assert_eq!(hints.len(), tables, "{hints:?}");
        for (path, mut lengths) in hints {
            assert!(path.starts_with(dir), "{}", path.display());
            lengths.push(path.metadata().expect("the table is there").len());
            lengths.insert(0, 0);
            for pair in lengths.windows(2) {
                let [before, after] = pair else { unreachable!("two of them") };
                assert!(after - before <= LEFT_MAX, "{before} to {after} of {}", path.display());
            }
        }
    }
}

/// Rows that do not shrink when they are compressed, from a key on.
fn ingest(tables: &mut dyn SortedTables, first: u32) {
    let mut state = u64::from(first) + 1;
    let mut rows = (first..first + ROWS).map(|key| {
        let value = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        let value = value.take(VALUE_BYTES / 8).flatten().collect();
        (Bytes::copy_from_slice(&key.to_be_bytes()), Some(value))
    });
    tables.ingest(&mut rows).expect("flushed");
}

/// The trace that led to it: 14 MiB in one sync at the end of a merge held the log's sync for 7 ms.
#[test]
fn a_flush_and_a_merge_send_their_tables_piece_by_piece() {
    let dir = tempfile::tempdir().expect("a directory");
    let hints = Arc::new(Hints::default());
    let files = ProbedFiles::new(Arc::new(RealFiles), Arc::<Hints>::clone(&hints));
    let files: Arc<dyn Files> = Arc::new(files);
    let path = dir.path().join("tables");
    let mut tables = LsmTables::default().create(&files, &path).expect("created");
    for flush in 0..4 {
        ingest(tables.as_mut(), flush * ROWS / 2);
        hints.check(&path, 1);
    }
    let budget = IoBudget::new(Arc::new(RealClock::default()), None);
    assert!(tables.compact(&budget).expect("merged"), "overlapping tables are merged");
    hints.check(&path, 1);
}
