//! CONTROL: what recovery must know before it reads the log, in two slots written in place.

use crate::{WalError, format::VERSION, recovery::Shape, segment::name::CONTROL};
use crc32c::crc32c;
use nodedb_env::{Env, File, Open};
use nodedb_types::{ByteReader, DecodeError, LogEpoch, Lsn, limits};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const MAGIC: [u8; 8] = *b"KWALCTL\x01";
const SLOT_PAGE: u64 = 4096;
const CRC_AT: usize = 508;
const CLEAN: u32 = 1;

/// What CONTROL holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Control {
    /// Which log it is.
    pub log_id: [u8; 16],
    /// Counts the writes of CONTROL; the higher slot is the newer.
    pub generation: u64,
    /// The life of the log that wrote it.
    pub epoch: LogEpoch,
    /// Size of every segment file, in bytes.
    pub segment_bytes: u64,
    /// The first record that recovery of the engines needs.
    pub redo: Lsn,
    /// The last checkpoint record.
    pub checkpoint_record: Option<Lsn>,
    /// Records up to this one were durable when it was written.
    pub durable: Option<Lsn>,
    /// Records up to this one are verified in the archive.
    pub archived: Option<Lsn>,
    /// Number of the oldest segment that must be there.
    pub oldest_segment: u64,
    /// Number of the newest segment that must be there.
    pub newest_segment: u64,
    /// Whether the log was closed in order and not opened since.
    pub clean_shutdown: bool,
}

impl Control {
    pub(crate) const fn shape(&self) -> Shape {
        Shape { log_id: self.log_id, segment_bytes: self.segment_bytes }
    }

    fn encode(&self) -> Vec<u8> {
        let mut slot = Vec::with_capacity(CRC_AT + 4);
        slot.extend_from_slice(&MAGIC);
        slot.extend_from_slice(&VERSION.to_le_bytes());
        slot.extend_from_slice(&VERSION.to_le_bytes());
        let flags = if self.clean_shutdown { CLEAN } else { 0 };
        slot.extend_from_slice(&flags.to_le_bytes());
        slot.extend_from_slice(&self.generation.to_le_bytes());
        slot.extend_from_slice(&self.log_id);
        slot.extend_from_slice(&self.epoch.get().to_le_bytes());
        slot.extend_from_slice(&[0; 4]);
        for field in [
            self.segment_bytes,
            self.redo.get(),
            Lsn::encode(self.checkpoint_record),
            Lsn::encode(self.durable),
            Lsn::encode(self.archived),
            self.oldest_segment,
            self.newest_segment,
        ] {
            slot.extend_from_slice(&field.to_le_bytes());
        }
        slot.resize(CRC_AT, 0);
        let crc = crc32c(&slot);
        slot.extend_from_slice(&crc.to_le_bytes());
        slot
    }

    /// Reads a slot: `None` if it is damaged.
    ///
    /// # Errors
    /// `UnsupportedFormat` if a newer version wrote it and forbids older ones.
    fn decode(slot: &[u8], path: &Path) -> Result<Option<Self>, WalError> {
        let Some((covered, rest)) = slot.split_at_checked(CRC_AT) else {
            return Ok(None);
        };
        let stored = rest.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        if !covered.starts_with(&MAGIC) || stored != Some(crc32c(covered)) {
            return Ok(None);
        }
        let Ok((reader_min, control)) = Self::fields(covered) else {
            return Ok(None);
        };
        if reader_min > VERSION {
            return Err(WalError::UnsupportedFormat {
                path: path.to_owned(),
                found: reader_min,
                supported: VERSION,
            });
        }
        Ok(Some(control))
    }

    fn fields(covered: &[u8]) -> Result<(u16, Self), DecodeError> {
        let mut reader = ByteReader::new(covered);
        let _magic = reader.array::<8>("magic")?;
        let _version = reader.u16("format version")?;
        let reader_min = reader.u16("oldest version that may read it")?;
        let clean_shutdown = reader.u32("flags")? & CLEAN != 0;
        let generation = reader.u64("generation")?;
        let log_id = reader.array("log id")?;
        let epoch = LogEpoch::new(reader.u32("log epoch")?);
        let _reserved = reader.u32("reserved")?;
        let control = Self {
            log_id,
            generation,
            epoch,
            segment_bytes: reader.u64("segment size")?,
            redo: reader.lsn("redo lsn")?,
            checkpoint_record: reader.position("checkpoint record")?,
            durable: reader.position("durable lsn")?,
            archived: reader.position("archived lsn")?,
            oldest_segment: reader.u64("oldest segment")?,
            newest_segment: reader.u64("newest segment")?,
            clean_shutdown,
        };
        control.check_ranges()?;
        Ok((reader_min, control))
    }

    /// Refuses what no log reaches, so that what follows it can be counted.
    fn check_ranges(&self) -> Result<(), DecodeError> {
        let out_of_range = |field, value| Err(DecodeError::OutOfRange { field, value });
        let sizes = limits::SEGMENT_BYTES_MIN..=limits::SEGMENT_BYTES_MAX;
        if !sizes.contains(&self.segment_bytes) || !self.segment_bytes.is_multiple_of(4096) {
            return out_of_range("segment size", self.segment_bytes);
        }
        for (field, value) in [
            ("log epoch", u64::from(self.epoch.get()) << 32),
            ("generation", self.generation),
            ("redo lsn", self.redo.get()),
            ("durable lsn", Lsn::encode(self.durable)),
            ("oldest segment", self.oldest_segment),
            ("newest segment", self.newest_segment),
        ] {
            if value > u64::MAX / 2 {
                return out_of_range(field, value);
            }
        }
        Ok(())
    }
}

