//! Seeded histories of a log against a model: appends of every durability, waits of every kind,
//! checkpoints, pins, truncations, recycling, full disks; ended by closes, kills and power cuts that keep
//! any subset of unsynced sectors and names, also in the middle of an operation and of a recovery.
//!
//! `NODEDB_SEEDS` is the number of seeds, `NODEDB_SEED` runs one of them again and again: threads are
//! real, so one run need not meet what another did.

use crate::{
    model::Model,
    waiter::Waiter,
    world::{Log, dir, options, record},
};
use nodedb_env::Files;
use nodedb_testkit::{SeededRandom, SimFiles};
use nodedb_types::{Durability, ErrorKind, Lsn};
use nodedb_wal::{AppendClass, AppendError, LogHealth, LogOptions, Record, RetentionPin, inspect};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What is on the disk afterwards.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Close,
    Kill,
    PowerCut,
}

struct History {
    random: SeededRandom,
    options: LogOptions,
    model: Model,
    log: Log,
    pin: Option<RetentionPin>,
    /// Whether calls may fail now: the disk is full or about to die.
    hindered: bool,
    payloads: u8,
}

impl History {
    fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed);
        let idle =
            if random.below(2) == 0 { Duration::from_millis(1) } else { Duration::from_hours(1) };
        let options = LogOptions {
            sync_point_idle: idle,
            recycle: random.below(4) > 0,
            staging_bytes_max: 64 << (10 + random.below(6)),
            ..options()
        };
        let log = Log::create(SimFiles::new(seed), options.clone());
        let model = Model::default();
        Self { random, options, model, log, pin: None, hindered: false, payloads: 0 }
    }

    fn chance(&self, percent: u64) -> bool {
        self.random.below(100) < percent
    }

    fn index(&self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).expect("below a usize")
    }

    fn run(mut self) {
        for _ in 0..3 + self.random.below(14) {
            match self.random.below(100) {
                0..66 => self.use_it(),
                66..70 => self.fail_once(),
                70..74 => self.fill_the_disk(),
                74..84 => self.die_in_the_middle(),
                84..88 => self.end(End::Close),
                88..94 => self.end(End::Kill),
                _ => self.end(End::PowerCut),
            }
            self.model.observe(&self.log.wal);
        }
        self.end(End::Close);
    }

    /// One call of somebody who uses the log.
    fn use_it(&mut self) {
        match self.random.below(100) {
            0..45 => {
                self.append();
            }
            45..75 => self.commit(),
            75..88 => self.checkpoint(),
            88..95 => self.pin(),
            _ => self.pin = None,
        }
        self.model.observe(&self.log.wal);
    }

    fn payload(&mut self) -> Vec<u8> {
        // Often the same again, as of somebody who tries again after a crash.
        self.payloads = self.payloads.wrapping_add(u8::from(self.chance(60)));
        let len = match self.random.below(10) {
            0..4 => self.index(120),
            4..6 => self.index(3000),
            6..8 => 700,
            _ => self.index(14_000),
        };
        if self.chance(80) {
            return vec![self.payloads; len];
        }
        // Batches of this very log, byte for byte, where batches may stand: behind the headers of the
        // batch and of the record the payload begins 96 bytes into a sector.
        let segment = self.log.wal.segments().pop().expect("at least one");
        let Ok(bytes) = self.log.disk.read(&segment.path) else {
            return Vec::new();
        };
        let from = 512 * self.index(bytes.len() / 512);
        let mut payload = vec![0; 512 - 96];
        payload.extend_from_slice(&bytes[from..bytes.len().min(from + len)]);
        payload
    }

    fn append(&mut self) -> Option<Lsn> {
        let count = 1 + self.random.below(3);
        let payloads: Vec<_> = (0..count).map(|_| self.payload()).collect();
        let records: Vec<_> = payloads.iter().map(|payload| record(payload)).collect();
        let durability = match self.random.below(5) {
            0 => Some(Durability::Buffered),
            1 => Some(Durability::Periodic { every: Duration::from_millis(1) }),
            2 => None,
            _ => Some(Durability::Sync),
        };
        let range = self.take(&records, durability)?;
        self.model.appended(self.log.wal.epoch(), range, payloads);
        range.last()
    }

    /// Appends, waiting for room if that is all that is missing.
    fn take(
        &self,
        records: &[Record<'_>],
        durability: Option<Durability>,
    ) -> Option<nodedb_types::LsnRange> {
        let bytes = records.iter().map(Record::encoded_len).sum();
        let class = AppendClass::User;
        loop {
            // Staged alone, it is written only when somebody asks for it.
            let taken = match durability {
                Some(durability) => self.log.wal.append(records, durability, class),
                None => self.log.wal.stage(records, class),
            };
            match taken {
                Ok(range) => return Some(range),
                Err(AppendError::TooLarge { .. }) => return None,
                // The preparer may still be between two attempts on a disk that was full.
                Err(AppendError::Backpressure | AppendError::NoSpace) if !self.hindered => {
                    let waited = self.log.wal.wait_room(bytes, class, self.log.deadline());
                    waited.expect("room comes");
                }
                Err(refused) => {
                    assert!(self.hindered, "{refused}");
                    return None;
                }
            }
        }
    }

    fn commit(&mut self) {
        let Some(last) = self.append() else {
            return;
        };
        let kinds = Waiter::acknowledging();
        let kind = kinds[self.index(kinds.len())];
        let wal = &self.log.wal;
        match kind.wait(&self.log.env, wal, last, self.log.deadline()) {
            Ok(()) => self.model.acknowledged(kind.promise(), last, wal),
            Err(error) => {
                assert!(self.hindered, "{kind:?}: {error:?}");
                if kind == Waiter::Tail && error == ErrorKind::Io {
                    // It reads, and the power is off. Nobody else needs the disk for an answer.
                    return;
                }
                assert_eq!(error, ErrorKind::Poisoned, "{kind:?}");
                assert_eq!(wal.health(), LogHealth::Poisoned);
            }
        }
    }

    fn checkpoint(&mut self) {
        self.commit();
        let wal = &self.log.wal;
        let Some(durable) = wal.durable() else {
            return;
        };
        let redo = wal.control().redo;
        let redo = redo.advance(self.random.below(durable.get() + 2 - redo.get()));
        let recorded = wal.record_checkpoint(redo, durable, None);
        self.model.checkpoint(redo, recorded.is_ok());
        assert!(self.hindered || recorded.is_ok(), "{recorded:?}");
        let truncated = wal.truncate(wal.plan_truncation(&[]));
        assert!(self.hindered || truncated.is_ok(), "{truncated:?}");
        let held = self.pin.as_ref().map_or(redo, |pin| pin.lsn().min(redo));
        assert!(wal.oldest() <= held, "what is pinned or needed stays");
    }

    fn pin(&mut self) {
        let oldest = self.log.wal.oldest();
        self.pin = Some(self.log.wal.pin("history", oldest));
    }

    /// Leaves the disk full for a while, so that files are used again.
    fn fill_the_disk(&mut self) {
        self.log.fill_disk();
        self.hindered = true;
        for _ in 0..=self.random.below(8) {
            self.use_it();
        }
        // The next process finds the disk as full as it was.
        for _ in 0..self.random.below(4) {
            self.end(if self.chance(50) { End::PowerCut } else { End::Kill });
            for _ in 0..self.random.below(4) {
                self.use_it();
            }
        }
        self.log.disk.set_quota(None);
        self.hindered = false;
    }

    /// A sync or a write fails while the log is used. The next process finds in the page cache what the
    /// disk does not have.
    fn fail_once(&mut self) {
        let nth = 1 + self.random.below(4);
        if self.chance(70) {
            self.log.disk.fail_sync(nth);
        } else {
            self.log.disk.fail_write(nth);
        }
        self.hindered = true;
        for _ in 0..=self.random.below(6) {
            self.use_it();
        }
        self.end(if self.chance(30) { End::PowerCut } else { End::Kill });
        self.hindered = false;
    }

    /// The machine dies after some operations, while it is used.
    fn die_in_the_middle(&mut self) {
        self.log.disk.crash_after(self.random.below(50));
        self.hindered = true;
        for _ in 0..=self.random.below(8) {
            self.use_it();
        }
        self.end(if self.chance(70) { End::PowerCut } else { End::Kill });
        self.hindered = false;
    }

    fn end(&mut self, end: End) {
        self.pin = None;
        self.model.observe(&self.log.wal);
        let disk = self.log.disk.clone();
        let image = match end {
            End::Close => {
                if self.log.wal.close().is_ok() {
                    self.model.closed(&self.log.wal);
                }
                disk.crash_keeping_all()
            }
            End::Kill => disk.crash_keeping_all(),
            End::PowerCut => disk.crash(),
        };
        if end == End::PowerCut {
            self.model.power_is_cut();
        }
        let image = self.interrupted_recoveries(image);
        let opened = Log::open(image, self.options.clone());
        let (log, report) = opened.expect("a crash is no corruption");
        self.model.check(&log, &report);
        self.log = log;
        self.check_that_it_stays(report.last);
    }

    /// Opens the image up to three times, each time dying in the middle.
    fn interrupted_recoveries(&mut self, mut image: SimFiles) -> SimFiles {
        for _ in 0..self.random.below(4) {
            image.crash_after(self.random.below(40));
            match Log::open(image.clone(), self.options.clone()) {
                Ok((log, report)) => self.model.check_report(&log, &report),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Io, "{error}"),
            }
            image = if self.chance(50) {
                self.model.power_is_cut();
                image.crash()
            } else {
                image.crash_keeping_all()
            };
        }
        image
    }

    /// What an open reports survives the next power cut, and a second open finds the same.
    fn check_that_it_stays(&self, last: Option<Lsn>) {
        let disk = &self.log.disk;
        for image in [disk.crash_losing_all(), disk.crash(), disk.crash_keeping_all()] {
            let again = inspect::verify(&image.env(), dir()).expect("it was just opened");
            assert_eq!(again.last, last, "a second recovery finds another end");
        }
    }
}

/// Says how to run a seed again, if it fails.
struct Replay(u64);

impl Drop for Replay {
    #[expect(clippy::print_stderr, reason = "a failing seed must be found in the output")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            eprintln!(
                "FAILED seed={seed}  replay: NODEDB_SEED={seed} cargo test --release -p nodedb-wal \
                 --test log crashes::"
            );
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn what_is_recovered_is_a_prefix_with_all_that_was_acknowledged() {
    let run = |seed: u64| {
        let _replay = Replay(seed);
        History::new(seed).run();
    };
    if let Some(seed) = number("NODEDB_SEED") {
        (0..200).for_each(|_| run(seed));
        return;
    }
    let seeds = number("NODEDB_SEEDS").unwrap_or(1000);
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(seed) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < seeds)
                {
                    run(seed);
                }
            });
        }
    });
}
