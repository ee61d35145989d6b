//! Restore from an archive into a new directory, to any point of its history.

use crate::{
    Error,
    directory::{Access, Directory, Found, exists, parent},
    identity::{Identity, random_id},
};
use nodedb_cold::{ArchiveReader, ArchivedBatch, ObjectStore, RestorePlan, open_store};
use nodedb_data::DataPlane;
use nodedb_env::Env;
use nodedb_types::{DatabaseId, Durability, Incarnation, Lsn};
use nodedb_wal::{LogBuilder, LogOptions, RecordView, StoredRecord, decode_records};
use std::{
    future::Future,
    path::PathBuf,
    sync::{Arc, mpsc},
};

pub use nodedb_cold::RestoreTarget;

/// What to restore, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreRequest {
    /// Where the archive is.
    pub archive: String,
    /// The directory to make; nothing may stand there.
    pub into: PathBuf,
    /// Up to where.
    pub target: RestoreTarget,
}

/// How far a restore is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestoreProgress {
    /// Records written so far.
    pub lsn: Lsn,
    /// Where it will end.
    pub target_lsn: Lsn,
}

/// What a restore does or did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreReport {
    /// The last record asked for.
    pub target_lsn: Option<Lsn>,
    /// Commit time of the last batch, in milliseconds since 1970.
    pub target_time_ms: u64,
    /// The ceiling of the base image; `None` if it begins with the empty database.
    pub base_lsn: Option<Lsn>,
    /// Log objects read.
    pub objects: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The last record that is there now: the target, or the end of the last whole atomic group
    /// before it. `None` of an empty database, and of a plan.
    pub reached_lsn: Option<Lsn>,
    /// What was found wrong in the archive and could be done without.
    pub warnings: Vec<String>,
}

/// What [`restore`] would do. Writes nothing.
///
/// # Errors
/// As [`restore`], as far as the archive is concerned.
pub fn plan_restore(request: &RestoreRequest) -> Result<RestoreReport, Error> {
    let env = Env::real();
    let store = open_store(&env, &request.archive)?;
    let target = request.target.clone();
    let plan = run_apart(&env, async move {
        let reader = read_archive(store).await?;
        Ok::<_, Error>(reader.plan(target).await?)
    })??;
    Ok(report(&plan, None))
}

/// Restores a database into a new directory. It is a new database of its own, with a new id and no
/// archive attached. The directory gets its name only when everything in it is durable; what a kill
/// leaves under `<into>.restoring` the next restore sweeps.
///
/// # Errors
/// [`Error::TargetExists`] if something stands at `into`; [`Error::Archive`] with kind `Gap` if
/// records are missing, `Corrupt` for a damaged object, `NotFound` for an unknown target;
/// [`Error::Io`], [`Error::Log`].
pub fn restore(
    request: &RestoreRequest,
    progress: &mut dyn FnMut(RestoreProgress),
) -> Result<RestoreReport, Error> {
    let env = Env::real();
    let into = &request.into;
    if exists(&*env.files, into)? {
        return Err(Error::TargetExists { path: into.clone() });
    }
    let store = open_store(&env, &request.archive)?;
    let mut name = into.as_os_str().to_owned();
    name.push(".restoring");
    let scratch = PathBuf::from(name);
    let directory = Directory::lock(&env, &scratch, Access::Create)?;
    if directory.found(&*env.files)? == Found::Database {
        // A kill between the end of a restore and its rename. It is whole, so it is somebody's data.
        return Err(Error::DatabaseExists { path: scratch });
    }
    let target = request.target.clone();
    let (sender, receiver) = mpsc::sync_channel(1);
    let apart = env.clone();
    let work = async move {
        let reader = read_archive(store).await?;
        let plan = reader.plan(target).await?;
        let restoring =
            Restoring { env: &apart, directory: &directory, reader: &reader, plan: &plan };
        let reached = restoring.run(&sender).await?;
        Ok::<_, Error>((plan, reached))
    };
    let running = start_apart(&env, work)?;
    // Ends when the work has dropped its end.
    receiver.iter().for_each(progress);
    let finished = running.recv().or(Err(Error::internal("the restore ended without a result")));
    let (plan, reached) = match finished.flatten() {
        Ok(finished) => finished,
        Err(error) => {
            // Its lock is gone with the work. What cannot be removed the next restore sweeps.
            env.files.remove_dir_all(&scratch).unwrap_or_default();
            return Err(error);
        }
    };
    env.files.rename_new(&scratch, into).map_err(Error::io("renaming", &scratch))?;
    let parent = parent(into);
    env.files.sync_dir(parent).map_err(Error::io("syncing", parent))?;
    Ok(report(&plan, reached))
}

fn report(plan: &RestorePlan, reached_lsn: Option<Lsn>) -> RestoreReport {
    RestoreReport {
        target_lsn: plan.target_lsn,
        target_time_ms: plan.target_ms,
        base_lsn: plan.base.as_ref().map(|base| base.ceiling_lsn),
        objects: plan.objects.len() as u64,
        bytes: plan.bytes,
        reached_lsn,
        warnings: plan.warnings.clone(),
    }
}

