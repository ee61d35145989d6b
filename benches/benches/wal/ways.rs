//! Ways to have bytes on stable storage.

use anyhow::{Context, Result, ensure};
use nodedb_env::{Env, File, Open};
use rustix::{
    fs::{Mode, OFlags},
    io::{self, ReadWriteFlags},
};
use std::{
    fmt::Debug,
    io::IoSlice,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Length of every file. No turn writes more: blocks that are fallocated or absent are new only once.
pub(crate) const FILE_BYTES: usize = 128 << 20;
/// Direct I/O wants addresses, offsets and lengths to be multiples of the device's blocks; a page is one
/// for every device that there is.
const PAGE: usize = 4096;
const FILL: usize = 1 << 20;

/// One of them.
pub(crate) trait Way: Debug {
    /// As the table calls it.
    fn name(&self) -> &'static str;

    /// Makes the file as a turn finds it.
    fn renew(&mut self) -> Result<()> {
        Ok(())
    }

    /// Has the bytes on stable storage at an offset. Offsets of one turn follow each other.
    fn write_synced(&mut self, bytes: &[u8], offset: usize) -> Result<()>;
}

/// A file whose blocks are all written.
pub(crate) fn written_file(env: &Env, path: &Path) -> Result<Arc<dyn File>> {
    let file = fallocated_file(env, path)?;
    let zeros = vec![0; FILL];
    for offset in (0..FILE_BYTES).step_by(FILL) {
        file.write_all_at(&zeros, offset as u64)?;
    }
    file.sync_data()?;
    Ok(file)
}

fn fallocated_file(env: &Env, path: &Path) -> Result<Arc<dyn File>> {
    let file = env.files.open(path, Open::CreateNew)?;
    file.allocate(FILE_BYTES as u64)?;
    file.sync_data()?;
    Ok(file)
}

/// What the log does: positioned writes to blocks that were written before, then `fdatasync`.
#[derive(Debug)]
pub(crate) struct Written(Arc<dyn File>);

impl Written {
    pub(crate) const NAME: &str = "pre-written";

    pub(crate) fn create(env: &Env, dir: &Path) -> Result<Self> {
        Ok(Self(written_file(env, &dir.join(Self::NAME))?))
    }
}

impl Way for Written {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn write_synced(&mut self, bytes: &[u8], offset: usize) -> Result<()> {
        self.0.write_all_at(bytes, offset as u64)?;
        Ok(self.0.sync_data()?)
    }
}

/// The same to a file that is new for each turn: its blocks are reserved but unwritten, so that the first
/// write to each changes the file's metadata, which the sync must write as well; or there are none yet.
#[derive(Debug)]
pub(crate) struct Fresh {
    env: Env,
    dir: PathBuf,
    turns: u32,
    file: Option<Arc<dyn File>>,
    grows: bool,
}

impl Fresh {
    pub(crate) fn fallocated(env: &Env, dir: &Path) -> Self {
        Self::new(env, dir, false)
    }

    pub(crate) fn growing(env: &Env, dir: &Path) -> Self {
        Self::new(env, dir, true)
    }

    fn new(env: &Env, dir: &Path, grows: bool) -> Self {
        Self { env: env.clone(), dir: dir.to_owned(), turns: 0, file: None, grows }
    }
}

impl Way for Fresh {
    fn name(&self) -> &'static str {
        if self.grows { "growing" } else { "fallocated" }
    }

    fn renew(&mut self) -> Result<()> {
        // The file of the turn before stays: to free its blocks would slow down this turn's syncs.
        self.turns += 1;
        let path = self.dir.join(format!("{}-{}", self.name(), self.turns));
        self.file = Some(if self.grows {
            self.env.files.open(&path, Open::CreateNew)?
        } else {
            fallocated_file(&self.env, &path)?
        });
        Ok(())
    }

    fn write_synced(&mut self, bytes: &[u8], offset: usize) -> Result<()> {
        let file = self.file.as_ref().context("a turn begins with a new file")?;
        file.write_all_at(bytes, offset as u64)?;
        Ok(file.sync_data()?)
    }
}

/// Writes that are durable when they return, as all are of a file opened with `O_DSYNC`.
#[derive(Debug)]
pub(crate) struct Dsync(Arc<dyn File>);

impl Dsync {
    pub(crate) fn create(env: &Env, dir: &Path) -> Result<Self> {
        Ok(Self(written_file(env, &dir.join("dsync"))?))
    }
}

impl Way for Dsync {
    fn name(&self) -> &'static str {
        "o-dsync"
    }

    fn write_synced(&mut self, bytes: &[u8], offset: usize) -> Result<()> {
        let file = self.0.as_fd().context("a real file")?;
        let slices = [IoSlice::new(bytes)];
        let count = io::pwritev2(file, &slices, offset as u64, ReadWriteFlags::DSYNC)?;
        ensure!(count == bytes.len(), "{count} bytes of {} were written", bytes.len());
        Ok(())
    }
}

/// Writes past the page cache, then `fdatasync`, which has only the device's cache to flush.
#[derive(Debug)]
pub(crate) struct Direct {
    file: OwnedFd,
    /// Room for the longest write behind the first address that is aligned.
    buffer: Vec<u8>,
}

impl Direct {
    pub(crate) fn create(env: &Env, dir: &Path) -> Result<Self> {
        let path = dir.join("direct");
        drop(written_file(env, &path)?);
        let file = rustix::fs::open(&path, OFlags::RDWR | OFlags::DIRECT, Mode::empty())?;
        Ok(Self { file, buffer: Vec::new() })
    }
}

impl Way for Direct {
    fn name(&self) -> &'static str {
        "o-direct"
    }

    fn write_synced(&mut self, bytes: &[u8], offset: usize) -> Result<()> {
        if self.buffer.len() < bytes.len() + PAGE {
            self.buffer.resize(bytes.len() + PAGE, 0);
        }
        let start = self.buffer.as_ptr().align_offset(PAGE);
        let aligned = self.buffer.get_mut(start..start + bytes.len()).context("room")?;
        // The copy counts: a log gathers records somewhere, and then they must be aligned.
        aligned.copy_from_slice(bytes);
        let count = io::pwrite(&self.file, aligned, offset as u64)?;
        ensure!(count == bytes.len(), "{count} bytes of {} were written", bytes.len());
        Ok(rustix::fs::fdatasync(self.file.as_fd())?)
    }
}
