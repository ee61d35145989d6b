//! A log on real files.

use nodedb_env::Env;
use nodedb_types::{Durability, Lsn, TenantId, VshardId};
use nodedb_wal::{
    AppendClass, AppendError, LogOptions, ReadLimit, Record, RecoveryReport, Wal, WalError,
};
use std::{path::Path, time::Duration};

pub(crate) const SEGMENT: u64 = 64 << 10;

pub(crate) fn options() -> LogOptions {
    LogOptions { segment_bytes: SEGMENT, ..LogOptions::default() }
}

pub(crate) fn record(payload: &[u8]) -> Record<'_> {
    Record { tenant: TenantId::DEFAULT, vshard: VshardId::new(0), kind: 1, payload }
}

pub(crate) struct Log {
    pub(crate) env: Env,
    pub(crate) wal: Wal,
}

impl Log {
    pub(crate) fn create(dir: &Path) -> Self {
        let env = Env::real();
        std::fs::create_dir(dir).expect("an empty parent");
        let wal = Wal::create(&env, dir, options()).expect("an empty directory");
        Self { env, wal }
    }

    pub(crate) fn open(dir: &Path) -> Result<(Self, RecoveryReport), WalError> {
        let env = Env::real();
        let (wal, report) = Wal::open(&env, dir, options())?;
        Ok((Self { env, wal }, report))
    }

    /// A time of the clock, so far from now.
    pub(crate) fn within(&self, time: Duration) -> Duration {
        self.env.clock.now() + time
    }

    /// Appends 2000 bytes and makes them durable.
    pub(crate) fn append(&self, class: AppendClass) -> Result<Lsn, AppendError> {
        let range = self.wal.append(&[record(&[7; 2000])], Durability::Sync, class)?;
        let durable = self.wal.wait_durable(range.start(), self.within(Duration::from_secs(20)));
        durable.expect("no fault");
        Ok(range.start())
    }

    /// Appends until the log says that the disk is full; answers how many records it took.
    pub(crate) fn append_until_full(&self) -> usize {
        let mut taken = 0;
        loop {
            match self.append(AppendClass::User) {
                Ok(_) => taken += 1,
                Err(AppendError::NoSpace) => return taken,
                Err(AppendError::Backpressure) => std::thread::yield_now(),
                Err(other) => panic!("{other}"),
            }
            assert!(taken < 100_000, "this disk is never full");
        }
    }

    /// The records that can be read, which are all and intact.
    pub(crate) fn last_read(&self) -> Option<Lsn> {
        let oldest = self.wal.oldest();
        let mut reader = self.wal.reader(oldest, ReadLimit::Durable).expect("there");
        let mut next = oldest;
        while let Some(batch) = reader.next_batch().expect("intact") {
            for record in batch.records() {
                assert_eq!(record.lsn, next);
                assert!(record.payload.iter().all(|byte| *byte == 7), "other bytes");
                next = next.next();
            }
        }
        next.previous()
    }
}
