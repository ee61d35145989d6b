//! Building an index: one slice of documents per request.

use crate::{BuildSlice, Built, Outcome, core::Core, release::Until, task::Caller};
use nodedb_types::Durability;
use nodedb_wal::AppendClass;

impl Core {
    /// Serves one slice: the documents are read and their entries logged in one turn. What goes on
    /// behind it, and how urgently, is the caller's business; a slice that is served twice changes
    /// nothing.
    pub(crate) fn build(&mut self, caller: Caller, slice: &BuildSlice) {
        let limit = self.shared.wal.group_bytes_max();
        let Some(vshard) = self.vshards.get(&caller.vshard) else {
            return self.fail_unknown(caller);
        };
        let class = AppendClass::User;
        let of_vectors = vshard.engines.vectors.definition(slice.index).is_some();
        let draft = self
            .admit(caller.vshard, class, of_vectors)
            .and_then(|()| vshard.build(caller.tenant, slice, limit));
        let draft = match draft {
            Ok(draft) => draft,
            Err(error) => return self.fail(caller.vshard, caller.reply, error),
        };
        let outcome = Outcome::Built(Built { documents: draft.documents, next: draft.next });
        let Some(redo) = draft.redo else {
            return self.answer(caller.reply, Ok(outcome), Until::Now);
        };
        let durability = Durability::Sync;
        match self.log_and_apply(&caller, std::slice::from_ref(&redo), (durability, class)) {
            // Answered when it is durable, so that a build is never ahead of the disk by more than a
            // slice of each vshard.
            Ok(stamp) => {
                let until = Until::acknowledged(durability, stamp.lsn);
                self.acknowledge(caller.reply, outcome, until);
            }
            Err(error) => self.fail(caller.vshard, caller.reply, error),
        }
    }
}
