//! What keeps the log, and at what it ends.

use crate::database::Inner;
use nodedb_types::Lsn;
use nodedb_wal::{PinInfo, PinState};

/// Something that keeps log from being deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldStatus {
    /// Who: `redo`, `archive`, or the name of a pin.
    pub name: String,
    /// The first record that it keeps.
    pub lsn: Lsn,
    /// Bytes of log from there on, by whole segments.
    pub bytes: u64,
    /// Age of the oldest segment that it keeps, in milliseconds.
    pub since_ms: u64,
    /// Why, and what happens at which limit.
    pub reason: String,
}

/// A hold before it is measured.
type Named = (String, Lsn, String);

impl Inner {
    /// What keeps the log, the oldest first.
    pub(crate) fn hold_status(&self) -> Vec<HoldStatus> {
        let mut holds = vec![self.redo_hold()];
        holds.extend(self.archive_hold());
        holds.extend(self.pin_holds());
        holds.sort_by_key(|(_, lsn, _)| *lsn);
        let status = |(name, lsn, reason)| HoldStatus {
            bytes: self.bytes_from(lsn),
            since_ms: self.age_ms(lsn),
            name,
            lsn,
            reason,
        };
        holds.into_iter().map(status).collect()
    }

    fn redo_hold(&self) -> Named {
        let limit = self.sender.throttle.limits().recovery.saturating_mul(2);
        let floors = self.sender.data.floors();
        let floors = floors.iter().flat_map(|known| {
            let vshard = known.vshard;
            known.floors.iter().map(move |(engine, floor)| (floor.effective(), vshard, *engine))
        });
        let behind = floors.min().map_or_else(String::new, |(_, vshard, engine)| {
            format!("; {} of vshard {vshard} has proved the least", engine.name())
        });
        let reason = format!("recovery replays the log from here{behind}; `Busy` at {limit} bytes");
        ("redo".to_owned(), self.log.wal().control().redo, reason)
    }

    fn archive_hold(&self) -> Option<Named> {
        let archive = self.archive.as_ref()?;
        let lsn = Lsn::after(archive.position.persisted());
        let why = match archive.position.fault() {
            Some(fault) => format!("not archived: {}", fault.message),
            None => "not archived yet".to_owned(),
        };
        let limit = match self.sender.throttle.limits().disk {
            Some(limit) => format!("`NoSpace` at {limit} bytes"),
            None => "until the disk is full".to_owned(),
        };
        Some(("archive".to_owned(), lsn, format!("{why}; {limit}")))
    }

    fn pin_holds(&self) -> impl Iterator<Item = Named> {
        let wal = self.log.wal();
        let named = wal.named_pins();
        let pins = wal.holds().into_iter();
        pins.map(move |hold| {
            let policy = named.iter().find(|pin| pin.name == hold.name).map(policy);
            let reason = policy.unwrap_or_else(|| "pinned by this process".to_owned());
            (hold.name, hold.lsn, reason)
        })
    }

    /// Bytes of the segments that hold records from `lsn` on.
    fn bytes_from(&self, lsn: Lsn) -> u64 {
        let segments = self.log.wal().segments();
        let kept = segments.iter().filter(|segment| segment.last_lsn >= Some(lsn));
        kept.map(|segment| segment.bytes).sum()
    }

    fn age_ms(&self, lsn: Lsn) -> u64 {
        let segments = self.log.wal().segments();
        let oldest = segments.iter().find(|segment| segment.last_lsn >= Some(lsn));
        let now = self.env.clock.unix_ms();
        oldest.map_or(0, |segment| now.saturating_sub(segment.created_unix_ms))
    }
}

fn policy(pin: &PinInfo) -> String {
    match (pin.state, pin.policy.max_bytes) {
        (PinState::Holding, Some(limit)) => format!("pinned; given up above {limit} bytes"),
        (PinState::Holding, None) => "pinned without a limit".to_owned(),
        (PinState::Invalidated { .. }, _) => "given up".to_owned(),
    }
}
