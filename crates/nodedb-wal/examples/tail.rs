//! A replica that follows a log, and goes on where it stopped after each restart.
//!
//! `cargo run --example tail`

#![expect(clippy::print_stdout, reason = "an example talks")]

use nodedb_env::Env;
use nodedb_types::{Durability, Lsn, TenantId, VshardId};
use nodedb_wal::{
    AppendClass, LogOptions, NamedPin, PinPolicy, ReadLimit, Record, TailError, WaitError, Wal,
};
use std::{
    collections::BTreeMap,
    error::Error,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A copy of what the log says, in a file of its own.
struct Replica {
    env: Env,
    file: PathBuf,
    /// The next record to apply.
    next: Lsn,
    entries: BTreeMap<String, String>,
    pin: NamedPin,
}

impl Replica {
    /// Goes on from its file, or begins with an empty one. The pin has kept the log meanwhile.
    fn start(env: &Env, wal: &Wal, file: PathBuf) -> Outcome<Self> {
        // Whoever stays away for more than this begins anew instead of filling the disk.
        let policy = PinPolicy { max_bytes: Some(64 << 20) };
        let pin = wal.pin_persistent("replica", wal.oldest(), policy)?;
        let (mut next, mut entries) = (pin.lsn(), BTreeMap::new());
        if env.files.entry(&file)?.is_some() {
            let text = String::from_utf8(env.files.read(&file)?)?;
            let (position, rest) = text.split_once('\n').ok_or("a position comes first")?;
            next = Lsn::from_u64(position.parse()?).ok_or("positions start at 1")?;
            let lines = rest.lines().filter_map(|line| line.split_once('='));
            entries.extend(lines.map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        Ok(Self { env: env.clone(), file, next, entries, pin })
    }

    /// Applies the log until it is closed, or until `enough` records are applied.
    fn follow(&mut self, wal: &Wal, enough: u64) -> Outcome<()> {
        let mut tail = wal.tail(self.next, ReadLimit::Durable)?;
        let mut applied = 0;
        while applied < enough {
            let deadline = self.env.clock.now() + Duration::from_secs(1);
            let batch = match tail.next_batch(deadline) {
                Ok(batch) => batch,
                Err(TailError::Wait(WaitError::Timeout)) => continue,
                Err(TailError::Wait(WaitError::Closed)) => break,
                Err(other) => return Err(other.into()),
            };
            for record in batch.records() {
                let text = String::from_utf8(record.payload.to_vec())?;
                let (key, value) = text.split_once('=').ok_or("a record is key=value")?;
                self.entries.insert(key.to_owned(), value.to_owned());
                applied += 1;
            }
            self.next = tail.position();
            self.save()?;
            // After the copy: once the pin has moved, the log may be gone before it. A log that was
            // closed meanwhile keeps the pin where it was, and costs the next start nothing.
            let moved = self.pin.advance(self.next);
            println!("copied up to {}, pin moved: {}", self.next, moved.is_ok());
        }
        Ok(())
    }

    /// Replaces the copy durably and in one step, together with its position.
    fn save(&self) -> Outcome<()> {
        let lines = self.entries.iter().map(|(key, value)| format!("{key}={value}\n"));
        let text: String = std::iter::once(format!("{}\n", self.next)).chain(lines).collect();
        Ok(self.env.files.replace(&self.file, text.as_bytes())?)
    }
}

/// What the log's owner does meanwhile.
fn put(env: &Env, wal: &Wal, keys: std::ops::Range<u32>) -> Outcome<()> {
    for key in keys {
        let text = format!("key-{}={key}", key % 150);
        let record = Record {
            tenant: TenantId::DEFAULT,
            vshard: VshardId::new(0),
            kind: 1,
            payload: text.as_bytes(),
        };
        wal.append(&[record], Durability::Sync, AppendClass::User)?;
    }
    wal.sync(env.clock.now() + Duration::from_secs(10))?;
    Ok(())
}

/// Removes all of the log that nobody holds.
fn reclaim(wal: &Wal) -> Outcome<()> {
    let durable = wal.durable().ok_or("there are records")?;
    wal.record_checkpoint(durable, durable, None)?;
    let plan = wal.plan_truncation(&[]);
    for hold in plan.holds() {
        println!("  {} holds the log from record {}", hold.name, hold.lsn);
    }
    wal.truncate(plan)?;
    Ok(())
}

fn lives(env: &Env, folder: &Path) -> Outcome<BTreeMap<String, String>> {
    let (log, file) = (folder.join("log"), folder.join("copy"));
    env.files.create_dir(&log)?;
    let options = LogOptions { segment_bytes: 64 << 10, ..LogOptions::default() };

    println!("first life: the replica stops after 50 records");
    let wal = Wal::create(env, &log, options.clone())?;
    let mut replica = Replica::start(env, &wal, file.clone())?;
    thread::scope(|scope| {
        let following = scope.spawn(|| replica.follow(&wal, 50));
        let put = put(env, &wal, 0..50);
        if put.is_err() {
            // The replica waits for more until the log ends.
            wal.close()?;
        }
        put?;
        following.join().map_err(|_panic| "the replica panicked")?
    })?;
    drop(replica);
    put(env, &wal, 50..100)?;
    reclaim(&wal)?;
    wal.close()?;

    println!("second life: it catches up and follows until the log is closed");
    let (wal, _) = Wal::open(env, &log, options)?;
    put(env, &wal, 100..200)?;
    reclaim(&wal)?;
    let mut replica = Replica::start(env, &wal, file)?;
    thread::scope(|scope| {
        let following = scope.spawn(|| replica.follow(&wal, u64::MAX));
        let put = put(env, &wal, 200..300);
        wal.close().map_err(Into::into).and(put)?;
        following.join().map_err(|_panic| "the replica panicked")?
    })?;
    Ok(replica.entries)
}

pub(crate) fn main() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let entries = lives(&Env::real(), folder.path())?;
    assert_eq!(entries.len(), 150);
    for (key, value) in (150..300_u32).map(|key| (format!("key-{}", key % 150), key.to_string())) {
        assert_eq!(entries.get(&key), Some(&value), "{key}");
    }
    println!("all {} keys are there, with their last values", entries.len());
    Ok(())
}
