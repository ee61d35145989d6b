//! A pin that survives a restart.

use super::{
    NamedHold, PinError, PinInfo, PinPolicy, PinState, StoredPin,
    file::{self, PinFile},
    slot::PINS_MAX,
    stored::is_name,
};
use crate::{Wal, core::Core, sync::MutexGuard};
use nodedb_types::Lsn;
use std::sync::Arc;

/// The handle of a named pin. Dropping it keeps the pin: it is as persistent as the log, and holds the
/// log until it is moved, released or, over its limit, invalidated.
///
/// Every call that changes something blocks on the disk, for two syncs: a follower advances its pin once
/// in a while, not for each record.
#[derive(Debug)]
pub struct NamedPin {
    core: Arc<Core>,
    name: String,
    released: bool,
}

impl Wal {
    /// Takes the pin of this name, which holds the log from a record on, also over restarts. If there is
    /// none it is made at `lsn`, and durable when this returns. If there is one it continues where it
    /// is, whatever `lsn` says, under the policy given now. One handle at a time.
    ///
    /// A pin that was invalidated is answered too; see [`NamedPin::state`].
    ///
    /// # Errors
    /// [`PinError::InvalidName`], [`PinError::TooMany`], [`PinError::InUse`]; for a new one
    /// [`PinError::Truncated`], [`PinError::Ahead`]; [`PinError::Log`]. Nothing is held then.
    pub fn pin_persistent(
        &self,
        name: &str,
        lsn: Lsn,
        policy: PinPolicy,
    ) -> Result<NamedPin, PinError> {
        if !is_name(name) {
            return Err(PinError::InvalidName { name: name.to_owned() });
        }
        let core = self.core();
        let file = core.pins.file.lock();
        file.check_open()?;
        match file.pins().get(name).copied() {
            Some(stored) => attach(core, file, name, StoredPin { policy, ..stored }),
            None => create(core, file, name, StoredPin { lsn, policy, state: PinState::Holding }),
        }
    }

    /// All named pins, also those that were invalidated, by name.
    pub fn named_pins(&self) -> Vec<PinInfo> {
        let core = self.core();
        let held = core.pins.held.lock();
        let info = |(name, named): (&String, &NamedHold)| {
            named.pin.info(name, |lsn| core.segments.bytes_from(lsn))
        };
        held.named.iter().map(info).collect()
    }
}

/// Gives a handle for a pin that is there.
fn attach(
    core: &Arc<Core>,
    file: MutexGuard<'_, PinFile>,
    name: &str,
    pin: StoredPin,
) -> Result<NamedPin, PinError> {
    let mut held = core.pins.held.lock();
    match held.named.get_mut(name) {
        Some(named) if !named.attached => named.attached = true,
        _ => return Err(PinError::InUse { name: name.to_owned() }),
    }
    drop(held);
    // From here on an error drops the handle, which frees the name again.
    let handle = NamedPin { core: Arc::clone(core), name: name.to_owned(), released: false };
    if file.pins().get(name) != Some(&pin) {
        handle.store(file, pin)?;
    }
    Ok(handle)
}

/// Makes a pin. It is held before it is stored: a truncation meanwhile would otherwise remove what is
/// acknowledged as pinned a moment later.
fn create(
    core: &Arc<Core>,
    file: MutexGuard<'_, PinFile>,
    name: &str,
    pin: StoredPin,
) -> Result<NamedPin, PinError> {
    if file.pins().len() >= PINS_MAX {
        return Err(PinError::TooMany { limit: PINS_MAX });
    }
    check_durable(core, pin.lsn)?;
    let mut held = core.pins.held.lock();
    // Under the lock that a truncation holds while it decides.
    let oldest = core.segments.oldest();
    if pin.lsn < oldest {
        return Err(PinError::Truncated { oldest });
    }
    held.named.insert(name.to_owned(), NamedHold { pin, attached: true });
    drop(held);
    let stored = file::change(core, file, |pins| {
        pins.insert(name.to_owned(), pin);
    });
    if let Err(error) = stored {
        core.pins.held.lock().named.remove(name);
        return Err(error.into());
    }
    Ok(NamedPin { core: Arc::clone(core), name: name.to_owned(), released: false })
}

fn check_durable(core: &Core, lsn: Lsn) -> Result<(), PinError> {
    let end = Lsn::after(core.durable());
    if lsn > end { Err(PinError::Ahead { end }) } else { Ok(()) }
}

impl NamedPin {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first record that it holds or, if it was invalidated, held. This is where a follower that
    /// advances the pin behind what it has applied goes on after a restart.
    pub fn lsn(&self) -> Lsn {
        self.pin().lsn
    }

    /// Whether it holds the log.
    pub fn state(&self) -> PinState {
        self.pin().state
    }

    /// Gives up the records before `lsn`. Never moves back. Durable when this returns: only then may a
    /// truncation remove them, for one that came before would leave, after a crash, a pin on records
    /// that are gone, and a follower that goes on from it would find a gap.
    ///
    /// # Errors
    /// [`PinError::Ahead`] if it would pass what is durable, [`PinError::Invalidated`],
    /// [`PinError::Log`]. It holds what it held then.
    pub fn advance(&self, lsn: Lsn) -> Result<(), PinError> {
        check_durable(&self.core, lsn)?;
        let file = self.core.pins.file.lock();
        let pin = self.pin();
        if let PinState::Invalidated { bytes, .. } = pin.state {
            return Err(PinError::Invalidated { name: self.name.clone(), bytes });
        }
        if lsn <= pin.lsn {
            return Ok(file.check_open()?);
        }
        self.store(file, StoredPin { lsn, ..pin })
    }

    /// Removes the pin. When this returns it holds nothing and its name is free, also after a crash.
    ///
    /// # Errors
    /// [`PinError::Log`]: the pin stays.
    pub fn release(mut self) -> Result<(), PinError> {
        let file = self.core.pins.file.lock();
        let file = file::change(&self.core, file, |pins| {
            pins.remove(&self.name);
        })?;
        // After the file: a truncation in between would leave, after a crash, a pin on what is gone.
        self.core.pins.held.lock().named.remove(&self.name);
        drop(file);
        self.released = true;
        Ok(())
    }

    /// Makes the pin so: first durably, then for truncations.
    fn store(&self, file: MutexGuard<'_, PinFile>, pin: StoredPin) -> Result<(), PinError> {
        let file = file::change(&self.core, file, |pins| {
            pins.insert(self.name.clone(), pin);
        })?;
        if let Some(named) = self.core.pins.held.lock().named.get_mut(&self.name) {
            named.pin = pin;
        }
        drop(file);
        Ok(())
    }

    #[expect(clippy::expect_used, reason = "a name is freed only by its one handle")]
    fn pin(&self) -> StoredPin {
        let held = self.core.pins.held.lock();
        held.named.get(&self.name).expect("a name is freed only by its one handle").pin
    }
}

impl Drop for NamedPin {
    fn drop(&mut self) {
        if !self.released
            && let Some(named) = self.core.pins.held.lock().named.get_mut(&self.name)
        {
            named.attached = false;
        }
    }
}
