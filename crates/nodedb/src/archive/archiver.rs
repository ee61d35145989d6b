//! The archiver: one task that uploads the log, object by object, in order.

use super::{
    ArchivePosition, ArchiveState,
    backlog::{Backlog, CutRule},
    cut::cut,
};
use crate::{Error, identity::random_id, log::LogHandle};
use nodedb_cold::{Archive, ArchivedTail, Nonce, Session, open_store};
use nodedb_control::Shutdown;
use nodedb_env::Env;
use nodedb_types::Lsn;
use parking_lot::Mutex;
use std::{convert::Infallible, path::PathBuf, sync::Arc, time::Duration};
use tokio::time;

/// What an archiver is made of.
#[derive(Debug)]
pub(crate) struct ArchiverParts {
    pub(crate) env: Env,
    pub(crate) log: LogHandle,
    pub(crate) position: Arc<ArchivePosition>,
    /// The `ARCHIVE` file and what it says.
    pub(crate) path: PathBuf,
    pub(crate) state: ArchiveState,
    pub(crate) rule: CutRule,
}

/// Uploads the log. Nothing else writes log objects of this database.
#[derive(Debug)]
pub(crate) struct Archiver {
    parts: ArchiverParts,
    /// Where the next object goes, while nothing is in doubt: after a failed or cancelled upload it is
    /// found again by reading the archive.
    tail: Mutex<Option<ArchivedTail>>,
    /// The archive, once it was reached. An open that writes nothing never touches it.
    open: Mutex<Option<Archive>>,
    /// Up to where the archive may hold records: what the log held when it was opened, and what this
    /// archiver has tried to upload since.
    explained: Mutex<Option<Lsn>>,
}

const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long shutdown waits for the last object.
const LAST_OBJECT: Duration = Duration::from_secs(5);

impl Archiver {
    pub(crate) fn new(parts: ArchiverParts) -> Self {
        let recovered = parts.log.wal().durable();
        Self {
            parts,
            tail: Mutex::new(None),
            open: Mutex::new(None),
            explained: Mutex::new(recovered),
        }
    }

    pub(crate) const fn state(&self) -> &ArchiveState {
        &self.parts.state
    }

    /// Archives until shutdown. A temporary failure is repeated for ever, with growing pauses; a
    /// permanent one stops the uploads and keeps the hold, so that nothing unarchived is deleted.
    pub(crate) async fn run(&self, mut shutdown: Shutdown) {
        let mut pause = PAUSE_MIN;
        loop {
            let error = tokio::select! {
                () = shutdown.requested() => return self.finish().await,
                result = self.follow_log(&mut pause) => match result {
                    Ok(never) => match never {},
                    Err(error) => error,
                },
            };
            let stopped = !is_temporary(&error);
            let error = error.in_full();
            tracing::warn!(error, stopped, "archiving failed");
            self.parts.position.fail(error, stopped);
            if stopped {
                return shutdown.requested().await;
            }
            tokio::select! {
                () = shutdown.requested() => return,
                () = time::sleep(pause) => pause = (pause * 2).min(PAUSE_MAX),
            }
        }
    }

    /// Waits for something to archive and uploads it, until something fails.
    async fn follow_log(&self, pause: &mut Duration) -> Result<Infallible, Error> {
        let rule = self.parts.rule;
        let tick = (rule.age / 4).clamp(Duration::from_millis(20), Duration::from_secs(1));
        let mut wanted = self.parts.position.wanted();
        let mut backlog = Backlog::open(&self.parts, self.next_lsn())?;
        loop {
            let target = *wanted.borrow_and_update();
            backlog.fill(rule)?;
            if let Some(end) = backlog.due(rule, self.parts.env.clock.unix_ms(), target) {
                self.upload_to(end).await?;
                *pause = PAUSE_MIN;
                backlog = Backlog::open(&self.parts, self.next_lsn())?;
                continue;
            }
            // Weaker writes become durable, and so archivable, at the latest now.
            self.request_sync();
            tokio::select! {
                _ = wanted.changed() => {}
                () = time::sleep(tick) => {}
            }
        }
    }

