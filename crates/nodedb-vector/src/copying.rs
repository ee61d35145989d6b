//! The keys of some parts on their way into one segment.

use crate::{
    part::{Part, PartRows},
    rebuilt::{Input, NOWHERE},
    segment::{SegmentBuilder, SegmentSpec},
};
use std::sync::Arc;

/// Keys on their way into a builder, in ascending order.
#[derive(Debug)]
pub(crate) struct Copying {
    pub(crate) builder: SegmentBuilder,
    pub(crate) inputs: Vec<Input>,
    /// Where each row comes from: the place of its part, and the slot there.
    pub(crate) order: Vec<(u32, u32)>,
    /// Of each input.
    cursors: Vec<Cursor>,
}

/// How far the rows of an input are copied.
#[derive(Debug)]
struct Cursor {
    /// The slots in the order of keys, where that is not their own order.
    order: Option<Vec<u32>>,
    at: u32,
}

impl Copying {
    pub(crate) fn new(spec: SegmentSpec) -> Self {
        let builder = SegmentBuilder::new(spec);
        Self { builder, inputs: Vec::new(), order: Vec::new(), cursors: Vec::new() }
    }

    /// Copies some more keys. Whether there may be another one.
    pub(crate) fn copy_some(&mut self, parts: &[Part], keys: usize) -> bool {
        if self.cursors.is_empty() {
            self.cursors.extend(parts.iter().map(Cursor::new));
            self.inputs.extend(parts.iter().map(|part| Input {
                id: part.id,
                dead: Arc::clone(&part.dead),
                slots: vec![NOWHERE; part.rows.length()],
            }));
        }
        (0..keys).all(|_| self.copy_key(parts))
    }

    /// Copies the least key. Whether there was one.
    fn copy_key(&mut self, parts: &[Part]) -> bool {
        let mut least: Option<(u32, u32, &[u8])> = None;
        for (number, (cursor, part)) in (0..).zip(self.cursors.iter_mut().zip(parts)) {
            let Some(slot) = cursor.live(part) else { continue };
            let key = part.rows.key(slot);
            if least.is_none_or(|(_, _, least)| key < least) {
                least = Some((number, slot, key));
            }
        }
        let Some((number, slot, key)) = least else {
            return false;
        };
        let at = usize::try_from(number).ok();
        let Some((part, cursor)) = at.and_then(|at| parts.get(at).zip(self.cursors.get_mut(at)))
        else {
            return false;
        };
        cursor.at += 1;
        let to = self.builder.len();
        self.builder.push_key(key, part.rows.stamp(slot));
        self.order.push((number, slot));
        let input = at.and_then(|at| self.inputs.get_mut(at));
        let place = usize::try_from(slot).ok().zip(input);
        let place = place.and_then(|(slot, input)| input.slots.get_mut(slot));
        assert!(place.is_some(), "each slot has its place");
        if let Some(place) = place {
            *place = to;
        }
        true
    }
}

impl Cursor {
    fn new(part: &Part) -> Self {
        let order = match &part.rows {
            PartRows::Sealed(_) => None,
            PartRows::Aside { flat, .. } => {
                let slots = flat.rows().map(|(_, row)| u32::try_from(row));
                Some(slots.filter_map(Result::ok).collect())
            }
        };
        Self { order, at: 0 }
    }

    /// The next slot whose row lives.
    fn live(&mut self, part: &Part) -> Option<u32> {
        while self.at < part.slots() {
            let at = usize::try_from(self.at).ok();
            let slot = match &self.order {
                None => Some(self.at),
                Some(order) => at.and_then(|at| order.get(at)).copied(),
            };
            if let Some(slot) = slot.filter(|slot| !part.dead.contains(*slot)) {
                return Some(slot);
            }
            self.at += 1;
        }
        None
    }
}
