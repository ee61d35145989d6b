//! The real file system of Linux.

use crate::files::{Entry, EntryKind, File, FileIdentity, FileLock, Files, Open};
use rustix::fs::{self as sys, AtFlags, FlockOperation, Mode, OFlags, RenameFlags, StatxFlags};
use std::{
    fs::Metadata,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::Path,
    sync::Arc,
};

/// The real file system.
#[derive(Clone, Copy, Debug)]
pub struct RealFiles;

#[derive(Debug)]
struct RealFile(std::fs::File);

#[derive(Debug)]
struct RealLock {
    // Held for its life: closing the descriptor releases the lock.
    _held: OwnedFd,
}

impl FileLock for RealLock {}

impl File for RealFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match sys::fallocate(&self.0, sys::FallocateFlags::empty(), 0, len) {
            // No allocation on this file system: the caller's zero-fill finds out about space.
            Err(rustix::io::Errno::OPNOTSUPP) => self.0.set_len(len),
            result => Ok(result?),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn start_write_back(&self, offset: u64) {
        // "Not needed any more" starts the writing of what is dirty and takes only what is clean out of
        // memory, which bytes just written are not (mm/fadvise.c). The system has a call that says only the
        // former, without a safe wrapper. A failure of the hint is no failure of anything.
        match sys::fadvise(&self.0, offset, None, sys::Advice::DontNeed) {
            Ok(()) | Err(_) => {}
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

fn open_fd(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    // No link is followed: a planted link must not lead writes out of the directory.
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(sys::open(path, flags, Mode::RUSR | Mode::WUSR)?)
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    Ok(sys::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn kind_of(metadata: &Metadata) -> EntryKind {
    if metadata.is_file() {
        EntryKind::File
    } else if metadata.is_dir() {
        EntryKind::Directory
    } else {
        EntryKind::Other
    }
}

fn entry_of(name: std::ffi::OsString, metadata: &Metadata) -> Entry {
    let kind = kind_of(metadata);
    let len = if kind == EntryKind::File { metadata.len() } else { 0 };
    Entry { name, kind, len }
}

#[expect(clippy::disallowed_methods, reason = "this is the adapter that the others are sent to")]
impl Files for RealFiles {
    fn open(&self, path: &Path, open: Open) -> io::Result<Arc<dyn File>> {
        let flags = match open {
            // Without NONBLOCK the open of a planted pipe would wait for ever.
            Open::Read => OFlags::RDONLY | OFlags::NONBLOCK,
            Open::ReadWrite => OFlags::RDWR | OFlags::NONBLOCK,
            Open::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
        };
        let file = std::fs::File::from(open_fd(path, flags)?);
        if !file.metadata()?.is_file() {
            let message = format!("{} is not a regular file", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        Ok(Arc::new(RealFile(file)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        Ok(sys::mkdir(path, Mode::RWXU)?)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(metadata) => entries.push(entry_of(entry.file_name(), &metadata)),
                // Removed since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn entry(&self, path: &Path) -> io::Result<Option<Entry>> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) => {
                Ok(Some(entry_of(path.file_name().unwrap_or_default().to_owned(), &metadata)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(sys::renameat_with(sys::CWD, from, sys::CWD, to, RenameFlags::NOREPLACE)?)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Ok(sys::fsync(open_dir(path)?)?)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn FileLock>> {
        let held = open_fd(path, OFlags::RDWR | OFlags::CREATE)?;
        sys::flock(&held, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(RealLock { _held: held }))
    }

    fn identity(&self, path: &Path) -> io::Result<FileIdentity> {
        let stat = sys::statfs(path)?;
        let mask = StatxFlags::INO | StatxFlags::BTIME;
        let statx = sys::statx(sys::CWD, path, AtFlags::SYMLINK_NOFOLLOW, mask)?;
        let seconds = u64::try_from(statx.stx_btime.tv_sec).unwrap_or(0);
        Ok(FileIdentity {
            file_system: file_system_id(&stat),
            inode: statx.stx_ino,
            born_ns: seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(u64::from(statx.stx_btime.tv_nsec)),
        })
    }

    fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = sys::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// The number that the kernel derives from the file system's UUID (ext4, xfs, btrfs); it has no
/// accessor, so it is read from the debug form that names its two halves.
fn file_system_id(stat: &sys::StatFs) -> u64 {
    let text = format!("{:?}", stat.f_fsid);
    let mut id = 0_u64;
    for part in text.split(|c: char| !c.is_ascii_digit() && c != '-') {
        if let Ok(half) = part.parse::<i32>() {
            id = id << 32 | u64::from(half.cast_unsigned());
        }
    }
    id
}