    fn next_lsn(&self) -> Lsn {
        Lsn::after(self.parts.position.persisted())
    }

    fn request_sync(&self) {
        let wal = self.parts.log.wal();
        if let Some(appended) = wal.appended().filter(|appended| Some(*appended) > wal.durable()) {
            wal.request_sync(appended);
        }
    }

    /// Uploads one object that ends with `end`, unless the archive turns out to hold it already: a
    /// kill after an upload and before its note in the `ARCHIVE` file is made good here.
    async fn upload_to(&self, end: Lsn) -> Result<(), Error> {
        let archive = self.reach().await?;
        let known = self.tail.lock().take();
        let mut tail = match known {
            Some(tail) => tail,
            None => archive.tail(self.parts.position.persisted()).await?,
        };
        self.check_not_ahead(&tail)?;
        if tail.next_lsn() <= end {
            let object = cut(&self.parts, archive.writer(), &tail, end)?;
            // Before the upload: a cancelled one may have succeeded.
            self.explain(end);
            // Only the receipt of a verified upload moves the position.
            let receipt = archive.upload_log(&object).await?;
            tail.advance(&receipt)?;
        }
        if let Some(archived) = tail.archived() {
            self.persist(archived)?;
        }
        *self.tail.lock() = Some(tail);
        Ok(())
    }

    /// The archive, opened for writing at first use.
    pub(crate) async fn reach(&self) -> Result<Archive, Error> {
        let open = self.open.lock().clone();
        if let Some(archive) = open {
            archive.check_not_fenced().await?;
            return Ok(archive);
        }
        let store = open_store(&self.parts.env, &self.parts.state.url)?;
        let nonce = random_id(&self.parts.env)?;
        let log_epoch = self.parts.log.wal().epoch();
        let session = Session { log_epoch, nonce: Nonce::from_bytes(nonce) };
        let archive = Archive::attach(store, self.parts.state.writer, session).await?;
        *self.open.lock() = Some(archive.clone());
        Ok(archive)
    }

    fn explain(&self, end: Lsn) {
        let mut explained = self.explained.lock();
        *explained = (*explained).max(Some(end));
    }

    /// An archive that is ahead of the log means that an old copy of the directory was put back. The
    /// durable position does not show it: the older copy may have written past the archive's end.
    fn check_not_ahead(&self, tail: &ArchivedTail) -> Result<(), Error> {
        let explained = *self.explained.lock();
        if tail.archived() <= explained {
            return Ok(());
        }
        let message = format!(
            "the archive ends at record {}, the log ended at {}: an older copy was put back",
            Lsn::encode(tail.archived()),
            Lsn::encode(explained)
        );
        Err(Error::corrupt(&self.parts.path, message))
    }

    /// The file first: the position frees log for deletion, and after a crash only the file tells
    /// what may have been freed.
    fn persist(&self, archived: Lsn) -> Result<(), Error> {
        if self.parts.position.persisted() >= Some(archived) {
            return Ok(());
        }
        let state = ArchiveState { archived: Some(archived), ..self.parts.state.clone() };
        state.write(&*self.parts.env.files, &self.parts.path)?;
        self.parts.position.advance(archived);
        Ok(())
    }

    /// At shutdown the last changes go, unless the archive was failing anyway. What does not make
    /// it stays in the log, held.
    async fn finish(&self) {
        if self.parts.position.fault().is_some() {
            return;
        }
        let outcome = time::timeout(LAST_OBJECT, self.upload_changes()).await;
        if let Ok(Err(error)) = outcome {
            tracing::warn!(error = %error, "the last changes are not archived");
        }
    }

    async fn upload_changes(&self) -> Result<(), Error> {
        loop {
            let mut backlog = Backlog::open(&self.parts, self.next_lsn())?;
            backlog.fill(self.parts.rule)?;
            match backlog.changed_end() {
                Some(end) => self.upload_to(end).await?,
                None => return Ok(()),
            }
        }
    }
}

fn is_temporary(error: &Error) -> bool {
    if let Error::Archive(error) = error {
        return error.is_temporary();
    }
    matches!(error, Error::Io { .. })
}
