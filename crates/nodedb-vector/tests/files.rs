//! What flushes leave on the disk.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

mod world;

use nodedb_engine::{
    Engine, EngineError, EngineKind, Frozen, ManifestDir, Metric, Redo, VectorChange,
    conformance::TestLog,
};
use nodedb_testkit::SimFiles;
use nodedb_types::{CollectionId, ErrorKind, IndexId, LogEpoch, Lsn, Stamp, TenantId};
use nodedb_vector::{VectorEngine, VectorOptions, verify};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const INDEX: IndexId = IndexId::new(1);
const DIR: &str = "/vectors";

struct Flusher {
    files: SimFiles,
    engine: VectorEngine,
    lsn: u64,
}

impl Flusher {
    fn new(dimensions: u32) -> Self {
        let files = SimFiles::new(3);
        let engine = VectorEngine::create(Arc::new(files.clone()), Path::new(DIR));
        // No head is ever sealed: these tests are about runs.
        let options = VectorOptions {
            head_rows: usize::MAX,
            heads_bytes: usize::MAX,
            ..VectorOptions::DEFAULT
        };
        let mut engine = engine.expect("a fresh disk").with_options(options);
        let index = world::index(INDEX.get(), dimensions, Metric::L2);
        let at = Stamp { epoch: LogEpoch::new(1), lsn: Lsn::FIRST };
        engine.apply(at, TenantId::DEFAULT, &world::collection(1, vec![index]));
        Self { files, engine, lsn: 1 }
    }

    fn set(&mut self, key: u32, vector: Option<Vec<f32>>) {
        self.lsn += 1;
        let lsn = Lsn::from_u64(self.lsn).expect("not 0");
        let at = Stamp { epoch: LogEpoch::new(1), lsn };
        let redo = Redo::Put {
            collection: CollectionId::new(1),
            key: key.to_be_bytes().to_vec().into(),
            value: Vec::new().into(),
            vectors: vec![VectorChange { index: INDEX, vector }],
            expires: None,
            fields: Vec::new(),
        };
        self.engine.apply(at, TenantId::DEFAULT, &redo);
    }

    fn flush(&mut self) {
        let watermark = Lsn::from_u64(self.lsn).expect("something was set");
        let frozen = self.engine.freeze(watermark).expect("dirty");
        self.engine.install(frozen.persist(&TestLog::new()).expect("the disk works"));
    }

    /// Paths and lengths of the runs.
    fn runs(&self) -> Vec<(PathBuf, usize)> {
        let snapshot = self.files.snapshot();
        let runs = snapshot.files().iter();
        runs.filter(|(path, _)| path.extension().is_some_and(|extension| extension == "ndb"))
            .map(|(path, bytes)| (path.clone(), bytes.len()))
            .collect()
    }
}

fn load(files: &SimFiles) -> Result<VectorEngine, EngineError> {
    VectorEngine::load(Arc::new(files.clone()), Path::new(DIR))
}

#[test]
fn files_stay_few_and_a_small_flush_after_large_ones_writes_little() {
    let mut flusher = Flusher::new(8);
    for round in 0..120 {
        for key in 0..10 {
            flusher.set(round * 10 + key, Some(vec![0.5; 8]));
        }
        flusher.flush();
        assert!(flusher.runs().len() <= 6, "{:?}", flusher.runs());
    }
    let before = flusher.runs();
    flusher.set(5, Some(vec![1.0; 8]));
    flusher.flush();
    let after = flusher.runs();
    let written = after.iter().filter(|run| !before.contains(run));
    assert!(written.map(|(_, bytes)| bytes).sum::<usize>() < 200);
    let loaded = load(&flusher.files).expect("whole");
    assert_eq!(loaded.len(INDEX), 1200);
    assert_eq!(loaded.vector(INDEX, &5_u32.to_be_bytes()), Some(&[1.0; 8][..]));
}

