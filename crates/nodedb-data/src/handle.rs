//! The handle through which requests reach the cores.

use crate::{
    Answer, Change, Consistency, DataError, Group, Op, Part, VshardFloors,
    group::{GroupPart, GroupVisit, Place},
    once::Once,
    shared::Shared,
    task::Task,
    weight::weight,
};
use nodedb_bridge::{Priority, Request, SendError, Ticket};
use nodedb_crdt::Quarantined;
use nodedb_engine::{Catalog, Snapshot, Snapshots};
use nodedb_types::{Lsn, TenantId, VshardId};
use nodedb_wal::WaitError;
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// Sends requests to the vshards. Cheap to clone; `Send` and `Sync`.
///
/// Deadlines are in time of [`nodedb_env::Clock::now`]. A request whose deadline passes before it is
/// served is [`DataError::TimedOut`] or [`nodedb_bridge::TicketError::Timeout`] without any effect;
/// once a write is in the log, a timeout means that its outcome is unknown.
#[derive(Clone)]
pub struct DataHandle {
    shared: Arc<Shared>,
}

impl DataHandle {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Leaves a request for a vshard. Never blocks.
    ///
    /// Dropping the ticket before the core has received the request cancels it; later it cancels only
    /// the answer.
    ///
    /// # Errors
    /// Nothing was done:
    /// - [`DataError::InboxFull`]: too many requests wait, or too many bytes of them.
    /// - [`DataError::TenantBusy`]: the tenant has as many requests under way as it may.
    /// - [`DataError::NoSuchVshard`], [`DataError::InvalidRequest`].
    /// - [`DataError::Closed`], [`DataError::CoreDied`].
    #[expect(
        clippy::too_many_arguments,
        reason = "for whom, where, what, until when and how urgent: each of another type"
    )]
    pub fn send(
        &self,
        tenant: TenantId,
        vshard: VshardId,
        op: Op,
        deadline: Duration,
        priority: Priority,
    ) -> Result<Ticket<Answer>, DataError> {
        if let Op::Write(write) = &op
            && matches!(write.change, Change::Catalog(_))
        {
            let reason = "a catalog change goes to every vshard as one group";
            return Err(DataError::InvalidRequest { reason });
        }
        let bytes = weight(op.bytes());
        let op = once(tenant, vshard, op)?;
        self.push(Request { tenant, vshard, op, deadline, priority, bytes })
    }

    /// Leaves an atomic batch, which visits its vshards in ascending order. Never blocks.
    ///
    /// # Errors
    /// As [`DataHandle::send`]; a group without writes, and one whose catalog changes do not go to
    /// every vshard alike or not alone, is [`DataError::InvalidRequest`].
    pub fn send_group(
        &self,
        tenant: TenantId,
        group: Group,
        deadline: Duration,
    ) -> Result<Ticket<Answer>, DataError> {
        let vshards = self.shared.vshards;
        check_catalog_changes(&group, vshards)?;
        let once = Once::of_group(group.idempotency, tenant, &group.parts)?;
        let bytes = weight(group.parts.iter().map(Part::bytes).sum());
        let mut parts: BTreeMap<VshardId, GroupPart> = BTreeMap::new();
        let mut index = 0;
        for part in group.parts {
            if part.vshard.get() >= vshards {
                let vshard = part.vshard;
                return Err(DataError::NoSuchVshard { vshard, vshards });
            }
            for write in part.writes {
                let merged = parts.entry(part.vshard).or_default();
                merged.writes.push((Place::new(index), write));
                index += 1;
            }
        }
        let visit =
            GroupVisit::new(parts, index, (group.durability, once), self.shared.bridge.clone());
        let Some(first) = visit.vshard() else {
            let reason = "a group has at least one write";
            return Err(DataError::InvalidRequest { reason });
        };
        self.push(Request {
            tenant,
            vshard: first,
            op: Task::Visit(Box::new(visit)),
            deadline,
            priority: Priority::Foreground,
            bytes,
        })
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn push(&self, request: Request<Task>) -> Result<Ticket<Answer>, DataError> {
        let vshard = request.vshard;
        let vshards = self.shared.vshards;
        if vshard.get() >= vshards {
            return Err(DataError::NoSuchVshard { vshard, vshards });
        }
        let core = vshard.core(self.shared.cores);
        match self.shared.bridge.send(core, request) {
            Ok(ticket) => Ok(ticket),
            Err(SendError::Busy { .. }) => Err(DataError::InboxFull { core }),
            Err(SendError::TenantBusy { tenant, limit, .. }) => {
                Err(DataError::TenantBusy { tenant, limit })
            }
            Err(_) => Err(DataError::Closed),
        }
    }

    /// CRDT updates that made the library fail and are not tried again, by vshard, the oldest first.
    /// They are kept in memory only.
    pub fn quarantine(&self) -> Vec<(VshardId, Quarantined)> {
        self.shared.board.quarantine()
    }

    /// What is known of every vshard's floors, ascending, also of silent ones: the board keeps the
    /// last proofs. Never waits for a core.
    pub fn floors(&self) -> Vec<VshardFloors> {
        self.shared.board.all()
    }

    /// Sets the pace of flushes and merges in bytes per second, at least 1; `None` for as fast as they may.
    /// It is ignored for what somebody waits for in a hurry, and where writes fill the memory faster than
    /// it empties it.
    pub fn pace(&self, bytes_per_second: Option<u64>) {
        self.shared.budget.pace(bytes_per_second);
    }

    /// The registry of scan snapshots.
    pub fn snapshots(&self) -> &Arc<Snapshots> {
        &self.shared.snapshots
    }

    /// Opens a snapshot that holds everything acknowledged so far, at whatever level: asks for the
    /// sync of what was acknowledged weakly and waits for it. `None` while nothing is durable.
    ///
    /// # Errors
    /// [`DataError::TimedOut`], [`DataError::Poisoned`] or [`DataError::Closed`]; nothing was done.
    pub fn snapshot_for_scan(&self, deadline: Duration) -> Result<Option<Snapshot>, DataError> {
        self.snapshot_at(Consistency::Strong, deadline)
    }

    /// The same at another consistency: `Eventual` waits for nothing and holds what is durable now;
    /// `BoundedStaleness` does so while everything acknowledged below `Sync` in any vshard and not yet
    /// durable is younger than its bound.
    ///
    /// # Errors
    /// As [`DataHandle::snapshot_for_scan`].
    pub fn snapshot_at(
        &self,
        consistency: Consistency,
        deadline: Duration,
    ) -> Result<Option<Snapshot>, DataError> {
        let wal = &self.shared.wal;
        let now = self.shared.env.clock.now();
        let waits = match consistency {
            Consistency::Strong => true,
            Consistency::Eventual => false,
            Consistency::BoundedStaleness(bound) => {
                self.shared.weak_age(wal.durable(), now).is_some_and(|age| age >= bound)
            }
        };
        if let Some(target) = self.shared.weak_acked().filter(|_| waits)
            && wal.durable() < Some(target)
        {
            wal.request_sync(target);
            wal.wait_durable(target, deadline).map_err(refused_wait)?;
        }
        // Sampled under the registry's mutex (protocol rule P3), so that no memtable above it is
        // ingested between the sampling and the registration.
        Ok(self.shared.snapshots.register(|| wal.durable()))
    }

    /// The commit clock, in milliseconds since 1970, by which expiry is judged. Never goes back.
    pub fn commit_ms(&self) -> u64 {
        self.shared.wal.commit_time_ms()
    }

    /// Why documents that have expired are not deleted, if that is so. Reads hide them all the same.
    pub fn expiry_halted(&self) -> Option<String> {
        self.shared.expiry_halt.lock().clone()
    }

    /// The catalog as of the last change that is durable and applied in every vshard.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog.get()
    }

    /// The last durable record of the log.
    pub fn durable(&self) -> Option<Lsn> {
        self.shared.wal.durable()
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a wait that ends without time and without poison ends with the log"
)]
fn refused_wait(error: WaitError) -> DataError {
    match error {
        WaitError::Timeout => DataError::TimedOut,
        WaitError::Poisoned(cause) => DataError::Poisoned { cause: cause.to_string() },
        _ => DataError::Closed,
    }
}

