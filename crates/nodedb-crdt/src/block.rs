//! A block of changes of one peer: what loro would allocate and do for it.

use crate::{
    CrdtError,
    columns::{Runs, columns, skip_byte, skip_number},
    reader::Reader,
    value::{self, Skipped},
    weight::Weight,
};
use serde_columnar::{AnyRleDecoder, DeltaOfDeltaDecoder};
use std::panic::catch_unwind;

/// Most bytes that the positions of tree nodes may unfold to.
const POSITION_BYTES_MAX: u64 = 64 << 20;

/// Most changes of others that a block may build on. One that loro writes has a few thousand bytes.
const JOINS_MAX: u64 = 1 << 20;

/// What a block of changes has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct BlockHead {
    /// Whose changes they are.
    pub(crate) peer: u64,
    /// The number of the first operation.
    pub(crate) start: u32,
    /// How many operations there are.
    pub(crate) ops: u32,
    /// Operations of others that they build on, each by its peer and number.
    pub(crate) joins: Vec<(u64, u32)>,
    /// What they do to the document.
    pub(crate) cost: Skipped,
}

impl BlockHead {
    /// Reads the counts of a block, and checks that no part of it is larger than they say: columns are
    /// run-length encoded, so a few bytes could stand for a billion operations that count as none.
    pub(crate) fn read(block: &[u8]) -> Result<Self, CrdtError> {
        let mut reader = Reader::new(block);
        let start = reader.varint_u32()?;
        let ops = reader.varint_u32()?;
        let _lamports = (reader.varint_u32()?, reader.varint_u32()?);
        let changes = reader.varint_u32()?;
        if changes == 0 || changes > ops {
            return Err(CrdtError::invalid("a block has more changes than operations, or none"));
        }
        let (peer, joins) = check_header(Reader::new(reader.blob()?), changes)?;
        let _messages = reader.blob()?;
        let containers = containers(reader.blob()?);
        let _keys = reader.blob()?;
        check_positions(reader.blob()?, ops)?;
        let ops_columns = reader.blob()?;
        check_deletes(reader.blob()?, ops)?;
        let mut cost = check_ops(ops_columns, Reader::new(reader.blob()?), ops)?;
        cost.weight += Weight::block(joins.len() as u64, containers);
        Ok(Self { peer, start, ops, joins, cost })
    }
}

/// Peers, lengths of the changes, and what each builds on. Answers whose changes they are, and the
/// operations of others that they build on.
fn check_header(mut header: Reader<'_>, changes: u32) -> Result<(u64, Vec<(u64, u32)>), CrdtError> {
    let room = header.left() as u64;
    let count = header.varint()?;
    if count == 0 || count > room / 8 {
        return Err(CrdtError::invalid("a block names more peers than it has room for"));
    }
    let peer = header.u64_le()?;
    let mut peers = vec![peer];
    for _ in 1..count {
        peers.push(header.u64_le()?);
    }
    for _ in 1..changes {
        header.skip_varint()?;
    }
    // Whether each builds on the one before: lengths of runs that are false and true in turn.
    let mut left = u64::from(changes);
    while left > 0 {
        left = left.saturating_sub(header.varint()?);
    }
    // How many others each builds on. Each takes a bit at least further on.
    let (mut left, mut others) = (u64::from(changes), 0_u64);
    while left > 0 {
        let count = header.varint_signed()?;
        let run = count.unsigned_abs().min(left);
        for _ in 0..if count > 0 { 1 } else { run } {
            let each = if count > 0 { run } else { 1 };
            others = others.saturating_add(header.varint()?.saturating_mul(each));
        }
        if run == 0 || others > room.saturating_mul(8).min(JOINS_MAX) {
            return Err(CrdtError::invalid("a block builds on more changes than it has room for"));
        }
        left -= run;
    }
    let others = usize::try_from(others).ok().unwrap_or(usize::MAX);
    Ok((peer, read_joins(header, others, &peers)?))
}

