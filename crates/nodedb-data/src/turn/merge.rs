//! Merges of CRDT documents: those of one turn into one document share an import and a record.

use crate::{DataError, Merged, Outcome, core::Core, release::Until, task::Caller, vshard::Merge};
use bytes::Bytes;
use nodedb_crdt::{CrdtError, CrdtKey};
use nodedb_types::{Durability, Stamp, VshardId};
use nodedb_wal::AppendClass;
use std::time::Duration;

/// Bytes of updates that are gathered for one import, about. What one of them spoils is tried again one
/// by one, so it bounds that work; larger updates gain nothing from company.
const TOGETHER_BYTES_MAX: usize = 256 << 10;

/// The merges of a turn that were not begun yet. Nothing else is served before they are, so all requests
/// to a document are served in the order in which they came.
#[derive(Default)]
pub(crate) struct Merges(Vec<Gathered>);

/// Merges into one document, in the order in which they came.
struct Gathered {
    vshard: VshardId,
    key: CrdtKey,
    durability: Durability,
    callers: Vec<Caller>,
    updates: Vec<Bytes>,
    bytes: usize,
}

impl Merges {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the merges up.
    pub(crate) fn take_callers(&mut self) -> impl Iterator<Item = Caller> {
        std::mem::take(&mut self.0).into_iter().flat_map(|gathered| gathered.callers)
    }
}

impl Core {
    /// Takes a merge in, to be done with others of this turn.
    pub(crate) fn gather_merge(
        &mut self,
        caller: Caller,
        key: CrdtKey,
        update: Bytes,
        durability: Durability,
    ) {
        let vshard = caller.vshard;
        let same = |gathered: &&mut Gathered| {
            (gathered.vshard, gathered.durability) == (vshard, durability) && gathered.key == key
        };
        let bytes = update.len();
        if let Some(gathered) = self.merges.0.iter_mut().find(same) {
            gathered.callers.push(caller);
            gathered.updates.push(update);
            gathered.bytes = gathered.bytes.saturating_add(bytes);
            if gathered.bytes > TOGETHER_BYTES_MAX {
                self.finish_merges();
            }
            return;
        }
        if self.merges.0.iter().any(|other| other.vshard == vshard && other.key == key) {
            // At another level of durability: first the earlier ones.
            self.finish_merges();
        }
        let (callers, updates) = (vec![caller], vec![update]);
        self.merges.0.push(Gathered { vshard, key, durability, callers, updates, bytes });
    }

    /// Does the merges that were gathered.
    pub(crate) fn finish_merges(&mut self) {
        for gathered in std::mem::take(&mut self.merges.0) {
            // Whatever comes of it, a document may come to life for it or take more than before.
            self.touched.insert(gathered.vshard);
            let Some(alone) = self.merge_together(gathered) else {
                continue;
            };
            for (caller, update) in alone.callers.into_iter().zip(&alone.updates) {
                self.merge(caller, alone.key.clone(), update, alone.durability);
            }
        }
    }

    /// Several updates as one. Gives them back if each must be judged by itself; none of them is logged or
    /// in memory then.
    fn merge_together(&mut self, gathered: Gathered) -> Option<Gathered> {
        let limit = self.shared.wal.group_bytes_max();
        let count = gathered.updates.len();
        if count == 1
            || gathered.bytes > limit / 2
            || self.admit(gathered.vshard, AppendClass::User, false).is_err()
            || !self.release.has_room_for(count)
        {
            return Some(gathered);
        }
        let Some(vshard) = self.vshards.get_mut(&gathered.vshard) else {
            return Some(gathered);
        };
        let drafted = vshard.merge_together(&gathered.key, &gathered.updates, limit);
        let (Some(merge), Some(first)) = (drafted, gathered.callers.first()) else {
            return Some(gathered);
        };
        match self.log_merge(first, &merge, gathered.durability) {
            Ok(stamp) => {
                for caller in gathered.callers {
                    self.merged(caller, stamp, gathered.durability);
                }
            }
            Err(error) => {
                for caller in gathered.callers {
                    self.fail(caller.vshard, caller.reply, error.clone());
                }
            }
        }
        None
    }

    /// One update by itself.
    fn merge(&mut self, caller: Caller, key: CrdtKey, update: &Bytes, durability: Durability) {
        let limit = self.shared.wal.group_bytes_max();
        if let Err(error) = self.admit(caller.vshard, AppendClass::User, false) {
            return self.fail(caller.vshard, caller.reply, error);
        }
        let now = Duration::from_millis(self.shared.env.clock.unix_ms());
        let Some(vshard) = self.vshards.get_mut(&caller.vshard) else {
            return self.fail_unknown(caller);
        };
        let merge = match vshard.merge(key, update, limit, now) {
            Ok(merge) => merge,
            Err(error) => {
                if matches!(error, DataError::Crdt(CrdtError::Panicked { .. })) {
                    let held = vshard.quarantined();
                    self.shared.board.set_quarantine(caller.vshard, held);
                }
                return self.fail(caller.vshard, caller.reply, error);
            }
        };
        if merge.redos.is_empty() {
            let nothing = Outcome::Merged(Merged { stamp: None, changed: false });
            let until = vshard.all_durable();
            return self.answer(caller.reply, Ok(nothing), until);
        }
        match self.log_merge(&caller, &merge, durability) {
            Ok(stamp) => self.merged(caller, stamp, durability),
            Err(error) => self.fail(caller.vshard, caller.reply, error),
        }
    }

    /// Logs what a live document has taken already. On failure that is let go of: the live document is
    /// ahead of the log then, and the next use builds it from what was logged.
    fn log_merge(
        &mut self,
        caller: &Caller,
        merge: &Merge,
        durability: Durability,
    ) -> Result<Stamp, DataError> {
        let logged = self.log_and_apply(caller, &merge.redos, (durability, AppendClass::User));
        if let Some(vshard) = self.vshards.get_mut(&caller.vshard) {
            match &logged {
                Ok(_) => vshard.merged(merge),
                Err(_) => vshard.forget_document(&merge.key),
            }
        }
        logged
    }

    /// `stamp` is also of the record that packs rows, if there is one: it is the state's last change.
    fn merged(&self, caller: Caller, stamp: Stamp, durability: Durability) {
        let outcome = Outcome::Merged(Merged { stamp: Some(stamp), changed: true });
        self.acknowledge(caller.reply, outcome, Until::acknowledged(durability, stamp.lsn));
    }
}
