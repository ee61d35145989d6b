//! Searches for nearest documents through the facade.

use crate::{Case, Contender, LIMIT, Outcome, Sample, Site, real, unit_vectors};
use anyhow::{Result, ensure};
use nodedb::{
    Collection, Database, Durability, Metric, NewCollection, SearchOptions, WriteOptions,
};
use nodedb_engine::{Engine, Redo, VectorChange};
use nodedb_env::{Clock, Env};
use nodedb_testkit::SimFiles;
use nodedb_types::{CollectionId, IndexId, LogEpoch, Lsn, Stamp, TenantId};
use nodedb_vector::{Query, SearchMode, VectorEngine};
use std::{convert::Infallible, hint::black_box, path::Path, sync::Arc, time::Duration};

const VECTORS: usize = 20_000;
const DIMENSIONS: usize = 64;
const NEIGHBOURS: usize = 10;
const INDEX: IndexId = IndexId::new(1);

/// The cases of this group.
///
/// - `search`: the 10 nearest of 20,000 vectors with 64 numbers. The limit is the engine alone, asked on
///   one thread with all vectors in one piece.
pub fn cases<'a>() -> Vec<Case<'a>> {
    vec![Case::new("search", search)]
}

fn search(site: &Site) -> Result<Vec<Outcome>> {
    let vectors = unit_vectors(1, VECTORS, DIMENSIONS);
    let asked: Arc<[_]> = unit_vectors(2, 64, DIMENSIONS).into();
    let clock = Env::real().clock;
    let bare =
        Bare { engine: engine(&vectors)?, asked: Arc::clone(&asked), clock: Arc::clone(&clock) };
    let database = Database::open(site.fresh("nodedb")?)?;
    let points = NewCollection::named("points");
    let dimensions = u32::try_from(DIMENSIONS)?;
    database.create_collection(points.with_vector("v", dimensions, Metric::Cosine))?;
    let points = database.collection("points")?;
    let buffered =
        WriteOptions { durability: Some(Durability::Buffered), ..WriteOptions::default() };
    for (row, vector) in (0..).zip(&vectors) {
        points.put_raw(key(row), format!("{{\"v\":{vector:?}}}").as_bytes(), buffered)?;
    }
    let searches = Searches { points, database, asked, clock };
    Ok(vec![site.race("searches/s", vec![Box::new(bare), Box::new(searches)])?])
}

fn key(row: u64) -> String {
    format!("point:{row:08}")
}

/// The engine alone, with the same vectors in one piece.
fn engine(vectors: &[Vec<f32>]) -> Result<VectorEngine> {
    let mut engine = VectorEngine::create(Arc::new(SimFiles::new(1)), Path::new("/v"))?;
    for (row, vector) in (0..).zip(vectors) {
        let redo = Redo::Put {
            collection: CollectionId::new(1),
            key: key(row).into(),
            value: "{}".into(),
            vectors: vec![VectorChange { index: INDEX, vector: Some(vector.clone()) }],
            expires: None,
            fields: Vec::new(),
        };
        let at = Stamp { epoch: LogEpoch::new(1), lsn: Lsn::FIRST.advance(row) };
        engine.apply(at, TenantId::DEFAULT, &redo);
    }
    Ok(engine)
}

/// Asks for one vector after the other until the time is over.
fn ask_all(
    clock: &dyn Clock,
    time: Duration,
    asked: &[Vec<f32>],
    mut ask: impl FnMut(&Vec<f32>) -> Result<usize>,
) -> Result<Sample> {
    let begin = clock.now();
    let (mut count, mut end) = (0, begin);
    for vector in asked.iter().cycle() {
        if end >= begin + time {
            break;
        }
        ensure!(ask(vector)? == NEIGHBOURS, "there are more vectors");
        count += 1;
        end = clock.now();
    }
    Ok(Sample { value: real(count) / end.saturating_sub(begin).as_secs_f64(), notes: vec![] })
}

struct Bare {
    engine: VectorEngine,
    asked: Arc<[Vec<f32>]>,
    clock: Arc<dyn Clock>,
}

impl Contender for Bare {
    fn who(&self) -> &'static str {
        LIMIT
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        ask_all(&*self.clock, time, &self.asked, |vector| {
            let (metric, mode) = (Metric::Cosine, SearchMode::Auto);
            let query = Query { index: INDEX, vector, metric, k: NEIGHBOURS, ef: None, mode };
            let hits = self.engine.nearest(&query, &mut |_| Ok::<_, Infallible>(true))?;
            Ok(black_box(hits).neighbours.len())
        })
    }
}

struct Searches {
    points: Collection,
    database: Database,
    asked: Arc<[Vec<f32>]>,
    clock: Arc<dyn Clock>,
}

impl Contender for Searches {
    fn who(&self) -> &'static str {
        "nodedb"
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        ask_all(&*self.clock, time, &self.asked, |vector| {
            let near = SearchOptions::vector("v", vector.clone()).with_k(NEIGHBOURS);
            Ok(black_box(self.points.search(near)?).len())
        })
    }

    fn verify(self: Box<Self>) -> Result<()> {
        Ok(self.database.close()?)
    }
}
