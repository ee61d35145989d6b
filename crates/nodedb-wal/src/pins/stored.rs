//! What is known of a named pin.

use nodedb_types::{Lsn, limits};
use std::collections::BTreeMap;

/// What a named pin may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PinPolicy {
    /// Most bytes of log that it may hold, counted from the beginning of its record's segment to the
    /// end of the log; beyond that a truncation invalidates it, unless that segment is the newest, which
    /// stays anyway. `None`: no limit, so a follower that
    /// never comes back fills the disk.
    pub max_bytes: Option<u64>,
}

/// Whether a named pin holds the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PinState {
    /// It does.
    Holding,
    /// It held more than its policy allows, or a lossy truncation cut the log before its record. It was
    /// given up, for good.
    Invalidated {
        /// Bytes of log that it held; 0 after a lossy truncation.
        bytes: u64,
        /// The last record of the log at that time.
        at: Option<Lsn>,
    },
}

/// A named pin, for reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PinInfo {
    /// Its name.
    pub name: String,
    /// The first record that it holds or, if it is invalidated, held.
    pub lsn: Lsn,
    /// Bytes of log from the beginning of that record's segment to the end; 0 if it is invalidated.
    pub bytes: u64,
    /// What it may cost.
    pub policy: PinPolicy,
    /// Whether it holds the log.
    pub state: PinState,
}

/// What PINS says of one pin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoredPin {
    pub(crate) lsn: Lsn,
    pub(crate) policy: PinPolicy,
    pub(crate) state: PinState,
}

/// What PINS says.
pub(crate) type StoredPins = BTreeMap<String, StoredPin>;

impl StoredPin {
    /// The report on it; `bytes_from` answers how much log a record and all behind it take.
    pub(crate) fn info(&self, name: &str, bytes_from: impl Fn(Lsn) -> u64) -> PinInfo {
        let bytes = match self.state {
            PinState::Holding => bytes_from(self.lsn),
            PinState::Invalidated { .. } => 0,
        };
        PinInfo {
            name: name.to_owned(),
            lsn: self.lsn,
            bytes,
            policy: self.policy,
            state: self.state,
        }
    }
}

/// Whether a name may be one of a pin: what stands in a file name, a label or a path without quotes.
pub(crate) fn is_name(name: &str) -> bool {
    let known =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=limits::NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(known)
}
