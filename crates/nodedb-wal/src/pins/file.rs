//! PINS: the named pins, in two slots written in place.

use super::{
    PinState, StoredPin, StoredPins,
    slot::{PinSlot, SLOT},
};
use crate::{PoisonCause, WalError, core::Core, segment::name::PINS, sync::MutexGuard};
use nodedb_env::{Env, File, Open};
use nodedb_types::Lsn;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The file, open for writing as soon as there is one: it is made for the first pin.
///
/// Written in place, so that moving or giving up a pin needs no room: on a full disk that is what frees
/// some. Each change goes into both slots, one after the other, so that one of them is whole at every
/// crash point and a slot that is damaged later costs nothing.
#[derive(Debug)]
pub(super) struct PinFile {
    path: PathBuf,
    file: Option<Arc<dyn File>>,
    state: PinSlot,
    end: Option<End>,
}

/// Why nothing is written any more.
#[derive(Debug)]
enum End {
    Closed,
    Failed(PoisonCause),
}

/// Reads PINS; `None` if there is none, for then there are no pins.
///
/// # Errors
/// `PinsCorrupt`, `WrongLog`, `UnsupportedFormat`, `Io`: what cannot be read may hold the log.
pub(crate) fn read(
    env: &Env,
    dir: &Path,
    log_id: &[u8; 16],
) -> Result<Option<StoredPins>, WalError> {
    Ok(read_slot(env, &dir.join(PINS), log_id)?.map(|newest| newest.pins))
}

fn read_slot(env: &Env, path: &Path, log_id: &[u8; 16]) -> Result<Option<PinSlot>, WalError> {
    let corrupt = |reason| WalError::PinsCorrupt { path: path.to_owned(), reason };
    match env.files.entry(path).map_err(WalError::io("look at", path))? {
        None => return Ok(None),
        Some(entry) if entry.len != 2 * SLOT as u64 => {
            return Err(corrupt("it is not 16 KiB long"));
        }
        Some(_) => {}
    }
    let bytes = env.files.read(path).map_err(WalError::io("read", path))?;
    let mut slots = Vec::new();
    for slot in bytes.chunks(SLOT) {
        slots.extend(PinSlot::decode(slot, path)?);
    }
    if slots.iter().any(|slot| slot.log_id != *log_id) {
        return Err(WalError::WrongLog { path: path.to_owned() });
    }
    let newest = slots.into_iter().max_by_key(|slot| slot.generation);
    newest.map(Some).ok_or_else(|| corrupt("both slots are damaged"))
}

impl PinFile {
    /// Takes over what is there. It is written again: it may have come from a page cache that a failed
    /// sync left clean, and only one slot may be whole.
    ///
    /// # Errors
    /// As [`read`].
    pub(super) fn open(env: &Env, dir: &Path, log_id: [u8; 16]) -> Result<Self, WalError> {
        let path = dir.join(PINS);
        let found = read_slot(env, &path, &log_id)?;
        let open = || env.files.open(&path, Open::ReadWrite).map_err(WalError::io("open", &path));
        let file = found.as_ref().map(|_| open()).transpose()?;
        let none = PinSlot { log_id, generation: 0, pins: StoredPins::new() };
        let mut opened = Self { path, file, state: found.unwrap_or(none), end: None };
        if let Some(file) = opened.file.clone() {
            opened.write(file.as_ref(), opened.state.pins.clone())?;
        }
        Ok(opened)
    }

    /// What is durable.
    pub(super) const fn pins(&self) -> &StoredPins {
        &self.state.pins
    }

    pub(super) fn close(&mut self) {
        self.end.get_or_insert(End::Closed);
    }

    /// # Errors
    /// `Closed` or `Poisoned`.
    pub(super) fn check_open(&self) -> Result<(), WalError> {
        match &self.end {
            None => Ok(()),
            Some(End::Closed) => Err(WalError::Closed),
            Some(End::Failed(cause)) => Err(WalError::Poisoned(cause.clone())),
        }
    }

