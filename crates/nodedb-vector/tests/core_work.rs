//! What the core does around rebuilds and flushes is independent of how many rows they are about. It
//! counts memory that is taken and given back: each row has some of its own.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

mod world;

use allocation_counter::AllocationInfo;
use nodedb_engine::{
    CatalogChange, Engine, Frozen, Metric, Redo,
    conformance::{Record, TestLog},
};
use nodedb_testkit::SimFiles;
use nodedb_types::{CollectionId, IndexId, Lsn};
use nodedb_vector::{Rebuild, RebuildStep, VectorEngine, VectorOptions};
use std::{path::Path, sync::Arc};
use world::{collection, put};

const INDEX: IndexId = IndexId::new(1);
/// Blocks of memory that a step may take or give back, and bytes, for all rows together.
const BLOCKS_MAX: u64 = 64;
const BYTES_MAX: u64 = 16 << 10;

struct World {
    engine: VectorEngine,
    lsn: u64,
}

impl World {
    fn new(rows: usize) -> Self {
        let files = Arc::new(SimFiles::new(5));
        let engine = VectorEngine::create(files, Path::new("/vectors")).expect("a fresh disk");
        let options = VectorOptions { head_rows: rows, ..VectorOptions::DEFAULT };
        let mut world = Self { engine: engine.with_options(options), lsn: 0 };
        world.apply(collection(1, vec![world::index(1, 8, Metric::L2)]));
        world
    }

    fn apply(&mut self, redo: Redo) {
        self.lsn += 1;
        let record = Record::new(self.lsn, redo);
        self.engine.apply(record.at, record.tenant, &record.redo);
    }

    fn fill(&mut self, first: usize, rows: usize) {
        for row in first..first + rows {
            let x = f32::from(u16::try_from(row).expect("few"));
            self.apply(put(INDEX, &format!("k{row:05}"), Some(vec![x; 8])));
        }
    }

    /// One step on the core.
    fn core<T>(&mut self, name: &str, step: impl FnOnce(&mut VectorEngine) -> T) -> T {
        let mut result = None;
        let engine = &mut self.engine;
        let spent = allocation_counter::measure(|| result = Some(step(engine)));
        let AllocationInfo { count_total, count_current, bytes_total, bytes_current, .. } = spent;
        // What is given back is what was taken less what is left.
        let freed = i64::try_from(count_total).expect("few") - count_current;
        let freed_bytes = i64::try_from(bytes_total).expect("few") - bytes_current;
        assert!(count_total <= BLOCKS_MAX && bytes_total <= BYTES_MAX, "{name} takes {spent:?}");
        let freed = (freed.unsigned_abs(), freed_bytes.unsigned_abs());
        assert!(freed.0 <= BLOCKS_MAX && freed.1 <= BYTES_MAX, "{name} gives back {freed:?}");
        result.expect("it was done")
    }

    /// A flush, of which the writing is for another thread.
    fn flush(&mut self, name: &str) {
        let watermark = Lsn::from_u64(self.lsn).expect("not 0");
        let frozen = self.core(&format!("freezing {name}"), |engine| engine.freeze(watermark));
        let frozen = frozen.expect("something to flush");
        let persisted = frozen.persist(&TestLog::new()).expect("the disk works");
        self.core(&format!("installing {name}"), |engine| engine.install(persisted));
        drop(self.core(&format!("garbage of {name}"), VectorEngine::take_garbage));
    }

    /// A rebuild, of which the steps are for another thread.
    fn rebuild(&mut self, name: &str, begin: impl FnOnce(&mut VectorEngine) -> Option<Rebuild>) {
        let mut rest = self.core(&format!("beginning {name}"), begin).expect("due");
        let segment = loop {
            match rest.step().expect("the disk works") {
                RebuildStep::More(more) => rest = more,
                RebuildStep::Done(segment) => break segment,
            }
        };
        self.core(&format!("ending {name}"), |engine| engine.end_rebuild(segment));
    }
}

#[test]
fn no_step_on_the_core_grows_with_the_rows() {
    for rows in [512, 4096] {
        let mut world = World::new(rows);
        world.fill(0, rows);
        world.flush("a head");
        world.rebuild("a seal", VectorEngine::begin_seal);
        world.flush("a seal");
        world.rebuild("a graph", VectorEngine::begin_graph);
        // Every second row dies meanwhile.
        world.fill(0, rows / 2);
        world.flush("a graph");
        world.fill(rows, rows / 2);
        world.core("relief", VectorEngine::begin_relief).expect("a head");
        world.core("a dropped rebuild", |engine| engine.give_up_rebuild(3));
        let change = CatalogChange::DropIndex { collection: CollectionId::new(1), index: INDEX };
        let record = Record::new(world.lsn + 1, Redo::Catalog(change));
        world.lsn += 1;
        world.core("dropping", |engine| engine.apply(record.at, record.tenant, &record.redo));
        drop(world.core("garbage of a drop", VectorEngine::take_garbage));
        world.flush("a drop");
    }
}
