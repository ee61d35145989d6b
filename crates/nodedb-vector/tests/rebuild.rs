//! Sealing and merging beside writes, flushes, faults and power cuts.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

mod world;

use nodedb_engine::{
    CatalogChange, Engine, Frozen, Metric, Persisted, Redo,
    conformance::{Record, TestLog},
};
use nodedb_testkit::SimFiles;
use nodedb_types::{CollectionId, IndexId, Lsn};
use nodedb_vector::{Query, Rebuild, RebuildStep, SearchMode, VectorEngine, VectorOptions, verify};
use std::{convert::Infallible, path::Path, sync::Arc};
use world::{collection, dump, finish, model, put};

const INDEX: IndexId = IndexId::new(1);
const OTHER: IndexId = IndexId::new(2);
const DIR: &str = "/vectors";
/// Few, so that a test fills many heads.
const HEAD: VectorOptions = VectorOptions { head_rows: 8, ..VectorOptions::DEFAULT };

/// An engine, its disk, and everything that was applied to it.
struct World {
    files: SimFiles,
    engine: VectorEngine,
    records: Vec<Record>,
}

impl World {
    fn new() -> Self {
        let files = SimFiles::new(5);
        let engine = VectorEngine::create(Arc::new(files.clone()), Path::new(DIR));
        let engine = engine.expect("a fresh disk").with_options(HEAD);
        let mut world = Self { files, engine, records: Vec::new() };
        let indexes = [INDEX, OTHER].map(|id| world::index(id.get(), 3, Metric::L2));
        world.apply(collection(1, indexes.into()));
        world
    }

    fn apply(&mut self, redo: Redo) {
        let record = Record::new(self.records.len() as u64 + 1, redo);
        self.engine.apply(record.at, record.tenant, &record.redo);
        self.records.push(record);
    }

    fn set(&mut self, key: u32, number: f32) {
        self.apply(put(INDEX, &format!("k{key:03}"), Some(vec![number, 1.0, 2.0])));
    }

    fn remove(&mut self, key: u32) {
        self.apply(put(INDEX, &format!("k{key:03}"), None));
    }

    fn lsn(&self) -> Lsn {
        self.records.last().expect("something was applied").at.lsn
    }

    fn flush(&mut self) {
        if let Some(frozen) = self.engine.freeze(self.lsn()) {
            self.engine.install(frozen.persist(&TestLog::new()).expect("the disk works"));
        }
    }

    /// Fills the head and begins to seal it.
    fn begin(&mut self, first: u32) -> Rebuild {
        for key in first..first + 8 {
            self.set(key, 0.5);
        }
        self.engine.begin_rebuild().expect("the head is full")
    }

    fn seal(&mut self, first: u32) {
        let rebuild = self.begin(first);
        finish(&mut self.engine, rebuild);
        self.flush();
    }

    /// Seals a head, and builds the graph over it.
    fn settle(&mut self, first: u32) {
        self.seal(first);
        let rebuild = self.engine.begin_rebuild().expect("its rows have no graph");
        finish(&mut self.engine, rebuild);
        self.flush();
    }

    fn assert_state(&self, when: &str) {
        assert_eq!(dump(&self.engine), model(&self.records), "{when}");
    }

    /// What every power cut leaves is exactly what its floor says, and the log brings the rest.
    fn assert_images(&self, when: &str) {
        let images = [self.files.crash_losing_all(), self.files.crash_keeping_all()];
        for image in images.into_iter().chain((0..3).map(|_| self.files.crash())) {
            let manifest = verify(&image, Path::new(DIR)).expect("whole");
            let mut engine = load(&image);
            let floor = engine.flushed().floor();
            assert_eq!(manifest.floor, floor);
            let covered = self.records.partition_point(|record| Some(record.at.lsn) <= floor);
            assert_eq!(dump(&engine), model(&self.records[..covered]), "{when}: at the floor");
            for record in &self.records {
                engine.apply(record.at, record.tenant, &record.redo);
            }
            assert_eq!(dump(&engine), model(&self.records), "{when}: replayed");
        }
    }
}

fn load(files: &SimFiles) -> VectorEngine {
    let engine = VectorEngine::load(Arc::new(files.clone()), Path::new(DIR));
    engine.expect("what a flush or a crash leaves can be loaded").with_options(HEAD)
}

