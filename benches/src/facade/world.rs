//! An open database with one collection.

use anyhow::Result;
use nodedb::{
    Collection, Database, Durability, Error, ErrorKind, NewCollection, OpenOptions, Pending,
    ScanOptions, WriteOptions,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Durable before it is answered.
pub(super) const SYNCED: WriteOptions =
    WriteOptions { expect: None, durability: Some(Durability::Sync), ttl: None, idempotency: None };
const BUFFERED: WriteOptions = WriteOptions {
    expect: None,
    durability: Some(Durability::Buffered),
    ttl: None,
    idempotency: None,
};

/// Puts that are under way while a collection is filled before it is measured.
const PIPELINE: usize = 256;

/// A database without archive, otherwise as by default.
pub(super) struct World {
    pub(super) collection: Collection,
    pub(super) database: Database,
    dir: PathBuf,
}

impl World {
    pub(super) fn create(dir: &Path) -> Result<Self> {
        Self::create_with(dir, OpenOptions::default(), NewCollection::named("rows"))
    }

    /// With other options, and another collection named `rows`.
    pub(super) fn create_with(
        dir: &Path,
        options: OpenOptions,
        rows: NewCollection,
    ) -> Result<Self> {
        let dir = dir.join("db");
        let database = Database::open_with(&dir, options)?;
        database.create_collection(rows)?;
        let collection = database.collection("rows")?;
        Ok(Self { collection, database, dir })
    }

    /// Its directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Puts rows that need not be durable yet.
    pub(super) fn fill(&self, rows: &[(String, String)]) -> Result<()> {
        for rows in rows.chunks(PIPELINE) {
            let put = |(key, json): &(String, String)| {
                self.collection.put_async(key, json.as_bytes(), BUFFERED)
            };
            let begun: Vec<_> = rows.iter().map(put).collect();
            for ((key, json), put) in rows.iter().zip(begun) {
                match put.and_then(Pending::wait) {
                    // The blocking call waits for room.
                    Err(error) if is_busy(&error) => {
                        self.collection.put_raw(key, json.as_bytes(), BUFFERED)?;
                    }
                    put => drop(put?),
                }
            }
        }
        Ok(())
    }

    /// Closes the database, opens it again and counts the documents that are really there.
    pub(super) fn reopen_and_count(self) -> Result<u64> {
        let Self { collection, database, dir } = self;
        database.close()?;
        drop((collection, database));
        let database = Database::open(&dir)?;
        let mut count = 0;
        for document in database.collection("rows")?.scan(ScanOptions::default())? {
            document?;
            count += 1;
        }
        database.close()?;
        Ok(count)
    }
}

/// Makes a call again as long as it is turned away. Without a pause, all others that can run go first.
pub(super) async fn until_taken<T>(
    pause: Option<Duration>,
    call: impl Fn() -> Result<Pending<T>, Error>,
) -> Result<T, Error> {
    loop {
        let answer = match call() {
            Ok(pending) => pending.await,
            Err(error) => Err(error),
        };
        match (answer, pause) {
            (Err(error), Some(pause)) if is_busy(&error) => tokio::time::sleep(pause).await,
            (Err(error), None) if is_busy(&error) => tokio::task::yield_now().await,
            (answer, _) => return answer,
        }
    }
}

/// Whether nothing was done, so that the caller may do it again.
fn is_busy(error: &Error) -> bool {
    error.kind() == ErrorKind::Busy
}
