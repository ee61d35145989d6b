//! Copying files aside before anything is done to them.

use crate::WalError;
use nodedb_env::{Env, File, Open};
use nodedb_types::Lsn;
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

/// Bytes in memory at once.
const CHUNK: usize = 1 << 20;
/// Most truncations at one record whose copies are kept in one place.
const ATTEMPTS_MAX: u32 = 10_000;

/// Copies files of `dir` into a fresh directory below `copies`, durably, and reads every copy back.
///
/// # Errors
/// `NoSpace` or `Io`. What was begun of the copies stays.
pub(super) fn copy_aside(
    env: &Env,
    dir: &Path,
    names: &[OsString],
    (copies, at): (&Path, Lsn),
) -> Result<PathBuf, WalError> {
    make_dir(env, copies)?;
    let into = fresh_dir(env, copies, at)?;
    for name in names {
        copy(env, &dir.join(name), &into.join(name))?;
    }
    for made in [into.as_path(), copies] {
        env.files.sync_dir(made).map_err(WalError::io("sync directory", made))?;
    }
    for name in names {
        compare(env, &dir.join(name), &into.join(name))?;
    }
    Ok(into)
}

fn make_dir(env: &Env, path: &Path) -> Result<(), WalError> {
    if env.files.entry(path).map_err(WalError::io("look at", path))?.is_none() {
        env.files.create_dir(path).map_err(WalError::io("create", path))?;
    }
    // Also if it was there: a run that was killed may have made it, and its name may be in memory alone.
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    env.files.sync_dir(parent).map_err(WalError::io("sync directory", parent))
}

fn fresh_dir(env: &Env, copies: &Path, at: Lsn) -> Result<PathBuf, WalError> {
    for attempt in 1..=ATTEMPTS_MAX {
        let path = copies.join(format!("before-{at}-{attempt}"));
        match env.files.create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(WalError::io("create", &path)(error)),
        }
    }
    Err(WalError::io("create a fresh directory in", copies)(io::ErrorKind::AlreadyExists.into()))
}

fn copy(env: &Env, from: &Path, to: &Path) -> Result<(), WalError> {
    let source = env.files.open(from, Open::Read).map_err(WalError::io("open", from))?;
    let target = env.files.open(to, Open::CreateNew).map_err(WalError::io("create", to))?;
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let chunk =
            read(source.as_ref(), &mut buffer, offset).map_err(WalError::io("read", from))?;
        if chunk.is_empty() {
            break;
        }
        target.write_all_at(chunk, offset).map_err(WalError::io("write", to))?;
        offset += chunk.len() as u64;
    }
    target.sync_data().map_err(WalError::io("sync", to))
}

fn compare(env: &Env, from: &Path, to: &Path) -> Result<(), WalError> {
    let source = env.files.open(from, Open::Read).map_err(WalError::io("open", from))?;
    let target = env.files.open(to, Open::Read).map_err(WalError::io("open", to))?;
    let (mut one, mut other) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut offset = 0;
    loop {
        let left = read(source.as_ref(), &mut one, offset).map_err(WalError::io("read", from))?;
        let right = read(target.as_ref(), &mut other, offset).map_err(WalError::io("read", to))?;
        if left != right {
            let reason = "it does not read back as it was written";
            return Err(WalError::io("copy to", to)(io::Error::other(reason)));
        }
        if left.is_empty() {
            return Ok(());
        }
        offset += left.len() as u64;
    }
}

/// Fills the buffer, or what of it the file has.
fn read<'a>(file: &dyn File, buffer: &'a mut [u8], offset: u64) -> io::Result<&'a [u8]> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let count = file.read_at(rest, offset + filled as u64)?;
        if count == 0 {
            break;
        }
        filled += count;
    }
    Ok(buffer.get(..filled).unwrap_or_default())
}
