//! An engine's directory, whose `MANIFEST` is switched atomically. The only mint of [`Flushed`].

use crate::{
    DurableLog, EngineError, EngineKind, FileRef, Manifest, NewFile, NotDurable, SyncedFile,
    manifest::MANIFEST_BYTES_MAX, new_file::Place,
};
use nodedb_env::{EntryKind, Files, Open};
use nodedb_types::Lsn;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

const MANIFEST: &str = "MANIFEST";
const TEMPORARY: &str = "MANIFEST.tmp";
/// What the name of a file in the making ends with. Images leave such files out.
const MAKING: &str = ".tmp";

/// Proof that an engine's files hold everything up to a floor.
///
/// It is made only here: by a switch (files synced, directory synced, log durable up to the floor,
/// manifest replaced and synced) or by a load that has checked and synced every file again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flushed {
    engine: EngineKind,
    floor: Option<Lsn>,
}

impl Flushed {
    /// Which engine.
    pub const fn engine(self) -> EngineKind {
        self.engine
    }

    /// Everything up to here is in its files.
    pub const fn floor(self) -> Option<Lsn> {
        self.floor
    }
}

/// The directory of one engine of one vshard.
#[derive(Debug)]
pub struct ManifestDir {
    files: Arc<dyn Files>,
    dir: PathBuf,
    kind: EngineKind,
    current: Manifest,
    /// Set by a failed rename or directory sync, for ever: the kernel may have dropped what it could
    /// not write, so that the next sync says "done" of names that are not on disk.
    in_doubt: bool,
    /// Temporary names of files in the making, which a sweep leaves alone.
    making: BTreeMap<String, Weak<()>>,
}

impl ManifestDir {
    /// Makes the directory, which must not exist, with an empty manifest. Durable on return, except
    /// for the directory's own name: the caller syncs the parent.
    ///
    /// # Errors
    /// [`EngineError::Io`].
    pub fn create(
        files: Arc<dyn Files>,
        dir: &Path,
        kind: EngineKind,
    ) -> Result<(Self, Flushed), EngineError> {
        files.create_dir(dir).map_err(EngineError::io("creating", dir))?;
        let current = Manifest::default();
        let path = dir.join(MANIFEST);
        files.replace(&path, &current.encode(kind)).map_err(EngineError::io("writing", path))?;
        Ok((Self::new(files, dir, kind, current), Flushed { engine: kind, floor: None }))
    }

