//! The history in a snapshot, and how fragmented the texts in its state are.
//!
//! A snapshot is a table of change blocks, then a table of the state that they come to, then one of the
//! state at the start of its history if that is not the beginning. A table has blocks of sorted keys and
//! values, compressed or not, and a list of the blocks at its end.

use crate::{
    CrdtError, CrdtLimits,
    columns::{Runs, skip_number},
    inspect::update_of,
    reader::Reader,
};
use lz4_flex::frame::FrameDecoder;
use std::io::Read;

/// Bytes of the keys of change blocks: peer and number. Shorter keys are about the table as a whole.
const CHANGE_KEY_BYTES: usize = 12;
/// A block holds one value only.
const LARGE: u8 = 0x80;
/// The kind of a container that is a text.
const TEXT: u8 = 2;

/// The history of a snapshot as an update.
pub(crate) fn of_snapshot(
    mut snapshot: Reader<'_>,
    limits: &CrdtLimits,
) -> Result<Vec<u8>, CrdtError> {
    let [changes, _state, earlier] =
        [section(&mut snapshot)?, section(&mut snapshot)?, section(&mut snapshot)?];
    if !earlier.is_empty() {
        let message = "a shallow snapshot lacks the history that others build on";
        return Err(CrdtError::invalid(message));
    }
    let mut blocks = Vec::new();
    read_table(changes, limits.update_bytes_max, |key_bytes, value| {
        if key_bytes == CHANGE_KEY_BYTES {
            add_block(&mut blocks, value);
        }
    })?;
    Ok(update_of(&blocks))
}

/// The pieces of all texts in the state of a snapshot that was made here. Each takes as much memory as an
/// operation, although the history has one operation for many.
pub(crate) fn text_pieces(mut snapshot: Reader<'_>, room: usize) -> Result<u64, CrdtError> {
    let [_changes, state, _earlier] =
        [section(&mut snapshot)?, section(&mut snapshot)?, section(&mut snapshot)?];
    let mut pieces = 0_u64;
    read_table(state, room, |_, container| {
        // What is no container has none.
        pieces = pieces.saturating_add(pieces_of(Reader::new(container)).unwrap_or(0));
    })?;
    Ok(pieces)
}

/// The pieces of a container's state: of a text, or none.
fn pieces_of(mut container: Reader<'_>) -> Result<u64, CrdtError> {
    if container.u8()? != TEXT {
        return Ok(0);
    }
    let _depth = container.varint()?;
    if container.u8()? != 0 {
        // Which container holds it: a root by its name, another one by its peer and number.
        if container.varint()? == 0 {
            container.blob()?;
        } else {
            container.varint()?;
            container.skip_varint()?;
        }
        container.u8()?;
    }
    let _text = container.blob()?;
    let peers = usize::try_from(container.varint()?).ok().ok_or_else(damaged)?;
    container.take(peers.checked_mul(8).ok_or_else(damaged)?)?;
    if container.varint()? != 3 || container.varint()? != 4 {
        return Err(damaged());
    }
    let mut runs = Runs::new(container.blob()?, u64::MAX);
    let mut pieces = 0_u64;
    while let Some((count, _)) = runs.next(skip_number)? {
        pieces = pieces.saturating_add(count);
    }
    Ok(pieces)
}

fn section<'a>(snapshot: &mut Reader<'a>) -> Result<&'a [u8], CrdtError> {
    let length = snapshot.u32_le()?;
    snapshot.take(usize::try_from(length).ok().ok_or_else(damaged)?)
}

/// A block of a table.
struct BlockMeta<'a> {
    offset: usize,
    first_key: &'a [u8],
    flags: u8,
}

