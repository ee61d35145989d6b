//! Records: what callers append and what readers see.

use crate::format::{RECORD_HEADER, is_zero, on_disk, record_len};
use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};
use nodedb_types::{ByteReader, DecodeError, Lsn, TenantId, VshardId};

/// Bit of [`Record::kind`]: a reader that does not know the kind may skip the record.
pub const SKIPPABLE: u16 = 1 << 15;

const FIRST: u32 = 1;
const LAST: u32 = 2;

/// One record to append.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Whose data it is.
    pub tenant: TenantId,
    /// The vshard that applies it.
    pub vshard: VshardId,
    /// Its kind, opaque to the log except for [`SKIPPABLE`].
    pub kind: u16,
    /// Its contents, opaque to the log.
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// Bytes it takes in a batch, header and padding included.
    pub const fn encoded_len(&self) -> usize {
        record_len(self.payload.len())
    }
}

/// Place of a record within its atomic group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupFlags {
    /// The group starts here.
    pub first: bool,
    /// The group ends here.
    pub last: bool,
}

impl GroupFlags {
    /// Flags of the record at `index` in a group of `count`.
    pub const fn at(index: usize, count: usize) -> Self {
        Self { first: index == 0, last: index + 1 == count }
    }

    const fn bits(self) -> u32 {
        (if self.first { FIRST } else { 0 }) | (if self.last { LAST } else { 0 })
    }

    const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !(FIRST | LAST) != 0 {
            return None;
        }
        Some(Self { first: bits & FIRST != 0, last: bits & LAST != 0 })
    }
}

/// One record as it stands in the log.
#[derive(Clone, Debug)]
pub struct RecordView {
    /// Its position.
    pub lsn: Lsn,
    /// Whose data it is.
    pub tenant: TenantId,
    /// The vshard that applies it.
    pub vshard: VshardId,
    /// Its kind.
    pub kind: u16,
    /// Its place within its atomic group.
    pub group: GroupFlags,
    /// Its contents, sharing the memory of the log.
    pub payload: Bytes,
}

impl RecordView {
    /// The same record, to be appended elsewhere.
    pub fn as_record(&self) -> Record<'_> {
        Record { tenant: self.tenant, vshard: self.vshard, kind: self.kind, payload: &self.payload }
    }
}

/// The fixed part of a record on disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordHeader {
    pub(crate) payload_len: usize,
    crc: u32,
    pub(crate) lsn: Lsn,
    pub(crate) tenant: TenantId,
    pub(crate) vshard: VshardId,
    pub(crate) kind: u16,
    pub(crate) group: GroupFlags,
}

impl RecordHeader {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes);
        let payload_len = reader.u32("payload length")?;
        let crc = reader.u32("record crc")?;
        let lsn = reader.lsn("lsn")?;
        let tenant = TenantId::new(reader.u64("tenant")?);
        let vshard = VshardId::new(reader.u16("vshard")?);
        let kind = reader.u16("record kind")?;
        let bits = reader.u32("record flags")?;
        let out_of_range =
            |field, value: u32| DecodeError::OutOfRange { field, value: u64::from(value) };
        Ok(Self {
            payload_len: usize::try_from(payload_len)
                .or(Err(out_of_range("payload length", payload_len)))?,
            crc,
            lsn,
            tenant,
            vshard,
            kind,
            group: GroupFlags::from_bits(bits).ok_or(out_of_range("record flags", bits))?,
        })
    }
}