#[test]
fn dead_rows_give_their_space_back() {
    let mut flusher = Flusher::new(8);
    for key in 0..1000 {
        flusher.set(key, Some(vec![0.5; 8]));
    }
    flusher.flush();
    for key in 0..1000 {
        flusher.set(key, None);
        if key % 100 == 99 {
            flusher.flush();
            let bytes: usize = flusher.runs().iter().map(|(_, bytes)| bytes).sum();
            let live = 999 - usize::try_from(key).expect("small");
            // A row takes 61 bytes, and no more than every other stored row is dead.
            assert!(bytes <= 2 * live * 61 + 200, "{live} live rows in {bytes} bytes");
        }
    }
    assert_eq!(flusher.runs(), [], "nothing lives, nothing is stored");
    assert_eq!(load(&flusher.files).expect("whole").len(INDEX), 0);
}

#[test]
fn a_long_run_is_cut_into_parts_and_merges_part_by_part() {
    let mut flusher = Flusher::new(16_384);
    let vector = |x: f32| Some(vec![x; 16_384]);
    for key in 0..300 {
        flusher.set(key, vector(0.5));
    }
    flusher.flush();
    assert_eq!(flusher.runs().len(), 2);
    for key in (0..300).step_by(2) {
        flusher.set(key, vector(1.5));
    }
    flusher.flush();
    assert_eq!(flusher.runs().len(), 2, "half of the rows anew: all is merged");
    let manifest = verify(&flusher.files, Path::new(DIR)).expect("whole");
    assert_eq!(manifest.files.len(), 2);
    let loaded = load(&flusher.files).expect("whole");
    for key in 0..300_u32 {
        let number = if key % 2 == 0 { 1.5 } else { 0.5 };
        let vector = loaded.vector(INDEX, &key.to_be_bytes());
        assert_eq!(vector, Some(&*vec![number; 16_384]), "{key}");
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused_without_a_change() {
    let mut flusher = Flusher::new(3);
    for key in 0..6 {
        flusher.set(key, Some(vec![0.25; 3]));
    }
    flusher.flush();
    flusher.set(2, None);
    flusher.flush();
    assert_eq!(flusher.runs().len(), 2);
    let manifest = Path::new(DIR).join("MANIFEST");
    let manifest_len = flusher.files.snapshot().files()[&manifest].len();
    let mut files = flusher.runs();
    files.push((manifest, manifest_len));
    for (path, len) in files {
        for at in 0..len {
            let flipped = flusher.files.crash_keeping_all();
            flipped.corrupt(&path, at as u64, 1 << (at % 8));
            assert_refused(&flipped, &path);
            let cut = flusher.files.crash_keeping_all();
            cut.truncate(&path, at as u64);
            assert_refused(&cut, &path);
        }
    }
}

/// A directory that `verify` called whole could not be opened: it did not look for keys that live twice.
#[test]
fn a_key_that_lives_twice_is_refused() {
    let mut flusher = Flusher::new(2);
    flusher.engine =
        flusher.engine.with_options(VectorOptions { head_rows: 8, ..VectorOptions::DEFAULT });
    for key in 0..8 {
        flusher.set(key, Some(vec![1.0, 2.0]));
    }
    let rebuild = flusher.engine.begin_rebuild().expect("the head is full");
    world::finish(&mut flusher.engine, rebuild);
    flusher.flush();
    flusher.set(3, Some(vec![3.0, 4.0]));
    flusher.flush();
    let dir = Path::new(DIR);
    let mut manifest = verify(&flusher.files, dir).expect("whole");
    // The one segment comes last, and of it whether rows are dead and which.
    manifest.files.pop().expect("a row has died");
    assert_eq!(manifest.extra.pop(), Some(1));
    manifest.extra.push(0);
    let files = Arc::new(flusher.files.clone());
    let (mut open, _) = ManifestDir::open(files, dir, EngineKind::Vectors).expect("whole");
    open.switch(manifest, &TestLog::new()).expect("the disk works");
    assert_refused(&flusher.files, dir);
}

fn assert_refused(files: &SimFiles, path: &Path) {
    let before = files.snapshot();
    let errors = [load(files).map(|_| ()), verify(files, Path::new(DIR)).map(|_| ())];
    for error in errors {
        let error = error.expect_err("damaged");
        let kind = error.kind();
        let refused = [ErrorKind::Corrupt, ErrorKind::UnsupportedFormat].contains(&kind);
        assert!(refused, "{}: {error}", path.display());
    }
    assert_eq!(files.snapshot(), before, "refusing changes no byte");
}
