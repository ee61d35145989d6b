//! Figures of segments, on request: `NODEDB_MEASURE=1 cargo nextest run --release -p nodedb-vector
//! measure --no-capture`. What is compared runs in turns in one process; medians are told.
#![expect(clippy::disallowed_methods, reason = "figures need a clock")]

use super::{words::words, *};
use crate::segment::{header::Header, view::IndexView};
use ::usearch::{
    Index,
    ffi::{IndexOptions, MetricKind, ScalarKind},
};
use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant},
};

const ROUNDS: usize = 11;
const K: usize = 10;
const EF: usize = 64;

/// Whether figures were asked for.
fn asked() -> bool {
    let asked = std::env::var_os("NODEDB_MEASURE").is_some();
    if !asked {
        eprintln!("SKIPPED: figures are taken with NODEDB_MEASURE=1");
    }
    asked
}

/// What is compared: a name, and what it does with one query.
type Contender<'a> = (&'a str, Box<dyn FnMut(&[f32]) + 'a>);

/// Median time per query of each contender; the ratio is to the first.
fn compare(queries: &[Vec<f32>], mut contenders: Vec<Contender<'_>>) -> Vec<f64> {
    let mut times = vec![Vec::new(); contenders.len()];
    for _ in 0..ROUNDS {
        for ((_, run), times) in contenders.iter_mut().zip(&mut times) {
            let started = Instant::now();
            for query in queries {
                run(query);
            }
            times.push(started.elapsed());
        }
    }
    let count = u32::try_from(queries.len()).expect("few");
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        (times[ROUNDS / 2] / count).as_secs_f64() * 1e6
    };
    let medians: Vec<f64> = times.iter_mut().map(median).collect();
    for ((name, _), time) in contenders.iter().zip(&medians) {
        eprintln!("{name:>40} {time:9.1} us  x{:.2}", medians[0] / time);
    }
    medians
}

/// The library alone, as its users use it: vectors as they are, angles measured in the graph.
fn raw(rows: &[Vec<f32>]) -> IndexView {
    let options = || IndexOptions {
        dimensions: 384,
        metric: MetricKind::Cos,
        quantization: ScalarKind::BF16,
        connectivity: 16,
        expansion_add: 128,
        expansion_search: EF,
        multi: false,
    };
    let index = Index::new(&options()).expect("made");
    index.reserve_capacity_and_threads(rows.len(), 1).expect("reserved");
    for (slot, row) in (0..).zip(rows) {
        index.add(slot, row).expect("added");
    }
    let mut graph = vec![0; header::HEADER_BYTES + index.serialized_length()];
    index.save_to_buffer(&mut graph[header::HEADER_BYTES..]).expect("saved");
    let rows = u32::try_from(rows.len()).expect("few");
    let spec = spec(384, Metric::Cosine, VectorStorage::Bf16);
    Header { spec, rows, identity: 0 }.seal(Part::Graph, &mut graph);
    let file = SegmentFile::copied(Path::new("raw"), &graph).expect("copied");
    let checked = Checked::new(Part::Graph, file).expect("checked");
    IndexView::new(Index::new(&options()).expect("made"), &checked, 0).expect("viewed")
}

fn recall(
    queries: &[Vec<f32>],
    segment: &Segment,
    mut find: impl FnMut(&[f32]) -> Vec<u32>,
) -> f64 {
    let mut right = 0_u32;
    for query in queries {
        let exact = segment.exact_except(query, &RoaringBitmap::new(), K).expect("scanned");
        let found = find(query);
        right += u32::try_from(exact.iter().filter(|hit| found.contains(&hit.slot)).count())
            .expect("few");
    }
    f64::from(right) / f64::from(u32::try_from(queries.len() * K).expect("few"))
}

#[test]
fn measure_search() {
    if !asked() {
        return;
    }
    let data = words(20_000);
    let mut raw = raw(&data.rows);
    for storage in STORAGES {
        let segment = segment(spec(384, Metric::Cosine, storage), &data.rows);
        let slots = |found: Vec<Hit>| found.iter().map(|hit| hit.slot).collect::<Vec<_>>();
        let ours = |q: &[f32]| slots(segment.search(query(q, K, EF), None).expect("found"));
        let of_ours = recall(&data.queries, &segment, ours);
        let of_raw = recall(&data.queries, &segment, |q| {
            let found = raw.search(q, K, EF, None).expect("found");
            found.keys.iter().map(|key| u32::try_from(*key).expect("a slot")).collect()
        });
        eprintln!("{storage:?}, ef {EF}: recall@{K} {of_ours:.4}, library alone {of_raw:.4}");
        let contenders: Vec<Contender<'_>> = vec![
            (
                "library alone, bf16",
                Box::new(|q| {
                    black_box(raw.search(q, K, EF, None).expect("found"));
                }),
            ),
            (
                "segment",
                Box::new(|q| {
                    black_box(segment.search(query(q, K, EF), None).expect("found"));
                }),
            ),
            (
                "segment, filter that takes all",
                Box::new(|q| {
                    black_box(segment.search(query(q, K, EF), Some(&mut |_| true)).expect("found"));
                }),
            ),
            (
                "segment, graph without rescoring",
                Box::new(|q| {
                    let question = graph::Question { vector: q, wanted: K, ef: EF };
                    black_box(segment.graph.search(question, None).expect("found"));
                }),
            ),
            (
                "exact",
                Box::new(|q| {
                    black_box(segment.exact_except(q, &RoaringBitmap::new(), K).expect("found"));
                }),
            ),
        ];
        compare(&data.queries, contenders);
    }
}

