//! Updates that came together, as one.

use crate::{
    CrdtLimits,
    inspect::{body, update_heads, update_of},
    value::Skipped,
};
use bytes::Bytes;
use loro::VersionVector;
use std::collections::BTreeMap;

/// One update with the changes of several, in their order, and what they do to the document. `None` unless each goes on just where `known` and those before it end: what is empty
/// or known already, lacks something, is damaged, a snapshot or together beyond the limits has to be
/// judged alone.
///
/// Loro takes an update of many blocks in one pass over the document, which is most of what it does
/// for a small one.
pub(crate) fn join(
    updates: &[Bytes],
    known: &VersionVector,
    limits: &CrdtLimits,
) -> Option<(Vec<u8>, Skipped)> {
    let mut ends = BTreeMap::new();
    let mut blocks = Vec::new();
    let (mut ops, mut cost) = (0_u64, Skipped::default());
    for update in updates {
        let heads = update_heads(update, limits).ok()??;
        if heads.is_empty() {
            return None;
        }
        for head in heads {
            let end = ends.entry(head.peer).or_insert_with(|| {
                let end = known.get(&head.peer).copied().unwrap_or(0);
                u32::try_from(end).ok()
            });
            if *end != Some(head.start) {
                return None;
            }
            *end = head.start.checked_add(head.ops);
            ops += u64::from(head.ops);
            cost.add(&head.cost);
        }
        blocks.extend_from_slice(body(update));
    }
    let joint = update_of(&blocks);
    limits.check_ops(ops).and_then(|()| limits.check_update(joint.len())).ok()?;
    Some((joint, cost))
}
