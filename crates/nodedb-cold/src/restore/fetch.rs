//! Whole objects out of an archive, verified.

use crate::{
    ColdError,
    base::{BaseFile, BaseManifest, PartRef},
    error::FormatError,
    hash::ObjectHash,
    log_object::{DecodedLogObject, LogObject, OBJECT_BYTES_MAX},
    restore::{ArchiveReader, PlannedObject},
};
use bytes::Bytes;
use nodedb_env::{File, Files, Open};
use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

impl ArchiveReader {
    /// A part of a file, verified by its digest.
    ///
    /// # Errors
    /// [`ColdError::Missing`]; [`ColdError::Corrupt`]; [`ColdError::Store`].
    pub async fn fetch_part(&self, part: &PartRef) -> Result<Bytes, ColdError> {
        let key = self.lineage.layout.part(part.hash());
        let Some(bytes) = self.store.get(&key, u64::from(part.len())).await? else {
            return Err(ColdError::Missing { key });
        };
        let found = ObjectHash::of(&bytes);
        if found == part.hash() && bytes.len() as u64 == u64::from(part.len()) {
            Ok(bytes)
        } else {
            let written = part.hash();
            let problem = FormatError::Digest { written, found };
            Err(ColdError::Corrupt { key, problem })
        }
    }

    /// Writes all files of a base image below `dir`, which must exist and hold none of them.
    /// Contents and names are durable on return, except the name of `dir` itself.
    ///
    /// After an error, and when the future is dropped, part of the files may be there: restore into
    /// a directory that gets its name only when everything is done.
    ///
    /// # Errors
    /// As [`ArchiveReader::fetch_part`], and [`ColdError::Local`].
    pub async fn fetch_base(
        &self,
        base: &BaseManifest,
        files: Arc<dyn Files>,
        dir: &Path,
    ) -> Result<(), ColdError> {
        let mut directories = BTreeSet::from([dir.to_owned()]);
        for file in &base.files {
            let (on_the_way, path) = file.path.below(dir);
            for directory in on_the_way {
                if directories.insert(directory.clone()) {
                    local(&files, directory, |files, path| files.create_dir(path)).await?;
                }
            }
            self.fetch_file(file, &files, path).await?;
        }
        for directory in directories {
            local(&files, directory, |files, path| files.sync_dir(path)).await?;
        }
        Ok(())
    }

    async fn fetch_file(
        &self,
        file: &BaseFile,
        files: &Arc<dyn Files>,
        path: PathBuf,
    ) -> Result<(), ColdError> {
        let create = |files: &dyn Files, path: &Path| files.open(path, Open::CreateNew);
        let target = local(files, path.clone(), create).await?;
        let mut offset = 0;
        for part in &file.parts {
            let bytes = self.fetch_part(part).await?;
            let target: Arc<dyn File> = Arc::clone(&target);
            local(files, path.clone(), move |_, _| target.write_all_at(&bytes, offset)).await?;
            offset += u64::from(part.len());
        }
        local(files, path, move |_, _| target.sync_data()).await
    }

    /// A log object that a plan names, verified.
    pub(crate) async fn fetch_log(
        &self,
        object: &PlannedObject,
    ) -> Result<DecodedLogObject, ColdError> {
        match self.store.get(&object.key, OBJECT_BYTES_MAX).await? {
            Some(bytes) => LogObject::decode(bytes, &object.expected),
            None => Err(ColdError::Gap { from: object.range.start(), to: object.range.end() }),
        }
    }
}

/// A call of the file system, on a thread that may wait.
async fn local<T: Send + 'static>(
    files: &Arc<dyn Files>,
    path: PathBuf,
    call: impl FnOnce(&dyn Files, &Path) -> io::Result<T> + Send + 'static,
) -> Result<T, ColdError> {
    let files = Arc::clone(files);
    let shown = path.clone();
    let result = match tokio::task::spawn_blocking(move || call(&*files, &path)).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(stopped) => Err(io::Error::other(stopped)),
        },
    };
    result.map_err(|source| ColdError::local(&shown, source))
}
