//! An atomic batch over several vshards.

use crate::{
    Answer, DataError, GroupWritten, Outcome, Write, Written,
    once::Once,
    release::{Parked, ReleaseQueue, Until},
    remembered::Known,
    room::class_of,
    task::Task,
};
use nodedb_bridge::Bridge;
use nodedb_engine::Redo;
use nodedb_types::{CoreId, Durability, LogEpoch, Lsn, LsnRange, Stamp, TenantId, VshardId};
use nodedb_wal::AppendClass;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Position of a write in the group as its caller sent it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Place(usize);

impl Place {
    pub(crate) const fn new(index: usize) -> Self {
        Self(index)
    }

    pub(crate) const fn get(self) -> usize {
        self.0
    }
}

/// The writes of one vshard, in order.
#[derive(Debug, Default)]
pub(crate) struct GroupPart {
    pub(crate) writes: Vec<(Place, Write)>,
}

impl GroupPart {
    fn classes(&self) -> impl Iterator<Item = AppendClass> {
        self.writes.iter().map(|(_, write)| write.change.class())
    }
}

/// What a vshard made of its part: valid, and ready to be logged.
#[derive(Debug)]
pub(crate) struct PreparedPart {
    pub(crate) vshard: VshardId,
    /// Record kinds and payloads, in order.
    pub(crate) payloads: Vec<(u16, Vec<u8>)>,
    /// For each write which payload is its; none of a delete without a key to delete.
    pub(crate) writes: Vec<(Place, Option<u64>)>,
}

/// A group on its way from vshard to vshard, in ascending order, which is what makes it free of
/// deadlocks.
#[derive(Debug)]
pub(crate) struct GroupVisit {
    /// The vshards still to be visited.
    parts: BTreeMap<VshardId, GroupPart>,
    pub(crate) prepared: Vec<PreparedPart>,
    /// How many writes it has.
    pub(crate) writes: usize,
    pub(crate) durability: Durability,
    /// Which room of the log it may use.
    pub(crate) class: AppendClass,
    /// Its idempotency key.
    pub(crate) once: Option<Once>,
    /// Of a retry, what the vshards that were visited remember, in their order.
    pub(crate) known: Vec<Known>,
    pub(crate) state: Arc<GroupState>,
    /// The last record applied in any vshard that was visited: what the answer rests on.
    pub(crate) seen: Option<Lsn>,
    /// Reaches the cores that wait, for a visit that ends on its way.
    bridge: Bridge<Task, Answer>,
}

impl Drop for GroupVisit {
    /// A visit that is dropped on its way, by a core that panics or by an inbox that has ended, will
    /// never be logged; without this the vshards behind it would wait for its deadline.
    fn drop(&mut self) {
        if let Ok(waiting) = self.state.abort(DataError::Closed) {
            for core in waiting {
                self.bridge.wake(core);
            }
        }
    }
}

impl GroupVisit {
    pub(crate) fn new(
        parts: BTreeMap<VshardId, GroupPart>,
        writes: usize,
        (durability, once): (Durability, Option<Once>),
        bridge: Bridge<Task, Answer>,
    ) -> Self {
        let state = Arc::new(GroupState::new(parts.len()));
        let class = class_of(parts.values().flat_map(GroupPart::classes));
        Self {
            parts,
            prepared: Vec::new(),
            writes,
            durability,
            class,
            once,
            known: Vec::new(),
            state,
            seen: None,
            bridge,
        }
    }

    /// The vshard to be visited next.
    pub(crate) fn vshard(&self) -> Option<VshardId> {
        self.parts.keys().next().copied()
    }

    /// Whether the part of a vshard adds vectors to it.
    pub(crate) fn adds_vectors(&self, vshard: VshardId) -> bool {
        let part = self.parts.get(&vshard);
        part.is_some_and(|part| part.writes.iter().any(|(_, write)| write.adds_vectors()))
    }

    /// Takes the part of the vshard that is being visited.
    pub(crate) fn take_part(&mut self, vshard: VshardId) -> GroupPart {
        self.parts.remove(&vshard).unwrap_or_default()
    }

    /// How many records the vshards before have prepared.
    pub(crate) fn records(&self) -> u64 {
        self.prepared.iter().map(|part| part.payloads.len() as u64).sum()
    }

    /// The records of the whole group, ascending by vshard.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = (VshardId, u16, &[u8])> {
        self.prepared.iter().flat_map(|part| {
            let records = part.payloads.iter();
            records.map(|(kind, payload)| (part.vshard, *kind, payload.as_slice()))
        })
    }

    /// Whether nothing is logged but an idempotency key.
    pub(crate) fn changes_nothing(&self) -> bool {
        let mut writes = self.prepared.iter().flat_map(|part| &part.writes);
        writes.all(|(_, record)| record.is_none())
    }

    /// What the group came to, in the order of its writes as they were sent.
    pub(crate) fn outcome(&self, epoch: LogEpoch, lsns: Option<LsnRange>) -> Outcome {
        let mut writes = vec![Written { stamp: None }; self.writes];
        let mut before = 0;
        for part in &self.prepared {
            for (Place(place), record) in &part.writes {
                let stamp = record.and_then(|record| {
                    let lsn = lsns?.start().advance(before + record);
                    Some(Stamp { epoch, lsn })
                });
                if let Some(write) = writes.get_mut(*place) {
                    *write = Written { stamp };
                }
            }
            before += part.payloads.len() as u64;
        }
        Outcome::GroupWritten(GroupWritten { lsns, writes })
    }
}