/// What changes build on, each by the place of its peer and its number, in two columns.
fn read_joins(
    mut columns: Reader<'_>,
    count: usize,
    peers: &[u64],
) -> Result<Vec<(u64, u32)>, CrdtError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let columns = columns.take(columns.left())?;
    // The codec is somebody else's, and the bytes are anybody's.
    let read = catch_unwind(|| {
        let (places, rest) = AnyRleDecoder::<usize>::new(columns).take_n_finalize(count).ok()?;
        let numbers = DeltaOfDeltaDecoder::<u32>::new(rest).ok()?;
        let (numbers, _) = numbers.take_n_finalize(count).ok()?;
        let joins = places.into_iter().zip(numbers);
        joins.map(|(place, number)| Some((*peers.get(place)?, number))).collect()
    });
    let damaged = || CrdtError::invalid("what its changes build on is damaged");
    read.ok().flatten().ok_or_else(damaged)
}

/// How many containers a block names. Only an estimate rests on it, so what cannot be read is none.
fn containers(table: &[u8]) -> u64 {
    Reader::new(table).varint().unwrap_or(0).min(table.len() as u64)
}

/// Positions of tree nodes, each as what it shares with the one before and the rest.
fn check_positions(positions: &[u8], ops: u32) -> Result<(), CrdtError> {
    if positions.is_empty() {
        return Ok(());
    }
    let [shared, rests] = columns(positions)?;
    let mut shared = Runs::new(shared, u64::from(ops));
    let mut total = 0_u64;
    while let Some((count, mut values)) = shared.next(skip_number)? {
        for place in 0..count {
            let mut value = values;
            total = total.saturating_add(value.varint()?);
            if shared.is_literal() && place + 1 < count {
                values = value;
            }
            if total > POSITION_BYTES_MAX {
                return Err(CrdtError::invalid("the positions of its tree nodes are too long"));
            }
        }
    }
    if total.saturating_add(rests.len() as u64) > POSITION_BYTES_MAX {
        return Err(CrdtError::invalid("the positions of its tree nodes are too long"));
    }
    Ok(())
}

/// Where deletes begin: peers, numbers and lengths.
fn check_deletes(deletes: &[u8], ops: u32) -> Result<(), CrdtError> {
    if deletes.is_empty() {
        return Ok(());
    }
    let columns: [&[u8]; 3] = columns(deletes)?;
    for column in columns {
        let mut runs = Runs::new(column, u64::from(ops));
        while runs.next(skip_number)?.is_some() {}
    }
    Ok(())
}

/// Container, property, kind of value and length of each operation, and the values.
fn check_ops(ops_columns: &[u8], mut values: Reader<'_>, ops: u32) -> Result<Skipped, CrdtError> {
    let mut all = Skipped::default();
    let [containers, properties, kinds, lengths] = columns(ops_columns)?;
    for column in [containers, properties] {
        let mut runs = Runs::new(column, u64::from(ops));
        while runs.next(skip_number)?.is_some() {}
    }
    let mut kinds = Runs::new(kinds, u64::from(ops));
    while let Some((count, mut kind)) = kinds.next(skip_byte)? {
        let mut current = 0;
        for place in 0..count {
            if place == 0 || kinds.is_literal() {
                current = kind.u8()?;
            }
            let one = value::skip(current, &mut values)?;
            all.add(&one);
        }
    }
    let mut left = u64::from(ops);
    let mut lengths = Runs::new(lengths, left);
    while let Some((count, mut length)) = lengths.next(skip_number)? {
        let mut current = 0;
        for place in 0..count {
            if place == 0 || lengths.is_literal() {
                current = length.varint()?;
            }
            let rest = left.checked_sub(current).filter(|_| current > 0);
            left = rest.ok_or_else(|| CrdtError::invalid("its operations are miscounted"))?;
        }
    }
    if left > 0 {
        return Err(CrdtError::invalid("its operations are miscounted"));
    }
    Ok(all)
}
