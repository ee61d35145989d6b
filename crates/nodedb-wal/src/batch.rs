//! Batches: what one pass of the flusher writes, all or nothing at recovery.

use crate::{
    chain::Chain,
    error::WalError,
    format::{BATCH_ALIGN, BATCH_HEADER, EPOCH_MAX, VERSION, batch_len, is_zero, on_disk},
    record,
    segment::Identity,
};
use crc32c::{crc32c, crc32c_append};
use nodedb_types::{ByteReader, DecodeError, LogEpoch, Lsn};
use std::path::Path;

const MAGIC: [u8; 4] = *b"KBAT";

/// What a batch holds. Only `RECORDS` holds records; the others take no LSN.
pub(crate) const RECORDS: u16 = 0;
/// Where the segment before ended; always the first batch of a segment.
pub(crate) const LINK: u16 = 1;
/// Nothing but the evidence in the header.
pub(crate) const SYNC_POINT: u16 = 2;

/// Header of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchHeader {
    pub(crate) kind: u16,
    flags: u16,
    pub(crate) body_len: u32,
    pub(crate) pad_len: u32,
    /// First record, or for a batch without records the next one to come.
    pub(crate) first_lsn: Lsn,
    pub(crate) record_count: u32,
    pub(crate) epoch: LogEpoch,
    /// What was durable when this was written: evidence for recovery.
    pub(crate) durable: Option<Lsn>,
    pub(crate) commit_ms: u64,
    pub(crate) prev_chain: u32,
    pub(crate) chain: u32,
}

/// The fields of a batch that its writer chooses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draft {
    pub(crate) kind: u16,
    pub(crate) first_lsn: Lsn,
    pub(crate) record_count: u32,
    pub(crate) epoch: LogEpoch,
    pub(crate) durable: Option<Lsn>,
    pub(crate) commit_ms: u64,
}

impl BatchHeader {
    /// Reads a header that claims to stand at `offset` of the segment; `None` if it is none, or one of
    /// another place, segment or log. Such a header can be trusted alone.
    pub(crate) fn decode(bytes: &[u8], identity: &Identity, offset: u64) -> Option<Self> {
        let bytes: &[u8; BATCH_HEADER] = bytes.first_chunk()?;
        if !bytes.starts_with(&MAGIC) {
            return None;
        }
        let (covered, rest) = bytes.split_at(56);
        let stored = u32::from_le_bytes(*rest.first_chunk()?);
        if stored != header_crc(covered, identity, offset) || rest.get(4..)? != [0; 4] {
            return None;
        }
        Self::fields(covered).ok()
    }

    fn fields(covered: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(covered);
        let _magic = reader.array::<4>("magic")?;
        let body_len = reader.u32("body length")?;
        let first_lsn = reader.lsn("first lsn")?;
        let record_count = reader.u32("record count")?;
        let epoch = LogEpoch::new(reader.u32("log epoch")?);
        // So that what follows it can be counted.
        let durable = reader.position("durable lsn")?;
        for (field, value, most) in [
            ("first lsn", first_lsn.get(), u64::MAX / 2),
            ("log epoch", u64::from(epoch.get()), u64::from(EPOCH_MAX)),
            ("durable lsn", Lsn::encode(durable), u64::MAX / 2),
        ] {
            if value > most {
                return Err(DecodeError::OutOfRange { field, value });
            }
        }
        let commit_ms = reader.u64("commit time")?;
        Ok(Self {
            body_len,
            first_lsn,
            record_count,
            epoch,
            durable,
            commit_ms,
            kind: reader.u16("batch kind")?,
            flags: reader.u16("batch flags")?,
            pad_len: reader.u32("pad length")?,
            prev_chain: reader.u32("previous chain crc")?,
            chain: reader.u32("chain crc")?,
        })
    }

    /// Bytes of the whole batch, header, body and padding.
    pub(crate) fn total_len(&self) -> u64 {
        BATCH_HEADER as u64 + u64::from(self.body_len) + u64::from(self.pad_len)
    }

    /// The last record of the batch or before it; `None` if the log holds none so far.
    pub(crate) fn last_lsn(&self) -> Option<Lsn> {
        self.first_lsn.advance(u64::from(self.record_count)).previous()
    }

    /// Refuses a batch that a newer version wrote; it must not be mistaken for a torn one.
    pub(crate) fn check_known(&self, path: &Path) -> Result<(), WalError> {
        if self.kind <= SYNC_POINT && self.flags == 0 {
            return Ok(());
        }
        Err(WalError::UnsupportedFormat {
            path: path.to_owned(),
            found: self.kind,
            supported: VERSION,
        })
    }

    /// Whether body, padding and chain of the batch hold. `bytes` is the whole batch.
    pub(crate) fn is_intact(&self, bytes: &[u8], segment: u64) -> bool {
        let total = BATCH_HEADER + self.body_len as usize;
        let Some((stored, padding)) = bytes.split_at_checked(total) else {
            return false;
        };
        let Some((header, body)) = stored.split_at_checked(BATCH_HEADER) else {
            return false;
        };
        let shape = self.total_len().is_multiple_of(BATCH_ALIGN)
            && u64::from(self.pad_len) < BATCH_ALIGN
            && padding.len() == self.pad_len as usize
            && is_zero(padding);
        let chain = Chain::new(header, self.prev_chain, segment);
        let chain = match self.kind {
            RECORDS => self.chain_of_records(chain, body),
            _ if self.record_count > 0 => None,
            _ => Some(chain.end_with(body)),
        };
        shape && chain == Some(self.chain)
    }

