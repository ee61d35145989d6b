//! What keeps the log from being reclaimed: pins in memory, and named ones that survive a restart.

mod error;
mod file;
mod named;
mod retention;
mod slot;
mod stored;

pub use error::PinError;
pub(crate) use file::{give_up_behind, read};
pub use named::NamedPin;
pub use retention::RetentionPin;
pub use stored::{PinInfo, PinPolicy, PinState};
pub(crate) use stored::{StoredPin, StoredPins};

use crate::{
    Hold, WalError,
    core::Core,
    sync::{Mutex, MutexGuard},
};
use file::PinFile;
use nodedb_env::Env;
use nodedb_types::Lsn;
use std::{collections::BTreeMap, path::Path};

/// The pins of one open log.
///
/// Two locks, `file` before `held`. What is durable of a named pin changes under `file` alone; what a
/// truncation goes by is in `held`, and at every moment holds at least what is durable and acknowledged:
/// a pin is held before it is stored, and moved or dropped only after that is stored.
#[derive(Debug)]
pub(crate) struct Pins {
    file: Mutex<PinFile>,
    held: Mutex<Held>,
}

/// What is held now.
#[derive(Debug, Default)]
pub(crate) struct Held {
    next: u64,
    unnamed: BTreeMap<u64, Hold>,
    named: BTreeMap<String, NamedHold>,
}

#[derive(Debug)]
struct NamedHold {
    pin: StoredPin,
    /// Whether a handle for it is out.
    attached: bool,
}

impl Held {
    /// Everything that holds the log.
    fn holds(&self) -> impl Iterator<Item = Hold> {
        let named = self.named.iter().filter(|(_, named)| named.pin.state == PinState::Holding);
        let named = named.map(|(name, named)| Hold { name: name.clone(), lsn: named.pin.lsn });
        self.unnamed.values().cloned().chain(named)
    }

    /// The first record that must stay for a pin.
    pub(crate) fn lowest(&self) -> Option<Lsn> {
        self.holds().map(|hold| hold.lsn).min()
    }
}

impl Pins {
    /// The pins of a log that is being opened; nobody holds a handle yet.
    ///
    /// # Errors
    /// As [`read`], and `Io` if what was read cannot be written again.
    pub(crate) fn open(env: &Env, dir: &Path, log_id: [u8; 16]) -> Result<Self, WalError> {
        let file = PinFile::open(env, dir, log_id)?;
        let held = |(name, pin): (&String, &StoredPin)| {
            (name.clone(), NamedHold { pin: *pin, attached: false })
        };
        let named = file.pins().iter().map(held).collect();
        let held = Held { named, ..Held::default() };
        Ok(Self { file: Mutex::new(file), held: Mutex::new(held) })
    }

    pub(crate) fn holds(&self) -> Vec<Hold> {
        self.held.lock().holds().collect()
    }

    /// Keeps all pins as they are, so that none is taken on a record that is just going.
    pub(crate) fn freeze(&self) -> MutexGuard<'_, Held> {
        self.held.lock()
    }

    /// The directory may have another owner from now on: nothing is stored any more.
    pub(crate) fn close(&self) {
        self.file.lock().close();
    }

    /// Invalidates the named pins that hold more of the log than they may: first durably, then in
    /// memory, and only then may a truncation remove what they held. So a pin that lost records says
    /// why, after every crash.
    ///
    /// # Errors
    /// `Poisoned`, also if this very write fails; `Closed`. All pins hold then.
    pub(crate) fn enforce_limits(&self, core: &Core) -> Result<(), WalError> {
        if self.over_limit(core).is_empty() {
            return Ok(());
        }
        let file = self.file.lock();
        // Again: what was seen without the lock may have moved on.
        let over = self.over_limit(core);
        if over.is_empty() {
            return Ok(());
        }
        let at = core.written();
        let invalidated = |bytes| PinState::Invalidated { bytes, at };
        let file = file::change(core, file, |pins| {
            for (name, bytes) in &over {
                if let Some(pin) = pins.get_mut(name) {
                    pin.state = invalidated(*bytes);
                }
            }
        })?;
        let mut held = self.held.lock();
        for (name, bytes) in over {
            if let Some(named) = held.named.get_mut(&name) {
                named.pin.state = invalidated(bytes);
                let lsn = named.pin.lsn;
                tracing::warn!(%name, bytes, %lsn, "named pin invalidated: it held too much log");
            }
        }
        drop(held);
        drop(file);
        Ok(())
    }

    /// The named pins above their limit, with the bytes that they hold.
    fn over_limit(&self, core: &Core) -> Vec<(String, u64)> {
        let held = self.held.lock();
        let holding = held.named.iter().filter(|(_, named)| named.pin.state == PinState::Holding);
        // It stays whatever they hold: to give such a pin up would free nothing.
        let newest = core.segments.newest().first_lsn;
        let over =
            holding.filter(|(_, named)| named.pin.lsn < newest).filter_map(|(name, named)| {
                let limit = named.pin.policy.max_bytes?;
                let bytes = core.segments.bytes_from(named.pin.lsn);
                (bytes > limit).then(|| (name.clone(), bytes))
            });
        over.collect()
    }
}
