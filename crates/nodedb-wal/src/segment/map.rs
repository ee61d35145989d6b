//! Read-only views of segment files. The one file of this crate with `unsafe`.

#![expect(
    unsafe_code,
    reason = "a slice into a file mapping cannot be made without it; the argument stands at the one call"
)]

use bytes::Bytes;
use memmap2::{MmapOptions, MmapRaw};
use nodedb_env::File;
use std::{io, sync::Arc};

/// A segment file as readers see it: mapped if the file has a descriptor, read by position if not.
#[derive(Debug)]
pub(crate) struct SegmentMap {
    // Kept open as long as the map: the descriptor that reads is the one that was mapped.
    file: Arc<dyn File>,
    map: Option<MmapRaw>,
}

impl SegmentMap {
    /// Maps the whole file.
    pub(crate) fn mapped(file: Arc<dyn File>) -> io::Result<Self> {
        let map = match file.as_fd() {
            Some(fd) => Some(MmapOptions::new().map_raw_read_only(&fd)?),
            None => None,
        };
        Ok(Self { file, map })
    }

    /// Reads by position, so that a bad sector is an error and no signal.
    pub(crate) fn unmapped(file: Arc<dyn File>) -> Self {
        Self { file, map: None }
    }

    /// The bytes `[offset, offset + len)`, which the caller knows to be written for good.
    ///
    /// # Errors
    /// `UnexpectedEof` if the segment does not reach that far; what the system reports.
    pub(crate) fn slice(self: &Arc<Self>, offset: u64, len: usize) -> io::Result<Bytes> {
        let Some(map) = &self.map else {
            let mut bytes = vec![0; len];
            self.file.read_exact_at(&mut bytes, offset)?;
            return Ok(bytes.into());
        };
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(len);
        if end.is_none_or(|end| end > map.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Bytes::from_owner(View { map: Arc::clone(self), start, len }))
    }
}

/// A range of a mapped segment, checked by [`SegmentMap::slice`] to lie within it.
struct View {
    map: Arc<SegmentMap>,
    start: usize,
    len: usize,
}

impl AsRef<[u8]> for View {
    fn as_ref(&self) -> &[u8] {
        let Some(map) = &self.map.map else {
            return &[];
        };
        let first = map.as_ptr().wrapping_add(self.start);
        // SAFETY: `slice` checked that the range lies within the map, and the `Arc` in `self` keeps the
        // map alive as long as the slice. The bytes do not change under it: callers ask only for bytes
        // below `written`, the flusher never writes below that again, and a segment's file is never
        // shortened; it is written anew (recycled) only when no map of it is left, else unlinked.
        unsafe { std::slice::from_raw_parts(first, self.len) }
    }
}