    /// Opens the directory: checks the manifest and every file it names, then syncs them all. What
    /// was read may stand only in the page cache after a kill, so it proves nothing before that
    /// (protocol rule P1).
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] for a damaged or missing file, [`EngineError::UnsupportedFormat`],
    /// [`EngineError::Io`]. Nothing is changed.
    pub fn open(
        files: Arc<dyn Files>,
        dir: &Path,
        kind: EngineKind,
    ) -> Result<(Self, Flushed), EngineError> {
        let current = Self::read(&*files, dir, kind)?;
        for file in &current.files {
            check_file(&*files, dir, file)?;
        }
        sync(&*files, &dir.join(MANIFEST))?;
        for file in &current.files {
            sync(&*files, &dir.join(&file.name))?;
        }
        files.sync_dir(dir).map_err(EngineError::io("syncing", dir))?;
        let flushed = Flushed { engine: kind, floor: current.floor };
        Ok((Self::new(files, dir, kind, current), flushed))
    }

    fn new(files: Arc<dyn Files>, dir: &Path, kind: EngineKind, current: Manifest) -> Self {
        let making = BTreeMap::new();
        Self { files, dir: dir.to_owned(), kind, current, in_doubt: false, making }
    }

    /// Checks a directory without changing or syncing anything, for `verify`: the manifest and every
    /// file that it names. Answers the manifest.
    ///
    /// # Errors
    /// As [`ManifestDir::open`].
    pub fn verify(
        files: &dyn Files,
        dir: &Path,
        kind: EngineKind,
    ) -> Result<Manifest, EngineError> {
        let manifest = Self::read(files, dir, kind)?;
        for file in &manifest.files {
            check_file(files, dir, file)?;
        }
        Ok(manifest)
    }

    fn read(files: &dyn Files, dir: &Path, kind: EngineKind) -> Result<Manifest, EngineError> {
        let path = dir.join(MANIFEST);
        let entry = files.entry(&path).map_err(EngineError::io("looking at", &path))?;
        match entry {
            None => return Err(EngineError::corrupt(path, "missing")),
            Some(entry) if entry.kind != EntryKind::File => {
                return Err(EngineError::corrupt(path, "not a regular file"));
            }
            Some(entry) if entry.len > MANIFEST_BYTES_MAX => {
                return Err(EngineError::corrupt(path, "longer than any manifest"));
            }
            Some(_) => {}
        }
        let bytes = files.read(&path).map_err(EngineError::io("reading", &path))?;
        Manifest::decode(&path, kind, &bytes)
    }

    /// What the manifest says now.
    pub const fn manifest(&self) -> &Manifest {
        &self.current
    }

    /// Whether a switch failed midway, so that nobody knows which manifest a power cut leaves. Nothing
    /// is proved here any more, and no file may be removed.
    pub const fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// Writes a new file and syncs it on the descriptor that wrote it. Its name becomes durable with
    /// the next [`ManifestDir::switch`]. A leftover of that name, which no manifest names, is replaced.
    ///
    /// # Errors
    /// [`EngineError::Io`]. The file is then not used and is written again under another name or
    /// replaced; it is never synced twice. [`EngineError::InDoubt`] after a switch that failed midway.
    ///
    /// # Panics
    /// If the manifest names a file of that name: files are immutable.
    pub fn write_file(&self, name: &str, bytes: &[u8]) -> Result<FileRef, EngineError> {
        assert!(
            self.current.files.iter().all(|file| file.name != name),
            "engine files are never rewritten: {name}"
        );
        self.check_doubt()?;
        self.write_new(&self.dir.join(name), bytes)?;
        Ok(FileRef { name: name.to_owned(), bytes: bytes.len() as u64, digest: xxh3_128(bytes) })
    }

    /// Begins a file that is written piece by piece, while other files are written and switched to. A
    /// name that was begun is used by one file at a time.
    ///
    /// # Errors
    /// [`EngineError::Io`]; [`EngineError::InDoubt`] after a switch that failed midway.
    ///
    /// # Panics
    /// If the name does not end in `.ndb`, or the manifest names a file of that name.
    pub fn begin_file(&mut self, name: &str) -> Result<NewFile, EngineError> {
        assert!(is_engine_file(name), "engine files end in .ndb: {name}");
        assert!(
            self.current.files.iter().all(|file| file.name != name),
            "engine files are never rewritten: {name}"
        );
        self.check_doubt()?;
        let making = Arc::new(());
        let temporary = format!("{name}{MAKING}");
        let place = Place {
            files: Arc::clone(&self.files),
            name: name.to_owned(),
            temporary: self.dir.join(&temporary),
            _making: Arc::clone(&making),
        };
        self.making.insert(temporary, Arc::downgrade(&making));
        NewFile::begin(place)
    }

    /// Gives a file its final name, for the next [`ManifestDir::switch`] to name. Repeating it after a
    /// switch that failed changes nothing.
    ///
    /// # Errors
    /// [`EngineError::Io`]; [`EngineError::InDoubt`] after a switch that failed midway.
    pub fn adopt(&self, file: &SyncedFile) -> Result<FileRef, EngineError> {
        self.check_doubt()?;
        let Place { name, temporary, .. } = &file.place;
        let path = self.dir.join(name);
        let waiting = self.files.entry(temporary);
        if waiting.map_err(EngineError::io("looking at", temporary))?.is_some() {
            self.files.rename(temporary, &path).map_err(EngineError::io("renaming", &path))?;
        }
        let adopted = FileRef { name: name.clone(), bytes: file.bytes, digest: file.digest };
        // An attempt before may have renamed it, and a sweep since may have taken it.
        check_length(&*self.files, &path, &adopted)?;
        Ok(adopted)
    }

    /// Makes `next` the truth, and proves its floor.
    ///
    /// The order is what keeps data: the names of new files first, so that a surviving manifest never
    /// names a lost file; then the wait for the log, so that no state is switched to that a crash of
    /// the log would take back; then the manifest; only then are unnamed files removed, which a crash
    /// before leaves as litter.
    ///
    /// # Errors
    /// [`EngineError::NotDurable`] or [`EngineError::Io`]; the old or the new manifest is then there,
    /// whole, and the switch may be tried again. Unless it failed in the middle, by a rename or a sync
    /// of the directory: then it is [`EngineError::InDoubt`] from the next time on.
    ///
    /// # Panics
    /// If the floor would fall.
    pub fn switch(&mut self, next: Manifest, log: &dyn DurableLog) -> Result<Flushed, EngineError> {
        assert!(next.floor >= self.current.floor, "the floor of an engine never falls");
        self.check_doubt()?;
        self.sync_names()?;
        if let Some(lsn) = next.floor {
            log.wait_durable(lsn).map_err(|NotDurable| EngineError::NotDurable { lsn })?;
            assert!(log.durable() >= Some(lsn), "WAL before data: {lsn} is not durable");
        }
        self.replace_manifest(&next)?;
        let flushed = Flushed { engine: self.kind, floor: next.floor };
        self.current = next;
        self.sweep()?;
        Ok(flushed)
    }

    /// As `Files::replace`, but it tells a failure that leaves everything as it was, such as a full
    /// disk, from one that leaves the name in doubt.
    fn replace_manifest(&mut self, next: &Manifest) -> Result<(), EngineError> {
        let temporary = self.dir.join(TEMPORARY);
        self.write_new(&temporary, &next.encode(self.kind))?;
        let path = self.dir.join(MANIFEST);
        if let Err(error) = self.files.rename(&temporary, &path) {
            self.in_doubt = true;
            return Err(EngineError::io("renaming", path)(error));
        }
        self.sync_names()
    }

    fn sync_names(&mut self) -> Result<(), EngineError> {
        let result = self.files.sync_dir(&self.dir);
        self.in_doubt |= result.is_err();
        result.map_err(EngineError::io("syncing", &self.dir))
    }

    fn check_doubt(&self) -> Result<(), EngineError> {
        if self.in_doubt {
            let path = self.dir.clone();
            return Err(EngineError::InDoubt { path });
        }
        Ok(())
    }

    /// Writes and syncs a file in the place of a leftover of that name.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<(), EngineError> {
        let leftover = self.files.entry(path);
        if leftover.map_err(EngineError::io("looking at", path))?.is_some() {
            self.files.remove_file(path).map_err(EngineError::io("removing", path))?;
        }
        let file =
            self.files.open(path, Open::CreateNew).map_err(EngineError::io("creating", path))?;
        file.write_all_at(bytes, 0).map_err(EngineError::io("writing", path))?;
        file.sync_data().map_err(EngineError::io("syncing", path))
    }

    /// Removes files that the manifest does not name. Directories are left alone.
    fn sweep(&mut self) -> Result<(), EngineError> {
        self.making.retain(|_, making| making.strong_count() > 0);
        let named: BTreeSet<&str> = self.current.files.iter().map(FileRef::name).collect();
        let entries = self.files.list(&self.dir).map_err(EngineError::io("listing", &self.dir))?;
        for entry in entries {
            let ours = entry.name.to_str().is_some_and(|name| {
                let litter = match name.strip_suffix(MAKING) {
                    Some(made) => is_engine_file(made) && !self.making.contains_key(name),
                    None => name != MANIFEST && is_engine_file(name),
                };
                litter && !named.contains(name)
            });
            if ours && entry.kind == EntryKind::File {
                let path = self.dir.join(&entry.name);
                self.files.remove_file(&path).map_err(EngineError::io("removing", path))?;
            }
        }
        Ok(())
    }

    /// Reads a named file and checks it against the manifest.
    ///
    /// # Errors
    /// [`EngineError::Corrupt`] or [`EngineError::Io`].
    pub fn read_file(&self, file: &FileRef) -> Result<Vec<u8>, EngineError> {
        let path = self.dir.join(&file.name);
        check_length(&*self.files, &path, file)?;
        let bytes = self.files.read(&path).map_err(EngineError::io("reading", &path))?;
        if xxh3_128(&bytes) != file.digest {
            return Err(EngineError::corrupt(path, "checksum does not match"));
        }
        Ok(bytes)
    }
}

