//! Vectors set through a core, durable and searchable at once, for so long that heads are sealed and
//! graphs built and merged beside them.

use super::{Data, INDEX, empty_library, schema};
use crate::{Contender, LIMIT, Outcome, Sample, Site, real};
use anyhow::{Result, bail, ensure};
use nodedb_data::{
    Answer, Change, DataHandle, DataOptions, DataPlane, Group, Op, Outcome as Done, Part, Priority,
    Recovery, Search, Ticket, Write,
};
use nodedb_engine::{CatalogChange, Collection, CollectionKind, Metric, VectorChange};
use nodedb_env::Env;
use nodedb_types::{CollectionId, Durability, ErrorKind, Lsn, Name, TenantId, VshardId};
use nodedb_wal::{LogOptions, Wal};
use std::{collections::VecDeque, rc::Rc, time::Duration};

/// Vectors of one turn: three turns fill twelve heads, five thirty.
const FEW: usize = 16_384;
const MANY: usize = 24_576;
/// Puts under way at once.
const UNDER_WAY: usize = 512;
const NOTES: CollectionId = CollectionId::new(1);
const VSHARD: VshardId = VshardId::new(0);
const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn ingest(site: &Site) -> Result<Vec<Outcome>> {
    let Some(data) = Data::load(site)? else { return Ok(vec![]) };
    let rows = 4 * data.vectors.len();
    let limit = Adder { data: Rc::clone(&data), index: empty_library(rows)?, next: 0 };
    let setter = Setter::new(site, data)?;
    Ok(vec![site.race("vectors/s", vec![Box::new(limit), Box::new(setter)])?])
}

/// Adds vectors to a graph of the library.
struct Adder {
    data: Rc<Data>,
    index: usearch::Index,
    next: u64,
}

impl Contender for Adder {
    fn who(&self) -> &'static str {
        LIMIT
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let begin = self.data.clock.now();
        let (mut count, mut end) = (0, begin);
        for vector in self.data.vectors.iter().cycle() {
            if end >= begin + time || self.index.size() == self.index.capacity() {
                break;
            }
            self.index.add(self.next, vector)?;
            (self.next, count) = (self.next + 1, count + 1);
            end = self.data.clock.now();
        }
        Ok(Sample { value: real(count) / end.saturating_sub(begin).as_secs_f64(), notes: vec![] })
    }
}

/// One core with one vshard, over a log.
struct Setter {
    data: Rc<Data>,
    env: Env,
    core: DataHandle,
    rows: usize,
    /// Vectors set so far.
    set: u64,
    /// How often the core was not ready for a vector, which came again.
    busy: u64,
    // Ends before its log.
    _plane: DataPlane,
    _wal: Wal,
}

impl Setter {
    fn new(site: &Site, data: Rc<Data>) -> Result<Self> {
        let (env, root) = (Env::real(), site.fresh("ingest")?);
        let (log, dir) = (root.join("wal"), root.join("vshards"));
        env.files.create_dir(&log)?;
        let options = LogOptions { segment_bytes: 256 << 20, ..LogOptions::default() };
        let wal = Wal::create(&env, &log, options)?;
        DataPlane::create(&env, &dir, 1)?;
        let recovery = Recovery { vshards: 1, redo: Lsn::FIRST, proven: Vec::new() };
        let options = DataOptions { cores: 1, ..DataOptions::default() };
        let (plane, _) = DataPlane::start(&env, &dir, wal.clone(), recovery, options)?;
        let core = plane.handle();
        let parts = vec![Part { vshard: VSHARD, writes: vec![write(create()?)] }];
        let group = Group { parts, durability: Durability::Sync, idempotency: None };
        core.send_group(TenantId::DEFAULT, group, env.clock.now() + PATIENCE)?.wait()??;
        let rows = if site.effort.quick { FEW } else { MANY };
        Ok(Self { data, env, core, rows, set: 0, busy: 0, _plane: plane, _wal: wal })
    }