/// How a group ended, for a vshard that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Its records are in the log from this one on, if there are any: apply and go on.
    Committed(Option<Lsn>),
    /// Nothing of it was logged: go on.
    Aborted,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// It may still be given up.
    Open,
    /// The last core is logging it; neither a deadline nor anything else stops it.
    Committing,
    Ended(Verdict),
}

/// What all vshards of a group share: `Open -> Committing -> Committed | Aborted`, or
/// `Open -> Aborted`. Exactly one side wins.
pub(crate) struct GroupState {
    inner: Mutex<Inner>,
    /// Parts that are not applied yet.
    unapplied: AtomicUsize,
}

struct Inner {
    phase: Phase,
    /// Why it was given up.
    reason: Option<DataError>,
    /// Cores with vshards that wait for the end.
    waiting: BTreeSet<CoreId>,
    /// The answer, from the moment of the commit.
    finish: Option<Finish>,
}

impl Inner {
    fn check_open(&self) -> Result<(), DataError> {
        match self.phase {
            Phase::Open => Ok(()),
            // Only one visit is on its way, so nobody else can be logging it.
            Phase::Committing | Phase::Ended(_) => {
                Err(self.reason.clone().unwrap_or(DataError::TimedOut))
            }
        }
    }
}

/// The answer of a committed group, given when the last vshard has applied its part.
pub(crate) struct Finish {
    pub(crate) until: Until,
    pub(crate) parked: Parked,
}

impl GroupState {
    fn new(parts: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                phase: Phase::Open,
                reason: None,
                waiting: BTreeSet::new(),
                finish: None,
            }),
            unapplied: AtomicUsize::new(parts),
        }
    }

    /// Registers a core that is about to pause a vshard.
    ///
    /// # Errors
    /// Why the group was given up meanwhile.
    pub(crate) fn join(&self, core: CoreId) -> Result<(), DataError> {
        let mut inner = self.inner.lock();
        inner.check_open()?;
        inner.waiting.insert(core);
        Ok(())
    }

    /// Gives the group up. Answers the cores to be woken.
    ///
    /// # Errors
    /// It is too late: it was given up for that reason, or, without one, it is being logged or is.
    pub(crate) fn abort(&self, reason: DataError) -> Result<BTreeSet<CoreId>, Option<DataError>> {
        let mut inner = self.inner.lock();
        if inner.phase != Phase::Open {
            return Err(inner.reason.clone());
        }
        inner.phase = Phase::Ended(Verdict::Aborted);
        inner.reason = Some(reason);
        Ok(std::mem::take(&mut inner.waiting))
    }

    /// Begins to log it.
    ///
    /// # Errors
    /// Why the group was given up meanwhile.
    pub(crate) fn begin_commit(&self) -> Result<(), DataError> {
        let mut inner = self.inner.lock();
        inner.check_open()?;
        inner.phase = Phase::Committing;
        Ok(())
    }

    /// Ends the logging, whose records begin at `first`, if there are any: with an answer, or with the
    /// reason why nothing was logged. Answers the cores to be woken.
    pub(crate) fn end_commit(
        &self,
        first: Option<Lsn>,
        end: Result<Finish, DataError>,
    ) -> BTreeSet<CoreId> {
        let mut inner = self.inner.lock();
        assert!(
            inner.phase == Phase::Committing,
            "only the core that logs a group ends its logging"
        );
        match end {
            Ok(finish) => {
                inner.phase = Phase::Ended(Verdict::Committed(first));
                inner.finish = Some(finish);
            }
            Err(reason) => {
                inner.phase = Phase::Ended(Verdict::Aborted);
                inner.reason = Some(reason);
            }
        }
        std::mem::take(&mut inner.waiting)
    }

    /// How it ended, if it has.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        match self.inner.lock().phase {
            Phase::Ended(verdict) => Some(verdict),
            Phase::Open | Phase::Committing => None,
        }
    }

    /// Adds a catalog to be published with the answer.
    pub(crate) fn publish(&self, catalog: crate::published::Published) {
        if let Some(finish) = &mut self.inner.lock().finish {
            finish.parked.publish = Some(catalog);
        }
    }

    /// Counts a part as applied. The last one parks the answer.
    pub(crate) fn applied(&self, queue: &ReleaseQueue) {
        // Released by each part, acquired by the last: whoever sees the answer sees all parts.
        if self.unapplied.fetch_sub(1, Ordering::AcqRel) == 1 {
            let finish = self.inner.lock().finish.take();
            if let Some(Finish { until, parked }) = finish {
                queue.park(until, parked);
            }
        }
    }
}

impl fmt::Debug for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupState")
            .field("phase", &self.inner.lock().phase)
            .finish_non_exhaustive()
    }
}

/// A part that a paused vshard will apply.
#[derive(Debug)]
pub(crate) struct PendingPart {
    pub(crate) state: Arc<GroupState>,
    pub(crate) tenant: TenantId,
    pub(crate) redos: Vec<Redo>,
    /// Records of the group in front of this part's.
    pub(crate) before: u64,
}

/// Ends the process if its owner panics between the logging of a group and the application of a part:
/// others have applied theirs, and half a group must never be seen (protocol rule P4). A restart
/// replays it whole.
#[derive(Debug)]
pub(crate) struct WholeOrNothing;

impl Drop for WholeOrNothing {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!("a core failed within a committed group: ending the process");
            process::abort();
        }
    }
}

#[cfg(test)]
mod tests;
