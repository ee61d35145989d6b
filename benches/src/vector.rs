//! Searches for nearest vectors, with and without filters, and setting them: the engine beside the
//! library of its graphs, on the 20,000 WordNet glosses (384 dimensions, cosine), one thread.

mod ingest;

use crate::{Case, Contender, LIMIT, Outcome, Sample, Site, real, shared_data};
use anyhow::{Context, Result, ensure};
use nodedb_engine::{
    CatalogChange, DurableLog, Engine, Frozen, Index, IndexState, Metric, NotDurable, Redo,
    VectorChange, VectorIndex, VectorStorage,
};
use nodedb_env::{Clock, Env, RealFiles};
use nodedb_types::{CollectionId, IndexId, LogEpoch, Lsn, Stamp, TenantId};
use nodedb_vector::{Query, RebuildStep, SearchMode, VectorEngine, VectorOptions};
use std::{collections::BTreeSet, convert::Infallible, rc::Rc, sync::Arc, time::Duration};
use usearch::{IndexOptions, MetricKind, ScalarKind};

const DIMENSIONS: usize = 384;
const NEIGHBOURS: usize = 10;
const INDEX: IndexId = IndexId::new(1);
/// What the library keeps while it searches; the engine has its own default.
const EXPANSION: usize = 64;

/// The cases of this group. Notes say how many of the 10 truly nearest were found.
///
/// - `search`: the 10 nearest; the limit is usearch alone with the same storage. `nodedb` is settled to
///   one segment, `five` has five, `exact` measures every row.
/// - `search-filter-10`, `search-filter-100`: the 10 nearest of one row in 10 or 100. The limit is the
///   library's own search with a predicate; `nodedb` asks the filter, `among` knows the matching keys,
///   as a field index gives them.
/// - `ingest-vectors`: vectors set a second through one core, durable when they are answered, while heads
///   are sealed and graphs built and merged beside them. The limit adds them to a graph.
pub fn cases<'a>() -> Vec<Case<'a>> {
    vec![
        Case::new("search", search),
        Case::new("search-filter-10", |site| filtered(site, 10)),
        Case::new("search-filter-100", |site| filtered(site, 100)),
        Case::new("ingest-vectors", ingest::ingest),
    ]
}

/// The vectors, the queries, and what is truly nearest.
struct Data {
    vectors: Vec<Vec<f32>>,
    queries: Vec<Vec<f32>>,
    clock: Arc<dyn Clock>,
}

impl Data {
    fn load(site: &Site) -> Result<Option<Rc<Self>>> {
        let (Some(rows), Some(queries)) = (
            shared_data("wordnet-minilm-20k.jsonl.zst")?,
            shared_data("wordnet-minilm-queries-200.jsonl.zst")?,
        ) else {
            return Ok(None);
        };
        let mut vectors = numbers(&rows, "embedding")?;
        if site.effort.quick {
            vectors.truncate(5000);
        }
        let queries = numbers(&queries, "query")?;
        Ok(Some(Rc::new(Self { vectors, queries, clock: Env::real().clock })))
    }
}

fn numbers(text: &str, field: &str) -> Result<Vec<Vec<f32>>> {
    let vector = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line)?;
        let vector: Vec<f32> = serde_json::from_value(value[field].clone())?;
        ensure!(vector.len() == DIMENSIONS, "{field} has {} numbers", vector.len());
        Ok(vector)
    };
    text.lines().map(vector).collect()
}

fn key(row: usize) -> String {
    format!("wn-{row:05}")
}

fn row(key: &[u8]) -> Result<usize> {
    let digits = key.get(3..).and_then(|digits| str::from_utf8(digits).ok());
    Ok(digits.context("a key of ours")?.parse()?)
}

/// What a turn asks: rows near a vector.
type Ask = Box<dyn FnMut(&[f32]) -> Result<Vec<usize>>>;

struct Searcher {
    who: &'static str,
    data: Rc<Data>,
    /// The truly nearest of each query.
    truth: Rc<Vec<BTreeSet<usize>>>,
    ask: Ask,
}

