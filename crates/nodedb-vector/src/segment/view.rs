//! Files of segments in memory, and the view of an index over one. The one file of this crate with
//! `unsafe`.

#![expect(
    unsafe_code,
    reason = "a map, a slice of numbers in it and a view of an index over it cannot be made without; \
              the argument stands at each call"
)]

use super::header::Checked;
use memmap2::{Mmap, MmapOptions};
use nodedb_engine::EngineError;
use nodedb_env::{File, Files, Open};
use std::{
    fmt, io,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    sync::Arc,
};
use usearch::{
    Index, VectorType,
    ffi::{Matches, MetricKind, ScalarKind},
};

/// Bytes of a file start here in memory, as they would in a map.
const ALIGNMENT: usize = 64;
/// How much is read at once before a file is mapped.
const READ_BYTES: usize = 256 << 10;

const _: () =
    assert!(cfg!(target_endian = "little"), "numbers of segments are read where they lie");

/// One file of a segment, whole: mapped where the file has a descriptor, a copy where it is simulated.
///
/// A mapped file is never written nor shortened: segments are written once, under a name that no
/// manifest had, and only ever unlinked, which leaves a map as it is.
pub(crate) struct SegmentFile {
    path: PathBuf,
    bytes: Holder,
}

enum Holder {
    Map(Mmap),
    /// The bytes begin at `start`, on a multiple of [`ALIGNMENT`] in memory.
    Copy {
        memory: Box<[u8]>,
        start: usize,
        len: usize,
    },
}

impl SegmentFile {
    /// Maps or reads a file.
    ///
    /// # Errors
    /// `Io` with what the system reports.
    pub(crate) fn open(files: &dyn Files, path: &Path) -> Result<Self, EngineError> {
        let read = || {
            let file = files.open(path, Open::Read)?;
            let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
            match file.as_fd() {
                Some(fd) => {
                    read_through(&*file, len)?;
                    map(fd, len)
                }
                None => Holder::copy(len, |buffer| file.read_exact_at(buffer, 0)),
            }
        };
        let bytes = read().map_err(EngineError::io("opening", path))?;
        Ok(Self { path: path.to_owned(), bytes })
    }

    /// A copy of bytes that stand, or would stand, at `path`.
    ///
    /// # Errors
    /// `Io` if there is no memory for it.
    #[cfg(test)]
    pub(crate) fn copied(path: &Path, bytes: &[u8]) -> Result<Self, EngineError> {
        let fill = |buffer: &mut [u8]| {
            buffer.copy_from_slice(bytes);
            Ok(())
        };
        let bytes = Holder::copy(bytes.len(), fill).map_err(EngineError::io("holding", path))?;
        Ok(Self { path: path.to_owned(), bytes })
    }

    /// Where it stands.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// All bytes of the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Holder::Map(map) => map,
            Holder::Copy { memory, start, len } => {
                memory.get(*start..start + len).unwrap_or_default()
            }
        }
    }

    /// Bytes of the heap, and bytes that are mapped.
    pub(crate) fn memory_bytes(&self) -> (usize, usize) {
        match &self.bytes {
            Holder::Map(map) => (0, map.len()),
            Holder::Copy { memory, .. } => (memory.len(), 0),
        }
    }
}

impl fmt::Debug for SegmentFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentFile")
            .field("path", &self.path)
            .field("bytes", &self.bytes().len())
            .finish_non_exhaustive()
    }
}

impl Holder {
    fn copy(len: usize, fill: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<Self> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(len + ALIGNMENT).map_err(io::Error::other)?;
        memory.resize(len + ALIGNMENT, 0);
        let mut memory = memory.into_boxed_slice();
        let start = memory.as_ptr().align_offset(ALIGNMENT);
        assert!(start < ALIGNMENT, "a byte of the first {ALIGNMENT} is aligned");
        fill(memory.get_mut(start..start + len).unwrap_or_default())?;
        Ok(Self::Copy { memory, start, len })
    }
}