/// Runs a future on a thread and a runtime of its own and waits for it here, so that it works on a
/// thread of a caller's runtime too.
pub(crate) fn run_apart<T: Send + 'static>(
    env: &Env,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Error> {
    start_apart(env, work)?.recv().or(Err(Error::internal("a background thread panicked")))
}

fn start_apart<T: Send + 'static>(
    env: &Env,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<mpsc::Receiver<T>, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(Error::io("starting", "a background thread"))?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let body = move || {
        // Nobody listens if the caller was unwound.
        drop(sender.send(runtime.block_on(work)));
    };
    let thread = env.threads.spawn("nodedb-restore", Box::new(body));
    // The thread is joined through its result; it ends right after.
    drop(thread.map_err(Error::io("starting", "a background thread"))?);
    Ok(receiver)
}

pub(crate) async fn read_archive(store: Arc<dyn ObjectStore>) -> Result<ArchiveReader, Error> {
    Ok(ArchiveReader::open(store, None).await?)
}

/// A restore under way.
struct Restoring<'a> {
    env: &'a Env,
    directory: &'a Directory,
    reader: &'a ArchiveReader,
    plan: &'a RestorePlan,
}

impl Restoring<'_> {
    /// Fills the directory: the files of the base, then a log that holds exactly what follows. The
    /// first open replays it as it would after a crash.
    async fn run(
        &self,
        progress: &mpsc::SyncSender<RestoreProgress>,
    ) -> Result<Option<Lsn>, Error> {
        let lock_path = self.directory.lock_path();
        let home = self.env.files.identity(&lock_path);
        let identity = Identity {
            database: DatabaseId::from_bytes(random_id(self.env)?),
            incarnation: Incarnation::from_bytes(random_id(self.env)?),
            vshards: self.reader.vshards(),
            durability: Durability::Sync,
            home: home.map_err(Error::io("looking at", &lock_path))?,
        };
        self.directory.begin(self.env)?;
        self.fill_vshards(identity.vshards).await?;
        let reached = self.fill_log(progress).await?;
        self.directory.finish(self.env, &identity)?;
        Ok(reached)
    }

    async fn fill_vshards(&self, vshards: u16) -> Result<(), Error> {
        let files = Arc::clone(&self.env.files);
        if let Some(base) = &self.plan.base {
            let fetched = self.reader.fetch_base(base, files, self.directory.path());
            return Ok(fetched.await?);
        }
        let path = self.directory.vshards_path();
        Ok(DataPlane::create(self.env, &path, vshards)?)
    }

    async fn fill_log(
        &self,
        progress: &mpsc::SyncSender<RestoreProgress>,
    ) -> Result<Option<Lsn>, Error> {
        let path = self.directory.log_path();
        self.env.files.create_dir(&path).map_err(Error::io("creating", &path))?;
        let base = self.plan.base.as_ref();
        let options =
            LogOptions { segment_bytes: self.reader.segment_bytes(), ..LogOptions::default() };
        let mut batches = self.reader.batches(self.plan);
        let mut batch = batches.next().await?;
        // The first batch may begin before the redo position; a log holds whole groups, and what the
        // engines have they skip.
        let first = batch.as_ref().map_or(self.plan.first_lsn, |batch| batch.first_lsn);
        let mut log = LogBuilder::create(self.env, &path, options, first)?;
        if let Some(base) = base {
            log.raise_epoch(base.log_epoch);
        }
        let mut reached = first.previous();
        while let Some(archived) = batch {
            reached = self.push(&mut log, &archived)?.or(reached);
            if let (Some(lsn), Some(target_lsn)) = (reached, self.plan.target_lsn) {
                let at = RestoreProgress { lsn, target_lsn };
                // Progress that nobody takes in time is left out.
                progress.try_send(at).unwrap_or_default();
            }
            batch = batches.next().await?;
        }
        let redo = self.plan.first_lsn.min(Lsn::after(reached));
        log.finish(redo)?;
        Ok(reached)
    }

    /// Adds a batch, cut at the end of the last atomic group that the target includes: half a group
    /// was never a state of the database.
    fn push(&self, log: &mut LogBuilder, batch: &ArchivedBatch) -> Result<Option<Lsn>, Error> {
        let records = decode_records(batch.body.clone())?;
        let included = |record: &RecordView| {
            record.group.last && self.plan.target_lsn.is_none_or(|target| record.lsn <= target)
        };
        let Some(last) = records.iter().rposition(included) else {
            return Ok(None);
        };
        let stored: Vec<StoredRecord<'_>> = records
            .iter()
            .take(last + 1)
            .map(|record| StoredRecord { record: record.as_record(), group: record.group })
            .collect();
        log.push(batch.log_epoch, batch.first_lsn, batch.commit_ms, &stored)?;
        Ok(records.get(last).map(|record| record.lsn))
    }
}
