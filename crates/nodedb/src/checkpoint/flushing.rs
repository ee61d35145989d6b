//! The flushes of a round: whom it has asked, and who has not answered.

use nodedb_types::{Lsn, VshardId};
use std::collections::{BTreeSet, VecDeque};

/// The flushes of one round.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Flushing {
    /// Everything up to here is durable, and is to be flushed.
    barrier: Lsn,
    /// Who has neither proved the barrier nor declined, asked or not.
    waiting: BTreeSet<VshardId>,
    /// Who is not asked yet, in the order of asking. A part of those who wait.
    unasked: VecDeque<VshardId>,
    /// How many had something to flush at the beginning.
    of: usize,
}

impl Flushing {
    /// Asks nobody yet; `idle` is asked by whoever makes it, `dirty` when it is due.
    pub(crate) fn new(barrier: Lsn, idle: &[VshardId], dirty: &[VshardId]) -> Self {
        let waiting = idle.iter().chain(dirty).copied().collect();
        Self { barrier, waiting, unasked: dirty.iter().copied().collect(), of: dirty.len() }
    }

    pub(crate) const fn barrier(&self) -> Lsn {
        self.barrier
    }

    /// How many had something to flush.
    pub(crate) const fn of(&self) -> usize {
        self.of
    }

    /// How many of those were asked, or need not be.
    pub(crate) fn begun(&self) -> usize {
        self.of - self.unasked.len()
    }

    /// How many of those have not answered, at most.
    pub(crate) fn left(&self) -> usize {
        self.waiting.len().min(self.of)
    }

    /// Whether somebody is still to be asked.
    pub(crate) fn has_unasked(&self) -> bool {
        !self.unasked.is_empty()
    }

    /// Takes those who are to be asked so that so many have begun.
    pub(crate) fn take_due(&mut self, begun: usize) -> Vec<VshardId> {
        let count = begun.saturating_sub(self.begun()).min(self.unasked.len());
        self.unasked.drain(..count).collect()
    }

    /// Everybody who has not answered, asked or not; nobody is left to be asked later.
    pub(crate) fn take_all(&mut self) -> Vec<VshardId> {
        let unasked = std::mem::take(&mut self.unasked);
        let asked = self.waiting.iter().filter(|vshard| !unasked.contains(vshard));
        // Who pins the log still comes first among those who were not asked.
        unasked.iter().chain(asked).copied().collect()
    }

    /// Nobody waits for this vshard any more.
    pub(crate) fn end(&mut self, vshard: VshardId) {
        self.waiting.remove(&vshard);
        self.unasked.retain(|other| *other != vshard);
    }

    /// Whether nobody is waited for.
    pub(crate) fn is_complete(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_due_is_asked_once_and_the_rest_when_it_hurries() {
        let of = |ids: &[u16]| ids.iter().copied().map(VshardId::new).collect::<Vec<_>>();
        let mut flushing = Flushing::new(Lsn::FIRST, &of(&[9]), &of(&[3, 1, 2, 0]));
        assert_eq!((flushing.of(), flushing.begun(), flushing.left()), (4, 0, 4));
        assert_eq!(flushing.take_due(1), of(&[3]));
        assert_eq!(flushing.take_due(1), []);
        flushing.end(VshardId::new(9));
        flushing.end(VshardId::new(1));
        assert_eq!((flushing.begun(), flushing.left()), (2, 3), "flushed by itself");
        assert_eq!(flushing.take_due(2), []);
        assert_eq!(flushing.take_all(), of(&[2, 0, 3]), "those who were asked, again");
        assert!(!flushing.has_unasked() && flushing.take_due(9).is_empty());
        for id in of(&[0, 2, 3]) {
            assert!(!flushing.is_complete());
            flushing.end(id);
        }
        assert!(flushing.is_complete());
    }
}
