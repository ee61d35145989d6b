//! The database: what holds all parts together while it is open.

use crate::{
    CheckpointReport, CheckpointRequest, CollectionInfo, Error, NewCollection, OpenOptions, Tenant,
    archive::{ArchivePosition, Archiver, BaseUpload},
    checkpoint::Checkpointer,
    directory::Directory,
    editors::Editors,
    identity::Identity,
    log::LogHandle,
    options::CreateOptions,
    pending::Pending,
    schema::Schema,
    sender::{Destination, Sender},
    watch::WatchPlaces,
};
use nodedb_bridge::Priority;
use nodedb_control::{Admission, Routing, Tasks, TenantBytes, TenantRoom};
use nodedb_data::{DataPlane, Op, Outcome};
use nodedb_env::Env;
use nodedb_types::{DatabaseId, Lsn, TenantId, VshardId};
use parking_lot::Mutex;
use std::{
    fmt,
    future::Future,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{runtime::Runtime, time};

/// An open database; a handle that is cheap to clone. The directory is closed in order when the last
/// handle is dropped, or by [`Database::close`].
///
/// Calls block; those that end in `_async` answer a future that any runtime may poll. Neither needs
/// a runtime of the caller's: background work runs on the database's own threads.
#[derive(Clone)]
pub struct Database {
    pub(crate) inner: Arc<Inner>,
}

/// The parts of an open database.
pub(crate) struct Inner {
    pub(crate) env: Env,
    pub(crate) identity: Identity,
    pub(crate) options: OpenOptions,
    pub(crate) routing: Routing,
    pub(crate) admission: Admission,
    pub(crate) tenant_bytes: Arc<TenantBytes>,
    pub(crate) log: LogHandle,
    pub(crate) sender: Sender,
    pub(crate) checkpointer: Arc<Checkpointer>,
    pub(crate) archive: Option<AttachedArchive>,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) schema: Arc<Schema>,
    pub(crate) editors: Editors,
    pub(crate) watches: WatchPlaces,
    pub(crate) points: Mutex<()>,
    pub(crate) runtime: Mutex<Option<Runtime>>,
    pub(crate) plane: Mutex<Option<DataPlane>>,
    pub(crate) closed: AtomicBool,
    pub(crate) directory: Directory,
}

/// The archive of an open database.
#[derive(Debug)]
pub(crate) struct AttachedArchive {
    pub(crate) archiver: Arc<Archiver>,
    pub(crate) position: Arc<ArchivePosition>,
    /// One base image at a time: all of them link their files in the same place.
    pub(crate) one_base: tokio::sync::Mutex<()>,
}