    /// Hashes the record headers onto `chain`; `None` if a record does not check out or is out of place. In
    /// one walk: this is what the time of a recovery goes into.
    fn chain_of_records(&self, mut chain: Chain, body: &[u8]) -> Option<u32> {
        let mut reader = ByteReader::new(body);
        let mut lsn = self.first_lsn;
        let mut within_group = false;
        while let Some(record) = record::take(&mut reader).ok()? {
            let group = record.header.group;
            if record.header.lsn != lsn || group.first == within_group || !record.is_intact() {
                return None;
            }
            chain.add(record.header_bytes);
            within_group = !group.last;
            lsn = lsn.next();
        }
        let count = lsn.get() - self.first_lsn.get();
        let whole = !within_group && count == u64::from(self.record_count) && count > 0;
        whole.then(|| chain.end())
    }
}

/// Completes a batch: `bytes` is room for the header and the body. Pads it and answers its chain crc.
pub(crate) fn seal(
    bytes: &mut Vec<u8>,
    draft: &Draft,
    identity: &Identity,
    offset: u64,
    prev_chain: u32,
) -> u32 {
    let body_len = bytes.len() - BATCH_HEADER;
    assert!(body_len.is_multiple_of(8), "records are padded to 8 bytes");
    let total = crate::format::in_memory(batch_len(body_len));
    let pad_len = on_disk(total - bytes.len());
    let (head, body) = bytes.split_at_mut(BATCH_HEADER);
    let mut end = put(head, 0, &MAGIC);
    end = put(head, end, &on_disk(body_len).to_le_bytes());
    end = put(head, end, &draft.first_lsn.get().to_le_bytes());
    end = put(head, end, &draft.record_count.to_le_bytes());
    end = put(head, end, &draft.epoch.get().to_le_bytes());
    end = put(head, end, &Lsn::encode(draft.durable).to_le_bytes());
    end = put(head, end, &draft.commit_ms.to_le_bytes());
    end = put(head, end, &draft.kind.to_le_bytes());
    end = put(head, end, &0_u16.to_le_bytes());
    end = put(head, end, &pad_len.to_le_bytes());
    end = put(head, end, &prev_chain.to_le_bytes());
    let chain = sealed_chain(draft.kind, head, body, prev_chain, identity.segment);
    end = put(head, end, &chain.to_le_bytes());
    let covered = head.get(..end).unwrap_or_default();
    let crc = header_crc(covered, identity, offset);
    end = put(head, end, &crc.to_le_bytes());
    end = put(head, end, &[0; 4]);
    assert_eq!(end, BATCH_HEADER, "the header is full");
    bytes.resize(total, 0);
    chain
}

/// Writes a field and answers where it ends.
fn put(head: &mut [u8], start: usize, field: &[u8]) -> usize {
    let end = start + field.len();
    if let Some(place) = head.get_mut(start..end) {
        place.copy_from_slice(field);
    }
    end
}

/// The chain crc of a batch that this process encoded.
#[expect(clippy::expect_used, reason = "the body was encoded by this process")]
fn sealed_chain(kind: u16, head: &[u8], body: &[u8], prev_chain: u32, segment: u64) -> u32 {
    let mut chain = Chain::new(head, prev_chain, segment);
    if kind != RECORDS {
        return chain.end_with(body);
    }
    let mut reader = ByteReader::new(body);
    while let Some(record) = record::take(&mut reader).expect("a body of whole records") {
        chain.add(record.header_bytes);
    }
    chain.end()
}

/// Binds a header to its log, segment, life of that segment's file (`seed`) and offset, so that bytes
/// of a payload, of a recycled file or of another place never pass for one.
fn header_crc(covered: &[u8], identity: &Identity, offset: u64) -> u32 {
    let crc = crc32c_append(crc32c(&identity.log_id), &identity.seed.to_le_bytes());
    let crc = crc32c_append(crc, &identity.segment.to_le_bytes());
    crc32c_append(crc32c_append(crc, &offset.to_le_bytes()), covered)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: Identity = Identity { log_id: [1; 16], segment: 4, seed: 99 };

    fn sync_point() -> Vec<u8> {
        let draft = Draft {
            kind: SYNC_POINT,
            first_lsn: Lsn::FIRST.next(),
            record_count: 0,
            epoch: LogEpoch::new(1),
            durable: Some(Lsn::FIRST),
            commit_ms: 5,
        };
        let mut bytes = vec![0; BATCH_HEADER];
        seal(&mut bytes, &draft, &IDENTITY, 4608, 7);
        bytes
    }

    #[test]
    fn a_header_reads_back_only_at_its_own_place() {
        let bytes = sync_point();
        assert_eq!(bytes.len(), 512);
        let header = BatchHeader::decode(&bytes, &IDENTITY, 4608).expect("its own place");
        assert_eq!(header.durable, Some(Lsn::FIRST));
        assert_eq!(header.last_lsn(), Some(Lsn::FIRST));
        assert!(header.is_intact(&bytes, IDENTITY.segment));
        assert!(BatchHeader::decode(&bytes, &IDENTITY, 5120).is_none());
        for other in [
            Identity { seed: 98, ..IDENTITY },
            Identity { segment: 5, ..IDENTITY },
            Identity { log_id: [2; 16], ..IDENTITY },
        ] {
            assert!(BatchHeader::decode(&bytes, &other, 4608).is_none(), "{other:?}");
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let clean = sync_point();
        for bit in 0..clean.len() * 8 {
            let mut bytes = clean.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let intact = BatchHeader::decode(&bytes, &IDENTITY, 4608)
                .is_some_and(|header| header.is_intact(&bytes, IDENTITY.segment));
            assert!(!intact, "bit {bit}");
        }
    }
}
