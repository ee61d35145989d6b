//! redb: a write transaction for each commit, a row for each record.

use crate::numbers::Numbers;
use anyhow::{Result, ensure};
use nodedb_bench::{
    payload,
    wal::{PAYLOAD_BYTES, Store, Subject, Workload, Writer},
};
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");

#[derive(Debug)]
pub(crate) struct Redb;

impl Subject for Redb {
    fn who(&self) -> &'static str {
        "redb"
    }

    /// `Durability::None` loses commits with the process: it has nothing to set beside a buffered append.
    fn takes(&self, workload: Workload) -> bool {
        matches!(workload, Workload::Commits { .. })
    }

    fn create(&self, dir: &Path, _: Workload) -> Result<Box<dyn Store>> {
        let path = dir.join("records.redb");
        let database = Arc::new(Database::create(&path)?);
        Ok(Box::new(Table { database, path, numbers: Numbers::new() }))
    }
}

struct Table {
    database: Arc<Database>,
    path: PathBuf,
    numbers: Numbers,
}

impl Store for Table {
    fn writer(&self) -> Result<Box<dyn Writer>> {
        let (database, numbers) = (Arc::clone(&self.database), self.numbers.clone());
        Ok(Box::new(Rows { database, numbers, payload: payload(1, PAYLOAD_BYTES) }))
    }

    fn reopen_and_count(self: Box<Self>) -> Result<u64> {
        drop(self.database);
        let database = Database::open(&self.path)?;
        let table = database.begin_read()?.open_table(RECORDS)?;
        let mut count = 0;
        for row in table.iter()? {
            let (key, value) = row?;
            ensure!(value.value().len() == PAYLOAD_BYTES, "row {} is cut", key.value());
            count += 1;
        }
        Ok(count)
    }
}

struct Rows {
    database: Arc<Database>,
    numbers: Numbers,
    payload: Vec<u8>,
}

impl Writer for Rows {
    /// One writer at a time: to begin a transaction waits for the one before.
    fn advance(&mut self, depth: usize) -> Result<u64> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(RECORDS)?;
            for number in self.numbers.take(depth) {
                table.insert(number, self.payload.as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(depth as u64)
    }
}