/// Takes the digest of a write with an idempotency key, on the caller's thread: values may be large.
fn once(tenant: TenantId, vshard: VshardId, op: Op) -> Result<Task, DataError> {
    let Op::Write(mut write) = op else {
        return Ok(Task::Op(Box::new(op)));
    };
    let Some(key) = write.idempotency.take() else {
        return Ok(Task::Op(Box::new(Op::Write(write))));
    };
    let once = Once::new(key, tenant, &[(vshard, &write)])?;
    Ok(Task::Once(Box::new((write, once))))
}

/// A catalog change that reached only some vshards would make their copies differ for ever.
fn check_catalog_changes(group: &Group, vshards: u16) -> Result<(), DataError> {
    let mut changes: BTreeMap<VshardId, Vec<_>> = BTreeMap::new();
    let mut others = false;
    for part in &group.parts {
        for write in &part.writes {
            match &write.change {
                Change::Catalog(change) => changes.entry(part.vshard).or_default().push(change),
                Change::Put { .. } | Change::Delete { .. } => others = true,
            }
        }
    }
    let Some(first) = changes.values().next() else {
        return Ok(());
    };
    if others {
        // Behind a drop of its collection a put would be checked before, logged after, and refused by
        // every replay.
        let reason = "a group with catalog changes holds nothing else";
        return Err(DataError::InvalidRequest { reason });
    }
    if changes.len() == usize::from(vshards) && changes.values().all(|other| other == first) {
        return Ok(());
    }
    let reason = "catalog changes of a group go to every vshard alike";
    Err(DataError::InvalidRequest { reason })
}

impl fmt::Debug for DataHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataHandle")
            .field("vshards", &self.shared.vshards)
            .field("cores", &self.shared.cores)
            .finish_non_exhaustive()
    }
}
