//! The calls of the log that are measured, each in one place.

use anyhow::Result;
use nodedb_env::Env;
use nodedb_types::{Durability, Lsn, LsnRange, TenantId, VshardId};
use nodedb_wal::{AppendClass, AppendError, Record, Wal};
use std::time::Duration;

/// Longest wait for the disk. A bench that meets it has nothing to measure.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) const fn record(payload: &[u8]) -> Record<'_> {
    Record { tenant: TenantId::DEFAULT, vshard: VshardId::new(0), kind: 1, payload }
}

/// Gives a record its place and wakes nobody; [`commit`] makes it durable.
pub(super) fn stage(wal: &Wal, env: &Env, payload: &[u8]) -> Result<Lsn> {
    with_room(wal, env, payload, |record| wal.stage(&[record], AppendClass::User))
}

/// Gives a record its place and has it written; [`flush`] waits for that.
pub(super) fn append_buffered(wal: &Wal, env: &Env, payload: &[u8]) -> Result<Lsn> {
    with_room(wal, env, payload, |record| {
        wal.append(&[record], Durability::Buffered, AppendClass::User)
    })
}

/// Makes everything up to `lsn` durable and answers how far the log is durable.
pub(super) fn commit(wal: &Wal, env: &Env, lsn: Lsn) -> Result<Lsn> {
    Ok(wal.commit(lsn, env.clock.now() + PATIENCE)?)
}

/// Has everything up to `lsn` survive a killed process.
pub(super) fn flush(wal: &Wal, env: &Env, lsn: Lsn) -> Result<()> {
    wal.flush(lsn, env.clock.now() + PATIENCE)?;
    Ok(())
}

/// Appends one record, again and again while there is no room for it.
fn with_room(
    wal: &Wal,
    env: &Env,
    payload: &[u8],
    append: impl Fn(Record<'_>) -> Result<LsnRange, AppendError>,
) -> Result<Lsn> {
    let record = record(payload);
    loop {
        match append(record) {
            Ok(range) => return Ok(range.start()),
            Err(AppendError::Backpressure | AppendError::NoSpace) => {
                let deadline = env.clock.now() + PATIENCE;
                wal.wait_room(record.encoded_len(), AppendClass::User, deadline)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
