//! How many files an open of a long log has open at a time.

use crate::{
    counted::Counted,
    world::{Log, dir, killed, options},
};
use nodedb_testkit::SimFiles;
use nodedb_wal::Wal;

/// An archive that cannot be reached holds the log back, segment after segment. Were all of them open at
/// a time, a log with more segments than a process may have files could not be opened any more.
#[test]
fn opening_a_long_log_needs_few_files_at_a_time() {
    let log = Log::create(SimFiles::new(1), options());
    log.fill_segments(12);
    let files = Counted::new(killed(&log.disk));
    let (wal, report) = Wal::open(&files.env(), dir(), options()).expect("sound");
    assert_eq!(report.segments, 12);
    let most = files.most_open();
    assert!(most < 10, "{most} files were open at a time");
    drop(wal);
}
