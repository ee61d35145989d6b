//! Readers and tails while the log is appended to, rotated, truncated and recycled under them.

use crate::world::{SEGMENT, dir, record};
use nodedb_env::{Env, Files};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, Lsn};
use nodedb_wal::{
    AppendClass, AppendError, Batch, LogOptions, ReadError, ReadLimit, Reader, Tail, TailError,
    WaitError, Wal, Watch,
};
use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

const RECORDS: u64 = 1500;

/// Says which record it is of, all over.
fn payload(number: u64) -> Vec<u8> {
    let words = 100 + number % 700;
    (0..words).flat_map(|word| (number * 1000 + word).to_le_bytes()).collect()
}

fn check(from: Lsn, batch: &Batch) {
    assert_eq!(batch.first_lsn, from, "dense");
    let mut next = from;
    for record in batch.records() {
        assert_eq!(record.lsn, next, "dense");
        assert_eq!(record.payload, payload(next.get()), "the bytes of record {next}");
        next = next.next();
    }
    assert_eq!(batch.last_lsn.next(), next, "whole");
}

fn last() -> Lsn {
    Lsn::from_u64(RECORDS).expect("not 0")
}

/// What all threads of a run share.
struct Run<'a> {
    wal: &'a Wal,
    deadline: Duration,
    /// How often somebody was told that the log had moved on without them.
    overtaken: AtomicU64,
}

