//! Sizes and versions of the on-disk format; `docs/formats/wal.md` is its description.

/// Version of segments, batches and CONTROL that this crate writes and reads.
pub(crate) const VERSION: u16 = 1;
/// The highest life of a log that is read: what is read can be counted on, and CONTROL takes no higher one.
pub(crate) const EPOCH_MAX: u32 = u32::MAX / 2;
/// The segment header owns the first page of a segment.
pub(crate) const HEADER_PAGE: u64 = 4096;
/// The last page takes no records: a final `SyncPoint` always fits, and Seal and trailer will stand here.
pub(crate) const TAIL_PAGE: u64 = 4096;
/// Every batch starts at a multiple of this.
pub(crate) const BATCH_ALIGN: u64 = 512;
/// Bytes of a batch header.
pub(crate) const BATCH_HEADER: usize = 64;
/// Bytes of a record header.
pub(crate) const RECORD_HEADER: usize = 32;
/// Where the first batch with records may start: behind the header page and the `SegmentLink`.
pub(crate) const FIRST_RECORDS: u64 = HEADER_PAGE + BATCH_ALIGN;

/// Where records must end within a segment.
pub(crate) const fn records_end(segment_bytes: u64) -> u64 {
    segment_bytes - TAIL_PAGE
}

/// Largest body of one batch, which is also the largest atomic group.
pub(crate) fn body_max(segment_bytes: u64) -> usize {
    in_memory(records_end(segment_bytes) - FIRST_RECORDS) - BATCH_HEADER
}

/// Bytes that a batch with this body takes on disk.
pub(crate) fn batch_len(body: usize) -> u64 {
    ((BATCH_HEADER + body) as u64).next_multiple_of(BATCH_ALIGN)
}

/// Bytes that a record with this payload takes in a body.
pub(crate) const fn record_len(payload: usize) -> usize {
    RECORD_HEADER + payload.next_multiple_of(8)
}

/// Whether padding, which is always shorter than a batch's alignment, is all zeros. At once: byte by byte it
/// took as long as the checksums.
pub(crate) fn is_zero(padding: &[u8]) -> bool {
    const ZEROS: [u8; 512] = [0; 512];
    ZEROS.get(..padding.len()) == Some(padding)
}

/// A length or offset inside one segment as an index.
#[expect(clippy::expect_used, reason = "a segment is at most 1 GiB long")]
pub(crate) fn in_memory(length: u64) -> usize {
    usize::try_from(length).expect("a segment is at most 1 GiB long")
}

/// A length or count inside one segment as it stands on disk.
#[expect(clippy::expect_used, reason = "a segment is at most 1 GiB long")]
pub(crate) fn on_disk(length: usize) -> u32 {
    u32::try_from(length).expect("a segment is at most 1 GiB long")
}
