//! The files of an `lsm-tree` directory, checked with our own reads before the library opens them.
//!
//! Opened unchecked, a missing `current` gives an empty tree and a damaged version file can give wrong
//! rows without any error. So the chain is followed here first: `current` names the version file and
//! its digest, the version file names every table and its digest.

use super::archive::{Section, TRAILER_BYTES, Trailer};
use crate::Verified;
use nodedb_engine::EngineError;
use nodedb_env::{EntryKind, Files, Open};
use nodedb_types::{ByteReader, DecodeError};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

pub(super) const CURRENT: &str = "current";
const TABLES: &str = "tables";
const CURRENT_BYTES: u64 = 25;
/// The version of the library's format that is known here.
const FORMAT: u8 = 3;
/// 33 bytes a table: a longer version file names more tables than any disk holds.
const VERSION_BYTES_MAX: u64 = 1 << 30;

/// The files that make up the tables now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LsmFiles {
    pub(super) version: PathBuf,
    pub(super) tables: Vec<TableFile>,
}

/// A table file, and the digest of all of its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TableFile {
    pub(super) path: PathBuf,
    id: u64,
    digest: u128,
}

impl LsmFiles {
    /// Follows the chain of names and digests, and checks that every table is there and ends where it
    /// should. Changes nothing.
    pub(super) fn check(files: &dyn Files, dir: &Path) -> Result<Self, EngineError> {
        let current = dir.join(CURRENT);
        length(files, &current, CURRENT_BYTES, CURRENT_BYTES)?;
        let bytes = read(files, &current)?;
        let (id, digest) = decode_current(&bytes)
            .map_err(|error| EngineError::corrupt(&current, error.to_string()))?;
        let version = dir.join(format!("v{id}"));
        length(files, &version, TRAILER_BYTES as u64, VERSION_BYTES_MAX)?;
        let bytes = read(files, &version)?;
        if xxh3_128(&bytes) != digest {
            return Err(EngineError::corrupt(version, "its checksum is not the one in `current`"));
        }
        let tables = decode_version(&dir.join(TABLES), &version, &bytes)?;
        for table in &tables {
            check_ends(files, &table.path)?;
        }
        check_strangers(files, &dir.join(TABLES))?;
        Ok(Self { version, tables })
    }

    /// Syncs every file that was read and the directories: what stands only in the page cache proves
    /// nothing (protocol rule P1).
    pub(super) fn sync(&self, files: &dyn Files, dir: &Path) -> Result<(), EngineError> {
        let current = dir.join(CURRENT);
        let tables = self.tables.iter().map(|table| &table.path);
        for path in tables.chain([&self.version, &current]) {
            let file =
                files.open(path, Open::ReadWrite).map_err(EngineError::io("opening", path))?;
            file.sync_data().map_err(EngineError::io("syncing", path))?;
        }
        for path in [&dir.join(TABLES), dir] {
            files.sync_dir(path).map_err(EngineError::io("syncing", path))?;
        }
        Ok(())
    }

    /// Compares every byte of every table with the digest that the version file keeps.
    pub(super) fn verify(&self, files: &dyn Files) -> Result<Verified, EngineError> {
        // `current` and the version file were compared on the way here.
        let mut verified = Verified {
            files: 2,
            bytes: CURRENT_BYTES + length(files, &self.version, 0, VERSION_BYTES_MAX)?,
        };
        for table in &self.tables {
            verified.files += 1;
            verified.bytes += check_digest(files, table)?;
        }
        Ok(verified)
    }
}

/// Whether the directory holds tables. Table files without `current` are damage, never emptiness.
pub(super) fn exists(files: &dyn Files, dir: &Path) -> Result<bool, EngineError> {
    if entry_len(files, &dir.join(CURRENT))?.is_some() {
        return Ok(true);
    }
    let tables = dir.join(TABLES);
    let entry = files.entry(&tables).map_err(EngineError::io("looking at", &tables))?;
    if entry.is_none() {
        return Ok(false);
    }
    let entries = files.list(&tables).map_err(EngineError::io("listing", &tables))?;
    if entries.is_empty() {
        return Ok(false);
    }
    Err(EngineError::corrupt(dir.join(CURRENT), "missing, though there are tables"))
}

/// Removes what a killed switch of the library leaves behind and never removes itself.
pub(super) fn sweep(files: &dyn Files, dir: &Path) -> Result<(), EngineError> {
    let entries = files.list(dir).map_err(EngineError::io("listing", dir))?;
    for entry in entries {
        let name = entry.name.to_str().unwrap_or_default();
        if name.starts_with(".tmp") && entry.kind == EntryKind::File {
            let path = dir.join(&entry.name);
            files.remove_file(&path).map_err(EngineError::io("removing", path))?;
        }
    }
    Ok(())
}

fn decode_current(bytes: &[u8]) -> Result<(u64, u128), DecodeError> {
    let mut reader = ByteReader::new(bytes);
    let id = reader.u64("version id")?;
    let digest = u128::from_le_bytes(reader.array("version checksum")?);
    let kind = reader.u8("checksum kind")?;
    if kind != 0 {
        return Err(DecodeError::OutOfRange { field: "checksum kind", value: u64::from(kind) });
    }
    reader.finish()?;
    Ok((id, digest))
}