/// P12: a delete during a merge is resurrected for ever.
#[test]
fn a_row_that_dies_while_it_is_rebuilt_stays_dead() {
    // In which moment the rows of each kind die: two are replaced, one is removed in each.
    for when in 0..6_u32 {
        let mut world = World::new();
        let mut moment = 0;
        let mut here = |world: &mut World| {
            if moment == when {
                world.remove(1);
                world.set(2, 9.0);
                world.remove(11);
                world.set(12, 9.0);
            }
            moment += 1;
        };
        for first in [0, 10, 20] {
            world.settle(first);
        }
        world.seal(30);
        assert_eq!((world.engine.graphs(INDEX), world.engine.segments(INDEX)), (3, 4));
        here(&mut world);
        let merge = world.engine.begin_rebuild().expect("four alike segments");
        here(&mut world);
        let number = merge.number();
        let RebuildStep::More(merge) = merge.step().expect("the disk works") else {
            panic!("rebuild {number} takes several steps");
        };
        here(&mut world);
        world.flush();
        world.assert_images("flushed beside the merge");
        finish(&mut world.engine, merge);
        here(&mut world);
        let frozen = world.engine.freeze(world.lsn()).expect("a segment waits to be taken in");
        here(&mut world);
        let persisted = frozen.persist(&TestLog::new()).expect("the disk works");
        world.assert_images("switched");
        here(&mut world);
        world.engine.install(persisted);
        world.assert_state("installed");
        assert_eq!(world.engine.segments(INDEX), 1, "moment {when}");
        world.flush();
        world.assert_images("flushed after the merge");
        let mut engine = load(&world.files);
        assert_eq!(dump(&engine), model(&world.records));
        while let Some(rebuild) = engine.begin_rebuild() {
            finish(&mut engine, rebuild);
        }
        assert_eq!(dump(&engine), model(&world.records), "merged once more");
    }
}

#[test]
fn power_lost_at_any_step_of_a_rebuild_loses_and_resurrects_nothing() {
    let mut taken_in = false;
    for step in 0.. {
        let mut world = World::new();
        world.seal(0);
        world.set(3, 7.0);
        world.flush();
        let rebuild = world.begin(100);
        world.remove(104);
        world.files.crash_after(step);
        finish(&mut world.engine, rebuild);
        world.set(105, 8.0);
        let frozen = world.engine.freeze(world.lsn()).expect("dirty");
        let done = frozen.persist(&TestLog::new());
        world.assert_images(&format!("died at step {step}"));
        if let Ok(persisted) = done {
            assert_eq!(persisted.flushed().floor(), Some(world.lsn()));
            world.engine.install(persisted);
            assert!(!world.engine.wants_flush(), "a flush takes in what waits");
            taken_in = true;
            break;
        }
    }
    assert!(taken_in);
}

#[test]
fn a_rebuild_that_fails_is_given_up_and_begun_anew() {
    for nth in 1.. {
        let mut world = World::new();
        world.flush();
        let rebuild = world.begin(0);
        world.files.fail_write(nth);
        finish(&mut world.engine, rebuild);
        world.assert_state("given up");
        let failed = !world.engine.wants_flush();
        world.files.clear_faults();
        world.flush();
        assert_eq!(world.engine.segments(INDEX), usize::from(!failed));
        world.assert_images("given up");
        if !failed {
            assert!(nth > 3, "a segment has three files");
            break;
        }
        let again = world.engine.begin_rebuild().expect("tried again after a flush");
        finish(&mut world.engine, again);
        world.flush();
        assert_eq!(world.engine.segments(INDEX), 1);
        world.assert_images("sealed at last");
        let litter = world.files.snapshot().files().keys().any(|path| path.ends_with(".tmp"));
        assert!(!litter);
    }
}

/// On a full disk the same rebuild was begun again at once, for ever: seconds of work each time, and the
/// last step failed.
#[test]
fn a_rebuild_that_failed_waits_for_a_flush() {
    let mut world = World::new();
    let rebuild = world.begin(0);
    world.engine.give_up_rebuild(rebuild.number());
    assert!(world.engine.begin_rebuild().is_none(), "nothing was flushed since");
    for key in 100..110 {
        world.set(key, 0.5);
    }
    assert!(world.engine.begin_rebuild().is_none(), "nor does the next full head change that");
    for key in 0..8 {
        world.apply(put(OTHER, &format!("k{key}"), Some(vec![1.0, 0.0, 3.0])));
    }
    let other = world.engine.begin_rebuild().expect("another index is not held up");
    finish(&mut world.engine, other);
    world.flush();
    let again = world.engine.begin_rebuild().expect("tried again after a flush");
    finish(&mut world.engine, again);
    world.flush();
    assert_eq!([INDEX, OTHER].map(|index| world.engine.segments(index)), [1, 1]);
    world.assert_images("sealed at last");
}

