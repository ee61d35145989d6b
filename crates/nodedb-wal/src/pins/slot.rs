//! One slot of PINS as it stands on disk.

use super::{PinPolicy, PinState, StoredPin, StoredPins, stored::is_name};
use crate::{
    WalError,
    format::{VERSION, on_disk},
};
use crc32c::crc32c;
use nodedb_types::{ByteReader, DecodeError, Lsn, limits::NAME_BYTES_MAX};
use std::path::Path;

/// Most named pins of a log.
pub(super) const PINS_MAX: usize = 64;
/// Bytes of a slot.
pub(super) const SLOT: usize = 8192;

const MAGIC: [u8; 8] = *b"KWALPIN\x01";
const CRC_AT: usize = SLOT - 4;
const LIMITED: u16 = 1;
const INVALIDATED: u16 = 2;

/// What a slot holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PinSlot {
    pub(super) log_id: [u8; 16],
    /// Counts the writes; the higher slot is the newer.
    pub(super) generation: u64,
    pub(super) pins: StoredPins,
}

impl PinSlot {
    pub(super) fn encode(&self) -> Vec<u8> {
        assert!(self.pins.len() <= PINS_MAX, "the number of pins is limited when one is taken");
        let mut slot = Vec::with_capacity(SLOT);
        slot.extend_from_slice(&MAGIC);
        slot.extend_from_slice(&VERSION.to_le_bytes());
        slot.extend_from_slice(&VERSION.to_le_bytes());
        slot.extend_from_slice(&on_disk(self.pins.len()).to_le_bytes());
        slot.extend_from_slice(&self.generation.to_le_bytes());
        slot.extend_from_slice(&self.log_id);
        for (name, pin) in &self.pins {
            encode_pin(&mut slot, name, pin);
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
    pub(super) fn decode(slot: &[u8], path: &Path) -> Result<Option<Self>, WalError> {
        let Some((covered, rest)) = slot.split_at_checked(CRC_AT) else {
            return Ok(None);
        };
        let stored = rest.first_chunk().map(|bytes| u32::from_le_bytes(*bytes));
        if !covered.starts_with(&MAGIC) || stored != Some(crc32c(covered)) {
            return Ok(None);
        }
        let mut reader = ByteReader::new(covered);
        let Ok(reader_min) = reader_min(&mut reader) else {
            return Ok(None);
        };
        if reader_min > VERSION {
            // Before the rest, which a newer version may have laid out anew.
            return Err(WalError::UnsupportedFormat {
                path: path.to_owned(),
                found: reader_min,
                supported: VERSION,
            });
        }
        Ok(Self::fields(&mut reader).ok())
    }

    fn fields(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let count = reader.u32("number of pins")?;
        let generation = reader.u64("generation")?;
        // So that what follows it can be counted.
        check(generation <= u64::MAX / 2, "generation", generation)?;
        let log_id = reader.array("log id")?;
        check(count as usize <= PINS_MAX, "number of pins", u64::from(count))?;
        let mut pins = StoredPins::new();
        for _ in 0..count {
            let (name, pin) = decode_pin(reader)?;
            let after = pins.last_key_value().is_none_or(|(last, _)| *last < name);
            check(after, "order of pins", pin.lsn.get())?;
            pins.insert(name, pin);
        }
        Ok(Self { log_id, generation, pins })
    }
}

fn reader_min(reader: &mut ByteReader<'_>) -> Result<u16, DecodeError> {
    let _magic = reader.array::<8>("magic")?;
    let _version = reader.u16("format version")?;
    reader.u16("oldest version that may read it")
}

fn encode_pin(slot: &mut Vec<u8>, name: &str, pin: &StoredPin) {
    assert!(is_name(name), "names are checked when a pin is taken");
    let mut flags = 0;
    if pin.policy.max_bytes.is_some() {
        flags |= LIMITED;
    }
    let (bytes, at) = match pin.state {
        PinState::Holding => (0, None),
        PinState::Invalidated { bytes, at } => {
            flags |= INVALIDATED;
            (bytes, at)
        }
    };
    slot.extend_from_slice(&flags.to_le_bytes());
    slot.extend_from_slice(&[0; 2]);
    slot.extend_from_slice(&on_disk(name.len()).to_le_bytes());
    for field in [pin.lsn.get(), pin.policy.max_bytes.unwrap_or(0), bytes, Lsn::encode(at)] {
        slot.extend_from_slice(&field.to_le_bytes());
    }
    slot.extend_from_slice(name.as_bytes());
    slot.resize(slot.len() + NAME_BYTES_MAX - name.len(), 0);
}

fn decode_pin(reader: &mut ByteReader<'_>) -> Result<(String, StoredPin), DecodeError> {
    let flags = reader.u16("pin flags")?;
    let _reserved = reader.u16("reserved")?;
    let name_len = reader.u32("length of a pin's name")?;
    let lsn = reader.lsn("pinned lsn")?;
    let max_bytes = reader.u64("most bytes to hold")?;
    let bytes = reader.u64("bytes held")?;
    let at = reader.position("invalidated at")?;
    let padded = reader.take("name of a pin", NAME_BYTES_MAX)?;
    check(flags & !(LIMITED | INVALIDATED) == 0, "pin flags", u64::from(flags))?;
    let name = padded.get(..name_len as usize).and_then(|name| str::from_utf8(name).ok());
    let name = name.filter(|name| is_name(name));
    let name = name.ok_or(DecodeError::NotText { field: "name of a pin" })?;
    let max_bytes = (flags & LIMITED != 0).then_some(max_bytes);
    let state = if flags & INVALIDATED == 0 {
        PinState::Holding
    } else {
        PinState::Invalidated { bytes, at }
    };
    Ok((name.to_owned(), StoredPin { lsn, policy: PinPolicy { max_bytes }, state }))
}

const fn check(holds: bool, field: &'static str, value: u64) -> Result<(), DecodeError> {
    if holds { Ok(()) } else { Err(DecodeError::OutOfRange { field, value }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> PinSlot {
        let lsn = |value| Lsn::from_u64(value).expect("not 0");
        let pin = |value, max_bytes, state| StoredPin {
            lsn: lsn(value),
            policy: PinPolicy { max_bytes },
            state,
        };
        let given_up = PinState::Invalidated { bytes: 4096, at: Some(lsn(99)) };
        let longest = "z".repeat(NAME_BYTES_MAX);
        let pins = [
            ("a".to_owned(), pin(7, None, PinState::Holding)),
            ("b.c-d_9".to_owned(), pin(1, Some(0), given_up)),
            (longest, pin(8, Some(u64::MAX), PinState::Holding)),
        ];
        PinSlot { log_id: [3; 16], generation: 5, pins: pins.into() }
    }

    fn read(slot: &PinSlot) -> Option<PinSlot> {
        PinSlot::decode(&slot.encode(), Path::new("PINS")).expect("this version")
    }

    #[test]
    fn a_slot_reads_back_also_with_as_many_pins_as_there_can_be() {
        let mut slot = sample();
        assert_eq!(read(&slot).as_ref(), Some(&slot));
        let pin = slot.pins["a"];
        slot.pins = (0..PINS_MAX).map(|n| (format!("{n:0>64}"), pin)).collect();
        assert_eq!(slot.encode().len(), SLOT);
        assert_eq!(read(&slot).as_ref(), Some(&slot));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let clean = sample().encode();
        for bit in 0..clean.len() * 8 {
            let mut slot = clean.clone();
            slot[bit / 8] ^= 1 << (bit % 8);
            let read = PinSlot::decode(&slot, Path::new("PINS"));
            assert!(matches!(read, Ok(None)), "bit {bit}");
        }
    }

    /// Its bytes are only checksummed: a forged slot counts as damaged, and ends no process.
    #[test]
    fn what_no_log_writes_is_damaged() {
        let clean = sample().encode();
        let forge = |at: usize, bytes: &[u8]| {
            let mut slot = clean.clone();
            slot[at..at + bytes.len()].copy_from_slice(bytes);
            let crc = crc32c(&slot[..CRC_AT]);
            slot[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
            PinSlot::decode(&slot, Path::new("PINS"))
        };
        let first = 40;
        for (what, at, bytes) in [
            ("more pins than there can be", 12, &65_u32.to_le_bytes()[..]),
            ("a generation that cannot be counted on", 16, &[0xff; 8]),
            ("an unknown flag", first, &[4]),
            ("a name without a byte", first + 4, &[0]),
            ("a name longer than its field", first + 4, &[0xff; 4]),
            ("no record", first + 8, &[0; 8]),
            ("a name with a slash", first + 40, b"/"),
            ("names out of order", first + 40, b"c"),
        ] {
            assert!(matches!(forge(at, bytes), Ok(None)), "{what}");
        }
        let newer = forge(10, &2_u16.to_le_bytes());
        assert!(matches!(newer, Err(WalError::UnsupportedFormat { found: 2, .. })), "{newer:?}");
    }
}
