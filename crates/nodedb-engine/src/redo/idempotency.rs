//! Redo that remembers a request by its idempotency key.

use super::{blob, count, put_count};
use bytes::Bytes;
use nodedb_types::{ByteReader, DecodeError, put_bytes};

/// An idempotency key and what its writes came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Idempotency {
    /// The key, 1 to [`nodedb_types::limits::IDEMPOTENCY_BYTES_MAX`] bytes, unique within a tenant.
    pub key: Bytes,
    /// When it was issued, in milliseconds since 1970 as its issuer says.
    pub issued: u64,
    /// XXH3-128 of the request, so that the same key with another payload is noticed.
    pub digest: u128,
    /// What the retry is answered, as the data plane encodes it.
    pub outcome: Bytes,
    /// Keys that this one pushes out, the oldest first.
    pub evicted: Vec<IssuedKey>,
    /// The last one of the tenant that was ever pushed out, by this record or before it: keys issued at
    /// or before its time are not judged any more. [`IssuedKey::NONE`] if none was.
    pub horizon: IssuedKey,
    /// How many keys of the tenant are remembered from now on, this one among them.
    pub kept: u64,
}

/// An idempotency key with its time, by which they are pushed out: the oldest first, and of one time the
/// smallest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct IssuedKey {
    /// When it was issued, in milliseconds since 1970 as its issuer says.
    pub issued: u64,
    /// The key.
    pub key: Bytes,
}

impl IssuedKey {
    /// Before every key.
    pub const NONE: Self = Self { issued: 0, key: Bytes::new() };

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.issued.to_le_bytes());
        put_bytes(out, &self.key);
    }

    fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let issued = reader.u64("issue time of an evicted key")?;
        Ok(Self { issued, key: blob(reader, "evicted key")? })
    }
}

impl Idempotency {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.key);
        out.extend_from_slice(&self.issued.to_le_bytes());
        out.extend_from_slice(&self.digest.to_le_bytes());
        put_bytes(out, &self.outcome);
        put_count(out, self.evicted.len());
        for key in &self.evicted {
            key.encode(out);
        }
        self.horizon.encode(out);
        out.extend_from_slice(&self.kept.to_le_bytes());
    }

    pub(super) fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let key = blob(reader, "idempotency key")?;
        let issued = reader.u64("issue time")?;
        let digest = u128::from_le_bytes(reader.array("request digest")?);
        let outcome = blob(reader, "outcome")?;
        let evicted = count(reader, "evicted key count", 12)?;
        let evicted = (0..evicted).map(|_| IssuedKey::decode(reader)).collect::<Result<_, _>>()?;
        let horizon = IssuedKey::decode(reader)?;
        let kept = reader.u64("kept keys")?;
        Ok(Self { key, issued, digest, outcome, evicted, horizon, kept })
    }
}