impl Contender for Searcher {
    fn who(&self) -> &'static str {
        self.who
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let clock = &self.data.clock;
        let begin = clock.now();
        let (mut count, mut found, mut end) = (0_u64, 0_u64, begin);
        for (query, truth) in self.data.queries.iter().zip(&*self.truth).cycle() {
            if end >= begin + time {
                break;
            }
            let rows = (self.ask)(query)?;
            end = clock.now();
            found += rows.iter().filter(|row| truth.contains(row)).count() as u64;
            count += 1;
        }
        let recall = real(found) / real(count * NEIGHBOURS as u64);
        let value = real(count) / end.saturating_sub(begin).as_secs_f64();
        Ok(Sample { value, notes: vec![("recall", recall)] })
    }
}

fn search(site: &Site) -> Result<Vec<Outcome>> {
    let Some(data) = Data::load(site)? else { return Ok(vec![]) };
    let rows = data.vectors.len();
    let one = Rc::new(sealed(site, &data, "one", rows)?);
    let five = Rc::new(sealed(site, &data, "five", rows.div_ceil(5))?);
    let library = Rc::new(library(&data.vectors)?);
    let truth = Rc::new(truth(&one, &data, 1)?);
    let contender = |who, ask| -> Box<dyn Contender> {
        Box::new(Searcher { who, data: Rc::clone(&data), truth: Rc::clone(&truth), ask })
    };
    let raw: Ask = Box::new(move |query| rows_of(&library.search(query, NEIGHBOURS)?));
    let contenders = vec![
        contender(LIMIT, raw),
        contender("nodedb", ask(&one, SearchMode::Auto, 1)),
        contender("five", ask(&five, SearchMode::Auto, 1)),
        contender("exact", ask(&one, SearchMode::Exact, 1)),
    ];
    Ok(vec![site.race("searches/s", contenders)?])
}

fn filtered(site: &Site, every: usize) -> Result<Vec<Outcome>> {
    let Some(data) = Data::load(site)? else { return Ok(vec![]) };
    let engine = Rc::new(sealed(site, &data, "one", data.vectors.len())?);
    let library = library(&data.vectors)?;
    let truth = Rc::new(truth(&engine, &data, every)?);
    let contender = |who, ask| -> Box<dyn Contender> {
        Box::new(Searcher { who, data: Rc::clone(&data), truth: Rc::clone(&truth), ask })
    };
    let raw: Ask = Box::new(move |query| {
        let taken = |key: u64| key.is_multiple_of(every as u64);
        rows_of(&library.filtered_search(query, NEIGHBOURS, taken)?)
    });
    let keys: Vec<String> = (0..data.vectors.len()).step_by(every).map(key).collect();
    let known = Rc::clone(&engine);
    let among: Ask = Box::new(move |vector| {
        let query = query(vector, SearchMode::Auto);
        let mut keys = keys.iter().map(|key| key.clone().into());
        let found = known.nearest_among(&query, &mut keys, &mut |_| Ok::<_, Infallible>(true))?;
        found.neighbours.iter().map(|near| row(&near.key)).collect()
    });
    let contenders = vec![
        contender(LIMIT, raw),
        contender("nodedb", ask(&engine, SearchMode::Filtered, every)),
        contender("among", among),
    ];
    Ok(vec![site.race("searches/s", contenders)?])
}

fn query(vector: &[f32], mode: SearchMode) -> Query<'_> {
    Query { index: INDEX, vector, metric: Metric::Cosine, k: NEIGHBOURS, ef: None, mode }
}

fn ask(engine: &Rc<VectorEngine>, mode: SearchMode, every: usize) -> Ask {
    let engine = Rc::clone(engine);
    Box::new(move |vector| {
        let found = engine.nearest(&query(vector, mode), &mut |key| {
            Ok::<_, anyhow::Error>(every == 1 || row(key)?.is_multiple_of(every))
        })?;
        found.neighbours.iter().map(|near| row(&near.key)).collect()
    })
}

fn truth(engine: &Rc<VectorEngine>, data: &Data, every: usize) -> Result<Vec<BTreeSet<usize>>> {
    let mut exact = ask(engine, SearchMode::Exact, every);
    data.queries.iter().map(|query| Ok(exact(query)?.into_iter().collect())).collect()
}

