//! Version vectors as bytes and as text.

use crate::CrdtError;
use loro::{PeerID, VersionRange, VersionVector};
use nodedb_types::{from_hex, to_hex};
use std::collections::BTreeMap;

/// Longest encoded version vector that is read, in bytes: some hundred thousand peers.
const VERSION_BYTES_MAX: usize = 4 << 20;

/// The text of a version, for command lines and JSON.
pub fn version_to_hex(version: &[u8]) -> String {
    to_hex(version)
}

/// The version of a text that [`version_to_hex`] wrote.
///
/// # Errors
/// [`CrdtError::InvalidVersion`] if it is not hexadecimal, or no version vector.
pub fn version_from_hex(text: &str) -> Result<Vec<u8>, CrdtError> {
    let bytes = from_hex(text)
        .ok_or_else(|| CrdtError::InvalidVersion { version: text.chars().take(80).collect() })?;
    decode(&bytes).map(|_| bytes)
}

pub(crate) fn decode(bytes: &[u8]) -> Result<VersionVector, CrdtError> {
    let readable = bytes.len() <= VERSION_BYTES_MAX;
    let version = readable.then(|| VersionVector::decode(bytes).ok()).flatten();
    // A count below zero is no position; loro takes it at its word.
    version.filter(|version| version.iter().all(|(_, counter)| *counter >= 0)).ok_or_else(|| {
        CrdtError::InvalidVersion { version: to_hex(bytes.get(..40).unwrap_or(bytes)) }
    })
}

/// How many operations a range has.
pub(crate) fn count(range: &VersionRange) -> u64 {
    let lengths = range.iter().map(|(_, (from, to))| u64::try_from(to - from).unwrap_or(0));
    lengths.sum()
}

/// Where some news begin: of each peer that they are of, the first operation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Begin(Vec<(PeerID, i32)>);

impl Begin {
    pub(crate) fn of(news: &VersionRange) -> Self {
        Self(news.iter().map(|(peer, (from, _))| (*peer, *from)).collect())
    }

    /// Begins no later than other news.
    pub(crate) fn lower(&mut self, other: &Self) {
        for (peer, from) in &other.0 {
            match self.0.iter_mut().find(|(known, _)| known == peer) {
                Some((_, first)) => *first = (*first).min(*from),
                None => self.0.push((*peer, *from)),
            }
        }
    }

    /// What a document had before, that has `version` with the news.
    pub(crate) fn before(&self, mut version: VersionVector) -> VersionVector {
        for (peer, from) in &self.0 {
            match *from {
                0 => drop(version.remove(peer)),
                from => drop(version.insert(*peer, from)),
            }
        }
        version
    }

    /// Whether some updates begin just there.
    pub(crate) fn is_start_of(&self, start: &VersionVector) -> bool {
        self.0.len() == start.len()
            && self.0.iter().all(|(peer, from)| start.get(peer) == Some(from))
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.0.capacity() * size_of::<(PeerID, i32)>()
    }
}

/// Names the operations that an update builds on and `known` lacks.
///
/// `pending` are the ranges that had to wait, `start` the last operations that the update as a whole
/// builds on.
pub(crate) fn missing(
    known: &VersionVector,
    pending: &VersionRange,
    start: impl Iterator<Item = loro::ID>,
) -> String {
    let waiting = pending.iter().map(|(peer, (from, _))| (*peer, *from));
    let needed = start.map(|id| (id.peer, id.counter.saturating_add(1)));
    let mut ends = BTreeMap::new();
    for (peer, end) in waiting.chain(needed) {
        let known = known.get(&peer).copied().unwrap_or(0);
        if end > known {
            let range = ends.entry(peer).or_insert((known, end));
            range.1 = range.1.max(end);
        }
    }
    if ends.is_empty() {
        // A change in the middle waits for a peer that only its own bytes name.
        ends.extend(pending.iter().map(|(peer, range)| (*peer, *range)));
    }
    let ranges: Vec<_> =
        ends.iter().map(|(peer, (from, to))| format!("{peer}: {from}..{to}")).collect();
    ranges.join(", ")
}
