//! Bytes that were batches once, somewhere else or in an earlier life: they must be neither records nor
//! evidence. And names that were there once.

use crate::world::{Log, SEGMENT, dir, killed, options, record, segment};
use nodedb_env::Files;
use nodedb_testkit::{SeededRandom, SimFiles};
use nodedb_types::{Durability, ErrorKind, Lsn};
use nodedb_wal::{AppendClass, AppendError, LogHealth, Wal};
use proptest::prelude::*;

/// A log on a full disk without a prepared file, so that an open goes on in the newest segment.
fn cornered() -> Log {
    let log = Log::create(SimFiles::new(21), options());
    log.fill_disk();
    let append = |class| log.wal.append(&[record(&[1; 2000])], Durability::Sync, class);
    loop {
        match append(AppendClass::User) {
            Ok(range) => {
                log.wal.wait_durable(range.start(), log.deadline()).expect("no fault");
            }
            Err(AppendError::NoSpace) => break,
            Err(_busy) => crate::world::until("the disk is known to be full", || {
                log.wal.health() == LogHealth::SpaceLow
            }),
        }
    }
    // Housekeeping fills the segment and opens the file that was held back.
    let count = log.wal.segments().len();
    while log.wal.segments().len() == count {
        let range = append(AppendClass::Housekeeping).expect("the reserve");
        log.wal.wait_durable(range.start(), log.deadline()).expect("no fault");
    }
    log
}

/// The first life loses the middle of a batch to a power cut and drops it. The second writes the same
/// number again at the same place, most of it the same bytes, as a client does that tries again; of that,
/// too, the power cut keeps a part. The parts together are the whole batch of the first life: a write that
/// was found to be lost came back.
#[test]
fn a_dropped_batch_does_not_come_back_when_its_place_is_written_again() {
    let log = cornered();
    let disk = killed(&log.disk);
    drop(log);
    let (log, _) = Log::open(disk, options()).expect("it goes on in the newest segment");
    let newest = log.wal.segments().pop().expect("some");
    let at = log.wal.log_offset() - newest.base_offset;
    let last = log.wal.durable();
    let attempt = |log: &Log, fill: u8| {
        let mut payload = vec![5; 700];
        payload[..100].fill(fill);
        let records = [record(&payload)];
        let class = AppendClass::Housekeeping;
        let range = log.wal.append(&records, Durability::Buffered, class).expect("a little room");
        log.wal.flush(range.start(), log.deadline()).expect("written");
        let start = usize::try_from(at).expect("small");
        log.disk.read(&newest.path).expect("there")[start..start + 1024].to_vec()
    };
    let first = attempt(&log, 1);
    let torn = killed(&log.disk);
    torn.overwrite(&newest.path, at + 512, &[0; 512]);
    let (log, report) = Log::open(torn, options()).expect("a tail is no corruption");
    assert_eq!(report.last, last, "the first attempt is dropped");
    assert!(log.wal.segments().last().is_some_and(|found| found.number == newest.number));
    let before = log.disk.read(&newest.path).expect("there");
    let second = attempt(&log, 2);
    assert_ne!(first[..512], second[..512]);
    assert_eq!(first[512..], second[512..], "the test needs them to share their end");
    // The end of the second attempt reached the disk, its beginning did not.
    let torn = killed(&log.disk);
    let start = usize::try_from(at).expect("small");
    torn.overwrite(&newest.path, at, &before[start..start + 512]);
    let (log, report) = Log::open(torn, options()).expect("a tail is no corruption");
    assert_eq!(report.last, last, "what was dropped stays dropped");
    assert_eq!(log.wal.durable(), last);
}

