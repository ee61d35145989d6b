//! The calls of the log that are measured, each in one place.

use anyhow::Result;
use nodedb_env::Env;
use nodedb_types::{Durability, Lsn, TenantId, VshardId};
use nodedb_wal::{AppendClass, AppendError, LogHealth, Record, Wal};
use std::{thread, time::Duration};

/// Longest wait for the disk. A bench that meets it has nothing to measure.
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) const fn record(payload: &[u8]) -> Record<'_> {
    Record { tenant: TenantId::DEFAULT, vshard: VshardId::new(0), kind: 1, payload }
}

/// Gives a record its place; [`commit`] makes it durable.
pub(super) fn stage(wal: &Wal, env: &Env, payload: &[u8]) -> Result<Lsn> {
    append(wal, env, payload, Durability::Sync)
}

/// Gives a record its place and has it written; [`flush`] waits for that.
pub(super) fn append_buffered(wal: &Wal, env: &Env, payload: &[u8]) -> Result<Lsn> {
    append(wal, env, payload, Durability::Buffered)
}

/// Makes everything up to `lsn` durable and answers how far the log is durable.
pub(super) fn commit(wal: &Wal, env: &Env, lsn: Lsn) -> Result<Lsn> {
    wal.wait_durable(lsn, env.clock.now() + PATIENCE)?;
    Ok(wal.durable().unwrap_or(lsn))
}

/// Has everything up to `lsn` survive a killed process.
pub(super) fn flush(wal: &Wal, env: &Env, lsn: Lsn) -> Result<()> {
    let deadline = env.clock.now() + PATIENCE;
    while wal.written() < Some(lsn) {
        anyhow::ensure!(wal.health() != LogHealth::Poisoned, "the log takes no writes any more");
        anyhow::ensure!(env.clock.now() < deadline, "nothing was written for {PATIENCE:?}");
        thread::yield_now();
    }
    Ok(())
}

fn append(wal: &Wal, env: &Env, payload: &[u8], durability: Durability) -> Result<Lsn> {
    let record = record(payload);
    loop {
        match wal.append(&[record], durability, AppendClass::User) {
            Ok(range) => return Ok(range.start()),
            Err(AppendError::Backpressure | AppendError::NoSpace) => {
                let deadline = env.clock.now() + PATIENCE;
                wal.wait_room(record.encoded_len(), AppendClass::User, deadline)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
