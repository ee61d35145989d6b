//! Writes that happen once however often they are sent (protocol rule P5).

use crate::{Change, DataError, Expect, Part, Write};
use bytes::Bytes;
use nodedb_types::{TenantId, VshardId, limits};
use xxhash_rust::xxh3::Xxh3;

/// What makes a write safe to send again: it is applied at most once under one key.
///
/// The key is stored with what the write came to, in every vshard of the request and in the same atomic
/// group, so that a retry is answered as its first run was, also after a restart. It is judged before
/// preconditions and before anything is refused for other reasons. A write that was refused is not
/// remembered; its retry is judged anew. Merges of CRDT updates take no key: they are idempotent by
/// nature, since an update that is there already changes nothing.
///
/// Keys are remembered per tenant and vshard, for [`DataOptions::idempotency_age`](crate::DataOptions)
/// and up to a number; older ones answer [`DataError::IdempotencyExpired`] and are never applied.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IdempotencyKey {
    /// 1 to [`limits::IDEMPOTENCY_BYTES_MAX`] bytes, unique within a tenant. The same key with another
    /// request is [`DataError::IdempotencyConflict`] wherever the two meet in a vshard.
    pub key: Bytes,
    /// When it was issued, in milliseconds since 1970. A key that is remembered is found by its name alone;
    /// one that may be forgotten is refused by this time, so a retry that gives a later one is safe only
    /// while the key is remembered. At most
    /// [`ISSUED_AHEAD_MS_MAX`] ahead of this machine's clock.
    pub issued_ms: u64,
    /// What becomes of a request whose key is not remembered.
    pub attempt: Attempt,
}

/// What becomes of a request whose idempotency key is not remembered.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Attempt {
    /// It is done, for the first time.
    #[default]
    FirstOrAgain,
    /// Nothing: it must not be done now, be it for a limit or an index that was not there when it may have
    /// been done. Answered [`Outcome::NeverDone`](crate::Outcome::NeverDone).
    Again,
}

/// Most milliseconds by which the issue time of an idempotency key may lie in the future. One from farther
/// ahead would push out all others when its time comes.
pub const ISSUED_AHEAD_MS_MAX: u64 = 5 * 60 * 1000;

/// A key and the request that it stands for.
#[derive(Clone, Debug)]
pub(crate) struct Once {
    pub(crate) key: IdempotencyKey,
    pub(crate) digest: u128,
}

impl Once {
    /// Of the writes of a request, in their order.
    ///
    /// # Errors
    /// [`DataError::InvalidRequest`]: the key is too short or too long, or the request changes the catalog.
    pub(crate) fn new(
        key: IdempotencyKey,
        tenant: TenantId,
        writes: &[(VshardId, &Write)],
    ) -> Result<Self, DataError> {
        if !(1..=limits::IDEMPOTENCY_BYTES_MAX).contains(&key.key.len()) {
            let reason = "an idempotency key has 1 to 64 bytes";
            return Err(DataError::InvalidRequest { reason });
        }
        let mut digest = Digest::new(tenant);
        for (vshard, write) in writes {
            digest.add(*vshard, write)?;
        }
        Ok(Self { key, digest: digest.0.digest128() })
    }

    /// Of a group, whose key stands for all of its writes.
    ///
    /// # Errors
    /// As [`Once::new`].
    pub(crate) fn of_group(
        key: Option<IdempotencyKey>,
        tenant: TenantId,
        parts: &[Part],
    ) -> Result<Option<Self>, DataError> {
        let writes: Vec<_> = parts
            .iter()
            .flat_map(|part| part.writes.iter().map(|write| (part.vshard, write)))
            .collect();
        if writes.iter().any(|(_, write)| write.idempotency.is_some()) {
            let reason =
                "the idempotency key of a group stands with the group, not with its writes";
            return Err(DataError::InvalidRequest { reason });
        }
        key.map(|key| Self::new(key, tenant, &writes)).transpose()
    }
}

/// XXH3-128 of a request: what is done where, under which preconditions. The level of durability is not in
/// it, which a retry may choose anew, nor what indexes learn, which follows from value and catalog.
struct Digest(Xxh3);

impl Digest {
    fn new(tenant: TenantId) -> Self {
        let mut digest = Self(Xxh3::new());
        digest.number(tenant.get());
        digest
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        // The length in front, so that no two requests have the same bytes.
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn add(&mut self, vshard: VshardId, write: &Write) -> Result<(), DataError> {
        let Write { collection, change, expect, durability: _, idempotency: _ } = write;
        self.number(vshard.get().into());
        self.number(collection.get().into());
        match change {
            Change::Put { key, value, expires, vectors: _, fields: _ } => {
                self.number(1);
                // Whether, not when: a retry counts the same time to live from a later moment.
                self.number(expires.is_some().into());
                self.bytes(key);
                self.bytes(value);
            }
            Change::Delete { key } => {
                self.number(2);
                self.bytes(key);
            }
            Change::Catalog(_) => {
                let reason = "a catalog change takes no idempotency key";
                return Err(DataError::InvalidRequest { reason });
            }
        }
        match expect {
            None => self.number(0),
            Some(Expect::Absent) => self.number(1),
            Some(Expect::Present) => self.number(3),
            Some(Expect::Stamp(stamp)) => {
                self.number(2);
                self.number(stamp.epoch.get().into());
                self.number(stamp.lsn.get());
            }
        }
        Ok(())
    }
}
