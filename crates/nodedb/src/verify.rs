//! Verification of a database or an archive, without changing a byte.

use crate::{
    Error,
    archive::ArchiveState,
    directory::{Access, Directory, Found},
    identity::Identity,
    restore::{read_archive, run_apart},
    restore_point::read_points,
};
use nodedb_cold::{ProblemKind, VerifyLevel, open_store};
use nodedb_engine::{EngineKind, ManifestDir};
use nodedb_env::Env;
use nodedb_types::{ErrorKind, Lsn, VshardId};
use nodedb_wal::WalError;
use std::path::Path;

/// What was looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Checked {
    /// Files or objects.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Log records.
    pub records: u64,
}

/// Something that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The kind of failure that a use of it would be.
    pub kind: ErrorKind,
    /// Where.
    pub path: String,
    /// The records concerned, first and last, where known.
    pub lsn_range: Option<(Lsn, Lsn)>,
    /// What, and what to do.
    pub message: String,
}

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VerifyReport {
    /// What was looked at.
    pub checked: Checked,
    /// What is wrong; empty if nothing is.
    pub problems: Vec<Problem>,
    /// What is odd but harmless, such as an unacknowledged torn tail.
    pub notes: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, path: &Path, error: &Error) {
        self.problems.push(Problem {
            kind: error.kind(),
            path: path.display().to_string(),
            lsn_range: None,
            message: error.in_full(),
        });
    }

    fn note_files(&mut self, sizes: impl Iterator<Item = u64>) {
        for bytes in sizes {
            self.checked.files += 1;
            self.checked.bytes += bytes;
        }
    }
}

/// Checks a whole database: identity, log, and every file of every engine. No store is opened in
/// place.
///
/// # Errors
/// [`Error::NoDatabase`], [`Error::Foreign`], [`Error::Locked`], [`Error::Io`] of the directory
/// itself. Damage is no error but a [`Problem`].
pub fn verify_database(dir: impl AsRef<Path>) -> Result<VerifyReport, Error> {
    let env = Env::real();
    let directory = Directory::lock(&env, dir.as_ref(), Access::Look)?;
    let mut report = VerifyReport::default();
    let files = &*env.files;
    let path = directory.identity_path();
    let identity = match directory.found(files).and_then(|found| match found {
        Found::Database => Identity::read(files, &path),
        Found::Nothing => Err(Error::NoDatabase { path: directory.path().to_owned() }),
    }) {
        Ok(identity) => identity,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(error),
        Err(error) => {
            report.problem(&path, &error);
            None
        }
    };
    let state = ArchiveState::read(files, &directory.archive_path());
    if let Err(error) = state {
        report.problem(&directory.archive_path(), &error);
    }
    if let Err(error) = read_points(files, &directory.points_path()) {
        report.problem(&directory.points_path(), &error);
    }
    verify_log_into(&env, &directory, &mut report);
    for vshard in (0..identity.map_or(0, |identity| identity.vshards)).map(VshardId::new) {
        let dir = directory.vshards_path().join(crate::archive::vshard_dir(vshard));
        for engine in EngineKind::ALL {
            let path = dir.join(engine.name());
            if let Err(error) = verify_engine(&env, &path, engine, &mut report) {
                report.problem(&path, &error);
            }
        }
    }
    Ok(report)
}

pub(crate) fn verify_log_into(env: &Env, directory: &Directory, report: &mut VerifyReport) {
    let path = directory.log_path();
    match nodedb_wal::inspect::verify(env, &path) {
        Ok(log) => {
            report.note_files(log.segments.iter().map(|segment| segment.bytes));
            report.checked.records += log.records;
            if log.dropped_bytes > 0 {
                report.notes.push(format!(
                    "the log ends in {} bytes that were never acknowledged; an open drops them",
                    log.dropped_bytes
                ));
            }
            if log.control_slots_intact < 2 {
                report
                    .notes
                    .push("one of the two CONTROL slots is damaged; the other serves".to_owned());
            }
        }
        Err(error) => {
            let lsn_range = unreadable(&error);
            report.problem(&path, &error.into());
            if let Some(problem) = report.problems.last_mut() {
                problem.lsn_range = lsn_range;
            }
        }
    }
}

/// The records that are known to be gone.
#[expect(clippy::wildcard_enum_match_arm, reason = "no other error names records")]
const fn unreadable(error: &WalError) -> Option<(Lsn, Lsn)> {
    match error {
        WalError::Corruption { first_bad_lsn, durable_lsn, .. } => {
            Some((*first_bad_lsn, *durable_lsn))
        }
        _ => None,
    }
}

fn verify_engine(
    env: &Env,
    path: &Path,
    engine: EngineKind,
    report: &mut VerifyReport,
) -> Result<(), Error> {
    let files = &*env.files;
    match engine {
        EngineKind::Documents => {
            let tables = nodedb_document::LsmTables::default();
            let verified = nodedb_document::DocumentEngine::verify(files, path, &tables)?;
            report.checked.files += verified.files;
            report.checked.bytes += verified.bytes;
        }
        EngineKind::Vectors => {
            let manifest = nodedb_vector::verify(files, path)?;
            report.note_files(manifest.files.iter().map(nodedb_engine::FileRef::bytes));
        }
        EngineKind::Catalog => {
            let manifest = ManifestDir::verify(files, path, engine)?;
            if manifest.floor.is_some()
                && let Err(error) = nodedb_engine::Catalog::decode(&manifest.extra)
            {
                return Err(Error::corrupt(path, error.to_string()));
            }
            report.note_files(std::iter::once(manifest.extra.len() as u64));
        }
    }
    Ok(())
}

/// Checks an archive. `Chain` lists and reads headers; `Content` reads and checks everything.
///
/// # Errors
/// [`Error::Archive`] if it cannot be reached or there is none. Damage and gaps are no error but a
/// [`Problem`].
pub fn verify_archive(url: &str, level: VerifyLevel) -> Result<VerifyReport, Error> {
    let env = Env::real();
    let store = open_store(&env, url)?;
    let found = run_apart(&env, async move {
        let reader = read_archive(store).await?;
        Ok::<_, Error>(reader.verify(level).await?)
    })??;
    let mut report = VerifyReport::default();
    report.checked.files = found.files;
    report.checked.bytes = found.bytes;
    report.checked.records = found.records;
    report.problems.extend(found.problems.into_iter().map(|problem| Problem {
        kind: if problem.kind == ProblemKind::Gap { ErrorKind::Gap } else { ErrorKind::Corrupt },
        path: problem.key.map_or_else(|| url.to_owned(), |key| key.to_string()),
        lsn_range: problem.range.and_then(|range| Some((range.start(), range.last()?))),
        message: problem.message,
    }));
    Ok(report)
}
