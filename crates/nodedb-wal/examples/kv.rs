//! A durable key-value store over the log: `kv DIR put KEY VALUE | del KEY | get KEY | checkpoint`.
//!
//! A change is logged, made durable, and applied to a map; opening replays the log over the last snapshot. A
//! checkpoint writes the map into a snapshot, tells the log so, and gives back what came before.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use nodedb_env::Env;
use nodedb_types::{Lsn, TenantId, VshardId};
use nodedb_wal::{AppendClass, LogOptions, ReadLimit, Record, Wal, WalError};
use std::{collections::BTreeMap, error::Error, path::PathBuf, time::Duration};

const CHANGE: u16 = 1;
const CHECKPOINT: u16 = 2;
const PATIENCE: Duration = Duration::from_secs(10);

struct Store {
    env: Env,
    dir: PathBuf,
    wal: Wal,
    map: BTreeMap<String, String>,
}

impl Store {
    fn open(dir: PathBuf) -> Result<Self, Box<dyn Error>> {
        let env = Env::real();
        let log = dir.join("log");
        for folder in [&dir, &log] {
            if env.files.entry(folder)?.is_none() {
                env.files.create_dir(folder)?;
            }
        }
        let options = LogOptions { segment_bytes: 1 << 20, ..LogOptions::default() };
        let wal = match Wal::open(&env, &log, options.clone()) {
            Ok((wal, _report)) => wal,
            Err(WalError::NotALog { .. }) => Wal::create(&env, &log, options)?,
            Err(error) => return Err(error.into()),
        };
        let mut map = BTreeMap::new();
        let snapshot = dir.join("snapshot");
        if env.files.entry(&snapshot)?.is_some() {
            let text = String::from_utf8(env.files.read(&snapshot)?)?;
            text.lines().for_each(|change| apply(&mut map, change));
        }
        // The snapshot may hold more than `redo` says; a change applied twice does no harm.
        let mut reader = wal.reader(wal.control().redo, ReadLimit::Durable)?.unmapped();
        while let Some(batch) = reader.next_batch()? {
            for record in batch.records().filter(|record| record.kind == CHANGE) {
                apply(&mut map, std::str::from_utf8(&record.payload)?);
            }
        }
        Ok(Self { env, dir, wal, map })
    }

    /// Logs a payload; it is durable when this returns.
    fn log(&self, kind: u16, payload: &str, class: AppendClass) -> Result<Lsn, Box<dyn Error>> {
        let (tenant, vshard) = (TenantId::DEFAULT, VshardId::new(0));
        let record = Record { tenant, vshard, kind, payload: payload.as_bytes() };
        let deadline = self.env.clock.now() + PATIENCE;
        self.wal.wait_room(record.encoded_len(), class, deadline)?;
        let lsn = self.wal.stage(&[record], class)?.start();
        self.wal.commit(lsn, deadline)?;
        Ok(lsn)
    }

    fn change(&mut self, change: &str) -> Result<(), Box<dyn Error>> {
        // First the log: what is not durable is not shown.
        self.log(CHANGE, change, AppendClass::User)?;
        apply(&mut self.map, change);
        Ok(())
    }

    fn checkpoint(&self) -> Result<usize, Box<dyn Error>> {
        let redo = self.wal.durable().map_or(Lsn::FIRST, Lsn::next);
        let lines: Vec<String> =
            self.map.iter().map(|(key, value)| format!("{key}\t{value}")).collect();
        // First the snapshot: what the log gives back must be somewhere else, durably.
        self.env.files.replace(&self.dir.join("snapshot"), lines.join("\n").as_bytes())?;
        let record = self.log(CHECKPOINT, "", AppendClass::Housekeeping)?;
        self.wal.record_checkpoint(redo, record, None)?;
        Ok(self.wal.truncate(self.wal.plan_truncation(&[]))?.segments)
    }
}

/// A line with a tab sets a key, one without removes it.
fn apply(map: &mut BTreeMap<String, String>, change: &str) {
    match change.split_once('\t') {
        Some((key, value)) => map.insert(key.to_owned(), value.to_owned()),
        None => map.remove(change),
    };
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((dir, command)) = words.split_first() else {
        return Err("usage: kv DIR put KEY VALUE | del KEY | get KEY | checkpoint".into());
    };
    let mut store = Store::open(PathBuf::from(dir))?;
    match command {
        ["put", key, value] => store.change(&format!("{key}\t{value}"))?,
        ["del", key] => store.change(key)?,
        ["get", key] => println!("{}", store.map.get(*key).ok_or("no such key")?),
        ["checkpoint"] => println!("{} segments given back", store.checkpoint()?),
        _ => return Err("put KEY VALUE, del KEY, get KEY or checkpoint".into()),
    }
    Ok(store.wal.close()?)
}