/// The open CONTROL file.
#[derive(Debug)]
pub(crate) struct ControlFile {
    file: Arc<dyn File>,
    path: PathBuf,
    state: Control,
    /// Whether the log is closed. The directory may have another owner then.
    closed: bool,
}

impl ControlFile {
    /// Makes CONTROL of a new log. Written last, so that a directory without it is no log yet.
    ///
    /// # Errors
    /// `Io` or `NoSpace`.
    pub(crate) fn create(env: &Env, dir: &Path, state: Control) -> Result<Self, WalError> {
        let path = dir.join(CONTROL);
        let mut bytes = Vec::new();
        for (slot, end) in [(state, SLOT_PAGE), (state, 2 * SLOT_PAGE)] {
            bytes.extend_from_slice(&slot.encode());
            bytes.resize(crate::format::in_memory(end), 0);
        }
        // Whole and durable before it has its name: a torn CONTROL would be a damaged log.
        env.files.replace(&path, &bytes).map_err(WalError::io("create", &path))?;
        let file = env.files.open(&path, Open::ReadWrite).map_err(WalError::io("open", &path))?;
        Ok(Self { file, path, state, closed: false })
    }

    /// Opens CONTROL of a log whose state is known, for writing.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn open(env: &Env, dir: &Path, state: Control) -> Result<Self, WalError> {
        let path = dir.join(CONTROL);
        let file = env.files.open(&path, Open::ReadWrite).map_err(WalError::io("open", &path))?;
        Ok(Self { file, path, state, closed: false })
    }

    pub(crate) const fn state(&self) -> Control {
        self.state
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Marks the shutdown as clean. Nothing is written after it.
    ///
    /// # Errors
    /// `Io`; the log must then be opened again.
    pub(crate) fn close(&mut self, durable: Option<Lsn>) -> Result<(), WalError> {
        self.write_both(|state| {
            state.durable = durable;
            state.clean_shutdown = true;
        })?;
        self.closed = true;
        Ok(())
    }

    /// Writes one slot and syncs it. The other one keeps the state before.
    ///
    /// # Errors
    /// `Io`; the log must then be opened again.
    pub(crate) fn write(&mut self, change: impl FnOnce(&mut Control)) -> Result<(), WalError> {
        let mut next = self.state;
        change(&mut next);
        next.generation = self.state.generation + 1;
        // The slot that is not the newest: a write that is torn costs only what it replaces.
        let offset = (next.generation % 2) * SLOT_PAGE;
        self.file
            .write_all_at(&next.encode(), offset)
            .map_err(WalError::io("write", &self.path))?;
        self.file.sync_data().map_err(WalError::io("sync", &self.path))?;
        self.state = next;
        Ok(())
    }

    /// Writes both slots, one after the other, so that either alone tells the new state.
    ///
    /// # Errors
    /// `Io`; the log must then be opened again.
    pub(crate) fn write_both(&mut self, change: impl FnOnce(&mut Control)) -> Result<(), WalError> {
        self.write(change)?;
        self.write(|_| {})
    }
}

/// What was read of CONTROL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadControl {
    pub(crate) newest: Control,
    /// How many of the two slots are intact.
    pub(crate) intact: usize,
}

/// Reads CONTROL; `None` if there is none.
///
/// # Errors
/// `ControlCorrupt`, `UnsupportedFormat`, `Io`.
pub(crate) fn read(env: &Env, dir: &Path) -> Result<Option<ReadControl>, WalError> {
    let path = dir.join(CONTROL);
    let found = env.files.entry(&path).map_err(WalError::io("look at", &path))?;
    let corrupt = |reason| WalError::ControlCorrupt { path: path.clone(), reason };
    match found {
        None => return Ok(None),
        Some(entry) if entry.len != 2 * SLOT_PAGE => return Err(corrupt("it is not 8 KiB long")),
        Some(_) => {}
    }
    let bytes = env.files.read(&path).map_err(WalError::io("read", &path))?;
    let mut slots = Vec::new();
    for page in bytes.chunks(crate::format::in_memory(SLOT_PAGE)) {
        slots.extend(Control::decode(page, &path)?);
    }
    let newest = slots.iter().max_by_key(|slot| slot.generation);
    let newest = *newest.ok_or_else(|| corrupt("both slots are damaged"))?;
    if slots.iter().any(|slot| slot.log_id != newest.log_id) {
        return Err(WalError::WrongLog { path });
    }
    let intact = slots.len();
    Ok(Some(ReadControl { newest, intact }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its bytes are only checksummed: a forged slot must count as damaged, not end the process.
    #[test]
    fn a_slot_beyond_every_log_is_damaged() {
        let sound = Control {
            log_id: [1; 16],
            generation: 4,
            epoch: LogEpoch::new(1),
            segment_bytes: limits::SEGMENT_BYTES_MIN,
            redo: Lsn::FIRST,
            checkpoint_record: None,
            durable: None,
            archived: None,
            oldest_segment: 1,
            newest_segment: 1,
            clean_shutdown: false,
        };
        let read = |control: Control| Control::decode(&control.encode(), Path::new("CONTROL"));
        assert_eq!(read(sound).ok(), Some(Some(sound)));
        for forged in [
            Control { segment_bytes: 4608, ..sound },
            Control { generation: u64::MAX, ..sound },
            Control { durable: Lsn::from_u64(u64::MAX), ..sound },
            Control { oldest_segment: u64::MAX, ..sound },
        ] {
            assert!(matches!(read(forged), Ok(None)), "{forged:?}");
        }
    }
}
