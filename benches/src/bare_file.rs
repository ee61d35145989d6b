//! What a disk does without a database: the limit that figures about writes are held against.

use nodedb_env::{Env, File, Open};
use std::{io, sync::Arc};
use tempfile::TempDir;

/// As long as a small log segment, so that neighbouring writes go to neighbouring blocks.
const FILE_BYTES: usize = 16 << 20;
const FILL: usize = 1 << 20;

/// A temporary file that was written before it is measured, so that a write changes bytes and nothing
/// else: no blocks are allocated and no length grows, as in the segments of the log.
#[derive(Debug)]
pub struct BareFile {
    file: Arc<dyn File>,
    len: usize,
    offset: usize,
    _dir: TempDir,
}

impl BareFile {
    /// Creates a file of 16 MiB and fills it durably.
    ///
    /// # Errors
    /// What the system reports.
    pub fn create() -> io::Result<Self> {
        Self::with_len(FILE_BYTES)
    }

    /// Creates a file of so many bytes and fills it durably.
    ///
    /// # Errors
    /// What the system reports.
    pub fn with_len(len: usize) -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        let env = Env::real();
        let file = env.files.open(&dir.path().join("limit"), Open::CreateNew)?;
        file.allocate(len as u64)?;
        let zeros = vec![0; FILL.min(len)];
        for offset in (0..len).step_by(FILL) {
            let zeros = &zeros[..FILL.min(len - offset)];
            file.write_all_at(zeros, offset as u64)?;
        }
        file.sync_data()?;
        env.files.sync_dir(dir.path())?;
        Ok(Self { file, len, offset: 0, _dir: dir })
    }

    /// Writes behind the last write, or at the start where the end would be crossed. Survives a killed
    /// process, not a power cut.
    ///
    /// # Errors
    /// What the system reports.
    ///
    /// # Panics
    /// If the file has not that many bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        assert!(bytes.len() <= self.len, "a write fits into the file");
        if self.offset + bytes.len() > self.len {
            self.offset = 0;
        }
        self.file.write_all_at(bytes, self.offset as u64)?;
        self.offset += bytes.len();
        Ok(())
    }

    /// The same, and on stable storage on return.
    ///
    /// # Errors
    /// What the system reports.
    ///
    /// # Panics
    /// As [`BareFile::write`].
    pub fn write_synced(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes)?;
        self.sync()
    }

    /// Makes every write so far durable.
    ///
    /// # Errors
    /// What the system reports.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(bare: &BareFile) -> Vec<u8> {
        let len = usize::try_from(bare.file.len().expect("a length")).expect("small");
        let mut bytes = vec![0; len];
        bare.file.read_exact_at(&mut bytes, 0).expect("read");
        bytes
    }

    #[test]
    fn writes_follow_each_other_and_never_grow_the_file() {
        let mut bare = BareFile::create().expect("created");
        bare.write(b"one").expect("written");
        bare.write_synced(b"two").expect("synced");
        assert!(contents(&bare).starts_with(b"onetwo\0"));

        bare.write(&vec![7; FILE_BYTES - 1]).expect("written");
        let bytes = contents(&bare);
        assert_eq!(bytes.len(), FILE_BYTES);
        assert!(bytes.starts_with(&[7]) && bytes.ends_with(&[7, 0]));
    }
}
