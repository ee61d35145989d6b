//! A log on a simulated disk.

use nodedb_env::{Env, Files};
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, Lsn, LsnRange, TenantId, VshardId};
use nodedb_wal::{
    AppendClass, AppendError, LogOptions, ReadLimit, Record, RecoveryReport, Wal, WalError,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub(crate) const SEGMENT: u64 = 64 << 10;

pub(crate) fn dir() -> &'static Path {
    Path::new("/wal")
}

pub(crate) fn segment(number: u64) -> PathBuf {
    dir().join(format!("wal-{number:020}.seg"))
}

/// No `SyncPoint` comes by itself.
pub(crate) fn options() -> LogOptions {
    LogOptions {
        segment_bytes: SEGMENT,
        sync_point_idle: Duration::from_hours(1),
        ..LogOptions::default()
    }
}

pub(crate) fn lsn(value: u64) -> Lsn {
    Lsn::from_u64(value).expect("not 0")
}

pub(crate) fn record(payload: &[u8]) -> Record<'_> {
    Record { tenant: TenantId::DEFAULT, vshard: VshardId::new(3), kind: 9, payload }
}

/// A log and the disk below it.
pub(crate) struct Log {
    pub(crate) disk: SimFiles,
    pub(crate) env: Env,
    pub(crate) wal: Wal,
}

impl Log {
    pub(crate) fn create(disk: SimFiles, options: LogOptions) -> Self {
        let env = disk.env();
        disk.create_dir(dir()).expect("empty disk");
        disk.sync_dir(Path::new("/")).expect("no fault");
        let wal = Wal::create(&env, dir(), options).expect("empty directory");
        let log = Self { disk, env, wal };
        log.wait_for_spares();
        log
    }

    pub(crate) fn open(
        disk: SimFiles,
        options: LogOptions,
    ) -> Result<(Self, RecoveryReport), WalError> {
        let env = disk.env();
        let (wal, report) = Wal::open(&env, dir(), options)?;
        Ok((Self { disk, env, wal }, report))
    }

    /// Returns when the background thread has nothing left to do, so that faults hit the foreground.
    pub(crate) fn wait_for_spares(&self) {
        let whole = |path: &Path, bytes: &[u8]| {
            path.to_string_lossy().contains("spare-")
                && path.extension().is_some_and(|extension| extension == "seg")
                && bytes.len() as u64 == SEGMENT
        };
        until("two prepared files", || {
            let snapshot = self.disk.snapshot();
            snapshot.files().iter().filter(|(path, bytes)| whole(path, bytes)).count() >= 2
        });
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.env.clock.now() + Duration::from_secs(20)
    }

    pub(crate) fn append(&self, payload: &[u8], durability: Durability) -> LsnRange {
        self.group(&[payload], durability)
    }

    /// Appends a group, waiting for room if that is all that is missing.
    pub(crate) fn group(&self, payloads: &[&[u8]], durability: Durability) -> LsnRange {
        let records: Vec<_> = payloads.iter().map(|payload| record(payload)).collect();
        let bytes = records.iter().map(Record::encoded_len).sum();
        loop {
            match self.wal.append(&records, durability, AppendClass::User) {
                Err(AppendError::Backpressure) => {
                    let waited = self.wal.wait_room(bytes, AppendClass::User, self.deadline());
                    waited.expect("room comes");
                }
                appended => return appended.expect("taken"),
            }
        }
    }

    /// Gives a record its place, waiting for room if that is all that is missing.
    pub(crate) fn place(&self, payload: &[u8]) -> Lsn {
        let records = [record(payload)];
        loop {
            match self.wal.stage(&records, AppendClass::User) {
                Err(AppendError::Backpressure) => {
                    let bytes = records[0].encoded_len();
                    let waited = self.wal.wait_room(bytes, AppendClass::User, self.deadline());
                    waited.expect("room comes");
                }
                placed => return placed.expect("taken").start(),
            }
        }
    }

    /// Appends a record and waits until it is durable.
    pub(crate) fn commit(&self, payload: &[u8]) -> Lsn {
        let lsn = self.append(payload, Durability::Sync).start();
        self.wal.wait_durable(lsn, self.deadline()).expect("durable");
        lsn
    }

    /// Appends a record and waits until it is written, not synced.
    pub(crate) fn write(&self, payload: &[u8]) -> Lsn {
        let lsn = self.append(payload, Durability::Buffered).start();
        until("the record is written", || self.wal.written() >= Some(lsn));
        lsn
    }

    /// Fills segments until so many are there.
    pub(crate) fn fill_segments(&self, count: usize) {
        while self.wal.segments().len() < count {
            self.commit(&[7; 9000]);
        }
        self.wait_for_spares();
    }

    /// Everything that is durable: LSN, payload.
    pub(crate) fn contents(&self) -> Vec<(Lsn, Vec<u8>)> {
        read(&self.wal, self.wal.oldest(), ReadLimit::Durable)
    }

    /// Leaves the disk without a byte of room.
    pub(crate) fn fill_disk(&self) {
        let snapshot = self.disk.snapshot();
        let used = snapshot.files().values().map(|bytes| bytes.len() as u64).sum();
        self.disk.set_quota(Some(used));
    }

    pub(crate) fn checkpoint(&self, redo: Lsn) {
        let record = self.commit(b"checkpoint");
        self.wal.record_checkpoint(redo, record, None).expect("no fault");
    }
}

pub(crate) fn read(wal: &Wal, from: Lsn, limit: ReadLimit) -> Vec<(Lsn, Vec<u8>)> {
    let mut reader = wal.reader(from, limit).expect("there");
    let mut found = Vec::new();
    while let Some(batch) = reader.next_batch().expect("intact") {
        found.extend(batch.records().map(|record| (record.lsn, record.payload.to_vec())));
    }
    found
}

/// Waits for another thread, with a deadline.
pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let env = Env::real();
    let deadline = env.clock.now() + Duration::from_secs(20);
    while !reached() {
        assert!(env.clock.now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

/// The disk as it is, as if the process had been killed.
pub(crate) fn killed(disk: &SimFiles) -> SimFiles {
    disk.crash_keeping_all()
}

/// Opens a disk that must be refused, and checks that not a byte of it changed.
pub(crate) fn refused(disk: &SimFiles) -> WalError {
    let before = disk.snapshot();
    let error = match Wal::open(&disk.env(), dir(), options()) {
        Err(error) => error,
        Ok((_, report)) => panic!("opened: {report:?}"),
    };
    let changed = before.differences(&disk.snapshot());
    assert!(changed.is_empty(), "changed: {changed:?}");
    error
}
