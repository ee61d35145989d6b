//! The files that the rules are about.

use anyhow::Result;
use std::path::{Path, PathBuf};
use xshell::Shell;

/// A file's path from the root of the workspace, and its text.
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Every file with this extension under the folders, sorted by path. A folder may be absent.
pub(crate) fn under(shell: &Shell, folders: &[&str], extension: &str) -> Result<Vec<Source>> {
    let root = shell.current_dir();
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = open.pop() {
        if !shell.path_exists(&folder) {
            continue;
        }
        for path in shell.read_dir(&folder)? {
            if path.is_dir() {
                if !is_build_output(&path) {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(read(shell, &root, &path)?);
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Files with this extension directly in the root.
pub(crate) fn at_root(shell: &Shell, extension: &str) -> Result<Vec<Source>> {
    let root = shell.current_dir();
    let paths = shell.read_dir(&root)?.into_iter();
    paths
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .map(|path| read(shell, &root, &path))
        .collect()
}

fn read(shell: &Shell, root: &Path, path: &Path) -> Result<Source> {
    Ok(Source { path: path.strip_prefix(root)?.to_owned(), text: shell.read_file(path)? })
}

fn is_build_output(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name == "target")
}
