//! What shall go wrong, and when.

use crate::{errno, names::Inode};
use std::{collections::BTreeSet, io};

#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) sync: Countdown,
    pub(crate) write: Countdown,
    pub(crate) dir_sync: Countdown,
    /// Files whose bytes the disk cannot give back.
    pub(crate) unreadable: BTreeSet<Inode>,
    /// Bytes that all files together may have.
    pub(crate) quota: Option<u64>,
    /// Number of mutating operations after which the machine is dead.
    pub(crate) dead_at: Option<u64>,
}

impl Faults {
    pub(crate) fn check_alive(&self, operations: u64) -> io::Result<()> {
        if self.dead_at.is_some_and(|at| operations >= at) {
            return Err(io::Error::other("the simulated machine is dead"));
        }
        Ok(())
    }

    pub(crate) fn check_readable(&self, inode: Inode) -> io::Result<()> {
        if self.unreadable.contains(&inode) {
            return errno::fail(errno::INPUT_OUTPUT);
        }
        Ok(())
    }

    /// The faults that a reboot does not cure.
    pub(crate) fn after_crash(&self) -> Self {
        Self { unreadable: self.unreadable.clone(), quota: self.quota, ..Self::default() }
    }
}

/// Fires once, at the n-th call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Countdown {
    left: Option<u64>,
}

impl Countdown {
    /// 1 is the next call.
    pub(crate) fn set(&mut self, nth: u64) {
        assert!(nth > 0, "calls are counted from 1");
        self.left = Some(nth);
    }

    pub(crate) fn fires(&mut self) -> bool {
        let fires = self.left == Some(1);
        self.left = self.left.filter(|left| *left > 1).map(|left| left - 1);
        fires
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_countdown_fires_once() {
        let mut countdown = Countdown::default();
        assert!(!countdown.fires());
        countdown.set(2);
        assert_eq!([(); 4].map(|()| countdown.fires()), [false, true, false, false]);
    }
}
