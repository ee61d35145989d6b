//! Writes: checked, logged and applied in one turn.

use crate::{DataError, Outcome, Write, Written, core::Core, release::Until, task::Caller};
use nodedb_engine::Redo;
use nodedb_types::{Durability, LsnRange, Stamp};
use nodedb_wal::{AppendClass, Record};

impl Core {
    pub(crate) fn write(&mut self, caller: Caller, write: Write) {
        let Some(vshard) = self.vshards.get(&caller.vshard) else {
            return self.fail_unknown(caller);
        };
        let (durability, class) = (write.durability, write.change.class());
        let prepared = self
            .admit(caller.vshard, class, write.adds_vectors())
            .and_then(|()| vshard.prepare_alone(caller.tenant, write));
        let redos = match prepared {
            Ok(redos) if redos.is_empty() => {
                let nothing = Outcome::Written(Written { stamp: None });
                let until = vshard.all_durable();
                return self.answer(caller.reply, Ok(nothing), until);
            }
            Ok(redos) => redos,
            Err(error) => return self.fail(caller.vshard, caller.reply, error),
        };
        match self.log_and_apply(&caller, &redos, (durability, class)) {
            Ok(stamp) => {
                let outcome = Outcome::Written(Written { stamp: Some(stamp) });
                let until = Until::acknowledged(durability, stamp.lsn);
                self.acknowledge(caller.reply, outcome, until);
            }
            Err(error) => self.fail(caller.vshard, caller.reply, error),
        }
    }

    /// Logs redo of one vshard as one atomic group and applies it, in one turn: log order is apply
    /// order, and what is refused is neither logged nor applied. Answers the stamp of the last record.
    pub(super) fn log_and_apply(
        &mut self,
        caller: &Caller,
        redos: &[Redo],
        (durability, class): (Durability, AppendClass),
    ) -> Result<Stamp, DataError> {
        let payloads: Vec<_> = redos.iter().map(Redo::encode).collect();
        let records: Vec<_> = redos
            .iter()
            .zip(&payloads)
            .map(|(redo, payload)| Record {
                tenant: caller.tenant,
                vshard: caller.vshard,
                kind: redo.kind().code(),
                payload,
            })
            .collect();
        let range = self.append(&records, durability, class)?;
        #[cfg(test)]
        assert!(!self.panics_after_append, "a core was asked to panic within a write");
        let epoch = self.shared.wal.epoch();
        let stamp = |offset| Stamp { epoch, lsn: range.start().advance(offset) };
        if let Some(vshard) = self.vshards.get_mut(&caller.vshard) {
            for (offset, redo) in (0..).zip(redos) {
                vshard.apply(stamp(offset), caller.tenant, redo);
            }
        }
        let last = stamp(range.count() - 1);
        if is_weak(durability) {
            self.note_weak(caller.vshard, last.lsn);
        }
        self.touched.insert(caller.vshard);
        Ok(last)
    }

    /// Gives records their place in the log as one atomic group; the turn asks for them at its end. On
    /// failure nothing was logged, ever.
    pub(crate) fn append(
        &self,
        records: &[Record<'_>],
        durability: Durability,
        class: AppendClass,
    ) -> Result<LsnRange, DataError> {
        Ok(self.asks.stage(records, durability, class)?)
    }
}

/// Whether a write may be acknowledged before it is durable.
pub(crate) const fn is_weak(durability: Durability) -> bool {
    !matches!(durability, Durability::Sync)
}
