//! Reads the entries that an access names.

use super::{
    access::{Access, Probe},
    ranges::Range,
};
use crate::{
    Direction, DocumentEngine, DocumentError, ReadAt, ScanRange,
    row_key::{entry_of, field_prefix},
    row_range::{Edge, RowRange},
};
use bytes::Bytes;
use nodedb_types::IndexId;

/// Entries that are counted at most to find out which of several indexes covers a filter best.
const PROBED_MAX: usize = 512;
/// Entries that are read at most for a page. Above it every document is looked at, in the order of keys.
pub(super) const MATCHES_MAX: usize = 8192;

/// Keys that an access leads to, in the order of a scan.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) keys: Vec<Bytes>,
    /// Whether there are more behind the last.
    pub(super) more: bool,
}

/// The entries of a collection's indexes at one position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries<'e> {
    pub(super) engine: &'e DocumentEngine,
    /// Whose, and which keys in which order.
    pub(super) range: &'e ScanRange,
    pub(super) at: ReadAt,
}

impl Entries<'_> {
    /// The probes that together cover the access: of alternatives the one with the fewest entries.
    pub(super) fn choose<'a>(&self, access: &'a Access) -> Result<Vec<&'a Probe>, DocumentError> {
        match access {
            Access::Probe(probe) => Ok(vec![probe]),
            Access::Any(parts) => {
                let parts = parts.iter().map(|part| self.choose(part));
                Ok(parts.collect::<Result<Vec<_>, _>>()?.concat())
            }
            Access::Best(choices) => {
                let mut best = Vec::new();
                let mut rank = None;
                for choice in choices {
                    let probes = self.choose(choice)?;
                    let limit = rank.map_or(PROBED_MAX, |(entries, _)| entries);
                    let ranges = probes.iter().flat_map(|probe| probe.ranges.iter());
                    // Of two that are as large, one whose entries need not be sorted.
                    let sorted = ranges.clone().any(|range| range.point().is_none());
                    let new = (self.count(&probes, limit)?, sorted);
                    if rank.is_none_or(|rank| new < rank) {
                        (best, rank) = (probes, Some(new));
                    }
                }
                Ok(best)
            }
        }
    }

    /// The first `wanted` keys that the probes lead to. `None` if that takes too many entries.
    pub(super) fn window(
        &self,
        probes: &[&Probe],
        wanted: usize,
    ) -> Result<Option<Window>, DocumentError> {
        let mut window = Window { keys: Vec::new(), more: false };
        let mut left = MATCHES_MAX;
        for probe in probes {
            for range in probe.ranges.iter() {
                let whole = match range.point() {
                    Some(value) => self.of_value(&mut window, probe.index, value, wanted)?,
                    None => self.of_range(&mut window, probe.index, range, &mut left)?,
                };
                if !whole {
                    return Ok(None);
                }
            }
        }
        // Each value gave its first keys, so the first of all of them are here.
        let direction = self.range.direction;
        window.keys.sort_unstable_by(|one, other| direction.compare(one, other));
        window.keys.dedup();
        window.more |= window.keys.len() > wanted;
        window.keys.truncate(wanted);
        Ok(Some(window))
    }

    /// Adds the first keys of one value, whose entries are in the order of keys.
    fn of_value(
        &self,
        window: &mut Window,
        index: IndexId,
        value: &[u8],
        wanted: usize,
    ) -> Result<bool, DocumentError> {
        let head = [&*self.prefix(index), value].concat();
        let rows = self.range.rows_of(|key| [&*head, key].concat());
        let rows = self.engine.rows(&rows, self.range.direction, self.at)?;
        for (number, row) in rows.enumerate() {
            if number == wanted {
                window.more = true;
                break;
            }
            window.keys.push(row?.0.slice(head.len()..));
        }
        Ok(true)
    }

    /// Adds all keys of a range of values, whose entries are in the order of values. Answers `false` if
    /// there are too many.
    fn of_range(
        &self,
        window: &mut Window,
        index: IndexId,
        range: &Range,
        left: &mut usize,
    ) -> Result<bool, DocumentError> {
        for row in self.engine.rows(&self.rows(index, range), Direction::Ascending, self.at)? {
            let Some(fewer) = left.checked_sub(1) else {
                return Ok(false);
            };
            *left = fewer;
            let (row, _) = row?;
            let Some((_, key)) = entry_of(&row) else {
                return Err(self.engine.corrupt("an entry of an index has no value").into());
            };
            if self.range.has(key) {
                window.keys.push(row.slice(row.len() - key.len()..));
            }
        }
        Ok(true)
    }

    /// How many entries the probes have, counted up to a limit.
    pub(super) fn count(&self, probes: &[&Probe], limit: usize) -> Result<usize, DocumentError> {
        let mut count = 0_usize;
        for probe in probes {
            for range in probe.ranges.iter() {
                let rows = self.rows(probe.index, range);
                let rows = self.engine.rows(&rows, Direction::Ascending, self.at)?;
                for row in rows.take(limit - count) {
                    row?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    fn rows(&self, index: IndexId, range: &Range) -> RowRange {
        let prefix = self.prefix(index);
        let edge = |value: &super::ranges::Edge| {
            Edge::before([prefix.as_slice(), value.position().as_slice()].concat())
        };
        let (low, high) = (edge(range.low()), edge(range.high()));
        RowRange::prefix(prefix.clone()).starting(low).ending(high)
    }

    fn prefix(&self, index: IndexId) -> Vec<u8> {
        field_prefix(self.range.tenant, self.range.collection, index)
    }
}
