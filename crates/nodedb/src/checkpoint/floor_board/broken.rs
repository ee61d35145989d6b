//! The test-only switches of the board.

use super::FloorBoard;
use crate::checkpoint::Mutation;
use nodedb_types::VshardId;
use std::collections::BTreeSet;

/// Which rule is broken, and what the broken ones look at.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Broken {
    rule: Option<Mutation>,
    answered: BTreeSet<VshardId>,
    declined: BTreeSet<VshardId>,
}

impl Broken {
    pub(super) fn believes_old_lives(&self) -> bool {
        self.rule == Some(Mutation::AcceptOldLife)
    }

    pub(super) fn counts(&self, vshard: VshardId) -> bool {
        match self.rule {
            Some(Mutation::SkipFailed) => !self.declined.contains(&vshard),
            Some(Mutation::MinOverResponders) => self.answered.contains(&vshard),
            _ => true,
        }
    }
}

impl FloorBoard {
    pub(crate) fn break_rule(&mut self, rule: Mutation) {
        self.broken.rule = Some(rule);
    }

    /// A round asks anew. What is noted is part of the state only while a rule needs it.
    pub(crate) fn note_asked(&mut self) {
        self.broken.answered.clear();
        self.broken.declined.clear();
    }

    pub(crate) fn note_answered(&mut self, vshard: VshardId) {
        if self.broken.rule.is_some() {
            self.broken.answered.insert(vshard);
        }
    }

    pub(crate) fn note_declined(&mut self, vshard: VshardId) {
        if self.broken.rule.is_some() {
            self.broken.declined.insert(vshard);
        }
    }
}
