//! Tools for the log of a database: looking at it when it is damaged, and cutting it as a last resort.

use crate::{
    Error, VerifyReport,
    archive::{ArchiveState, vshard_dir},
    directory::{Access, Directory, Found},
    identity::Identity,
    verify::verify_log_into,
};
use nodedb_engine::{EngineKind, ManifestDir, RecordKind};
use nodedb_env::Env;
use nodedb_types::{Lsn, VshardId};
use nodedb_wal::{
    SegmentInfo,
    inspect::{self, Dump, DumpRange, Loss, LossReport, LossyTruncation},
};
use std::path::Path;

/// The segments of the log of a database that nobody has open, oldest first.
///
/// # Errors
/// [`Error::NoDatabase`], [`Error::Foreign`], [`Error::Locked`], [`Error::Io`]; [`Error::Log`] if the
/// log is damaged.
pub fn log_segments(dir: impl AsRef<Path>) -> Result<Vec<SegmentInfo>, Error> {
    let env = Env::real();
    let directory = Directory::lock(&env, dir.as_ref(), Access::Look)?;
    Ok(inspect::segments(&env, &directory.log_path())?)
}

/// Checks the log of a database that nobody has open, changing no byte.
///
/// # Errors
/// [`Error::NoDatabase`], [`Error::Foreign`], [`Error::Locked`], [`Error::Io`]. Damage is no error but
/// a [`Problem`](crate::Problem).
pub fn verify_log(dir: impl AsRef<Path>) -> Result<VerifyReport, Error> {
    let env = Env::real();
    let directory = Directory::lock(&env, dir.as_ref(), Access::Look)?;
    let mut report = VerifyReport::default();
    verify_log_into(&env, &directory, &mut report);
    Ok(report)
}

/// Shows what stands in the log, damaged or not, changing no byte; [`Dump::verdict`] judges it. It works
/// beside a process that has the database open, and may then end before what that one has just written.
///
/// # Errors
/// [`Error::NoDatabase`], [`Error::Foreign`], [`Error::Io`]; [`Error::Log`] if nothing tells how the log
/// is laid out.
pub fn dump_log(dir: impl AsRef<Path>, range: DumpRange) -> Result<Dump, Error> {
    let env = Env::real();
    let directory = Directory::unlocked(&env, dir.as_ref())?;
    Ok(inspect::dump(&env, &directory.log_path(), range)?)
}

/// The name of a log record's kind; `None` for one that this version does not know.
pub fn record_name(kind: u16) -> Option<&'static str> {
    RecordKind::from_code(kind).map(RecordKind::name)
}

/// Says what [`truncate_log`] would keep and lose, changing no byte.
///
/// # Errors
/// As [`truncate_log`], without those of writing.
pub fn plan_log_truncation(dir: impl AsRef<Path>, at: Lsn) -> Result<Loss, Error> {
    let env = Env::real();
    let directory = Directory::lock(&env, dir.as_ref(), Access::Look)?;
    plan(&env, &directory, at)
}

/// Ends the log of a database that nobody has open at a record, for good: the last resort for a damaged
/// log where no archive can be restored. Everything behind the record is lost, except for the copies of
/// the originals, which go to a fresh directory below `copies` (by default `truncated` in the database).
///
/// It never ends the log below what recovery needs or what the engines' files and the archive hold:
/// such a database would not open. After it the database opens, with new LSNs in a later epoch.
/// A kill within a flush of documents may have left tables that are ahead of their manifest; where such
/// a one lies above the record, the open says so, and the copies are what is left to go back to.
///
/// # Errors
/// [`Error::LogNeeded`], [`Error::Log`] with the reasons of [`inspect::truncate`]; [`Error::Engine`] if
/// the files of an engine are damaged, too; [`Error::NoDatabase`], [`Error::Foreign`],
/// [`Error::Locked`], [`Error::Corrupt`], [`Error::Io`].
pub fn truncate_log(
    dir: impl AsRef<Path>,
    at: Lsn,
    copies: Option<&Path>,
) -> Result<LossReport, Error> {
    let env = Env::real();
    // A refusal changes no byte, and what locks the database for a change writes its name there.
    plan_log_truncation(&dir, at)?;
    let directory = Directory::lock(&env, dir.as_ref(), Access::Open)?;
    plan(&env, &directory, at)?;
    let copies = copies.map_or_else(|| directory.truncated_path(), Path::to_owned);
    // It is remembered beside the log until the truncation is done, wherever that is run again.
    let copies = std::path::absolute(&copies).map_err(Error::io("looking at", &copies))?;
    let truncation = LossyTruncation { at, copies: &copies };
    Ok(inspect::truncate(&env, &directory.log_path(), truncation)?)
}

fn plan(env: &Env, directory: &Directory, at: Lsn) -> Result<Loss, Error> {
    let files = &*env.files;
    let no_database = || Error::NoDatabase { path: directory.path().to_owned() };
    if directory.found(files)? == Found::Nothing {
        return Err(no_database());
    }
    let identity = Identity::read(files, &directory.identity_path())?.ok_or_else(no_database)?;
    let loss = inspect::plan_truncation(env, &directory.log_path(), at)?;
    if let Some(state) = ArchiveState::read(files, &directory.archive_path())? {
        check(loss.kept, state.archived, || "the objects of the archive".to_owned())?;
    }
    for vshard in (0..identity.vshards).map(VshardId::new) {
        for engine in EngineKind::ALL {
            let path = directory.vshards_path().join(vshard_dir(vshard)).join(engine.name());
            let floor = ManifestDir::verify(files, &path, engine)?.floor;
            check(loss.kept, floor, || format!("the {} files of vshard {vshard}", engine.name()))?;
        }
    }
    Ok(loss)
}

/// Refuses an end of the log below what lies in files already.
fn check(kept: Option<Lsn>, held: Option<Lsn>, by: impl FnOnce() -> String) -> Result<(), Error> {
    match held {
        Some(needed) if held > kept => Err(Error::LogNeeded { kept, by: by(), needed }),
        _ => Ok(()),
    }
}