/// Hands on the length of the key, and the value, of each entry of a table. Its blocks may unfold to `room`
/// bytes together.
fn read_table(
    table: &[u8],
    mut room: usize,
    mut visit: impl FnMut(usize, &[u8]),
) -> Result<(), CrdtError> {
    if table.is_empty() {
        return Ok(());
    }
    let mut head = Reader::new(table);
    if head.take(4)? != b"LORO" || head.u8()? != 0 {
        return Err(CrdtError::invalid("its history is of an unknown encoding"));
    }
    let (rest, end) = table.split_last_chunk().ok_or_else(damaged)?;
    let end = usize::try_from(u32::from_le_bytes(*end)).ok().ok_or_else(damaged)?;
    let metas = block_metas(Reader::new(rest.get(end..).ok_or_else(damaged)?))?;
    let ends = metas.iter().skip(1).map(|meta| meta.offset).chain([end]);
    for (meta, end) in metas.iter().zip(ends) {
        let block = rest.get(meta.offset..end).ok_or_else(damaged)?;
        // The checksum at its end is covered by the one of the whole snapshot.
        let (block, _checksum) = block.split_last_chunk::<4>().ok_or_else(damaged)?;
        let block = unfold(block, meta.flags & !LARGE, &mut room)?;
        if meta.flags & LARGE == 0 {
            read_block(meta.first_key, &block, &mut visit)?;
        } else {
            visit(meta.first_key.len(), &block);
        }
    }
    Ok(())
}

fn unfold(block: &[u8], compression: u8, room: &mut usize) -> Result<Vec<u8>, CrdtError> {
    let unfolded = match compression {
        0 => block.to_vec(),
        1 => {
            let mut unfolded = Vec::new();
            let limit = (*room as u64).saturating_add(1);
            let read = FrameDecoder::new(block).take(limit).read_to_end(&mut unfolded);
            read.ok().ok_or_else(damaged)?;
            unfolded
        }
        _ => return Err(CrdtError::invalid("its history is compressed in an unknown way")),
    };
    *room = room
        .checked_sub(unfolded.len())
        .ok_or_else(|| CrdtError::invalid("its history unfolds beyond the limit of an update"))?;
    Ok(unfolded)
}

/// Reads a block of several values: entries, then where each begins, then how many there are.
fn read_block(
    first_key: &[u8],
    block: &[u8],
    visit: &mut impl FnMut(usize, &[u8]),
) -> Result<(), CrdtError> {
    let (block, count) = block.split_last_chunk().ok_or_else(damaged)?;
    let count = usize::from(u16::from_le_bytes(*count));
    let entries = block.len().checked_sub(2 * count).ok_or_else(damaged)?;
    let (entries, offsets) = block.split_at(entries);
    let (offsets, _) = offsets.as_chunks::<2>();
    let offset = |place: usize| {
        let offset = offsets.get(place).map(|offset| usize::from(u16::from_le_bytes(*offset)));
        offset.unwrap_or(entries.len())
    };
    for place in 0..count {
        let entry = entries.get(offset(place)..offset(place + 1)).ok_or_else(damaged)?;
        let mut entry = Reader::new(entry);
        let mut key_bytes = first_key.len();
        if place > 0 {
            let shared = usize::from(entry.u8()?);
            let rest = usize::from(entry.u16_le()?);
            entry.take(rest)?;
            key_bytes = shared + rest;
        }
        visit(key_bytes, entry.take(entry.left())?);
    }
    Ok(())
}

/// Adds a change block, with its length in front.
fn add_block(blocks: &mut Vec<u8>, block: &[u8]) {
    let mut length = block.len();
    while length >= 0x80 {
        blocks.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    blocks.push(u8::try_from(length).unwrap_or_default());
    blocks.extend_from_slice(block);
}

fn block_metas(mut reader: Reader<'_>) -> Result<Vec<BlockMeta<'_>>, CrdtError> {
    let count = reader.u32_le()?;
    let mut metas: Vec<BlockMeta<'_>> = Vec::new();
    for _ in 0..count {
        let offset = usize::try_from(reader.u32_le()?).ok().ok_or_else(damaged)?;
        let first_key = key(&mut reader)?;
        let flags = reader.u8()?;
        if flags & LARGE == 0 {
            key(&mut reader)?;
        }
        metas.push(BlockMeta { offset, first_key, flags });
    }
    Ok(metas)
}

fn key<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], CrdtError> {
    let length = reader.u16_le()?;
    reader.take(usize::from(length))
}

fn damaged() -> CrdtError {
    CrdtError::invalid("its history is damaged")
}
