//! The vector engine passes the suite of all engines, with and without rebuilds between the flushes.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

#[path = "../../nodedb-engine/tests/sim_disk/mod.rs"]
mod sim_disk;
mod world;

use nodedb_engine::{
    EngineError, Redo,
    conformance::{Chance, Record, Subject, check},
};
use nodedb_env::Files;
use nodedb_vector::{VectorEngine, VectorOptions};
use sim_disk::SimDisk;
use std::{path::Path, sync::Arc};
use world::{Rebuilding, dump, history, model};

/// Heads only: as many rows as the suite has never fill one.
#[derive(Debug)]
struct Heads;

/// Every third row fills a head, and every freeze runs whatever rebuild is due.
#[derive(Debug)]
struct Segments;

fn load(files: Arc<dyn Files>, dir: &Path) -> Result<VectorEngine, EngineError> {
    let before = nodedb_vector::verify(&*files, dir)?;
    let engine = VectorEngine::load(files, dir)?;
    assert!(before.floor == nodedb_engine::Engine::flushed(&engine).floor());
    Ok(engine)
}

impl Subject for Heads {
    type Engine = VectorEngine;

    fn create(&self, files: Arc<dyn Files>, dir: &Path) -> Result<VectorEngine, EngineError> {
        VectorEngine::create(files, dir)
    }

    fn load(&self, files: Arc<dyn Files>, dir: &Path) -> Result<VectorEngine, EngineError> {
        load(files, dir)
    }

    fn dump(&self, engine: &VectorEngine) -> String {
        dump(engine)
    }

    fn model(&self, records: &[Record]) -> String {
        model(records)
    }

    fn history(&self, chance: &mut Chance, count: usize) -> Vec<Record> {
        history(chance, count)
    }
}

const SMALL: VectorOptions = VectorOptions { head_rows: 3, ..VectorOptions::DEFAULT };

impl Subject for Segments {
    type Engine = Rebuilding;

    fn create(&self, files: Arc<dyn Files>, dir: &Path) -> Result<Rebuilding, EngineError> {
        VectorEngine::create(files, dir).map(|engine| Rebuilding::new(engine.with_options(SMALL)))
    }

    fn load(&self, files: Arc<dyn Files>, dir: &Path) -> Result<Rebuilding, EngineError> {
        load(files, dir).map(|engine| Rebuilding::new(engine.with_options(SMALL)))
    }

    fn dump(&self, engine: &Rebuilding) -> String {
        dump(&engine.inner)
    }

    fn model(&self, records: &[Record]) -> String {
        model(records)
    }

    fn history(&self, chance: &mut Chance, count: usize) -> Vec<Record> {
        history(chance, count)
    }
}

#[test]
fn the_vector_engine_conforms() {
    check::<_, SimDisk>(&Heads);
}

#[test]
fn the_vector_engine_conforms_while_it_seals_and_merges() {
    check::<_, SimDisk>(&Segments);
}

/// Else the test above would say nothing.
#[test]
fn the_history_of_the_suite_seals_merges_and_kills() {
    let disk = <SimDisk as nodedb_engine::conformance::Disk>::new(1);
    let files = nodedb_engine::conformance::Disk::files(&disk);
    let engine = VectorEngine::create(files, Path::new("/engine")).expect("a fresh disk");
    let mut engine = Rebuilding::new(engine.with_options(SMALL));
    let records = history(&mut Chance::new(1), 400);
    let log = nodedb_engine::conformance::TestLog::new();
    let mut most = 0;
    for record in &records {
        use nodedb_engine::{Engine, Frozen};
        engine.apply(record.at, record.tenant, &record.redo);
        if record.at.lsn.get() % 5 == 0
            && let Some(frozen) = engine.freeze(record.at.lsn)
        {
            engine.install(frozen.persist(&log).expect("the disk works"));
        }
        let indexes = engine.inner.indexes();
        most = indexes.map(|index| engine.inner.segments(index)).max().max(Some(most)).unwrap_or(0);
    }
    assert!(engine.rebuilds > 20, "{} rebuilds", engine.rebuilds);
    assert!(most >= 2, "{most} segments at once");
    let deletes = records.iter().filter(|record| matches!(record.redo, Redo::Delete { .. }));
    assert!(deletes.count() > 50);
}