/// Only files with the extension that engines give are ever removed; a stranger's file stays.
fn is_engine_file(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "ndb")
}

fn check_length(files: &dyn Files, path: &Path, file: &FileRef) -> Result<(), EngineError> {
    match files.entry(path).map_err(EngineError::io("looking at", path))? {
        None => Err(EngineError::corrupt(path, "missing, though the manifest names it")),
        Some(entry) if entry.kind == EntryKind::File && entry.len == file.bytes => Ok(()),
        Some(entry) => {
            let message = format!("{} bytes long instead of {}", entry.len, file.bytes);
            Err(EngineError::corrupt(path, message))
        }
    }
}

/// Compares a file with its reference in bounded memory.
fn check_file(files: &dyn Files, dir: &Path, file: &FileRef) -> Result<(), EngineError> {
    let path = dir.join(&file.name);
    check_length(files, &path, file)?;
    let open = files.open(&path, Open::Read).map_err(EngineError::io("opening", &path))?;
    let mut hasher = Xxh3::new();
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0;
    while at < file.bytes {
        let count = open.read_at(&mut buffer, at).map_err(EngineError::io("reading", &path))?;
        let Some(read) = buffer.get(..count).filter(|read| !read.is_empty()) else {
            return Err(EngineError::corrupt(path, "shrinks while it is read"));
        };
        hasher.update(read);
        at += count as u64;
    }
    if hasher.digest128() != file.digest {
        return Err(EngineError::corrupt(path, "checksum does not match"));
    }
    Ok(())
}

fn sync(files: &dyn Files, path: &Path) -> Result<(), EngineError> {
    let file = files.open(path, Open::ReadWrite).map_err(EngineError::io("opening", path))?;
    file.sync_data().map_err(EngineError::io("syncing", path))
}