impl Database {
    /// Creates a database in a missing or empty directory and opens it.
    ///
    /// # Errors
    /// [`Error::DatabaseExists`], [`Error::Foreign`] for a directory with something else in it,
    /// [`Error::InvalidOption`], [`Error::Archive`] if the archive cannot be reached, [`Error::Io`].
    pub fn create(dir: impl AsRef<Path>, options: CreateOptions) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let options = OpenOptions { create: Some(options), ..OpenOptions::default() };
        crate::open::open(&Env::real(), dir, options, crate::open::Existing::Refuse)
    }

    /// Opens a database with defaults; a missing or empty directory becomes a new one.
    ///
    /// # Errors
    /// As [`Database::open_with`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(dir, OpenOptions::default())
    }

    /// Opens a database. Everything that was acknowledged is there when this returns.
    ///
    /// # Errors
    /// [`Error::NoDatabase`] if nothing may be created, [`Error::Locked`] if another process has it
    /// open, [`Error::Corrupt`], [`Error::Log`], [`Error::Data`] and [`Error::Engine`] if files are
    /// damaged, in which case no byte was changed, [`Error::UnsupportedFormat`],
    /// [`Error::InvalidOption`], [`Error::Io`].
    pub fn open_with(dir: impl AsRef<Path>, options: OpenOptions) -> Result<Self, Error> {
        crate::open::open(&Env::real(), dir.as_ref(), options, crate::open::Existing::Open)
    }

    /// Who this database is; a restored one is another.
    pub fn id(&self) -> DatabaseId {
        self.inner.identity.database
    }

    /// The data of one tenant; without a name, of the default one.
    ///
    /// # Errors
    /// [`Error::Name`]. A tenant that has no collection yet is created with its first one.
    pub fn tenant(&self, name: Option<&str>) -> Result<Tenant, Error> {
        Tenant::new(self.clone(), name)
    }

    /// A collection of the default tenant.
    ///
    /// # Errors
    /// [`Error::Catalog`] if there is none of that name.
    pub fn collection(&self, name: &str) -> Result<crate::Collection, Error> {
        self.tenant(None)?.collection(name)
    }

    /// Creates a collection of the default tenant. Durable on return.
    ///
    /// # Errors
    /// As [`Tenant::create_collection`].
    pub fn create_collection(&self, new: NewCollection) -> Result<CollectionInfo, Error> {
        self.tenant(None)?.create_collection(new)
    }

    /// Drops a collection of the default tenant with all that is in it. Durable on return.
    ///
    /// # Errors
    /// As [`Tenant::drop_collection`].
    pub fn drop_collection(&self, name: &str) -> Result<Lsn, Error> {
        self.tenant(None)?.drop_collection(name)
    }

    /// The collections of the default tenant.
    ///
    /// # Errors
    /// As [`Tenant::collections`].
    pub fn collections(&self) -> Result<Vec<CollectionInfo>, Error> {
        self.tenant(None)?.collections()
    }

    /// Writes all or nothing, over any collections of the default tenant.
    ///
    /// # Errors
    /// As [`Tenant::batch`].
    pub fn batch(&self, operations: &[crate::BatchOp]) -> Result<crate::BatchWritten, Error> {
        self.tenant(None)?.batch(operations)
    }

    /// Runs a checkpoint of everything that is in the log now: flushes every vshard, moves the redo
    /// position, gives log back. Joins one that runs already if that covers it; otherwise all who come
    /// meanwhile share the next one.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] names the step that failed, after which nothing was reclaimed;
    /// [`Error::CheckpointBusy`] if more than 1024 callers wait; [`Error::NoArchive`] and
    /// [`Error::ArchiveBehind`] if the archive was asked for.
    pub fn checkpoint(&self, request: CheckpointRequest) -> Result<CheckpointReport, Error> {
        let inner = Arc::clone(&self.inner);
        self.inner.run(async move { inner.checkpoint(request).await })?
    }

    /// Closes the database in order: no new requests, a last checkpoint, the last archive object,
    /// then the log. Closing twice does nothing. Other handles answer [`Error::Closed`] afterwards.
    ///
    /// # Errors
    /// The first failure. Whatever fails, a reopen finds everything that was acknowledged.
    pub fn close(&self) -> Result<(), Error> {
        self.inner.close()
    }
}