/// A flush that had only a segment to take in and failed was never tried again while nobody wrote: nothing
/// was dirty, and no rebuild waited any more.
#[test]
fn a_segment_whose_flush_failed_still_wants_one() {
    let mut world = World::new();
    let rebuild = world.begin(0);
    world.flush();
    assert!(world.engine.dirty().is_none());
    finish(&mut world.engine, rebuild);
    let frozen = world.engine.freeze(world.lsn()).expect("a segment waits to be taken in");
    world.files.fail_write(1);
    frozen.persist(&TestLog::new()).expect_err("the disk fails");
    world.files.clear_faults();
    assert!(world.engine.wants_flush());
    world.flush();
    assert!(!world.engine.wants_flush());
    assert_eq!(world.engine.segments(INDEX), 1);
    world.assert_images("taken in");
}

/// Writes that filled the head of the first index as fast as it was sealed kept the second one from ever
/// being sealed.
#[test]
fn full_heads_are_sealed_in_turn() {
    let mut world = World::new();
    let first = world.begin(0);
    for key in 0..8 {
        world.apply(put(OTHER, &format!("k{key}"), Some(vec![1.0, 0.0, 3.0])));
        world.set(100 + key, 0.5);
    }
    finish(&mut world.engine, first);
    world.flush();
    let second = world.engine.begin_rebuild().expect("both heads are full");
    finish(&mut world.engine, second);
    world.flush();
    assert_eq!([INDEX, OTHER].map(|index| world.engine.segments(index)), [1, 1]);
}

#[test]
fn an_index_dropped_while_it_is_rebuilt_leaves_nothing() {
    for late in [false, true] {
        let mut world = World::new();
        world.seal(0);
        let rebuild = world.begin(100);
        let drop_index = Redo::Catalog(CatalogChange::DropIndex {
            collection: CollectionId::new(1),
            index: INDEX,
        });
        if late {
            finish(&mut world.engine, rebuild);
            let frozen = world.engine.freeze(world.lsn()).expect("dirty");
            world.apply(drop_index);
            world.engine.install(frozen.persist(&TestLog::new()).expect("the disk works"));
        } else {
            world.apply(drop_index);
            finish(&mut world.engine, rebuild);
        }
        assert!(!world.engine.wants_flush());
        world.assert_state("dropped");
        world.flush();
        drop(world.engine.take_garbage());
        world.assert_images("dropped");
        let files: Vec<_> = world.files.snapshot().files().keys().cloned().collect();
        assert_eq!(files, [Path::new(DIR).join("MANIFEST")]);
    }
}

#[test]
fn segments_stay_few_and_dead_ones_go() {
    let mut world = World::new();
    for round in 0..40 {
        world.seal(round * 8);
        while let Some(rebuild) = world.engine.begin_rebuild() {
            finish(&mut world.engine, rebuild);
            assert!(world.engine.graphs(INDEX) <= 6);
        }
        world.flush();
    }
    world.assert_state("sealed and merged");
    for key in 0..320 {
        if key % 3 > 0 {
            world.remove(key);
        }
    }
    while let Some(rebuild) = world.engine.begin_rebuild() {
        finish(&mut world.engine, rebuild);
        world.flush();
    }
    world.assert_state("two of three removed");
    let bytes =
        |world: &World| -> usize { world.files.snapshot().files().values().map(Vec::len).sum() };
    let before = bytes(&world);
    for key in 0..320 {
        world.remove(key);
    }
    world.flush();
    while let Some(rebuild) = world.engine.begin_rebuild() {
        finish(&mut world.engine, rebuild);
        world.flush();
    }
    assert_eq!((world.engine.len(INDEX), world.engine.segments(INDEX)), (0, 0));
    assert!(bytes(&world) < before / 10, "nothing lives, nothing is stored");
    world.assert_images("empty");
}

fn nearest(engine: &VectorEngine, vector: [f32; 3]) -> Vec<u8> {
    let mode = SearchMode::Auto;
    let query = Query { index: INDEX, vector: &vector, metric: Metric::L2, k: 1, ef: None, mode };
    let found = engine.nearest(&query, &mut |_| Ok::<_, Infallible>(true)).expect("accepted");
    found.neighbours[0].key.to_vec()
}

