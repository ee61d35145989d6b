//! What travels through the bridge.

use crate::{Answer, Op, Write, group::GroupVisit, once::Once};
use nodedb_bridge::Envelope;

/// What a core is asked to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// One request to one vshard. Boxed, like all tasks: it is moved several times on its way.
    Op(Box<Op>),
    /// One write with an idempotency key.
    Once(Box<(Write, Once)>),
    /// The next stop of an atomic batch.
    Visit(Box<GroupVisit>),
    /// A defect, for tests of what it does to others.
    #[cfg(test)]
    Panic,
    /// A defect that shows once the next write has its place in the log and is applied nowhere.
    #[cfg(test)]
    PanicAfterAppend,
    /// Keeps the core busy, for tests of what waits for it.
    #[cfg(test)]
    Hold(std::sync::Arc<std::sync::Barrier>),
}

/// A task in the hands of a core.
pub(crate) type TaskEnvelope = Envelope<Task, Answer>;

/// Who asked, where and until when, without the task.
pub(crate) type Caller = Envelope<(), Answer>;

/// Whether it merges CRDT updates, and nothing else.
pub(crate) fn is_merge(task: &Task) -> bool {
    matches!(task, Task::Op(op) if matches!(**op, Op::CrdtMerge { .. }))
}

/// Takes the task out of its envelope.
pub(crate) fn open(envelope: TaskEnvelope) -> (Caller, Task) {
    let TaskEnvelope { id, tenant, vshard, op, deadline, priority, bytes, reply } = envelope;
    let caller = Caller { id, tenant, vshard, op: (), deadline, priority, bytes, reply };
    (caller, op)
}

/// Puts a task into an envelope of the same caller.
pub(crate) fn seal(caller: Caller, op: Task) -> TaskEnvelope {
    let Caller { id, tenant, vshard, op: (), deadline, priority, bytes, reply } = caller;
    TaskEnvelope { id, tenant, vshard, op, deadline, priority, bytes, reply }
}
