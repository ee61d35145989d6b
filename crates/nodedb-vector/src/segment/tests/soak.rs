//! Segments opened, searched and dropped over and over: nothing is lost, kept or touched twice.
//!
//! `cargo xtask soak` runs this for minutes, built with an address sanitizer over Rust and C++.
#![expect(clippy::disallowed_methods, reason = "tests look at real files and have real limits")]

use super::{files::write, *};
use nodedb_env::RealFiles;
use std::time::{Duration, Instant};

const CYCLES: u32 = 2_000;
/// What the process may grow by in the second half of a run, in KiB: caches of the allocator.
const GROWTH_KIB_MAX: u64 = 8 << 10;

/// KiB of memory that the process holds.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("read");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
}

/// One segment, how often it comes and what it was made of.
struct Specimen {
    spec: SegmentSpec,
    bytes: SegmentBytes,
    dir: tempfile::TempDir,
    rows: Vec<Vec<f32>>,
}

fn specimens() -> Vec<Specimen> {
    let mut specimens = Vec::new();
    for (seed, metric) in (30..).zip(METRICS) {
        for storage in STORAGES {
            let spec = spec(48, metric, storage);
            let rows = vectors(1_000, 48, seed);
            let (bytes, dir) = (build(spec, &rows), tempfile::tempdir().expect("directory"));
            write(dir.path(), &bytes);
            specimens.push(Specimen { spec, bytes, dir, rows });
        }
    }
    specimens
}

/// Opens a segment, searches it in every way, and drops it.
fn cycle(specimen: &Specimen, number: u32) {
    let segment = if number.is_multiple_of(2) {
        files::open(specimen.dir.path(), specimen.spec)
    } else {
        Segment::open(parts(specimen.spec, &specimen.bytes))
    };
    let segment = segment.expect("opened");
    let slot = number.wrapping_mul(7) % segment.len();
    let vector = &specimen.rows[position(slot)];
    let search = || {
        let found = segment.search(query(vector, 5, 40), None).expect("found");
        let exact = segment.exact_except(vector, &RoaringBitmap::new(), 5).expect("scanned");
        assert_eq!(found.len(), exact.len());
        assert!(found[0] >= exact[0]);
        let mut some = |slot: u32| slot.is_multiple_of(3);
        let some = segment.search(query(vector, 5, 40), Some(&mut some)).expect("found");
        assert!(some.iter().all(|hit| hit.slot.is_multiple_of(3)));
        let mut none = |_| false;
        let none = segment.walk(query(vector, 5, 40), Some(&mut none)).expect("walked");
        assert_eq!(none, None);
    };
    search();
    // Whoever opened a segment need not be who searches it.
    if number.is_multiple_of(16) {
        std::thread::scope(|scope| scope.spawn(search).join().expect("searched"));
    }
    if number.is_multiple_of(64) {
        let built = build(specimen.spec, &specimen.rows[..100]);
        assert!(built.graph.len() < specimen.bytes.graph.len());
    }
    let file = SegmentFile::open(&RealFiles, &specimen.dir.path().join("graph")).expect("opened");
    assert_eq!(file.bytes(), specimen.bytes.graph);
}

#[test]
fn open_search_and_drop_keep_no_memory() {
    let seconds = std::env::var("NODEDB_SOAK_SECONDS").ok();
    let limit = seconds.map(|seconds| Duration::from_secs(seconds.parse().expect("seconds")));
    let specimens = specimens();
    let run = |share: u32, from: u32| {
        let (started, mut number) = (Instant::now(), from);
        let more = |number: u32| match limit {
            Some(limit) => started.elapsed() < limit / share,
            None => number - from < CYCLES / share,
        };
        while more(number) {
            cycle(&specimens[position(number) % specimens.len()], number);
            number += 1;
        }
        number
    };
    let half = run(2, 0);
    let before = resident();
    let all = run(2, half);
    let after = resident();
    eprintln!("{all} cycles, {before} KiB resident after half of them, {after} KiB after all");
    // Beside other tests in one process nothing can be said.
    if limit.is_some() || std::env::var_os("NEXTEST").is_some() {
        assert!(after < before + GROWTH_KIB_MAX, "{before} to {after} KiB");
    } else {
        eprintln!("SKIPPED: memory is told by `cargo nextest run` and `cargo xtask soak`");
    }
}
