//! The history in a snapshot.
//!
//! A snapshot is a table of change blocks, then a table of the state that they come to, then one of the
//! state at the start of its history if that is not the beginning. A table has blocks of sorted keys and
//! values, compressed or not, and a list of the blocks at its end.

use crate::{CrdtError, CrdtLimits, inspect::update_of, reader::Reader};
use lz4_flex::frame::FrameDecoder;
use std::io::Read;

/// Bytes of the keys of change blocks: peer and number. Shorter keys are about the table as a whole.
const CHANGE_KEY_BYTES: usize = 12;
/// A block holds one value only.
const LARGE: u8 = 0x80;

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
    let mut history = History { blocks: Vec::new(), room: limits.update_bytes_max };
    history.read_table(changes)?;
    Ok(update_of(&history.blocks))
}

fn section<'a>(snapshot: &mut Reader<'a>) -> Result<&'a [u8], CrdtError> {
    let length = snapshot.u32_le()?;
    snapshot.take(usize::try_from(length).ok().ok_or_else(damaged)?)
}

/// Change blocks, each with its length in front.
struct History {
    blocks: Vec<u8>,
    /// Bytes that blocks may still unfold to.
    room: usize,
}

/// A block of a table.
struct BlockMeta<'a> {
    offset: usize,
    first_key: &'a [u8],
    flags: u8,
}

impl History {
    fn read_table(&mut self, table: &[u8]) -> Result<(), CrdtError> {
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
            let block = self.unfold(block, meta.flags & !LARGE)?;
            if meta.flags & LARGE == 0 {
                self.read_block(meta.first_key, &block)?;
            } else {
                self.add(meta.first_key.len(), &block);
            }
        }
        Ok(())
    }

    fn unfold(&mut self, block: &[u8], compression: u8) -> Result<Vec<u8>, CrdtError> {
        let unfolded = match compression {
            0 => block.to_vec(),
            1 => {
                let mut unfolded = Vec::new();
                let limit = self.room as u64 + 1;
                let read = FrameDecoder::new(block).take(limit).read_to_end(&mut unfolded);
                read.ok().ok_or_else(damaged)?;
                unfolded
            }
            _ => return Err(CrdtError::invalid("its history is compressed in an unknown way")),
        };
        let room = self.room.checked_sub(unfolded.len());
        self.room = room.ok_or_else(|| {
            CrdtError::invalid("its history unfolds beyond the limit of an update")
        })?;
        Ok(unfolded)
    }

    /// Reads a block of several values: entries, then where each begins, then how many there are.
    fn read_block(&mut self, first_key: &[u8], block: &[u8]) -> Result<(), CrdtError> {
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
            let value = entry.take(entry.left())?;
            self.add(key_bytes, value);
        }
        Ok(())
    }

    fn add(&mut self, key_bytes: usize, value: &[u8]) {
        if key_bytes != CHANGE_KEY_BYTES {
            return;
        }
        let mut length = value.len();
        while length >= 0x80 {
            self.blocks.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
            length >>= 7;
        }
        self.blocks.push(u8::try_from(length).unwrap_or_default());
        self.blocks.extend_from_slice(value);
    }
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
