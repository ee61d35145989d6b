//! Where readers start within a segment.

use crate::{
    counted::Counted,
    world::{Log, dir, lsn, options, read, record},
};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, Lsn};
use nodedb_wal::{AppendClass, LogOptions, ReadLimit, Wal};
use proptest::prelude::*;
use std::time::Duration;

const STRIDE: u64 = 64 << 10;

/// What one lookup of a record costs, in bytes.
fn lookup(wal: &Wal, disk: &Counted, wanted: Lsn) -> u64 {
    disk.take_bytes_read();
    let mut reader = wal.reader(wanted, ReadLimit::Durable).expect("there").unmapped();
    let batch = reader.next_batch().expect("intact").expect("there");
    assert_eq!(batch.first_lsn, wanted);
    disk.take_bytes_read()
}

/// From the start of the segment it would be megabytes. Both ways to know better are tried: what the
/// writer noted, and what recovery found.
#[test]
fn a_lookup_near_the_end_of_a_large_segment_reads_no_more_than_a_stride() {
    const BATCH: u64 = 4608;
    let sim = SimFiles::new(1);
    let files = Counted::new(sim.clone());
    nodedb_env::Files::create_dir(&sim, dir()).expect("empty disk");
    let options = LogOptions { segment_bytes: 4 << 20, ..options() };
    let wal = Wal::create(&files.env(), dir(), options.clone()).expect("empty directory");
    let payload = [5; 4096];
    let deadline = files.env().clock.now() + Duration::from_mins(1);
    let mut last = Lsn::FIRST;
    while wal.log_offset() < 7 << 19 {
        // On a loaded machine the next segment is not prepared yet, and the end of this one is kept for those
        // who free.
        let room = wal.wait_room(record(&payload).encoded_len(), AppendClass::User, deadline);
        room.expect("prepared in time");
        let one = wal.append(&[record(&payload)], Durability::Sync, AppendClass::User);
        last = one.expect("taken").start();
        wal.wait_durable(last, deadline).expect("durable");
    }
    assert_eq!(wal.segments().len(), 1);
    let most = 2 * BATCH + STRIDE + STRIDE / 16;
    for back in [0, 1, 100, 400] {
        let wanted = lsn(last.get() - back);
        let bytes = lookup(&wal, &files, wanted);
        assert!((BATCH..most).contains(&bytes), "{bytes} bytes for {wanted} as written");
    }
    wal.close().expect("no fault");
    let (wal, _) = Wal::open(&files.env(), dir(), options).expect("sound");
    for back in [0, 1, 100, 400] {
        let wanted = lsn(last.get() - back);
        let bytes = lookup(&wal, &files, wanted);
        assert!((BATCH..most).contains(&bytes), "{bytes} bytes for {wanted} as recovered");
    }
}

/// Payload of a record: its number, and of a size of its own.
fn payload(lsn: Lsn, size: usize) -> Vec<u8> {
    let mut payload = lsn.get().to_le_bytes().to_vec();
    payload.resize(8 + size, 0xee);
    payload
}

fn check(wal: &Wal, sizes: &[usize], from: &[prop::sample::Index], limit: ReadLimit) {
    let count = sizes.len() as u64;
    for index in from {
        let from = lsn(1 + index.index(sizes.len()) as u64);
        let found = read(wal, from, limit);
        let numbers: Vec<u64> = found.iter().map(|(lsn, _)| lsn.get()).collect();
        assert_eq!(numbers, (from.get()..=count).collect::<Vec<_>>());
        let wanted = sizes.iter().zip(1..).skip(index.index(sizes.len()));
        for ((found, bytes), (size, number)) in found.into_iter().zip(wanted) {
            assert_eq!((found, bytes), (lsn(number), payload(lsn(number), *size)));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Over segments of a few strides, with batches of one group or many and `SyncPoint`s in between.
    #[test]
    fn a_reader_finds_exactly_what_stands_from_any_record_on(
        groups in prop::collection::vec(
            (prop::collection::vec(0_usize..9000, 1..5), any::<bool>()),
            1..60,
        ),
        from in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
    ) {
        let options = LogOptions {
            segment_bytes: 256 << 10,
            sync_point_idle: Duration::ZERO,
            ..options()
        };
        let disk = SimFiles::new(1);
        nodedb_env::Files::create_dir(&disk, dir()).expect("empty disk");
        let env = disk.env();
        let wal = Wal::create(&env, dir(), options.clone()).expect("empty directory");
        let log = Log { disk, env, wal };
        let mut sizes = Vec::new();
        for (group, alone) in groups {
            let numbers = sizes.len() as u64 + 1..;
            let numbered = numbers.zip(&group);
            let group: Vec<_> = numbered.map(|(number, size)| payload(lsn(number), *size)).collect();
            sizes.extend(group.iter().map(|payload| payload.len() - 8));
            let slices: Vec<_> = group.iter().map(Vec::as_slice).collect();
            let range = log.group(&slices, Durability::Sync);
            if alone {
                log.wal.wait_durable(range.start(), log.deadline()).expect("durable");
            }
        }
        log.wal.sync(log.deadline()).expect("no fault");
        check(&log.wal, &sizes, &from, ReadLimit::Written);
        log.wal.close().expect("no fault");
        let (log, _) = Log::open(log.disk, options).expect("sound");
        check(&log.wal, &sizes, &from, ReadLimit::Durable);
    }
}