/// Reads a file once by position: a bad sector is an error here, and a signal through a map.
fn read_through(file: &dyn File, len: usize) -> io::Result<()> {
    let mut buffer = vec![0; len.min(READ_BYTES)];
    let mut at = 0;
    while at < len {
        let next = buffer.get_mut(..READ_BYTES.min(len - at)).unwrap_or_default();
        file.read_exact_at(next, at as u64)?;
        at += next.len();
    }
    Ok(())
}

fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<Holder> {
    let mut options = MmapOptions::new();
    // All pages at once: the checksum reads every one of them next.
    options.len(len).populate();
    // SAFETY: the bytes do not change under the map. This process writes a segment's file once, before
    // its first open, and later only unlinks it (see `SegmentFile`); the directory of a database is
    // locked against a second process of ours.
    let map = unsafe { options.map(&fd) }?;
    Ok(Holder::Map(map))
}

/// Numbers where they lie.
///
/// # Panics
/// If the bytes do not begin on a multiple of 4 or do not end after a whole number: bodies of segments
/// do, by construction.
pub(super) fn numbers(bytes: &[u8]) -> &[f32] {
    // SAFETY: every pattern of 32 bits is an `f32`, and the slice borrows what `bytes` borrows.
    let (before, numbers, after) = unsafe { bytes.align_to::<f32>() };
    assert!(before.is_empty() && after.is_empty(), "numbers of a segment are aligned");
    numbers
}

/// An index of the library over the bytes of a checked file.
///
/// The owner of both. Every method that searches takes `&mut self`: the library would take shared
/// calls from many threads, and fails some of them for want of slots.
pub(super) struct IndexView {
    // Fields are dropped in this order: the index, which points into the file, before the file.
    index: Index,
    _file: Arc<SegmentFile>,
}

impl IndexView {
    /// Views the bytes of `checked` from `offset` of its body on, with an `index` of the same options
    /// as the one that was saved. Answers what the library says if it refuses.
    pub(super) fn new(index: Index, checked: &Checked, offset: usize) -> Result<Self, String> {
        let file = Arc::clone(checked.file());
        let bytes = checked.body().get(offset..).ok_or("the file ends before the graph")?;
        // SAFETY: the index keeps a pointer to `bytes`, and no one may change or free them while it
        // lives. They are part of `file`, of which `Self` holds a share that is dropped after the index
        // (order of the fields), also when the call fails: `index` was passed by value and is dropped
        // here, before `checked`. Neither a map nor a boxed slice moves when its owner does, and
        // `SegmentFile` hands out shared slices only. The library follows offsets in the bytes
        // unchecked; `Checked` is proof that they are what its own writer wrote.
        unsafe { index.view_from_buffer(bytes) }.map_err(|error| error.to_string())?;
        Ok(Self { index, _file: file })
    }

    pub(super) fn len(&self) -> usize {
        self.index.size()
    }

    /// Whether what was saved has these options; a view takes on the options of its bytes.
    pub(super) fn is(&self, dimensions: usize, metric: MetricKind, scalar: ScalarKind) -> bool {
        let index = &self.index;
        index.dimensions() == dimensions
            && index.metric_kind() == metric
            && index.scalar_kind() == scalar
    }

    /// Bytes that the library holds beside the file.
    pub(super) fn memory_bytes(&self) -> usize {
        self.index.memory_usage()
    }

    /// The nearest to `query` that `accept` takes, among `ef` that are kept while looking.
    pub(super) fn search<T: VectorType>(
        &mut self,
        query: &[T],
        wanted: usize,
        ef: usize,
        accept: Option<&dyn Fn(u64) -> bool>,
    ) -> Result<Matches, String> {
        self.index.change_expansion_search(ef);
        let matches = match accept {
            Some(accept) => self.index.filtered_search(query, wanted, accept),
            None => self.index.search(query, wanted),
        };
        matches.map_err(|error| error.to_string())
    }
}

impl fmt::Debug for IndexView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexView").field("len", &self.len()).finish_non_exhaustive()
    }
}