fn rows_of(matches: &usearch::ffi::Matches) -> Result<Vec<usize>> {
    matches.keys.iter().map(|key| Ok(usize::try_from(*key)?)).collect()
}

/// The library alone.
fn library(vectors: &[Vec<f32>]) -> Result<usearch::Index> {
    let index = empty_library(vectors.len())?;
    for (key, vector) in (0..).zip(vectors) {
        index.add(key, vector)?;
    }
    Ok(index)
}

fn empty_library(rows: usize) -> Result<usearch::Index> {
    let index = usearch::Index::new(&IndexOptions {
        dimensions: DIMENSIONS,
        metric: MetricKind::Cos,
        quantization: ScalarKind::BF16,
        connectivity: 16,
        expansion_add: 128,
        expansion_search: EXPANSION,
        multi: false,
    })?;
    index.reserve(rows)?;
    Ok(index)
}

/// A log that has everything: the engine is measured alone.
#[derive(Debug)]
struct Everything;

impl DurableLog for Everything {
    fn durable(&self) -> Option<Lsn> {
        Lsn::from_u64(u64::MAX)
    }

    fn wait_durable(&self, _: Lsn) -> Result<(), NotDurable> {
        Ok(())
    }
}

fn at(lsn: u64) -> Stamp {
    Stamp { epoch: LogEpoch::new(1), lsn: Lsn::FIRST.advance(lsn) }
}

/// The index that the vectors of all cases are in.
fn schema() -> Result<VectorIndex> {
    Ok(VectorIndex {
        id: INDEX,
        field: "embedding".to_owned(),
        dimensions: u32::try_from(DIMENSIONS)?,
        metric: Metric::Cosine,
        storage: VectorStorage::Bf16,
        state: IndexState::Ready,
    })
}

fn create(site: &Site, name: &str) -> Result<VectorEngine> {
    let dir = site.fresh(name)?.join("vectors");
    let engine = VectorEngine::create(Arc::new(RealFiles), &dir)?;
    // No two segments fit into one merge: as many stay as are made.
    let options = VectorOptions { head_rows: usize::MAX, merge_bytes: 1, ..VectorOptions::DEFAULT };
    let mut engine = engine.with_options(options);
    let index = Index::Vector(schema()?);
    let create = CatalogChange::CreateIndex { collection: CollectionId::new(1), index };
    engine.apply(at(0), TenantId::DEFAULT, &Redo::Catalog(create));
    Ok(engine)
}

fn set(engine: &mut VectorEngine, lsn: u64, key: String, vector: &[f32]) {
    let redo = Redo::Put {
        collection: CollectionId::new(1),
        key: key.into(),
        value: "{}".into(),
        vectors: vec![VectorChange { index: INDEX, vector: Some(vector.to_vec()) }],
        expires: None,
        fields: Vec::new(),
    };
    engine.apply(at(lsn), TenantId::DEFAULT, &redo);
}

/// Seals what is in the head, and builds the graph over it.
fn seal(engine: &mut VectorEngine, lsn: u64) -> Result<()> {
    for begin in [VectorEngine::begin_relief, VectorEngine::begin_graph] {
        let mut rest = begin(engine).context("there are rows to seal")?;
        loop {
            match rest.step()? {
                RebuildStep::More(more) => rest = more,
                RebuildStep::Done(segment) => break engine.end_rebuild(segment),
            }
        }
        if let Some(frozen) = engine.freeze(at(lsn).lsn) {
            engine.install(frozen.persist(&Everything)?);
        }
    }
    Ok(())
}

/// An engine of segments of so many rows, the last one perhaps smaller.
fn sealed(site: &Site, data: &Data, name: &str, head_rows: usize) -> Result<VectorEngine> {
    let mut engine = create(site, name)?;
    let last = data.vectors.len();
    for (lsn, (number, vector)) in (1..).zip(data.vectors.iter().enumerate()) {
        set(&mut engine, lsn, key(number), vector);
        if (number + 1).is_multiple_of(head_rows) || number + 1 == last {
            seal(&mut engine, lsn)?;
        }
    }
    ensure!(engine.graphs(INDEX) == last.div_ceil(head_rows), "{} graphs", engine.graphs(INDEX));
    Ok(engine)
}