impl Inner {
    /// Sends a request to a vshard.
    pub(crate) fn send<T>(
        &self,
        tenant: TenantId,
        vshard: VshardId,
        op: Op,
        conclude: impl FnOnce(Outcome) -> Result<T, Error> + Send + 'static,
    ) -> Result<Pending<T>, Error> {
        self.check_open()?;
        let priority = Priority::Foreground;
        self.sender.send(Destination { tenant, vshard, priority }, op, conclude)
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Acquire) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Room for a write of so many bytes, which it takes until the answer to it is concluded; none of a
    /// delete. Nothing where tenants have no limit.
    pub(crate) fn room(&self, tenant: TenantId, bytes: usize) -> Result<Option<TenantRoom>, Error> {
        if !self.tenant_bytes.is_limited() {
            return Ok(None);
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        Ok(self.tenant_bytes.admit(tenant, bytes, self.env.clock.now())?)
    }

    /// As [`Sender::patiently`].
    pub(crate) fn patiently<T>(&self, call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        self.sender.patiently(call)
    }

    /// As [`Sender::run`].
    pub(crate) fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Error> {
        self.sender.run(future)
    }

    async fn checkpoint(&self, request: CheckpointRequest) -> Result<CheckpointReport, Error> {
        self.check_open()?;
        let wait_archive = request.wait_archive || request.base;
        if wait_archive && self.archive.is_none() {
            return Err(Error::NoArchive);
        }
        if let Some(archive) = self.archive.as_ref().filter(|_| wait_archive)
            && archive.position.fault().is_some_and(|fault| fault.stopped)
        {
            return Err(archive.behind(self.log.wal().durable()));
        }
        let before = self.checkpointer.reclaimer().segments();
        let mut report = self.checkpointer.checkpoint(request.urgency).await?;
        let Some(archive) = self.archive.as_ref().filter(|_| wait_archive) else {
            return Ok(report);
        };
        let limit = self.options.request_deadline.max(self.options.checkpoint_deadline);
        let target = self.log.wal().durable();
        if request.base && target.is_some() {
            let base = async {
                let _one_at_a_time = archive.one_base.lock().await;
                self.base(archive).run().await
            };
            let base = time::timeout(limit, base);
            base.await.unwrap_or_else(|_| Err(archive.behind(target)))?;
        }
        if let Some(target) = target {
            archive.position.want(target);
            let reached = time::timeout(limit, archive.position.reached(target));
            reached.await.map_err(|_elapsed| archive.behind(Some(target)))?;
        }
        let reclaimer = self.checkpointer.reclaimer();
        reclaimer.reclaim().await?;
        report.reclaimed_segments = reclaimer.segments().saturating_sub(before);
        report.held_by = reclaimer.held_by();
        report.archived_lsn = archive.position.persisted();
        Ok(report)
    }

    fn base<'a>(&'a self, archive: &'a AttachedArchive) -> BaseUpload<'a> {
        BaseUpload {
            env: &self.env,
            wal: self.log.wal(),
            data: &self.sender.data,
            archiver: &archive.archiver,
            position: &archive.position,
            incarnation: self.identity.incarnation,
            vshards: self.identity.vshards,
            scratch: self.directory.image_path(),
            deadline: self.env.clock.now() + self.options.checkpoint_deadline,
        }
    }

    /// The background work first: a last checkpoint while the vshards still answer, then the tasks, of
    /// which the archiver uploads the last changes; then the cores; the log last, since the others
    /// still write to it.
    fn close(&self) -> Result<(), Error> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let (checkpointer, tasks) = (Arc::clone(&self.checkpointer), Arc::clone(&self.tasks));
        let limit = self.options.checkpoint_deadline;
        let result = self.run(wind_down(checkpointer, tasks, limit));
        self.shut(result.flatten())
    }

    /// Stops the threads and closes the log, also after a failure.
    fn shut(&self, result: Result<(), Error>) -> Result<(), Error> {
        let deadline = self.env.clock.now() + self.options.checkpoint_deadline;
        let plane = self.plane.lock().take();
        let cores = plane.map_or(Ok(()), |plane| plane.close(deadline));
        let log = self.log.wal().close();
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
        self.directory.unlock();
        result.and(cores.map_err(Error::from)).and(log.map_err(Error::from))
    }
}

impl AttachedArchive {
    fn behind(&self, wanted: Option<Lsn>) -> Error {
        let fault = self.position.fault().map(|fault| fault.message);
        Error::ArchiveBehind {
            archived: Lsn::encode(self.position.persisted()),
            wanted: Lsn::encode(wanted),
            reason: fault.unwrap_or_else(|| "the upload is under way".to_owned()),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(error = %error, "closing failed");
        }
    }
}

async fn wind_down(
    checkpointer: Arc<Checkpointer>,
    tasks: Arc<Tasks>,
    limit: Duration,
) -> Result<(), Error> {
    // The driver keeps the deadline itself; twice as long is for one that died.
    let drained = time::timeout(limit * 2, checkpointer.drain(limit)).await;
    let failures = tasks.close(limit).await;
    match (drained, failures.into_iter().next()) {
        (Ok(Err(error)), _) => Err(error),
        (_, Some(failure)) => Err(Error::internal(failure.to_string())),
        // A checkpoint that did not end in time costs recovery time, not data.
        (Ok(Ok(_)) | Err(_), None) => Ok(()),
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("id", &self.inner.identity.database)
            .field("path", &self.inner.directory.path())
            .finish_non_exhaustive()
    }
}
