//! What a disk does without a database: the limit that figures about writes are held against.

use nodedb_env::{Env, File, Open};
use std::{io, path::Path, sync::Arc};

/// As long as a small log segment, so that neighbouring writes go to neighbouring blocks.
const FILE_BYTES: usize = 16 << 20;

/// A file that was written before it is measured, so that a write changes bytes and nothing else: no
/// blocks are allocated and no length grows, as in the segments of the log.
#[derive(Debug)]
pub struct BareFile {
    file: Arc<dyn File>,
    offset: usize,
}

impl BareFile {
    /// Creates `limit` in `dir` and fills it durably. Measure it before there is a log on the same disk,
    /// which would prepare its next segments at that moment.
    ///
    /// # Errors
    /// What the system reports; `AlreadyExists` if there is such a file.
    pub fn create(env: &Env, dir: &Path) -> io::Result<Self> {
        let file = env.files.open(&dir.join("limit"), Open::CreateNew)?;
        file.allocate(FILE_BYTES as u64)?;
        let zeros = vec![0; 1 << 20];
        for offset in (0..FILE_BYTES).step_by(zeros.len()) {
            file.write_all_at(&zeros, offset as u64)?;
        }
        file.sync_data()?;
        env.files.sync_dir(dir)?;
        Ok(Self { file, offset: 0 })
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
        assert!(bytes.len() <= FILE_BYTES, "a write fits into the file");
        if self.offset + bytes.len() > FILE_BYTES {
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
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_follow_each_other_and_never_grow_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let env = Env::real();
        let mut bare = BareFile::create(&env, dir.path()).expect("created");
        bare.write(b"one").expect("written");
        bare.write_synced(b"two").expect("synced");
        let bytes = env.files.read(&dir.path().join("limit")).expect("read");
        assert!(bytes.starts_with(b"onetwo\0"));

        bare.write(&vec![7; FILE_BYTES - 1]).expect("written");
        let bytes = env.files.read(&dir.path().join("limit")).expect("read");
        assert_eq!(bytes.len(), FILE_BYTES);
        assert!(bytes.starts_with(&[7]) && bytes.ends_with(&[7, 0]));
    }
}
