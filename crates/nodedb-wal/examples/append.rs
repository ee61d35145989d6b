//! Appends what is given on the command line to a log and prints the whole log.
//!
//! `cargo run --example append -- DIRECTORY WORD...`

#![expect(clippy::print_stdout, reason = "an example talks")]

use nodedb_env::Env;
use nodedb_types::{Durability, TenantId, VshardId};
use nodedb_wal::{AppendClass, LogOptions, ReadLimit, Record, Wal};
use std::{error::Error, path::PathBuf, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(arguments.next().ok_or("usage: append DIRECTORY WORD...")?);
    let words: Vec<String> = arguments.collect();

    let env = Env::real();
    let options = LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() };
    let wal = if env.files.entry(&dir)?.is_some() {
        let (wal, report) = Wal::open(&env, &dir, options)?;
        println!("opened: {} records, epoch {}", report.records, report.epoch);
        wal
    } else {
        env.files.create_dir(&dir)?;
        Wal::create(&env, &dir, options)?
    };

    for word in &words {
        let record = Record {
            tenant: TenantId::DEFAULT,
            vshard: VshardId::new(0),
            kind: 1,
            payload: word.as_bytes(),
        };
        wal.append(&[record], Durability::Sync, AppendClass::User)?;
    }
    // One wait for all: the syncs of waiting writers are shared.
    wal.sync(env.clock.now() + Duration::from_secs(10))?;

    let mut reader = wal.reader(wal.oldest(), ReadLimit::Durable)?;
    while let Some(batch) = reader.next_batch()? {
        for record in batch.records() {
            let text = String::from_utf8_lossy(&record.payload);
            println!("{:>6}  {} ms  {text}", record.lsn, batch.commit_ms);
        }
    }
    Ok(wal.close()?)
}
