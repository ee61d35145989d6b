//! Real files are mapped; damage is refused before the library sees a byte.
#![expect(clippy::disallowed_methods, reason = "tests look at real files")]

use super::*;
use nodedb_env::RealFiles;
use std::fs;

pub(super) fn write(dir: &Path, bytes: &SegmentBytes) {
    fs::write(dir.join("rows"), &bytes.rows).expect("written");
    fs::write(dir.join("vectors"), &bytes.vectors).expect("written");
    fs::write(dir.join("graph"), &bytes.graph).expect("written");
}

pub(super) fn open(dir: &Path, spec: SegmentSpec) -> Result<Segment, EngineError> {
    let file = |name: &str| SegmentFile::open(&RealFiles, &dir.join(name));
    Segment::open(SegmentParts {
        spec,
        rows: file("rows")?,
        vectors: file("vectors")?,
        graph: file("graph")?,
    })
}

#[test]
fn mapped_files_answer_as_copies_do_and_may_be_unlinked() {
    let dir = tempfile::tempdir().expect("directory");
    let rows = vectors(500, 48, 4);
    let spec = spec(48, Metric::Cosine, VectorStorage::Bf16);
    let bytes = build(spec, &rows);
    write(dir.path(), &bytes);
    let mapped = open(dir.path(), spec).expect("opened");
    fs::remove_dir_all(dir.path()).expect("unlinked");
    let copied = Segment::open(parts(spec, &bytes)).expect("opened");
    assert_eq!(mapped.spec(), &spec);
    for vector in &rows {
        let [a, b] = [&mapped, &copied].map(|s| walk(s, query(vector, 5, 64)));
        assert_eq!(a, b);
    }
    let files = bytes.rows.len() + bytes.vectors.len() + bytes.graph.len();
    assert_eq!(mapped.memory_bytes().mapped, files);
    assert_eq!(copied.memory_bytes().mapped, 0);
    // Beside the files, the library keeps tables of the rows and room for one search.
    assert!(mapped.memory_bytes().heap < 500 * 256 + (64 << 10), "{:?}", mapped.memory_bytes());
    assert!(copied.memory_bytes().heap >= files);
}

#[test]
fn a_missing_and_an_empty_file_are_errors_that_name_it() {
    let dir = tempfile::tempdir().expect("directory");
    let spec = spec(2, Metric::L2, VectorStorage::F32);
    write(dir.path(), &build(spec, &vectors(3, 2, 5)));
    fs::write(dir.path().join("graph"), []).expect("emptied");
    let error = open(dir.path(), spec).expect_err("empty");
    assert!(matches!(error, EngineError::Corrupt { path, .. } if path.ends_with("graph")));
    fs::remove_file(dir.path().join("graph")).expect("removed");
    let error = open(dir.path(), spec).expect_err("missing");
    assert!(matches!(error, EngineError::Io { path, .. } if path.ends_with("graph")));
}