/// Appends a record; `payload_crc` is the crc32c of its payload, computed before the log was locked.
pub(crate) fn encode(
    body: &mut Vec<u8>,
    record: &Record<'_>,
    lsn: Lsn,
    group: GroupFlags,
    payload_crc: u32,
) {
    let [l0, l1, l2, l3] = on_disk(record.payload.len()).to_le_bytes();
    let [n0, n1, n2, n3, n4, n5, n6, n7] = lsn.get().to_le_bytes();
    let [t0, t1, t2, t3, t4, t5, t6, t7] = record.tenant.get().to_le_bytes();
    let [v0, v1] = record.vshard.get().to_le_bytes();
    let [k0, k1] = record.kind.to_le_bytes();
    let [g0, g1, g2, g3] = group.bits().to_le_bytes();
    let mut header: [u8; RECORD_HEADER] = [
        l0, l1, l2, l3, 0, 0, 0, 0, n0, n1, n2, n3, n4, n5, n6, n7, t0, t1, t2, t3, t4, t5, t6, t7,
        v0, v1, k0, k1, g0, g1, g2, g3,
    ];
    let crc = record_crc(payload_crc, &header);
    header[4..8].copy_from_slice(&crc.to_le_bytes());
    body.extend_from_slice(&header);
    body.extend_from_slice(record.payload);
    body.resize(body.len().next_multiple_of(8), 0);
}

/// The crc of a record: of its payload, then its length, then what follows the crc itself. The payload
/// first, because the producer hashes it before the record has an LSN.
fn record_crc(payload_crc: u32, header: &[u8; RECORD_HEADER]) -> u32 {
    let [l0, l1, l2, l3, _, _, _, _, tail @ ..] = header;
    let mut covered = [0; RECORD_HEADER - 4];
    covered[..4].copy_from_slice(&[*l0, *l1, *l2, *l3]);
    covered[4..].copy_from_slice(tail);
    crc32c_append(payload_crc, &covered)
}

/// One record of a body, undecoded parts and all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRecord<'a> {
    pub(crate) header: RecordHeader,
    pub(crate) header_bytes: &'a [u8; RECORD_HEADER],
    pub(crate) payload: &'a [u8],
    padding: &'a [u8],
}

impl RawRecord<'_> {
    /// Whether checksum and padding hold.
    pub(crate) fn is_intact(&self) -> bool {
        let crc = record_crc(crc32c(self.payload), self.header_bytes);
        crc == self.header.crc && is_zero(self.padding)
    }

    /// Bytes that it takes in the body.
    pub(crate) const fn len(&self) -> usize {
        self.header_bytes.len() + self.payload.len() + self.padding.len()
    }
}

/// Takes the next record off a body; `None` at its end.
#[inline]
pub(crate) fn take<'a>(reader: &mut ByteReader<'a>) -> Result<Option<RawRecord<'a>>, DecodeError> {
    if reader.left() == 0 {
        return Ok(None);
    }
    let header_bytes = reader.chunk("record header")?;
    let header = RecordHeader::decode(header_bytes)?;
    let payload = reader.take("payload", header.payload_len)?;
    let pad = header.payload_len.next_multiple_of(8) - header.payload_len;
    let padding = reader.take("record padding", pad)?;
    Ok(Some(RawRecord { header, header_bytes, payload, padding }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let record = Record {
            tenant: TenantId::new(7),
            vshard: VshardId::new(3),
            kind: 5 | SKIPPABLE,
            payload: b"hello",
        };
        let mut body = Vec::new();
        let crc = crc32c(record.payload);
        encode(&mut body, &record, Lsn::FIRST, GroupFlags::at(0, 1), crc);
        assert_eq!(body.len(), record.encoded_len());
        body
    }

    #[test]
    fn a_record_reads_back() {
        let body = sample();
        let mut reader = ByteReader::new(&body);
        let record = take(&mut reader).expect("decodes").expect("is there");
        assert!(record.is_intact());
        assert_eq!(record.payload, b"hello");
        assert_eq!(record.header.kind, 5 | SKIPPABLE);
        assert_eq!(record.header.group, GroupFlags { first: true, last: true });
        assert!(take(&mut reader).expect("decodes").is_none());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let clean = sample();
        for bit in 0..clean.len() * 8 {
            let mut body = clean.clone();
            body[bit / 8] ^= 1 << (bit % 8);
            let intact = take(&mut ByteReader::new(&body))
                .is_ok_and(|record| record.is_some_and(|record| record.is_intact()));
            assert!(!intact, "bit {bit}");
        }
    }
}
