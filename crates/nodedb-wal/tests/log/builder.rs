//! A log rebuilt from the batches of another.

use crate::world::{Log, SEGMENT, dir, lsn, options, record};
use nodedb_env::{Env, Files};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, LogEpoch, Lsn};
use nodedb_wal::{
    Batch, GroupFlags, LogBuilder, ReadLimit, RecordView, StoredRecord, Wal, WalError, inspect,
};

fn batches(wal: &Wal, from: Lsn) -> Vec<Batch> {
    let mut reader = wal.reader(from, ReadLimit::Durable).expect("there");
    std::iter::from_fn(|| reader.next_batch().expect("intact")).collect()
}

fn empty() -> (SimFiles, Env) {
    let disk = SimFiles::new(99);
    disk.create_dir(dir()).expect("empty disk");
    let env = disk.env();
    (disk, env)
}

fn builder(env: &Env, first: Lsn) -> LogBuilder {
    LogBuilder::create(env, dir(), options(), first).expect("empty directory")
}

type Essence = (Lsn, GroupFlags, LogEpoch, u64, Vec<u8>);

fn essence(batches: &[Batch]) -> Vec<Essence> {
    let of = |batch: &Batch| {
        let (epoch, time) = (batch.epoch, batch.commit_ms);
        let one = move |r: RecordView| (r.lsn, r.group, epoch, time, r.payload.to_vec());
        batch.records().map(one).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of).collect()
}

#[test]
fn a_rebuilt_log_holds_the_same_and_goes_on() {
    let mut log = Log::create(SimFiles::new(1), options());
    for _ in 0..3 {
        log.fill_segments(log.wal.segments().len() + 1);
        log.group(&[b"a", &[2; 5000], b"c"], Durability::Sync);
        log.wal.close().expect("no fault");
        log = Log::open(log.disk, options()).expect("sound").0;
    }
    let from = log.wal.segments()[1].first_lsn;
    let original = batches(&log.wal, from);
    let (disk, env) = empty();
    let mut building = builder(&env, from);
    for batch in &original {
        let views: Vec<_> = batch.records().collect();
        let stored = |view| StoredRecord { record: RecordView::as_record(view), group: view.group };
        let records: Vec<_> = views.iter().map(stored).collect();
        building.push(batch.epoch, batch.first_lsn, batch.commit_ms, &records).expect("follows");
    }
    building.finish(from.next()).expect("no fault");

    let image = disk.crash_losing_all();
    inspect::verify(&image.env(), dir()).expect("sound");
    // The parent was not synced by the builder, so the image keeps no directory; kill instead.
    let (copy, report) = Log::open(disk.crash_keeping_all(), options()).expect("sound");
    assert_eq!(essence(&batches(&copy.wal, from)), essence(&original));
    assert_eq!(report.last, original.last().map(|batch| batch.last_lsn));
    assert_eq!((report.proven, report.rewritten_bytes), (report.last, 512));
    assert_eq!((report.oldest, report.redo), (from, from.next()));
    assert!(copy.wal.epoch() > original.last().expect("some").epoch);
    assert_eq!(Some(copy.commit(b"next")), report.last.map(Lsn::next));
}

#[test]
fn an_empty_rebuilt_log_starts_where_it_was_told() {
    let (disk, env) = empty();
    builder(&env, lsn(500)).finish(lsn(500)).expect("no fault");
    let (log, report) = Log::open(disk, options()).expect("sound");
    assert_eq!((report.oldest, report.last), (lsn(500), Some(lsn(499))));
    assert_eq!(log.commit(b"x"), lsn(500));
}

#[test]
fn what_does_not_follow_is_refused() {
    let (_disk, env) = empty();
    let mut building = builder(&env, lsn(10));
    let whole = StoredRecord { record: record(b"x"), group: GroupFlags::at(0, 1) };
    let half = StoredRecord { group: GroupFlags::at(0, 2), ..whole };
    let epoch = LogEpoch::new(3);
    let early = building.push(epoch, lsn(11), 5, &[whole]);
    assert!(matches!(early, Err(WalError::NotConsecutive { .. })));
    let split = building.push(epoch, lsn(10), 5, &[half]);
    assert!(matches!(split, Err(WalError::Malformed { .. })));
    building.push(epoch, lsn(10), 5, &[whole]).expect("follows");
    let back = building.push(epoch, lsn(11), 4, &[whole]);
    assert!(matches!(back, Err(WalError::Malformed { .. })));
    let huge = vec![0; usize::try_from(SEGMENT).expect("small")];
    let large = StoredRecord { record: record(&huge), group: GroupFlags::at(0, 1) };
    let large = building.push(epoch, lsn(11), 6, &[large]);
    assert!(matches!(large, Err(WalError::TooLarge { .. })));
}

#[test]
fn an_unfinished_one_is_no_log() {
    let (disk, env) = empty();
    let mut building = builder(&env, lsn(1));
    let whole = StoredRecord { record: record(b"x"), group: GroupFlags::at(0, 1) };
    building.push(LogEpoch::new(1), lsn(1), 5, &[whole]).expect("follows");
    drop(building);
    let opened = Wal::open(&disk.env(), dir(), options());
    assert!(matches!(opened, Err(WalError::ControlCorrupt { .. })));
}