    fn send(&mut self, op: &Op) -> Result<Ticket<Answer>> {
        loop {
            let deadline = self.env.clock.now() + PATIENCE;
            let sent = self.core.send(
                TenantId::DEFAULT,
                VSHARD,
                op.clone(),
                deadline,
                Priority::Foreground,
            );
            match sent {
                Err(error) if error.kind() == ErrorKind::Busy => self.busy += 1,
                sent => return Ok(sent?),
            }
        }
    }

    /// Sends a put until it is done. Answers its ticket when it was taken.
    fn put(&mut self, number: u64) -> Result<Ticket<Answer>> {
        let vectors = &self.data.vectors;
        let place = usize::try_from(number)? % vectors.len();
        let vector = vectors.get(place).cloned();
        let put = Change::Put {
            key: format!("row:{number:09}").into(),
            value: "{}".into(),
            expires: None,
            vectors: vec![VectorChange { index: INDEX, vector }],
            fields: Vec::new(),
        };
        self.send(&Op::Write(write(put)))
    }

    fn await_put(&mut self, (number, ticket): (u64, Ticket<Answer>)) -> Result<()> {
        let mut answer = ticket.wait()?;
        while let Err(error) = &answer {
            ensure!(error.kind() == ErrorKind::Busy, "a put failed: {error}");
            self.busy += 1;
            answer = self.put(number)?.wait()?;
        }
        Ok(())
    }

    fn unsealed(&mut self) -> Result<usize> {
        let Done::Status(status) = self.send(&Op::Status)?.wait()?? else {
            bail!("a question for the status answers one");
        };
        Ok(status.unsealed_bytes)
    }
}

fn write(change: Change) -> Write {
    Write {
        collection: NOTES,
        change,
        expect: None,
        durability: Durability::Sync,
        idempotency: None,
    }
}

fn create() -> Result<Change> {
    Ok(Change::Catalog(CatalogChange::CreateCollection(Collection {
        id: NOTES,
        tenant: TenantId::DEFAULT,
        name: Name::new("notes")?,
        kind: CollectionKind::Document,
        partitions: 1,
        vectors: vec![schema()?],
        fields: Vec::new(),
    })))
}

impl Contender for Setter {
    fn who(&self) -> &'static str {
        "nodedb"
    }

    /// A number of vectors rather than a time: what a few of them show says nothing about the rest.
    fn turn(&mut self, _: Duration) -> Result<Sample> {
        let begin = self.env.clock.now();
        let (mut under_way, busy) = (VecDeque::with_capacity(UNDER_WAY), self.busy);
        for number in (self.set..).take(self.rows) {
            if under_way.len() == UNDER_WAY
                && let Some(first) = under_way.pop_front()
            {
                self.await_put(first)?;
            }
            under_way.push_back((number, self.put(number)?));
        }
        for put in under_way {
            self.await_put(put)?;
        }
        let spent = self.env.clock.now().saturating_sub(begin);
        self.set += self.rows as u64;
        let unsealed = real(self.unsealed()? as u64) / real(1 << 20);
        let notes = vec![("busy", real(self.busy - busy)), ("unsealed MiB", unsealed)];
        Ok(Sample { value: real(self.rows as u64) / spent.as_secs_f64(), notes })
    }

    /// The last vector is there, and so is one of a head that was sealed.
    fn verify(mut self: Box<Self>) -> Result<()> {
        for number in [0, self.set - 1] {
            let place = usize::try_from(number)? % self.data.vectors.len();
            let vector = self.data.vectors.get(place).cloned().unwrap_or_default();
            let search = Search {
                collection: NOTES,
                index: INDEX,
                vector,
                metric: Metric::Cosine,
                k: 64,
                filter: None,
                effort: nodedb_data::Effort::Exact,
            };
            let Done::Hits(hits) = self.send(&Op::Search(search))?.wait()?? else {
                bail!("a search answers hits");
            };
            let key = format!("row:{number:09}");
            ensure!(hits.iter().any(|hit| hit.key == key), "{key} is not found");
        }
        Ok(())
    }
}
