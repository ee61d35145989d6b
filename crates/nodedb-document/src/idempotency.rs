//! Rows of idempotency keys (protocol rule P5).
//!
//! They stand at collection id 0, which no collection has, in areas of their own: one row for each key that
//! is remembered, and one row for the horizon of each tenant that has any.

use crate::{
    Direction, DocumentEngine, DocumentError, ReadAt, Stored,
    row_key::{idempotency_horizon, idempotency_key, idempotency_prefix},
    row_range::RowRange,
};
use bytes::Bytes;
use nodedb_engine::{EngineError, Idempotency};
use nodedb_types::{ByteReader, DecodeError, Stamp, TenantId, put_bytes};

/// A key that is remembered, and what its writes came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RememberedKey {
    /// The record that remembers it, in the atomic group of its writes.
    pub stamp: Stamp,
    /// When it was issued, in milliseconds since 1970 as its issuer says.
    pub issued: u64,
    /// XXH3-128 of the request.
    pub digest: u128,
    /// What the request came to, as it was logged.
    pub outcome: Bytes,
}

/// All keys of a tenant that are remembered.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RememberedKeys {
    /// When each was issued, and the key.
    pub keys: Vec<(u64, Bytes)>,
    /// Of keys issued at or before this time some were pushed out; 0 if none ever was.
    pub horizon: u64,
}

impl DocumentEngine {
    /// What is remembered of a key.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn idempotency(
        &self,
        tenant: TenantId,
        key: &[u8],
    ) -> Result<Option<RememberedKey>, DocumentError> {
        let row = self.row(&idempotency_key(tenant, key), ReadAt::Latest)?;
        let Some(Stored { stamp, value, .. }) = row else {
            return Ok(None);
        };
        let row = decode(&value).map_err(|error| self.tables.corrupt(error.to_string()))?;
        let (issued, digest, outcome) = row;
        Ok(Some(RememberedKey { stamp, issued, digest, outcome }))
    }

    /// All keys of a tenant. Reads as many rows as are remembered, so it is for the first key of a tenant
    /// after an open.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn idempotency_keys(&self, tenant: TenantId) -> Result<RememberedKeys, DocumentError> {
        let prefix = idempotency_prefix(tenant);
        let head = prefix.len();
        let range = RowRange::prefix(prefix);
        let mut remembered = RememberedKeys::default();
        for row in self.rows(&range, Direction::Ascending, ReadAt::Latest)? {
            let (row, stored) = row?;
            let damaged = |error: DecodeError| self.tables.corrupt(error.to_string());
            let (issued, ..) = decode(&stored.value).map_err(damaged)?;
            remembered.keys.push((issued, row.slice(head..)));
        }
        remembered.horizon = self.idempotency_horizon(tenant)?;
        Ok(remembered)
    }

    fn idempotency_horizon(&self, tenant: TenantId) -> Result<u64, DocumentError> {
        let row = self.row(&idempotency_horizon(tenant), ReadAt::Latest)?;
        let horizon = row.map(|row| {
            let mut reader = ByteReader::new(&row.value);
            let horizon = reader.u64("idempotency horizon")?;
            reader.finish().map(|()| horizon)
        });
        let horizon = horizon.transpose();
        let damaged =
            |error: DecodeError| -> EngineError { self.tables.corrupt(error.to_string()) };
        Ok(horizon.map_err(damaged)?.unwrap_or(0))
    }

    /// Remembers a key, and forgets those that it pushes out.
    pub(crate) fn remember(&mut self, at: Stamp, tenant: TenantId, remembered: &Idempotency) {
        let Idempotency { key, issued, digest, outcome, evicted, horizon } = remembered;
        let mut row = issued.to_le_bytes().to_vec();
        row.extend_from_slice(&digest.to_le_bytes());
        put_bytes(&mut row, outcome);
        self.write(idempotency_key(tenant, key), at, Some(row.into()));
        for key in evicted {
            self.write(idempotency_key(tenant, key), at, None);
        }
        if !evicted.is_empty() {
            let horizon = Bytes::copy_from_slice(&horizon.to_le_bytes());
            self.write(idempotency_horizon(tenant), at, Some(horizon));
        }
    }
}

fn decode(row: &Bytes) -> Result<(u64, u128, Bytes), DecodeError> {
    let mut reader = ByteReader::new(row);
    let issued = reader.u64("idempotency issue time")?;
    let digest = u128::from_le_bytes(reader.array("idempotency digest")?);
    let outcome = Bytes::copy_from_slice(reader.bytes("idempotency outcome")?);
    reader.finish()?;
    Ok((issued, digest, outcome))
}
