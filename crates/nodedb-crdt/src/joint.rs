//! Updates that came together, as one.

use crate::{
    CrdtLimits,
    inspect::{Ends, body, update_heads, update_of},
    value::Skipped,
};
use bytes::Bytes;
use loro::VersionVector;

/// One update with the changes of several, in their order, and what they do to the document. `None` unless each goes on just where `known` and those before it end: what is empty
/// or known already, builds on something missing, is damaged, a snapshot or together beyond the limits has to be
/// judged alone.
///
/// Loro takes an update of many blocks in one pass over the document, which is most of what it does
/// for a small one.
pub(crate) fn join(
    updates: &[Bytes],
    known: &VersionVector,
    limits: &CrdtLimits,
) -> Option<(Vec<u8>, Skipped)> {
    let mut ends = Ends::new(known);
    let mut blocks = Vec::new();
    let (mut ops, mut cost) = (0_u64, Skipped::default());
    for update in updates {
        let heads = update_heads(update, limits).ok()??;
        if heads.is_empty() {
            return None;
        }
        for head in &heads {
            if ends.of(head.peer) != head.start {
                return None;
            }
            ends.reach(head.peer, head.start.checked_add(head.ops)?);
            ops += u64::from(head.ops);
            cost.add(&head.cost);
        }
        // Its changes may build on each other in any order, on those of later updates never.
        let mut joins = heads.iter().flat_map(|head| &head.joins);
        if !joins.all(|(peer, number)| *number < ends.of(*peer)) {
            return None;
        }
        blocks.extend_from_slice(body(update));
    }
    let joint = update_of(&blocks);
    limits.check_ops(ops).and_then(|()| limits.check_update(joint.len())).ok()?;
    Some((joint, cost))
}
