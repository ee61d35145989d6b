//! Updates that came together, as one.

use crate::{
    CrdtLimits,
    inspect::{body, update_heads, update_of},
};
use bytes::Bytes;
use loro::VersionVector;
use std::collections::BTreeMap;

/// One update with the changes of several, in their order, and by how many levels they can make the
/// document deeper. `None` unless each goes on just where
/// `known` and those before it end: what is known already, lacks something, is damaged, a snapshot or
/// together beyond the limits has to be judged alone.
///
/// Loro takes an update of many blocks in one pass over the document, which is most of what it does
/// for a small one.
pub(crate) fn join(
    updates: &[Bytes],
    known: &VersionVector,
    limits: &CrdtLimits,
) -> Option<(Vec<u8>, u64)> {
    let mut ends = BTreeMap::new();
    let mut blocks = Vec::new();
    let (mut ops, mut levels) = (0_u64, 0_u64);
    for update in updates {
        for head in update_heads(update, limits).ok()?? {
            let end = ends.entry(head.peer).or_insert_with(|| {
                let end = known.get(&head.peer).copied().unwrap_or(0);
                u32::try_from(end).ok()
            });
            if *end != Some(head.start) {
                return None;
            }
            *end = head.start.checked_add(head.ops);
            ops += u64::from(head.ops);
            levels = levels.saturating_add(head.levels);
        }
        blocks.extend_from_slice(body(update));
    }
    let joint = update_of(&blocks);
    limits.check_ops(ops).and_then(|()| limits.check_update(joint.len())).ok()?;
    Some((joint, levels))
}
