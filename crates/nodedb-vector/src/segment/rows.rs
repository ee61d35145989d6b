//! Keys and stamps of a segment, by slot. Slots are numbered in the order of keys.

use super::{
    header::{Checked, HEADER_BYTES},
    slot::position,
};
use nodedb_engine::EngineError;
use nodedb_types::{ByteReader, DecodeError, LogEpoch, Stamp, limits};

/// Bytes of a stamp: epoch and position.
const STAMP_BYTES: usize = 12;
/// Bytes of the end of a key.
const END_BYTES: usize = 8;

/// What a file of rows is made from.
#[derive(Debug, Default)]
pub(super) struct RowsBuilder {
    stamps: Vec<u8>,
    ends: Vec<u8>,
    keys: Vec<u8>,
    last: Vec<u8>,
    rows: u32,
}

impl RowsBuilder {
    pub(super) fn push(&mut self, key: &[u8], stamp: Stamp) {
        assert!(key.len() <= limits::KEY_BYTES_MAX, "keys are checked before they are logged");
        assert!(self.rows == 0 || *self.last < *key, "keys come in strictly ascending order");
        self.stamps.extend_from_slice(&stamp.epoch.get().to_le_bytes());
        self.stamps.extend_from_slice(&stamp.lsn.get().to_le_bytes());
        self.keys.extend_from_slice(key);
        self.ends.extend_from_slice(&(self.keys.len() as u64).to_le_bytes());
        key.clone_into(&mut self.last);
        self.rows += 1;
    }

    pub(super) const fn len(&self) -> u32 {
        self.rows
    }

    /// What the body will be known by.
    pub(super) fn identity(&self) -> u32 {
        let pieces = [&self.ends, &self.stamps, &self.keys];
        pieces.into_iter().fold(0, |crc, piece| crc32c::crc32c_append(crc, piece))
    }

    /// A file without its header: room for it, then the body.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut file = vec![0; HEADER_BYTES];
        file.reserve(self.ends.len() + self.stamps.len() + self.keys.len() + 4);
        file.extend_from_slice(&self.ends);
        file.extend_from_slice(&self.stamps);
        file.extend_from_slice(&self.keys);
        file
    }
}

/// The checked file.
#[derive(Debug)]
pub(super) struct Rows {
    checked: Checked,
    count: usize,
}

impl Rows {
    pub(super) fn new(checked: Checked) -> Result<Self, EngineError> {
        let count = position(checked.header.rows);
        if crc32c::crc32c(checked.body()) != checked.header.identity {
            return Err(checked.corrupt("identity does not match"));
        }
        let rows = Self { checked, count };
        match rows.check() {
            Ok(()) => Ok(rows),
            Err(error) => Err(rows.checked.corrupt(error.to_string())),
        }
    }

    /// Reads every row once, so that none needs a check later.
    fn check(&self) -> Result<(), DecodeError> {
        let mut reader = ByteReader::new(self.checked.body());
        let needed = self.count.checked_mul(END_BYTES + STAMP_BYTES);
        if needed.is_none_or(|needed| needed > reader.left()) {
            let value = u64::from(self.checked.header.rows);
            return Err(DecodeError::OutOfRange { field: "row count", value });
        }
        let mut ends = ByteReader::new(reader.take("ends", self.count * END_BYTES)?);
        for _ in 0..self.count {
            reader.u32("stamp epoch")?;
            reader.lsn("stamp lsn")?;
        }
        let (mut start, mut last) = (0, None);
        for _ in 0..self.count {
            let end = ends.u64("end of key")?;
            let length = end.checked_sub(start).and_then(|length| usize::try_from(length).ok());
            let length = length.filter(|length| *length <= limits::KEY_BYTES_MAX);
            let length =
                length.ok_or(DecodeError::OutOfRange { field: "end of key", value: end })?;
            let key = reader.take("key", length)?;
            if last.is_some_and(|last| last >= key) {
                return Err(DecodeError::OutOfRange { field: "key order", value: end });
            }
            (start, last) = (end, Some(key));
        }
        reader.finish()
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) fn checked(&self) -> &Checked {
        &self.checked
    }

    pub(super) fn key(&self, slot: u32) -> &[u8] {
        let row = self.row(slot);
        let start = if row == 0 { 0 } else { self.end(row - 1) };
        let keys = self.count * (END_BYTES + STAMP_BYTES);
        self.bytes(keys + start, self.end(row) - start)
    }

    #[expect(clippy::expect_used, reason = "every stamp was decoded when the file was opened")]
    pub(super) fn stamp(&self, slot: u32) -> Stamp {
        let at = self.count * END_BYTES + self.row(slot) * STAMP_BYTES;
        let mut reader = ByteReader::new(self.bytes(at, STAMP_BYTES));
        let epoch = LogEpoch::new(reader.u32("stamp epoch").expect("checked at open"));
        Stamp { epoch, lsn: reader.lsn("stamp lsn").expect("checked at open") }
    }

    /// The slot of a key. Looks at about log2(rows) keys.
    pub(super) fn find(&self, key: &[u8]) -> Option<u32> {
        let (mut low, mut high) = (0, self.checked.header.rows);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(middle).cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    fn row(&self, slot: u32) -> usize {
        let row = position(slot);
        assert!(row < self.count, "slot {slot} of {} is there", self.count);
        row
    }

    /// Where the key of a row ends among all keys.
    #[expect(clippy::expect_used, reason = "every end was decoded when the file was opened")]
    fn end(&self, row: usize) -> usize {
        let end = self.bytes(row * END_BYTES, END_BYTES).first_chunk().copied();
        let end = end.map(u64::from_le_bytes).map(usize::try_from);
        end.and_then(Result::ok).expect("checked at open")
    }

    #[expect(clippy::expect_used, reason = "every row was read when the file was opened")]
    fn bytes(&self, start: usize, len: usize) -> &[u8] {
        self.checked.body().get(start..start + len).expect("checked at open")
    }
}
