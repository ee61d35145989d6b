//! The directory of a database: its lock, its names, its creation.

use crate::{Error, identity::Identity};
use nodedb_env::{EntryKind, Env, FileLock, Files, Open};
use parking_lot::Mutex;
use std::{
    io,
    path::{Path, PathBuf},
};

/// The directory of a database, locked for this process.
///
/// | name | what |
/// |---|---|
/// | `LOCK` | locked while open; holds the process id; its inode tells a copy from the original |
/// | `CREATING` | stands while a creation is under way: nothing has been acknowledged yet |
/// | `NODEDB` | identity; written last at creation |
/// | `ARCHIVE` | where the archive is and how far it is |
/// | `POINTS` | names of restore points |
/// | `wal/` | the log |
/// | `vshards/NNNN/` | the engines' files |
/// | `truncated/` | originals of what lossy truncations of the log changed |
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    /// Held until the database is closed.
    lock: Mutex<Option<Box<dyn FileLock>>>,
}

/// What a directory is locked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// To be opened, and made a database if it is missing or empty.
    Create,
    /// To be opened.
    Open,
    /// To be looked at: no byte of it is changed and no name made, and it may lie on a read-only file system.
    Look,
}

/// What a directory holds before it is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Found {
    /// Nothing, or what an interrupted creation left.
    Nothing,
    /// A database.
    Database,
}

impl Directory {
    /// Locks a directory for what `access` says.
    pub(crate) fn lock(env: &Env, path: &Path, access: Access) -> Result<Self, Error> {
        let files = &*env.files;
        let entry = files.entry(path).map_err(Error::io("looking at", path))?;
        match entry {
            Some(_) => check_contents(files, path, access)?,
            None if access != Access::Create => {
                return Err(Error::NoDatabase { path: path.to_owned() });
            }
            None => {
                files.create_dir(path).map_err(Error::io("creating", path))?;
                let parent = parent(path);
                files.sync_dir(parent).map_err(Error::io("syncing", parent))?;
            }
        }
        let lock_path = path.join("LOCK");
        if access == Access::Look && !exists(files, &lock_path)? {
            // Whoever opens it makes the file first, so nobody has it open; looking makes nothing.
            return Ok(Self { path: path.to_owned(), lock: Mutex::new(None) });
        }
        let lock = match files.lock(&lock_path) {
            Ok(lock) => Some(lock),
            // Nobody can write where the file system is read-only, and looking needs no more.
            Err(error)
                if access == Access::Look && error.kind() == io::ErrorKind::ReadOnlyFilesystem =>
            {
                None
            }
            Err(error) => return Err(locked(files, path, error)),
        };
        if access != Access::Look {
            let file = files.open(&lock_path, Open::ReadWrite);
            let process = format!("{:<20}\n", std::process::id());
            file.and_then(|file| file.write_all_at(process.as_bytes(), 0))
                .map_err(Error::io("writing", &lock_path))?;
        }
        Ok(Self { path: path.to_owned(), lock: Mutex::new(lock) })
    }

    /// Looks at a directory that a process may have open.
    pub(crate) fn unlocked(env: &Env, path: &Path) -> Result<Self, Error> {
        let files = &*env.files;
        if !exists(files, path)? {
            return Err(Error::NoDatabase { path: path.to_owned() });
        }
        check_contents(files, path, Access::Look)?;
        Ok(Self { path: path.to_owned(), lock: Mutex::new(None) })
    }