impl Run<'_> {
    fn append(&self) {
        for number in 1..=RECORDS {
            let payload = payload(number);
            let record = [record(&payload)];
            let durability = if number % 3 == 0 { Durability::Sync } else { Durability::Buffered };
            loop {
                match self.wal.append(&record, durability, AppendClass::User) {
                    Ok(_) => break,
                    Err(AppendError::Backpressure) => {
                        let bytes = record[0].encoded_len();
                        let room = self.wal.wait_room(bytes, AppendClass::User, self.deadline);
                        room.expect("room comes");
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
        self.wal.sync(self.deadline).expect("no fault");
    }

    /// Reclaims all that is durable, again and again.
    fn truncate(&self) {
        let watch = self.wal.subscribe_durable();
        let mut seen = None;
        while seen < Some(last()) {
            let durable = watch.wait_past(seen, self.deadline).expect("the log grows");
            self.wal.record_checkpoint(durable, durable, None).expect("no fault");
            self.wal.truncate(self.wal.plan_truncation(&[])).expect("no fault");
            seen = Some(durable);
        }
    }

    /// Reads to the end with one reader after another: where one is overtaken, the next starts.
    fn read(&self, limit: ReadLimit, prepare: impl Fn(Reader) -> Reader) {
        let mut from = Lsn::FIRST;
        let watch = match limit {
            ReadLimit::Durable => self.wal.subscribe_durable(),
            ReadLimit::Written => self.wal.subscribe_written(),
        };
        while from <= last() {
            let mut reader = match self.wal.reader(from, limit) {
                Ok(reader) => prepare(reader),
                Err(error) => {
                    from = self.restart(from, &error);
                    continue;
                }
            };
            // So few that most readers begin in the middle of a segment.
            for _ in 0..5 {
                if from > last() {
                    break;
                }
                match reader.next_batch() {
                    Ok(Some(batch)) => {
                        check(from, &batch);
                        from = reader.position();
                    }
                    Ok(None) => {
                        watch.wait_past(from.previous(), self.deadline).expect("the log grows");
                    }
                    Err(error) => {
                        from = self.restart(from, &error);
                        break;
                    }
                }
            }
        }
    }

    /// Always reads on only when the log has moved on: in a file that has no name any more, and then
    /// not at all.
    fn lag(&self) {
        let watch = self.wal.subscribe_durable();
        let mut from = Lsn::FIRST;
        while watch.position() < Some(last()) {
            from = match self.lag_once(&watch, from) {
                Ok(next) => next,
                Err(error) => self.restart(from, &error),
            };
        }
    }

    /// Answers where it came to, or why not to the next batch.
    fn lag_once(&self, watch: &Watch, from: Lsn) -> Result<Lsn, ReadError> {
        let mut reader = self.wal.reader(from, ReadLimit::Durable)?;
        watch.wait_past(from.previous(), self.deadline).expect("the log grows");
        check(from, &reader.next_batch()?.expect("durable"));
        while self.wal.oldest() <= reader.position() {
            match watch.position() {
                seen if seen < Some(last()) => {
                    watch.wait_past(seen, self.deadline).expect("the log grows");
                }
                _ => return Ok(reader.position()),
            }
        }
        loop {
            let at = reader.position();
            match reader.next_batch() {
                Ok(Some(batch)) => check(at, &batch),
                Ok(None) => return Ok(at),
                Err(error) => return Ok(self.restart(at, &error)),
            }
        }
    }

    fn tail(&self, limit: ReadLimit, mut next: impl FnMut(&mut Tail) -> Result<Batch, TailError>) {
        let mut from = Lsn::FIRST;
        while from <= last() {
            let mut tail = match self.wal.tail(from, limit) {
                Ok(tail) => tail,
                Err(error) => {
                    from = self.restart(from, &error);
                    continue;
                }
            };
            while from <= last() {
                match next(&mut tail) {
                    Ok(batch) => check(from, &batch),
                    Err(TailError::Read(error)) => {
                        from = self.restart(from, &error);
                        break;
                    }
                    Err(TailError::Wait(WaitError::Closed)) => panic!("nobody closes it"),
                    Err(other) => panic!("{other}"),
                }
                from = tail.position();
            }
        }
    }

    /// Where to go on after an error, of which there may be only one kind.
    fn restart(&self, from: Lsn, error: &ReadError) -> Lsn {
        let ReadError::Truncated { oldest } = *error else {
            panic!("{error}");
        };
        assert!(oldest > from, "{from} is there, the log starts at {oldest}");
        self.overtaken.fetch_add(1, Ordering::Relaxed);
        oldest
    }
}

fn stress(env: &Env, dir: &Path) {
    let options = LogOptions {
        segment_bytes: SEGMENT,
        sync_point_idle: Duration::ZERO,
        spares: 2,
        ..LogOptions::default()
    };
    let wal = Wal::create(env, dir, options.clone()).expect("empty directory");
    let deadline = env.clock.now() + Duration::from_mins(1);
    let run = Run { wal: &wal, deadline, overtaken: AtomicU64::new(0) };
    thread::scope(|scope| {
        let run = &run;
        scope.spawn(|| run.truncate());
        scope.spawn(|| run.lag());
        for limit in [ReadLimit::Durable, ReadLimit::Written] {
            scope.spawn(move || run.read(limit, |reader| reader));
            scope.spawn(move || run.read(limit, Reader::unmapped));
            scope.spawn(move || run.tail(limit, |tail| tail.next_batch(deadline)));
            scope.spawn(move || run.tail(limit, |tail| crate::executor::block_on(tail.next())));
        }
        run.append();
    });
    assert!(wal.oldest() > Lsn::FIRST, "it was truncated");
    assert!(run.overtaken.into_inner() > 0, "somebody was overtaken");
    wal.close().expect("no fault");
    let (_, report) = Wal::open(env, dir, options).expect("sound");
    assert_eq!(report.last, Some(last()));
}

#[test]
fn readers_see_the_records_or_that_they_are_gone_on_real_files() {
    let folder = tempfile::tempdir().expect("a directory");
    stress(&Env::real(), folder.path());
}

#[test]
fn readers_see_the_records_or_that_they_are_gone_on_a_simulated_disk() {
    let disk = SimFiles::new(1);
    disk.create_dir(dir()).expect("empty disk");
    stress(&disk.env(), dir());
}