/// Heads waited in memory, one behind the other, for the one graph that was being built, and grew until
/// memory ended.
#[test]
fn what_waits_for_a_graph_stands_on_disk() {
    let mut world = World::new();
    world.seal(0);
    let graph = world.engine.begin_graph().expect("rows without a graph");
    // All the while no step of it is done.
    for round in 1..100 {
        for key in 0..8 {
            world.set(round * 8 + key, f32::from(u16::try_from(round).expect("few")));
        }
        while let Some(rebuild) = world.engine.begin_rebuild() {
            finish(&mut world.engine, rebuild);
            world.flush();
        }
        assert!(world.engine.unsealed_bytes() < 4096, "round {round}");
        assert!(world.engine.segments(INDEX) < 24, "what a write looks through stays short");
    }
    world.remove(17);
    world.set(18, 77.25);
    world.flush();
    assert_eq!(nearest(&world.engine, [77.25, 1.0, 2.0]), b"k018");
    world.assert_state("flat");
    world.assert_images("flat");
    finish(&mut world.engine, graph);
    world.flush();
    let graph = world.engine.begin_graph().expect("all that has gathered");
    finish(&mut world.engine, graph);
    world.flush();
    assert_eq!((world.engine.graphs(INDEX), world.engine.segments(INDEX)), (2, 2));
    world.assert_state("one graph over all that waited");
    world.assert_images("one graph over all that waited");
}

/// The heads of many indexes, none of them full, are memory too.
#[test]
fn the_largest_head_is_sealed_when_all_of_them_take_too_much() {
    let mut world = World::new();
    let options = VectorOptions { head_rows: 1000, heads_bytes: 16 << 10, ..HEAD };
    world.engine.set_options(options);
    for key in 0..100 {
        world.apply(put(OTHER, &format!("k{key:03}"), Some(vec![1.0, 0.0, 3.0])));
        if key % 2 == 0 {
            world.set(key, 0.5);
        }
        if let Some(rebuild) = world.engine.begin_seal() {
            finish(&mut world.engine, rebuild);
            world.flush();
        }
        assert!(world.engine.unsealed_bytes() < 17 << 10, "{key}");
    }
    assert!(world.engine.segments(OTHER) > 0);
    world.assert_state("sealed before they are full");
    let relief = world.engine.begin_relief().expect("for a caller without memory");
    assert!(relief.frees_memory());
    finish(&mut world.engine, relief);
    world.flush();
    world.assert_images("relieved");
    for index in [INDEX, OTHER] {
        let collection = CollectionId::new(1);
        world.apply(Redo::Catalog(CatalogChange::DropIndex { collection, index }));
    }
    assert_eq!(world.engine.unsealed_bytes(), 0, "the account is even");
}

/// A merge held all vectors of what it merged, however many.
#[test]
fn a_merge_takes_no_more_than_its_share_and_what_is_too_large_is_left_alone() {
    let mut world = World::new();
    // Some 270 bytes a row: a merge of 64 rows, and segments of 32 are closed.
    let options = VectorOptions { merge_bytes: 300 * 64, ..HEAD };
    world.engine.set_options(options);
    let mut most = 0;
    for round in 0..80 {
        world.seal(round * 8);
        while let Some(rebuild) = world.engine.begin_rebuild() {
            finish(&mut world.engine, rebuild);
            world.flush();
        }
        most = most.max(world.engine.graphs(INDEX));
    }
    world.assert_state("many segments");
    assert_eq!(world.engine.len(INDEX), 640);
    // None holds more than a merge takes, and all but a few at least half of that.
    assert!((10..=640 / 32 + 4).contains(&most), "{most} graphs");
    world.assert_images("many segments");
}

#[test]
fn two_indexes_are_rebuilt_side_by_side() {
    let mut world = World::new();
    let first = world.begin(0);
    for key in 0..8 {
        world.apply(put(OTHER, &format!("k{key}"), Some(vec![1.0, 0.0, 3.0])));
    }
    assert!(world.engine.begin_rebuild().is_none(), "one head at a time");
    finish(&mut world.engine, first);
    world.flush();
    let second = world.engine.begin_rebuild().expect("the other head is full");
    finish(&mut world.engine, second);
    world.flush();
    assert_eq!([INDEX, OTHER].map(|index| world.engine.segments(index)), [1, 1]);
    world.assert_state("both sealed");
    world.assert_images("both sealed");
    let vector = [1.0, 0.0, 3.0];
    let query = Query {
        index: OTHER,
        vector: &vector,
        metric: Metric::L2,
        k: 8,
        ef: None,
        mode: SearchMode::Exact,
    };
    let found = world.engine.nearest(&query, &mut |_| Ok::<_, Infallible>(true));
    let found = found.expect("accepted").neighbours;
    assert!(found.len() == 8 && found.iter().all(|near| near.distance == 0.0));
}
