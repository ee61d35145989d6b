//! Copies of real files.
#![expect(clippy::disallowed_methods, reason = "a kill is a copy of real files")]

use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A copy of files that rest; where names change meanwhile, it is taken again.
pub(super) fn copy_resting(root: &Path) -> TempDir {
    for _ in 0..100 {
        let copy = tempfile::tempdir().expect("a directory");
        let before = names(root);
        let copied = try_copy_tree(root, copy.path());
        if copied.is_ok() && names(root) == before {
            return copy;
        }
    }
    panic!("the directory never rests");
}

fn names(dir: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    let Ok(entries) = fs::read_dir(dir) else {
        return names;
    };
    for entry in entries.flatten() {
        names.push(entry.path());
        if entry.path().is_dir() {
            names.extend(self::names(&entry.path()));
        }
    }
    names.sort();
    names
}

pub(super) fn copy_tree(from: &Path, into: &Path) {
    try_copy_tree(from, into).expect("copies");
}

fn try_copy_tree(from: &Path, into: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = into.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&to)?;
            try_copy_tree(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}