/// The loop that came before the kernels.
fn plain_dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<16>();
    let (b, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0; 16];
    for (a, b) in a.iter().zip(b) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[test]
fn measure_kernels() {
    if !asked() {
        return;
    }
    let data = words(20_000);
    for rows in [500, 20_000] {
        let numbers = data.rows[..rows].concat();
        let mut out = vec![0.0; rows];
        let norms = vec![1.0; rows];
        let mut kernels = vec![0.0; rows];
        eprintln!("{rows} rows");
        let contenders: Vec<Contender<'_>> = vec![
            (
                "plain loop",
                Box::new(|q| {
                    for (row, out) in numbers.chunks_exact(384).zip(&mut out) {
                        *out = plain_dot(q, row);
                    }
                    black_box(&out);
                }),
            ),
            (
                "kernels, cosine",
                Box::new(|q| {
                    let probe = crate::kernel::Probe::new(Metric::Cosine, q);
                    probe.distances(&numbers, &norms, &mut kernels);
                    black_box(&kernels);
                }),
            ),
        ];
        compare(&data.queries[..40], contenders);
    }
}

#[test]
fn measure_filters() {
    if !asked() {
        return;
    }
    let data = words(20_000);
    let segment = segment(spec(384, Metric::Cosine, VectorStorage::Bf16), &data.rows);
    eprintln!("{:?}", segment.memory_bytes());
    for every in [2, 4, 6, 8, 10, 20, 50, 100] {
        // Spread over the slots, as the matches of a filter are.
        let takes = |slot: u32| (slot.wrapping_mul(2_654_435_761) >> 8).is_multiple_of(every);
        let matches: RoaringBitmap = (0..segment.len()).filter(|slot| takes(*slot)).collect();
        let mut asked = 0_u64;
        for query in &data.queries[..40] {
            let filter = &mut |slot| {
                asked += 1;
                matches.contains(slot)
            };
            let question = graph::Question { vector: query, wanted: 15, ef: EF };
            let filter = filter::Filter::new(filter, u32::MAX);
            black_box(segment.graph.search(question, Some(&filter)).expect("found"));
        }
        eprintln!("1 of {every}: {} matches, {} asked for on a walk", matches.len(), asked / 40);
        let contenders: Vec<Contender<'_>> = vec![
            (
                "graph with bitmap",
                Box::new(|q| {
                    let mut accept = |slot| matches.contains(slot);
                    black_box(segment.search(query(q, K, EF), Some(&mut accept)).expect("found"));
                }),
            ),
            (
                "every row, by bitmap",
                Box::new(|q| {
                    let dead = RoaringBitmap::new();
                    black_box(segment.exact_except(q, &dead, K).expect("found"));
                }),
            ),
            (
                "exact over the bitmap",
                Box::new(|q| {
                    black_box(segment.exact(q, matches.iter(), K).expect("found"));
                }),
            ),
        ];
        compare(&data.queries[..40], contenders);
    }
}

#[test]
fn measure_find() {
    if !asked() {
        return;
    }
    let count = 100_000;
    let segment = segment(spec(1, Metric::L2, VectorStorage::I8), &vectors(200, 1, 1));
    let mut builder = rows::RowsBuilder::default();
    (0..count).for_each(|row| builder.push(&key(row), stamp(row)));
    let identity = builder.identity();
    let mut file = builder.finish();
    Header { spec: *segment.spec(), rows: count, identity }.seal(Part::Rows, &mut file);
    let file = SegmentFile::copied(Path::new("rows"), &file).expect("copied");
    let rows = Rows::new(Checked::new(Part::Rows, file).expect("checked")).expect("rows");
    let hash: HashMap<Vec<u8>, u32> = (0..count).map(|row| (key(row), row)).collect();
    let keys: Vec<Vec<u8>> = (0..count).map(|row| key(row.wrapping_mul(7919) % count)).collect();
    let contenders: Vec<Contender<'_>> = vec![
        (
            "100,000 by hash",
            Box::new(|_| {
                assert!(keys.iter().all(|key| black_box(hash.get(key)).is_some()));
            }),
        ),
        (
            "100,000 by binary search",
            Box::new(|_| {
                assert!(keys.iter().all(|key| black_box(rows.find(key)).is_some()));
            }),
        ),
    ];
    compare(&[vec![]], contenders);
}