/// A log with batches of several kinds, and its newest segment.
fn with_batches(seed: u64) -> (Log, Vec<u8>) {
    let log = Log::create(SimFiles::new(seed), options());
    for index in 0..8 {
        log.group(&[&[index; 40], &[index; 900]], Durability::Sync);
        log.commit(&[index; 300]);
    }
    let bytes = log.disk.read(&segment(1)).expect("there");
    (log, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Payloads are batches of this very log, byte for byte, at places where batches may stand, with a
    /// durable position that is far too high here and there. Whatever part of the unsynced tail survives,
    /// they prove nothing and are no records.
    #[test]
    fn batches_within_payloads_are_neither_records_nor_evidence(
        seed in any::<u64>(),
        from in 8_usize..20,
        sectors in prop::collection::vec(0_usize..24, 1..30),
        boast in any::<bool>(),
    ) {
        let (log, bytes) = with_batches(seed);
        let durable = log.wal.durable().expect("there are records");
        // Behind the headers of the batch and of its record, the payload begins 96 bytes into a sector.
        let mut payload = vec![0; 512 - 96];
        for sector in sectors {
            let start = (from + sector) * 512;
            let at = payload.len();
            payload.extend_from_slice(&bytes[start..start + 512]);
            if boast {
                payload[at + 24..at + 32].copy_from_slice(&(durable.get() + 1000).to_le_bytes());
            }
        }
        let start = log.wal.log_offset();
        let forged = log.write(&payload);
        log.write(&payload[512 - 96..]);
        for image in [log.disk.crash(), log.disk.crash(), killed(&log.disk)] {
            let (again, report) = Log::open(image, options()).expect("nothing above was proven");
            prop_assert!(report.last >= Some(durable));
            for (lsn, found) in again.contents() {
                prop_assert!(lsn <= durable || found == payload || found == payload[512 - 96..]);
            }
        }
        // And with the batch around them damaged, which makes them look like what follows a gap.
        let image = killed(&log.disk);
        image.corrupt(segment(1), start + 70, 1);
        let (_, report) = Log::open(image, options()).expect("nothing above was proven");
        prop_assert_eq!(report.last, forged.previous());
    }
}

/// Every file is used again and again, full of the sound batches of its earlier lives, and refilled only
/// a little before the power goes.
#[test]
fn a_recycled_file_gives_back_nothing_of_its_earlier_lives() {
    for seed in 0..60 {
        let random = SeededRandom::new(seed);
        let log = Log::create(SimFiles::new(seed), options());
        log.fill_disk();
        let mut payload = 0_u8;
        for _ in 0..3 {
            let count = log.wal.segments().len() + 1;
            while log.wal.segments().len() < count {
                payload += 1;
                log.commit(&[payload; 2500]);
            }
            let redo = log.wal.segments()[count - 1].first_lsn;
            log.checkpoint(redo);
            let truncated = log.wal.truncate(log.wal.plan_truncation(&[])).expect("no fault");
            assert!(truncated.recycled > 0, "{truncated:?}");
        }
        for _ in 0..random.below(6) {
            payload += 1;
            log.commit(&[payload; 2500]);
        }
        let acknowledged = log.contents();
        // Of the same shape as what stood in the file before.
        for _ in 0..random.below(4) {
            payload += 1;
            log.write(&[payload; 2500]);
        }
        let written =
            crate::world::read(&log.wal, log.wal.oldest(), nodedb_wal::ReadLimit::Written);
        for image in [log.disk.crash(), log.disk.crash(), log.disk.crash_losing_all()] {
            let (again, _) = Log::open(image, options()).expect("a crash is no corruption");
            let found = again.contents();
            assert!(found.starts_with(&acknowledged), "seed {seed}: acknowledged records are gone");
            assert!(written.starts_with(&found), "seed {seed}: records of an earlier life");
        }
    }
}

/// Commits a record on a machine that dies after some operations.
fn commit_unless_dead(log: &Log, operations: u64) -> Option<Lsn> {
    loop {
        match log.wal.stage(&[record(&[4; 9000])], AppendClass::User) {
            Ok(range) => {
                log.wal.commit(range.start(), log.deadline()).ok()?;
                return Some(range.start());
            }
            Err(AppendError::Backpressure | AppendError::NoSpace)
                if log.disk.operations() < operations =>
            {
                std::thread::yield_now();
            }
            Err(_) => return None,
        }
    }
}

/// The power goes at every operation of a creation and of the rotations after it, and the names that no
/// sync has made durable go with it.
#[test]
fn names_that_were_never_synced_are_lost_and_missed_by_nobody() {
    let mut lives = 0;
    for operations in 0.. {
        let disk = SimFiles::new(operations);
        disk.create_dir(dir()).expect("empty disk");
        disk.sync_dir("/".as_ref()).expect("no fault");
        disk.crash_after(operations);
        let created = Wal::create(&disk.env(), dir(), options());
        let mut acknowledged = created.is_ok().then_some(None);
        let mut ended = false;
        if let Ok(wal) = created {
            let log = Log { env: disk.env(), disk: disk.clone(), wal };
            for _ in 0..14 {
                let Some(record) = commit_unless_dead(&log, operations) else {
                    ended = true;
                    break;
                };
                acknowledged = Some(Some(record));
            }
            ended |= log.wal.close().is_err();
        } else {
            ended = true;
        }
        for image in [disk.crash_losing_all(), disk.crash(), disk.crash()] {
            match (Wal::open(&image.env(), dir(), options()), acknowledged) {
                (Ok((_, report)), Some(least)) => assert!(report.last >= least, "{operations}"),
                (Ok((_, report)), None) => assert_eq!(report.last, None, "{operations}"),
                (Err(error), None) => {
                    let kind = error.kind();
                    assert!(matches!(kind, ErrorKind::NotFound | ErrorKind::Corrupt), "{error}");
                }
                (Err(error), Some(_)) => panic!("after {operations} operations: {error}"),
            }
        }
        lives += 1;
        if !ended {
            break;
        }
    }
    assert!(lives > 50 && SEGMENT < 9000 * 14, "{lives} operations, and no rotation among them");
}
