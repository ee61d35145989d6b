//! Reads the entries that an access names.

use super::{
    access::{Access, Probe},
    ranges::Range,
};
use crate::{
    Direction, DocumentEngine, DocumentError, ReadAt, ScanRange,
    allowance::Allowance,
    merged_rows::MergedRows,
    row_key::{entry_of, field_prefix},
    row_range::{Edge, RowRange},
};
use bytes::Bytes;
use nodedb_types::IndexId;
use std::{cmp::Ordering, collections::BinaryHeap};

/// Entries that are counted at most to find out which of several indexes covers a filter best.
const PROBED_MAX: usize = 512;
/// Entries that are read at most for a page, deleted ones counted. A page of single values ends there; where
/// entries must be sorted first, every document is looked at instead, in the order of keys.
pub(super) const MATCHES_MAX: usize = 8192;

/// And about their bytes: values and keys may be long.
const MATCHES_BYTES_MAX: usize = 2 << 20;

/// Keys that an access leads to, in the order of a scan.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) keys: Vec<Bytes>,
    /// Where to go on: none of the keys lies behind it, and all that lie before it are here. `None` if
    /// there are no more.
    pub(super) next: Option<Bytes>,
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
        let mut allowance = Allowance::new(MATCHES_MAX, MATCHES_BYTES_MAX, self.engine.clock());
        let mut keys = Vec::new();
        let mut values = Vec::new();
        for probe in probes {
            for range in probe.ranges.iter() {
                if let Some(value) = range.point() {
                    values.push(self.of_value(probe.index, value)?);
                } else if !self.of_range(&mut keys, probe.index, range, &mut allowance)? {
                    return Ok(None);
                }
            }
        }
        let mut ordered = OrderedKeys { direction: self.range.direction, values };
        let next = ordered.append_to(&mut keys, wanted, &mut allowance)?;
        Ok(Some(self.in_order(keys, next, wanted)))
    }

    /// The keys in the order of the scan, each once, up to the place where they may not be all.
    fn in_order(&self, mut keys: Vec<Bytes>, next: Option<Bytes>, wanted: usize) -> Window {
        let direction = self.range.direction;
        keys.sort_unstable_by(|one, other| direction.compare(one, other));
        keys.dedup();
        if let Some(next) = &next {
            let known = |key: &Bytes| direction.compare(key, next) != Ordering::Greater;
            keys.truncate(keys.partition_point(known));
        }
        if keys.len() > wanted {
            keys.truncate(wanted);
            let next = keys.last().cloned();
            return Window { keys, next };
        }
        Window { keys, next }
    }

    /// The entries of one value, which are in the order of keys.
    fn of_value(&self, index: IndexId, value: &[u8]) -> Result<ValueKeys<'_>, DocumentError> {
        let head = [&*self.prefix(index), value].concat();
        let rows = self.range.rows_of(|key| [&*head, key].concat());
        let rows = self.engine.rows(&rows, self.range.direction, self.at)?;
        Ok(ValueKeys { head_bytes: head.len(), rows })
    }

    /// Adds all keys of a range of values, whose entries are in the order of values. Answers `false` if
    /// there are too many.
    fn of_range(
        &self,
        keys: &mut Vec<Bytes>,
        index: IndexId,
        range: &Range,
        allowance: &mut Allowance<'_>,
    ) -> Result<bool, DocumentError> {
        for row in self.engine.rows(&self.rows(index, range), Direction::Ascending, self.at)? {
            let (row, stored) = row?;
            if !allowance.take(row.len()) {
                return Ok(false);
            }
            if stored.is_none() {
                continue;
            }
            let Some((_, key)) = entry_of(&row) else {
                return Err(self.engine.corrupt("an entry of an index has no value").into());
            };
            if self.range.has(key) {
                keys.push(row.slice(row.len() - key.len()..));
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

/// The entries of one value of an index, in the order of a scan.
struct ValueKeys<'e> {
    head_bytes: usize,
    rows: MergedRows<'e>,
}

/// The entries of many values, merged: the first keys of all of them are found by reading little more
/// than those, however many entries each value has.
struct OrderedKeys<'e> {
    direction: Direction,
    values: Vec<ValueKeys<'e>>,
}

/// Which of the values has its turn next: the one whose next key comes first.
#[derive(PartialEq, Eq)]
struct Turn {
    key: Bytes,
    direction: Direction,
    /// Which value.
    number: usize,
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        // The greatest is on top of a heap, and the first key has to be.
        self.direction.compare(&other.key, &self.key).then(other.number.cmp(&self.number))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl OrderedKeys<'_> {
    /// Adds the first keys, at most `wanted` of them. Answers where to go on, if there may be more.
    fn append_to(
        &mut self,
        keys: &mut Vec<Bytes>,
        wanted: usize,
        allowance: &mut Allowance<'_>,
    ) -> Result<Option<Bytes>, DocumentError> {
        let mut turns = BinaryHeap::new();
        for number in 0..self.values.len() {
            turns.extend(self.turn(number)?);
        }
        let (mut added, mut ended) = (0_usize, false);
        while let Some(Turn { key, number, .. }) = turns.pop() {
            let Some(row) = self.values.get_mut(number).and_then(|value| value.rows.next()) else {
                continue;
            };
            let (row, stored) = row?;
            turns.extend(self.turn(number)?);
            if stored.is_some() {
                keys.push(key.clone());
                added += 1;
            }
            ended |= !allowance.take(row.len()) || added >= wanted;
            // A key that has left one value may have come to another one: all or none of its entries.
            if ended && turns.peek().is_some_and(|next| next.key != key) {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// The turn of a value, unless it has no more entries.
    fn turn(&mut self, number: usize) -> Result<Option<Turn>, DocumentError> {
        let Some(value) = self.values.get_mut(number) else {
            return Ok(None);
        };
        match value.rows.peek() {
            Some(row) => {
                let key = row.slice(value.head_bytes..);
                Ok(Some(Turn { key, direction: self.direction, number }))
            }
            // The end, or an error that is to be told.
            None => Ok(value.rows.next().transpose()?.and(None)),
        }
    }
}
