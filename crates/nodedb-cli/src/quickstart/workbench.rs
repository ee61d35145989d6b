//! What the steps of the quickstart share.

use super::sample::Sample;
use crate::failure::Failure;
use nodedb::{Collection, Database, OpenOptions};
use nodedb_env::Env;
use std::path::{Path, PathBuf};

/// Directories, the open database, the sample.
pub(super) struct Workbench {
    pub(super) env: Env,
    root: PathBuf,
    database: Option<Database>,
    sample: Option<Sample>,
    /// The words as exported before the mistake.
    pub(super) exported: Vec<u8>,
}

impl Workbench {
    pub(super) fn new(root: &Path, env: Env) -> Self {
        Self { env, root: root.to_owned(), database: None, sample: None, exported: Vec::new() }
    }

    pub(super) fn db(&self) -> PathBuf {
        self.root.join("db")
    }

    pub(super) fn replica(&self) -> PathBuf {
        self.root.join("replica")
    }

    pub(super) fn restored(&self) -> PathBuf {
        self.root.join("restored")
    }

    /// The sample as a file, as a user would have it.
    pub(super) fn sample_path(&self) -> PathBuf {
        self.root.join("words.jsonl")
    }

    /// Where the archive lies: a directory here, a mounted disk or a bucket in earnest.
    pub(super) fn store(&self) -> PathBuf {
        self.root.join("archive")
    }

    pub(super) fn archive(&self) -> String {
        format!("file://{}", self.store().display())
    }

    /// A command with the paths of this run.
    pub(super) fn fill_in(&self, command: &str) -> String {
        let text = |path: PathBuf| path.display().to_string();
        command
            .replace("{db}", &text(self.db()))
            .replace("{replica}", &text(self.replica()))
            .replace("{restored}", &text(self.restored()))
            .replace("{sample}", &text(self.sample_path()))
            .replace("{store}", &text(self.store()))
            .replace("{archive}", &self.archive())
            .replace("{root}", &text(self.root.clone()))
    }

    pub(super) fn adopt(&mut self, database: Database) {
        self.database = Some(database);
    }

    /// The database, opened if it is not.
    pub(super) fn database(&mut self) -> Result<&Database, Failure> {
        let database = match self.database.take() {
            Some(database) => database,
            None => Database::open_with(self.db(), OpenOptions::existing())?,
        };
        Ok(self.database.insert(database))
    }

    pub(super) fn collection(&mut self, name: &str) -> Result<Collection, Failure> {
        Ok(self.database()?.collection(name)?)
    }

    pub(super) fn sample(&mut self) -> Result<&Sample, Failure> {
        let sample = match self.sample.take() {
            Some(sample) => sample,
            None => Sample::unpack()?,
        };
        Ok(self.sample.insert(sample))
    }

    /// Closes the database, if it is open.
    pub(super) fn close(&mut self) -> Result<(), Failure> {
        self.database.take().map_or(Ok(()), |database| Ok(database.close()?))
    }
}

/// Fails the step unless the condition holds.
pub(super) fn check(
    step: &'static str,
    holds: bool,
    message: impl FnOnce() -> String,
) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure::Step { step, message: message() }) }
}