    /// Lets another process open the directory, after everything in it was closed.
    pub(crate) fn unlock(&self) {
        drop(self.lock.lock().take());
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn lock_path(&self) -> PathBuf {
        self.path.join("LOCK")
    }

    pub(crate) fn identity_path(&self) -> PathBuf {
        self.path.join("NODEDB")
    }

    pub(crate) fn archive_path(&self) -> PathBuf {
        self.path.join("ARCHIVE")
    }

    pub(crate) fn points_path(&self) -> PathBuf {
        self.path.join("POINTS")
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.path.join("wal")
    }

    pub(crate) fn vshards_path(&self) -> PathBuf {
        self.path.join("vshards")
    }

    /// Where a base image is linked together before it is uploaded.
    pub(crate) fn image_path(&self) -> PathBuf {
        self.path.join("image")
    }

    /// Where the originals of a lossy truncation of the log go, unless the caller names a place.
    pub(crate) fn truncated_path(&self) -> PathBuf {
        self.path.join("truncated")
    }

    fn creating_path(&self) -> PathBuf {
        self.path.join("CREATING")
    }

    /// What is there, under the lock.
    pub(crate) fn found(&self, files: &dyn Files) -> Result<Found, Error> {
        if exists(files, &self.identity_path())? {
            return Ok(Found::Database);
        }
        if exists(files, &self.log_path())? && !exists(files, &self.creating_path())? {
            // Without the marker this was a whole database once.
            return Err(Error::corrupt(self.identity_path(), "missing"));
        }
        Ok(Found::Nothing)
    }

    /// Begins to create the contents. The marker is durable before anything else and goes only after
    /// the identity is durable, so that whatever a crash leaves in between may be swept: nothing in
    /// it was ever acknowledged.
    pub(crate) fn begin(&self, env: &Env) -> Result<(), Error> {
        let files = &*env.files;
        let marker = self.creating_path();
        if exists(files, &marker)? {
            self.sweep(files)?;
        } else {
            let file =
                files.open(&marker, Open::CreateNew).map_err(Error::io("creating", &marker))?;
            file.sync_data().map_err(Error::io("syncing", &marker))?;
        }
        self.sync(files)
    }

    /// Completes the creation: from here on there is a database.
    pub(crate) fn finish(&self, env: &Env, identity: &Identity) -> Result<(), Error> {
        let files = &*env.files;
        let marker = self.creating_path();
        self.sync(files)?;
        identity.write(files, &self.identity_path())?;
        files.remove_file(&marker).map_err(Error::io("removing", &marker))?;
        self.sync(files)
    }

    /// Removes the marker of a creation that was killed after its end. Left behind it would let a
    /// later open without `NODEDB`, which is damage then, sweep acknowledged data.
    pub(crate) fn settle(&self, files: &dyn Files) -> Result<(), Error> {
        let marker = self.creating_path();
        if exists(files, &marker)? {
            files.remove_file(&marker).map_err(Error::io("removing", &marker))?;
            self.sync(files)?;
        }
        Ok(())
    }

    /// Removes what an interrupted creation left.
    fn sweep(&self, files: &dyn Files) -> Result<(), Error> {
        for dir in [self.log_path(), self.vshards_path()] {
            if exists(files, &dir)? {
                files.remove_dir_all(&dir).map_err(Error::io("removing", &dir))?;
            }
        }
        Ok(())
    }

    pub(crate) fn sync(&self, files: &dyn Files) -> Result<(), Error> {
        files.sync_dir(&self.path).map_err(Error::io("syncing", &self.path))
    }
}

/// The directory that holds a path's name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

pub(crate) fn exists(files: &dyn Files, path: &Path) -> Result<bool, Error> {
    files.entry(path).map(|entry| entry.is_some()).map_err(Error::io("looking at", path))
}

/// Refuses a directory that is not ours before the lock file is written into it.
fn check_contents(files: &dyn Files, path: &Path, access: Access) -> Result<(), Error> {
    let entries = files.list(path).map_err(Error::io("listing", path))?;
    let ours = |name: &str| {
        ["LOCK", "NODEDB", "CREATING"].contains(&name)
            && entries.iter().any(|entry| entry.name == name && entry.kind == EntryKind::File)
    };
    if ours("NODEDB") || ours("CREATING") {
        return Ok(());
    }
    // Options may be written down before the database is created.
    let expected = |name: &std::ffi::OsStr| name == "LOCK" || name == "nodedb.toml";
    let stranger = entries.iter().find(|entry| !expected(&entry.name));
    match stranger {
        Some(_) if entries.iter().any(|entry| entry.name == "wal") && ours("LOCK") => Ok(()),
        Some(entry) => Err(Error::Foreign {
            path: path.to_owned(),
            found: entry.name.to_string_lossy().into_owned(),
        }),
        None if access == Access::Create => Ok(()),
        None => Err(Error::NoDatabase { path: path.to_owned() }),
    }
}

fn locked(files: &dyn Files, path: &Path, error: io::Error) -> Error {
    let lock_path = path.join("LOCK");
    if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        return Error::ReadOnlyFileSystem { path: path.to_owned() };
    }
    if error.kind() != io::ErrorKind::WouldBlock {
        return Error::io("locking", lock_path)(error);
    }
    let process = files
        .read(&lock_path)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "unknown".to_owned());
    Error::Locked { path: path.to_owned(), process }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It said only that a file could not be locked.
    #[test]
    fn a_read_only_file_system_is_named_with_what_still_works() {
        let refused =
            |kind: io::ErrorKind| locked(&*Env::real().files, Path::new("/absent/db"), kind.into());
        let read_only = refused(io::ErrorKind::ReadOnlyFilesystem);
        assert!(matches!(read_only, Error::ReadOnlyFileSystem { .. }), "{read_only}");
        assert!(read_only.to_string().contains("`verify`"), "{read_only}");
        assert!(matches!(refused(io::ErrorKind::WouldBlock), Error::Locked { .. }));
        assert!(matches!(refused(io::ErrorKind::PermissionDenied), Error::Io { .. }));
    }
}
