//! Every flip and every cut of a small segment is refused.

use super::*;

const SPEC: fn() -> SegmentSpec = || spec(3, Metric::Cosine, VectorStorage::Bf16);

/// A segment with one of its files replaced.
fn with(bytes: &SegmentBytes, part: usize, changed: Vec<u8>) -> SegmentBytes {
    let mut files = [bytes.rows.clone(), bytes.vectors.clone(), bytes.graph.clone()];
    files[part] = changed;
    let [rows, vectors, graph] = files;
    SegmentBytes { rows, vectors, graph }
}

fn files(bytes: &SegmentBytes) -> [&[u8]; 3] {
    [&bytes.rows, &bytes.vectors, &bytes.graph]
}

fn refused(spec: SegmentSpec, bytes: &SegmentBytes, name: &str) -> String {
    let error = Segment::open(parts(spec, bytes)).expect_err("damaged");
    if let EngineError::UnsupportedFormat { path, found, .. } = error {
        assert_eq!((&*path, found > 1), (Path::new(name), true));
        return "version".to_owned();
    }
    let EngineError::Corrupt { path, message } = error else { panic!("{error}") };
    assert_eq!(path, Path::new(name), "{message}");
    message
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let bytes = build(SPEC(), &vectors(4, 3, 6));
    for (part, name) in ["rows", "vectors", "graph"].into_iter().enumerate() {
        let whole = files(&bytes)[part].to_vec();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[at] ^= 1 << bit;
                refused(SPEC(), &with(&bytes, part, changed), name);
            }
            refused(SPEC(), &with(&bytes, part, whole[..at].to_vec()), name);
        }
        let mut longer = whole;
        longer.push(0);
        refused(SPEC(), &with(&bytes, part, longer), name);
    }
}

/// As the writer would have sealed it.
fn resealed(file: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut file = file[..file.len() - 4].to_vec();
    change(&mut file);
    let checksum = crc32c::crc32c(&file);
    file.extend_from_slice(&checksum.to_le_bytes());
    file
}

#[test]
fn headers_and_rows_that_say_something_else_are_refused_behind_a_right_checksum() {
    let bytes = build(SPEC(), &vectors(4, 3, 6));
    // Everything of the header but the place of the version, each byte on its own.
    for (part, name) in ["rows", "vectors", "graph"].into_iter().enumerate() {
        for at in (0..header::HEADER_BYTES).filter(|at| !(8..12).contains(at)) {
            let changed = resealed(files(&bytes)[part], |file| file[at] ^= 1);
            let broken = with(&bytes, part, changed);
            let error = Segment::open(parts(SPEC(), &broken)).expect_err("another header");
            assert!(matches!(error, EngineError::Corrupt { .. }), "{name} {at}: {error}");
        }
        let changed = resealed(files(&bytes)[part], |file| file[8] = 2);
        assert_eq!(refused(SPEC(), &with(&bytes, part, changed), name), "version");
        let changed = resealed(files(&bytes)[part], |file| file[8] = 0);
        assert!(refused(SPEC(), &with(&bytes, part, changed), name).contains("version"));
    }
    let changed = resealed(&bytes.rows, |file| file[header::HEADER_BYTES] ^= 1);
    assert!(refused(SPEC(), &with(&bytes, 0, changed), "rows").contains("identity"));
}

#[test]
fn files_of_another_segment_or_index_are_refused() {
    let bytes = build(SPEC(), &vectors(4, 3, 6));
    let other = SegmentSpec { index: IndexId::new(8), ..SPEC() };
    assert!(refused(other, &bytes, "rows").contains("another index"));

    // The same number of rows, but other keys.
    let stranger = build_from(100, SPEC(), &vectors(4, 3, 6));
    for (part, name) in [(1, "vectors"), (2, "graph")] {
        let mixed = with(&bytes, part, files(&stranger)[part].to_vec());
        assert!(refused(SPEC(), &mixed, name).contains("another segment"));
    }
}
