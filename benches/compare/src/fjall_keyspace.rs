//! fjall: a synced write batch for each commit, an item for each record.

use crate::numbers::Numbers;
use anyhow::{Result, ensure};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use nodedb_bench::{
    payload,
    wal::{PAYLOAD_BYTES, Store, Subject, Workload, Writer},
};
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Fjall;

impl Subject for Fjall {
    fn who(&self) -> &'static str {
        "fjall"
    }

    fn takes(&self, _: Workload) -> bool {
        true
    }

    fn create(&self, dir: &Path, _: Workload) -> Result<Box<dyn Store>> {
        let dir = dir.join("fjall");
        let (database, keyspace) = open(&dir)?;
        Ok(Box::new(Items { database, keyspace, dir, numbers: Numbers::new() }))
    }
}

fn open(dir: &Path) -> Result<(Database, Keyspace)> {
    let database = Database::builder(dir).open()?;
    let keyspace = database.keyspace("records", KeyspaceCreateOptions::default)?;
    Ok((database, keyspace))
}

struct Items {
    database: Database,
    keyspace: Keyspace,
    dir: PathBuf,
    numbers: Numbers,
}

impl Store for Items {
    fn writer(&self) -> Result<Box<dyn Writer>> {
        Ok(Box::new(Batches {
            database: self.database.clone(),
            keyspace: self.keyspace.clone(),
            numbers: self.numbers.clone(),
            payload: payload(1, PAYLOAD_BYTES),
        }))
    }

    fn settle(&self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn reopen_and_count(self: Box<Self>) -> Result<u64> {
        let Self { database, keyspace, dir, .. } = *self;
        drop((keyspace, database));
        let (_database, keyspace) = open(&dir)?;
        let mut count = 0;
        for item in keyspace.iter() {
            ensure!(item.size()? as usize == PAYLOAD_BYTES, "an item is cut");
            count += 1;
        }
        Ok(count)
    }
}

struct Batches {
    database: Database,
    keyspace: Keyspace,
    numbers: Numbers,
    payload: Vec<u8>,
}

impl Writer for Batches {
    fn advance(&mut self, depth: usize) -> Result<u64> {
        // `SyncData` is `fdatasync`, as everybody else here uses; it is no weaker on these files.
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        for number in self.numbers.take(depth) {
            batch.insert(&self.keyspace, number.to_be_bytes(), self.payload.as_slice());
        }
        batch.commit()?;
        Ok(depth as u64)
    }

    /// The journal is written with every insert: it survives a killed process at once.
    fn append(&mut self) -> Result<()> {
        for number in self.numbers.take(1) {
            self.keyspace.insert(number.to_be_bytes(), self.payload.as_slice())?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.database.persist(PersistMode::Buffer)?)
    }
}
