//! Rows of idempotency keys (protocol rule P5).
//!
//! They stand at collection id 0, which no collection has, in areas of their own. Each key that is remembered
//! has one row by its name and an entry by its age, and each tenant that has any a row that says how many
//! there are and which was pushed out last. So to judge a key and to find what it pushes out takes a few
//! reads, however many there are and however long ago the database was opened.

use crate::{
    Direction, DocumentEngine, DocumentError, ReadAt, Stored,
    allowance::Allowance,
    row_key::{
        idempotency_age, idempotency_ages, idempotency_key, idempotency_summary, issued_key,
    },
    row_range::{Edge, RowRange},
};
use bytes::Bytes;
use nodedb_engine::{Idempotency, IssuedKey};
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

/// How many keys of a tenant are remembered, and where those that were pushed out end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RememberedKeys {
    /// How many.
    pub kept: u64,
    /// The last one that was pushed out, behind which all that are remembered come.
    pub horizon: IssuedKey,
}

/// Entries by age that are looked at for the oldest keys, those of keys pushed out counted.
const AGES_MAX: usize = 4096;

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

    /// What is known of all keys of a tenant together.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn idempotency_keys(&self, tenant: TenantId) -> Result<RememberedKeys, DocumentError> {
        let row = self.row(&idempotency_summary(tenant), ReadAt::Latest)?;
        let Some(row) = row else {
            return Ok(RememberedKeys { kept: 0, horizon: IssuedKey::NONE });
        };
        let summary = decode_summary(&row.value);
        Ok(summary.map_err(|error| self.tables.corrupt(error.to_string()))?)
    }

    /// The oldest keys of a tenant that are remembered, at most `limit` of them. Only those behind the
    /// horizon are looked at, so it takes no longer the more were pushed out.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn oldest_idempotency_keys(
        &self,
        tenant: TenantId,
        horizon: &IssuedKey,
        limit: usize,
    ) -> Result<Vec<IssuedKey>, DocumentError> {
        let behind = Edge::after(idempotency_age(tenant, horizon));
        let range = RowRange::prefix(idempotency_ages(tenant)).starting(behind);
        let mut oldest = Vec::new();
        let mut allowance = Allowance::new(AGES_MAX, usize::MAX, self.clock());
        for row in self.rows(&range, Direction::Ascending, ReadAt::Latest)? {
            let (row, stored) = row?;
            if stored.is_some() {
                let damaged = |error: DecodeError| self.tables.corrupt(error.to_string());
                oldest.push(issued_key(&row).map_err(damaged)?);
            }
            if oldest.len() >= limit || !allowance.take(row.len()) {
                break;
            }
        }
        Ok(oldest)
    }

    /// Remembers a key, and forgets those that it pushes out.
    pub(crate) fn remember(&mut self, at: Stamp, tenant: TenantId, remembered: &Idempotency) {
        let Idempotency { key, issued, digest, outcome, evicted, horizon, kept } = remembered;
        let mut row = issued.to_le_bytes().to_vec();
        row.extend_from_slice(&digest.to_le_bytes());
        put_bytes(&mut row, outcome);
        self.write(idempotency_key(tenant, key), at, Some(row.into()));
        let mine = IssuedKey { issued: *issued, key: key.clone() };
        self.write(idempotency_age(tenant, &mine), at, Some(Bytes::new()));
        for gone in evicted {
            self.write(idempotency_key(tenant, &gone.key), at, None);
            self.write(idempotency_age(tenant, gone), at, None);
        }
        let mut summary = kept.to_le_bytes().to_vec();
        summary.extend_from_slice(&horizon.issued.to_le_bytes());
        put_bytes(&mut summary, &horizon.key);
        self.write(idempotency_summary(tenant), at, Some(summary.into()));
    }
}

fn decode_summary(row: &[u8]) -> Result<RememberedKeys, DecodeError> {
    let mut reader = ByteReader::new(row);
    let kept = reader.u64("kept idempotency keys")?;
    let issued = reader.u64("idempotency horizon")?;
    let key = Bytes::copy_from_slice(reader.bytes("idempotency horizon key")?);
    reader.finish()?;
    Ok(RememberedKeys { kept, horizon: IssuedKey { issued, key } })
}

fn decode(row: &Bytes) -> Result<(u64, u128, Bytes), DecodeError> {
    let mut reader = ByteReader::new(row);
    let issued = reader.u64("idempotency issue time")?;
    let digest = u128::from_le_bytes(reader.array("idempotency digest")?);
    let outcome = Bytes::copy_from_slice(reader.bytes("idempotency outcome")?);
    reader.finish()?;
    Ok((issued, digest, outcome))
}
