//! The checksums of `docs/formats/wal.md`, written from that page alone: they let damaged fields through to
//! what stands behind the checksums.

use crc32c::{crc32c, crc32c_append};

const PAGE: usize = 4096;
const BATCH_HEADER: usize = 64;
const RECORD_HEADER: usize = 32;

/// Makes the checksum of a slot of CONTROL hold.
pub(crate) fn seal_slot(slot: &mut [u8]) {
    let crc = crc32c(&slot[..508]);
    slot[508..512].copy_from_slice(&crc.to_le_bytes());
}

/// Makes the checksums of both slots hold, where the file has them.
pub(crate) fn seal_control(file: &mut [u8]) {
    for slot in file.chunks_exact_mut(PAGE) {
        seal_slot(slot);
    }
}

/// Makes every checksum of a segment hold: the header, and as many batches as follow each other.
pub(crate) fn seal_segment(file: &mut [u8]) {
    if file.len() < 2 * PAGE {
        return;
    }
    let crc = crc32c(&file[..124]);
    file[124..128].copy_from_slice(&crc.to_le_bytes());
    let identity =
        Identity { log_id: bytes(file, 16), number: bytes(file, 32), seed: bytes(file, 52) };
    let mut chain = identity.seed;
    let mut offset = PAGE;
    while file.get(offset..offset + 4) == Some(b"KBAT") {
        let Some(len) = seal_batch(&mut file[offset..], offset as u64, &identity, chain) else {
            return;
        };
        chain = bytes(file, offset + 52);
        offset += len;
    }
}

/// Which segment of which log, as every batch header is bound to it.
struct Identity {
    log_id: [u8; 16],
    number: [u8; 8],
    seed: [u8; 4],
}

/// Seals the batch at the beginning of `rest`; answers its length, if it fits.
fn seal_batch(rest: &mut [u8], offset: u64, identity: &Identity, before: [u8; 4]) -> Option<usize> {
    let body_len = u32::from_le_bytes(bytes(rest, 4)) as usize;
    let pad_len = u32::from_le_bytes(bytes(rest, 44)) as usize;
    let len = BATCH_HEADER.checked_add(body_len)?.checked_add(pad_len)?;
    if len > rest.len() || !len.is_multiple_of(512) {
        return None;
    }
    let (head, body) = rest.split_at_mut(BATCH_HEADER);
    let body = &mut body[..body_len];
    head[48..52].copy_from_slice(&before);
    let mut chain = crc32c_append(crc32c(&before), &identity.number);
    chain = crc32c_append(chain, &head[..52]);
    if head[40..42] == [0, 0] {
        seal_records(body, |header| chain = crc32c_append(chain, header));
    } else {
        chain = crc32c_append(chain, body);
    }
    head[52..56].copy_from_slice(&chain.to_le_bytes());
    let mut crc = crc32c(&identity.log_id);
    for part in [&identity.seed[..], &identity.number, &offset.to_le_bytes(), &head[..56]] {
        crc = crc32c_append(crc, part);
    }
    head[56..60].copy_from_slice(&crc.to_le_bytes());
    Some(len)
}

/// Makes the checksums of the records of a body hold, as far as there are whole ones.
pub(crate) fn seal_records(body: &mut [u8], mut with_header: impl FnMut(&[u8])) {
    let mut rest = body;
    while rest.len() >= RECORD_HEADER {
        let payload = u32::from_le_bytes(bytes(rest, 0)) as usize;
        let Some(len) = payload.checked_next_multiple_of(8).map(|padded| RECORD_HEADER + padded)
        else {
            return;
        };
        if len > rest.len() {
            return;
        }
        let crc = crc32c(&rest[RECORD_HEADER..RECORD_HEADER + payload]);
        let crc = crc32c_append(crc32c_append(crc, &rest[..4]), &rest[8..RECORD_HEADER]);
        rest[4..8].copy_from_slice(&crc.to_le_bytes());
        with_header(&rest[..RECORD_HEADER]);
        rest = &mut rest[len..];
    }
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> [u8; N] {
    from[at..].first_chunk().copied().expect("the caller has looked at the length")
}
