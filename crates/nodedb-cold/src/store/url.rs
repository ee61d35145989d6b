//! From the address of an archive to its store.

use crate::{
    ColdError,
    store::{DirectoryStore, ObjectStore, OpendalStore},
};
use nodedb_env::{EntryKind, Env};
use std::{path::Path, sync::Arc};

/// Opens the store at `url`; nothing is created or changed.
///
/// - `file:///absolute/path`: a directory that exists.
/// - `memory://name`: shared by everything in this process that uses the name; for tests.
///
/// # Errors
/// [`ColdError::BadUrl`] for anything else, also for a directory that is missing; says what to give
/// instead. [`ColdError::Local`] if the directory cannot be looked at.
pub fn open_store(env: &Env, url: &str) -> Result<Arc<dyn ObjectStore>, ColdError> {
    let bad = |advice: &str| ColdError::BadUrl { url: url.to_owned(), advice: advice.to_owned() };
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(bad("give file:///absolute/path"));
    };
    match scheme {
        "file" => open_directory(env, url, rest),
        "memory" if !rest.is_empty() => Ok(Arc::new(OpendalStore::memory(rest)?)),
        "memory" => Err(bad("give a name, as in memory://test")),
        "s3" | "gs" | "gcs" | "az" | "azblob" => Err(bad(
            "this build has no cloud services; give file:///absolute/path, for example of a mounted \
             network directory",
        )),
        _ => Err(bad("unknown scheme; give file:///absolute/path")),
    }
}

fn open_directory(env: &Env, url: &str, path: &str) -> Result<Arc<dyn ObjectStore>, ColdError> {
    let bad = |advice: String| ColdError::BadUrl { url: url.to_owned(), advice };
    let root = Path::new(path);
    if !root.is_absolute() {
        let advice = "the path is relative; give three slashes, as in file:///absolute/path";
        return Err(bad(advice.to_owned()));
    }
    let entry = env.files.entry(root).map_err(|source| ColdError::local(root, source))?;
    match entry.map(|entry| entry.kind) {
        Some(EntryKind::Directory) => Ok(Arc::new(DirectoryStore::new(env.clone(), root))),
        Some(EntryKind::File | EntryKind::Other) => Err(bad(format!("{path} is not a directory"))),
        // Never created here: an unmounted disk must not turn into a fresh, empty archive.
        None => Err(bad(format!("{path} does not exist; mount it or create it, then try again"))),
    }
}
