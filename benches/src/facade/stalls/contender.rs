//! Those who are called: the log alone, and databases that are busy in the background or calm.

use super::{
    latencies::Kind,
    load::{Application, Load, Mixed},
    rows::{self, Rows},
    upkeep::{self, Upkeep},
};
use crate::{
    Contender, Sample,
    facade::{
        bare_log::BareLog,
        callers::Called,
        world::{SYNCED, World, until_taken},
    },
    real,
    wal::record,
};
use anyhow::{Context, Result, ensure};
use nodedb::{CheckpointRequest, OpenOptions, Urgency};
use std::{
    hint::black_box,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// Far from each other in time.
const STRIDE: u64 = 7_919;
/// Pause after `Busy`. The call still counts from its beginning.
const PAUSE: Duration = Duration::from_millis(1);
const WARM_UP: Duration = Duration::from_millis(300);

/// Somebody under a load.
pub(super) struct Stalled<M> {
    who: &'static str,
    application: Application<M>,
    load: Load,
}

impl<M: Mixed> Stalled<M> {
    /// Warms up.
    pub(super) fn prepare(who: &'static str, called: M, load: Load) -> Result<Self> {
        let application = Application::start(called)?;
        application.run(load, WARM_UP)?;
        Ok(Self { who, application, load })
    }
}

impl<M: Mixed> Contender for Stalled<M> {
    fn who(&self) -> &'static str {
        self.who
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let called = &self.application.called;
        called.settle()?;
        let before = called.upkeep()?;
        let latencies = called.beside(|| self.application.run(self.load, time))?;
        let after = called.upkeep()?;
        let calls = latencies.puts.len() as u64;
        let mut notes = latencies.notes();
        notes.push(("calls", real(calls)));
        if let Some((after, before)) = after.zip(before) {
            let upkeep = after.since(before);
            notes.push(("flushes and merges", real(upkeep.switches)));
            notes.push(("segments", real(upkeep.segments)));
        }
        // Each outcome takes its own from the notes.
        Ok(Sample { value: 0.0, notes })
    }

    fn verify(self: Box<Self>) -> Result<()> {
        self.application.verify()
    }
}

/// The log alone: puts are appends.
pub(super) struct Log {
    log: BareLog,
    rows: Rows,
}

impl Log {
    pub(super) fn create(dir: &Path, rows: &Rows) -> Result<Self> {
        Ok(Self { log: BareLog::create(dir)?, rows: rows.clone() })
    }
}

impl Mixed for Log {
    const KINDS: &'static [Kind] = &[Kind::Put];

    async fn call(&self, _: Kind, number: u64) -> Result<()> {
        let bytes = rows::key(number) + &self.rows.json(number);
        self.log.append(&[record(bytes.as_bytes())]).await
    }

    fn settle(&self) -> Result<()> {
        Called::settle(&self.log)?;
        upkeep::settle()
    }

    fn upkeep(&self) -> Result<Option<Upkeep>> {
        Ok(None)
    }

    fn verify(self, puts: u64) -> Result<()> {
        self.log.verify_count(puts)
    }
}

/// What goes on in a database while it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Background {
    /// Flushes, merges and checkpoints, all the time.
    Busy,
    /// One checkpoint after the other while it is called, and nothing else.
    Checkpoints(Urgency),
    /// Nothing.
    Calm,
}

/// A database with rows in tables.
pub(super) struct Stored {
    world: World,
    rows: Rows,
    background: Background,
    created: Upkeep,
}

impl Stored {
    /// The calm one has no index of vectors: sealing cannot be told to wait.
    pub(super) fn create(
        dir: &Path,
        rows: &Rows,
        background: Background,
        options: OpenOptions,
    ) -> Result<Self> {
        let collection = rows.collection(background == Background::Busy);
        let world = World::create_with(dir, options, collection)?;
        let stored: Vec<_> =
            (0..rows.stored).map(|number| (rows::key(number), rows.json(number))).collect();
        world.fill(&stored)?;
        world.database.checkpoint(CheckpointRequest::default())?;
        let created = Upkeep::of(world.dir())?;
        Ok(Self { world, rows: rows.clone(), background, created })
    }

    async fn put(&self, number: u64) -> Result<()> {
        let number = self.rows.stored + number;
        let (key, json) = (rows::key(number), self.rows.json(number));
        let put = || self.world.collection.put_async(&key, json.as_bytes(), SYNCED);
        until_taken(Some(PAUSE), put).await?;
        Ok(())
    }

