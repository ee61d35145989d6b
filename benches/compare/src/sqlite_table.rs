//! SQLite: a transaction for each commit, a row for each record, its own log in front of the table.

use anyhow::{Result, ensure};
use nodedb_bench::{
    payload,
    wal::{PAYLOAD_BYTES, Store, Subject, Workload, Writer},
};
use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

#[derive(Debug)]
pub(crate) struct Sqlite;

impl Subject for Sqlite {
    fn who(&self) -> &'static str {
        "sqlite"
    }

    fn takes(&self, _: Workload) -> bool {
        true
    }

    fn create(&self, dir: &Path, workload: Workload) -> Result<Box<dyn Store>> {
        let path = dir.join("records.sqlite");
        let connection = Connection::open(&path)?;
        // Without a sync in each commit its log still survives a killed process: as much as is asked for.
        let synchronous = if workload == Workload::Buffered { "NORMAL" } else { "FULL" };
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.execute_batch("CREATE TABLE records (id INTEGER PRIMARY KEY, payload BLOB)")?;
        Ok(Box::new(Table { connection: Arc::new(Mutex::new(connection)), path }))
    }
}

/// One connection behind a lock. With one for each thread SQLite polls for its own lock with growing
/// pauses, which is slower here, and starves some of 64 threads.
struct Table {
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
}

impl Store for Table {
    fn writer(&self) -> Result<Box<dyn Writer>> {
        let connection = Arc::clone(&self.connection);
        Ok(Box::new(Rows { connection, payload: payload(1, PAYLOAD_BYTES) }))
    }

    fn reopen_and_count(self: Box<Self>) -> Result<u64> {
        drop(self.connection);
        let connection = Connection::open(&self.path)?;
        let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let all = count("SELECT count(*) FROM records")?;
        let whole = count("SELECT count(*) FROM records WHERE length(payload) = 256")?;
        ensure!(all == whole, "{} rows are cut", all - whole);
        Ok(u64::try_from(all)?)
    }
}

struct Rows {
    connection: Arc<Mutex<Connection>>,
    payload: Vec<u8>,
}

impl Writer for Rows {
    fn advance(&mut self, depth: usize) -> Result<u64> {
        let mut connection = self.connection.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let sql = "INSERT INTO records (payload) VALUES (?1)";
            let mut insert = transaction.prepare_cached(sql)?;
            for _ in 0..depth {
                insert.execute([&self.payload])?;
            }
        }
        transaction.commit()?;
        Ok(depth as u64)
    }

    fn append(&mut self) -> Result<()> {
        self.advance(1).map(drop)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
