//! Files that the caller names, and standard input and output. They may be links, pipes and devices,
//! which the ports of the database refuse for its own files.
#![expect(
    clippy::disallowed_methods,
    reason = "the ports open regular files of a database; a caller may name a link or a pipe"
)]

use crate::failure::Failure;
use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

/// Most bytes of an input that is read whole: the largest atomic batch with room for its escapes.
const INPUT_BYTES_MAX: u64 = 128 << 20;

/// Whether a name stands for standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    move |source| Failure::File { action, path, source }
}

/// Opens a file, or standard input for `-`, to read it line by line.
///
/// # Errors
/// [`Failure::File`].
pub(crate) fn reader(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if is_standard(path) {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).map_err(failed("opening", path))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
}

/// All bytes of a file, or of standard input for `-`.
///
/// # Errors
/// [`Failure::File`]; [`Failure::Input`] past 128 MiB.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    reader(path)?
        .take(INPUT_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(failed("reading", path))?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        let message =
            format!("longer than {INPUT_BYTES_MAX} bytes, which no value or batch may be");
        return Err(Failure::input(path.display().to_string(), message));
    }
    Ok(bytes)
}

/// The text of a file, or `None` where there is none.
///
/// # Errors
/// [`Failure::File`].
pub(crate) fn read_if_there(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // The directory is a file: what opens the database says so.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(error) => Err(failed("reading", path)(error)),
    }
}

/// A file being written. Its name appears only with its whole contents; a pipe or a device is
/// written as it is.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    /// Where the bytes stand until [`NewFile::finish`]; `None` for a pipe or a device.
    partial: Option<PathBuf>,
    file: BufWriter<File>,
}

impl NewFile {
    /// Begins to write.
    ///
    /// # Errors
    /// [`Failure::File`].
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let special = fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
        let partial = (!special).then(|| {
            let mut name = OsString::from(path);
            name.push(".partial");
            PathBuf::from(name)
        });
        let target = partial.as_deref().unwrap_or(path);
        let file = File::create(target).map_err(failed("creating", target))?;
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok(Self { path: path.to_owned(), partial, file })
    }

    /// Makes the contents durable, then gives them their name.
    ///
    /// # Errors
    /// [`Failure::File`]; the name then shows what it showed before.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.file.flush().map_err(failed("writing", &self.path))?;
        let Some(partial) = &self.partial else {
            return Ok(());
        };
        // Contents before name: a power cut must not leave the name with half of them.
        self.file.get_ref().sync_all().map_err(failed("syncing", partial))?;
        fs::rename(partial, &self.path).map_err(failed("naming", &self.path))?;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let directory = File::open(parent).map_err(failed("opening", parent))?;
        directory.sync_all().map_err(failed("syncing", parent))
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_appears_with_its_whole_contents() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("out");
        fs::write(&path, "old")?;
        let mut file = NewFile::create(&path)?;
        file.write_all(b"new")?;
        file.flush()?;
        assert_eq!(fs::read(&path)?, b"old");
        file.finish()?;
        assert_eq!(read(&path)?, b"new");
        assert_eq!(fs::read_dir(dir.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_device_is_written_as_it_is() -> Result<(), Box<dyn std::error::Error>> {
        let mut file = NewFile::create(Path::new("/dev/null"))?;
        file.write_all(b"gone")?;
        file.finish()?;
        assert_eq!(read(Path::new("/dev/null"))?, b"");
        Ok(())
    }

    #[test]
    fn what_is_not_there_is_told_from_what_fails() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        assert_eq!(read_if_there(&dir.path().join("x"))?, None);
        assert!(matches!(read(&dir.path().join("x")), Err(Failure::File { .. })));
        assert!(read_if_there(dir.path()).is_err());
        Ok(())
    }
}