fn decode_version(
    tables: &Path,
    version: &Path,
    bytes: &[u8],
) -> Result<Vec<TableFile>, EngineError> {
    let corrupt = |message: String| EngineError::corrupt(version, message);
    let Some((_, trailer)) = bytes.split_last_chunk::<TRAILER_BYTES>() else {
        return Err(corrupt("shorter than its trailer".to_owned()));
    };
    let trailer = Trailer::decode(bytes.len() as u64, trailer).map_err(corrupt)?;
    let list = slice(bytes, &trailer.list).unwrap_or_default();
    let sections = trailer.sections(list).map_err(corrupt)?;
    let section = |name: &str| {
        let found = sections.iter().find(|section| section.name == name.as_bytes());
        found
            .and_then(|section| slice(bytes, &section.bytes))
            .ok_or_else(|| corrupt(format!("section `{name}` is missing")))
    };
    if let [found] = *section("format_version")?
        && found > FORMAT
    {
        return Err(EngineError::UnsupportedFormat {
            path: version.to_owned(),
            found: u32::from(found),
            supported: u32::from(FORMAT),
        });
    }
    if section("format_version")? != [FORMAT] || section("tree_type")? != [0] {
        return Err(corrupt("not a version file of plain tables".to_owned()));
    }
    if section("blob_files")? != [0; 4] {
        return Err(corrupt("it names value files, which are never made".to_owned()));
    }
    table_files(tables, section("tables")?).map_err(|error| corrupt(error.to_string()))
}

fn table_files(dir: &Path, bytes: &[u8]) -> Result<Vec<TableFile>, DecodeError> {
    let mut reader = ByteReader::new(bytes);
    let mut tables = Vec::new();
    for _ in 0..reader.u8("level count")? {
        for _ in 0..reader.u8("run count")? {
            for _ in 0..reader.u32("table count")? {
                let id = reader.u64("table id")?;
                let kind = reader.u8("checksum kind")?;
                if kind != 0 {
                    return Err(DecodeError::OutOfRange {
                        field: "checksum kind",
                        value: u64::from(kind),
                    });
                }
                let digest = u128::from_le_bytes(reader.array("table checksum")?);
                reader.u64("table sequence number")?;
                let path = dir.join(id.to_string());
                tables.push(TableFile { path, id, digest });
            }
        }
    }
    reader.finish()?;
    Ok(tables)
}

/// Checks the end of a table: trailer, list of sections, and the sections that the library needs.
fn check_ends(files: &dyn Files, path: &Path) -> Result<(), EngineError> {
    let corrupt = |message: String| EngineError::corrupt(path, message);
    let bytes = length(files, path, TRAILER_BYTES as u64, u64::MAX)?;
    let file = files.open(path, Open::Read).map_err(EngineError::io("opening", path))?;
    let mut trailer = [0; TRAILER_BYTES];
    file.read_exact_at(&mut trailer, bytes - TRAILER_BYTES as u64)
        .map_err(EngineError::io("reading", path))?;
    let trailer = Trailer::decode(bytes, &trailer).map_err(corrupt)?;
    let length = usize::try_from(trailer.list.end - trailer.list.start).unwrap_or_default();
    let mut list = vec![0; length];
    file.read_exact_at(&mut list, trailer.list.start).map_err(EngineError::io("reading", path))?;
    let sections: Vec<Section> = trailer.sections(&list).map_err(corrupt)?;
    for name in ["tli", "meta"] {
        if !sections.iter().any(|section| section.name == name.as_bytes()) {
            return Err(corrupt(format!("section `{name}` is missing")));
        }
    }
    Ok(())
}

/// The library takes every name in this directory for a table, and panics over some.
fn check_strangers(files: &dyn Files, tables: &Path) -> Result<(), EngineError> {
    let entries = files.list(tables).map_err(EngineError::io("listing", tables))?;
    for entry in entries {
        let name = entry.name.to_str().unwrap_or_default();
        let digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
        if entry.kind != EntryKind::File || !digits || name.parse::<u64>().is_err() {
            return Err(EngineError::corrupt(
                tables.join(&entry.name),
                "not a table: move it away",
            ));
        }
    }
    Ok(())
}

fn check_digest(files: &dyn Files, table: &TableFile) -> Result<u64, EngineError> {
    let path = &table.path;
    let bytes = length(files, path, 0, u64::MAX)?;
    let file = files.open(path, Open::Read).map_err(EngineError::io("opening", path))?;
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < bytes {
        let count = file.read_at(&mut buffer, at).map_err(EngineError::io("reading", path))?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            return Err(EngineError::corrupt(path, "shrinks while it is read"));
        };
        hasher.update(read);
        at += count as u64;
    }
    if hasher.digest128() != table.digest {
        let message = format!("table {}: checksum does not match", table.id);
        return Err(EngineError::corrupt(path, message));
    }
    Ok(bytes)
}

fn slice<'a>(bytes: &'a [u8], range: &std::ops::Range<u64>) -> Option<&'a [u8]> {
    let start = usize::try_from(range.start).ok()?;
    let end = usize::try_from(range.end).ok()?;
    bytes.get(start..end)
}

fn read(files: &dyn Files, path: &Path) -> Result<Vec<u8>, EngineError> {
    files.read(path).map_err(EngineError::io("reading", path))
}

fn entry_len(files: &dyn Files, path: &Path) -> Result<Option<u64>, EngineError> {
    let entry = files.entry(path).map_err(EngineError::io("looking at", path))?;
    match entry {
        None => Ok(None),
        Some(entry) if entry.kind == EntryKind::File => Ok(Some(entry.len)),
        Some(_) => Err(EngineError::corrupt(path, "not a regular file")),
    }
}

/// The length of a file that must be there, within bounds.
fn length(files: &dyn Files, path: &Path, min: u64, max: u64) -> Result<u64, EngineError> {
    match entry_len(files, path)? {
        None => Err(EngineError::corrupt(path, "missing")),
        Some(len) if (min..=max).contains(&len) => Ok(len),
        Some(len) => {
            let message = format!("{len} bytes long, {min} to {max} are possible");
            Err(EngineError::corrupt(path, message))
        }
    }
}