    async fn get(&self, number: u64) -> Result<()> {
        let number = number.wrapping_mul(STRIDE) % self.rows.stored;
        let key = rows::key(number);
        let get = || self.world.collection.get_async(&key);
        let found = until_taken(Some(PAUSE), get).await?.context("every row is there")?;
        let begin = format!(r#"{{"n":{number},"#);
        ensure!(black_box(found).value.starts_with(begin.as_bytes()), "{key} is another row");
        Ok(())
    }
}

impl Mixed for Stored {
    const KINDS: &'static [Kind] = &Kind::ALL;

    async fn call(&self, kind: Kind, number: u64) -> Result<()> {
        match kind {
            Kind::Put => self.put(number).await,
            Kind::Get => self.get(number).await,
        }
    }

    fn settle(&self) -> Result<()> {
        if self.background != Background::Busy {
            self.world.database.checkpoint(CheckpointRequest::default())?;
        }
        upkeep::settle()
    }

    fn beside<T>(&self, calls: impl FnOnce() -> Result<T>) -> Result<T> {
        let Background::Checkpoints(urgency) = self.background else {
            return calls();
        };
        let request = CheckpointRequest { urgency, ..CheckpointRequest::default() };
        let ended = AtomicBool::new(false);
        thread::scope(|scope| {
            let asking = scope.spawn(|| -> Result<()> {
                while !ended.load(Ordering::Relaxed) {
                    self.world.database.checkpoint(request)?;
                }
                Ok(())
            });
            let done = calls();
            ended.store(true, Ordering::Relaxed);
            // The one under way need not take its time any more.
            self.world.database.checkpoint(CheckpointRequest::default())?;
            let asked = asking.join();
            asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            done
        })
    }

    fn upkeep(&self) -> Result<Option<Upkeep>> {
        Upkeep::of(self.world.dir()).map(Some)
    }

    /// Nothing that was answered is missing, and the busy one was busy.
    fn verify(self, puts: u64) -> Result<()> {
        let upkeep = Upkeep::of(self.world.dir())?.since(self.created);
        if matches!(self.background, Background::Checkpoints(_)) {
            ensure!(upkeep.switches > 0, "no checkpoint flushed anything");
        }
        if self.background == Background::Busy {
            ensure!(upkeep.switches > 0, "nothing went on in the background");
            let sealed = upkeep.segments > 0 || !self.rows.have_vectors();
            ensure!(sealed, "no segment was sealed");
        }
        let expected = self.rows.stored + puts;
        let found = self.world.reopen_and_count()?;
        ensure!(found == expected, "{expected} documents were stored, {found} are there");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(who: &'static str, called: impl Mixed) -> Vec<(&'static str, f64)> {
        let load = Load::Paced(Duration::from_millis(1));
        let mut stalled = Stalled::prepare(who, called, load).expect("warm");
        let sample = stalled.turn(Duration::from_millis(100)).expect("a turn");
        Box::new(stalled).verify().expect("all is there");
        sample.notes
    }

    #[test]
    fn every_put_that_was_answered_is_there() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = |name| {
            let dir = temp.path().join(name);
            nodedb_env::Env::real().files.create_dir(&dir).expect("created");
            dir
        };
        let few = |rows| Rows { stored: 100, ..rows };
        let rows = few(Rows::documents());
        let notes = check("limit", Log::create(&dir("log"), &rows).expect("created"));
        assert!(notes.contains(&("calls", 100.0)) && !notes.iter().any(|note| note.0 == "get p50"));

        let options = OpenOptions { memtable_bytes: 1 << 10, ..OpenOptions::default() };
        let busy = Stored::create(&dir("busy"), &rows, Background::Busy, options).expect("created");
        let notes = check("nodedb", busy);
        let flushes = notes.iter().find(|note| note.0 == "flushes and merges");
        assert!(flushes.is_some_and(|note| note.1 > 0.0), "{notes:?}");

        let asked = Background::Checkpoints(Urgency::Immediate);
        let asked = Stored::create(&dir("asked"), &rows, asked, OpenOptions::default());
        let notes = check("asked", asked.expect("created"));
        let flushes = notes.iter().find(|note| note.0 == "flushes and merges");
        assert!(flushes.is_some_and(|note| note.1 > 0.0), "{notes:?}");

        let rows = few(Rows::vectors());
        let calm = Stored::create(&dir("calm"), &rows, Background::Calm, OpenOptions::default());
        let notes = check("calm", calm.expect("created"));
        assert!(notes.contains(&("flushes and merges", 0.0)), "{notes:?}");
    }
}