    /// Writes a file that will hold these pins, whole and durable before it has its name.
    fn prepare(&self, env: &Env, pins: &StoredPins) -> Result<PathBuf, WalError> {
        let generation = self.state.generation + 1;
        let slot = PinSlot { pins: pins.clone(), generation, ..self.state.clone() };
        let bytes = slot.encode().repeat(2);
        env.files.prepare(&self.path, &bytes).map_err(WalError::io("create", &self.path))
    }

    /// Gives a prepared file its name, durably. The caller has the directory to itself.
    fn name(
        &mut self,
        env: &Env,
        dir: &Path,
        temporary: &Path,
        pins: StoredPins,
    ) -> Result<(), WalError> {
        env.files.rename(temporary, &self.path).map_err(WalError::io("rename", temporary))?;
        env.files.sync_dir(dir).map_err(WalError::io("sync directory", dir))?;
        let open = env.files.open(&self.path, Open::ReadWrite);
        self.file = Some(open.map_err(WalError::io("open", &self.path))?);
        self.state.generation += 1;
        self.state.pins = pins;
        Ok(())
    }

    /// Makes these pins the durable ones, in the file that is there.
    fn write(&mut self, file: &dyn File, pins: StoredPins) -> Result<(), WalError> {
        let mut next = PinSlot { pins, ..self.state.clone() };
        let io = |operation| WalError::io(operation, &self.path);
        for _ in 0..2 {
            next.generation += 1;
            let offset = if next.generation.is_multiple_of(2) { 0 } else { SLOT as u64 };
            file.write_all_at(&next.encode(), offset).map_err(io("write"))?;
            // Before the other slot is touched: until then that one is what a crash leaves.
            file.sync_data().map_err(io("sync"))?;
        }
        self.state = next;
        Ok(())
    }
}

/// Gives up the pins that stand behind `kept`, the end at which a lossy truncation cuts the log: the
/// records that their owners go on from are gone, and what is appended under the same numbers is another
/// history, which must not be taken for the rest of theirs.
///
/// # Errors
/// As [`read`], and `NoSpace`.
pub(crate) fn give_up_behind(
    env: &Env,
    dir: &Path,
    log_id: [u8; 16],
    kept: Option<Lsn>,
) -> Result<(), WalError> {
    let mut opened = PinFile::open(env, dir, log_id)?;
    let Some(file) = opened.file.clone() else {
        return Ok(());
    };
    let mut pins = opened.pins().clone();
    let behind =
        |pin: &&mut StoredPin| pin.state == PinState::Holding && pin.lsn > Lsn::after(kept);
    let mut given_up = 0;
    for pin in pins.values_mut().filter(behind) {
        pin.state = PinState::Invalidated { bytes: 0, at: kept };
        given_up += 1;
    }
    if given_up > 0 {
        opened.write(file.as_ref(), pins)?;
    }
    Ok(())
}

/// Changes what is durable; answers the lock again.
///
/// # Errors
/// `Closed`, `Poisoned`. `NoSpace` if there is no file yet and no room to make it: nothing has changed.
/// After any other failure nobody knows which pins the disk holds, so it poisons the log, out of the
/// lock.
pub(super) fn change<'a>(
    core: &Core,
    mut file: MutexGuard<'a, PinFile>,
    change: impl FnOnce(&mut StoredPins),
) -> Result<MutexGuard<'a, PinFile>, WalError> {
    file.check_open()?;
    core.check_healthy()?;
    let mut pins = file.state.pins.clone();
    change(&mut pins);
    let mut directory = None;
    let written = if let Some(open) = file.file.clone() {
        file.write(open.as_ref(), pins)
    } else {
        match file.prepare(&core.env, &pins) {
            Err(full @ WalError::NoSpace { .. }) => return Err(full),
            Err(error) => Err(error),
            Ok(temporary) => {
                // Only now: a rotation that waits for the directory does not wait for the contents.
                directory = Some(core.directory.lock());
                core.check_healthy()?;
                file.name(&core.env, &core.dir, &temporary, pins)
            }
        }
    };
    let Err(error) = written else {
        return Ok(file);
    };
    let cause = PoisonCause::from_failure(error);
    let first = core.mark_poisoned(&cause);
    drop(directory);
    file.end = Some(End::Failed(cause.clone()));
    drop(file);
    if first {
        core.announce_poison(&cause);
    }
    Err(WalError::Poisoned(cause))
}
