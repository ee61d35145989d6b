//! The archive beside what it is made of, in the same run.
//!
//! - `encode`, `decode`: 4 MiB of log to an object and back, beside bare zstd at the same level in
//!   blocks of the same size. The object adds frames, two checksums and an index.
//! - `create`: an object of 1 MiB in a directory, beside the fewest calls with the same promise: write,
//!   sync, link, sync of the directory.

#![expect(clippy::expect_used, reason = "a bench that loses an object has nothing to measure")]

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nodedb_bench::{beside, documents, payload};
use nodedb_cold::{
    ArchivedBatch, Created, DirectoryStore, ExpectedIdentity, LogObject, LogObjectBuilder, Nonce,
    ObjectHash, ObjectKey, ObjectStore, WriterEpoch, WriterIdentity,
};
use nodedb_env::{Env, Open};
use nodedb_types::{DatabaseId, LogEpoch, Lsn};
use std::{hint::black_box, path::Path, time::Duration};

/// As in docs/formats/archive.md.
const LEVEL: i32 = 3;
const BLOCK_BYTES: usize = 1 << 20;

const BATCHES: usize = 256;
const BATCH_ROWS: usize = 48;
const OBJECT_BYTES: usize = 1 << 20;

const WRITER: WriterIdentity = WriterIdentity {
    database_id: DatabaseId::from_bytes([1; 16]),
    writer_epoch: WriterEpoch::FIRST,
    nonce: Nonce::from_bytes([2; 16]),
};

/// About 4 MiB of documents, as compressible as documents are.
fn batches() -> Vec<ArchivedBatch> {
    let rows = documents(1, BATCHES * BATCH_ROWS);
    let batch = |number: usize, rows: &[(String, String)]| ArchivedBatch {
        log_epoch: LogEpoch::new(1),
        first_lsn: Lsn::FIRST.advance((number * BATCH_ROWS) as u64),
        record_count: u32::try_from(rows.len()).expect("few"),
        commit_ms: number as u64,
        body: rows
            .iter()
            .flat_map(|(key, json)| [key.as_bytes(), json.as_bytes()])
            .collect::<Vec<_>>()
            .concat()
            .into(),
    };
    rows.chunks(BATCH_ROWS).enumerate().map(|(number, rows)| batch(number, rows)).collect()
}

fn encode(batches: &[ArchivedBatch]) -> LogObject {
    let mut builder =
        LogObjectBuilder::new(WRITER, Lsn::FIRST, ObjectHash::ZERO).expect("a compressor");
    for batch in batches {
        builder.push(batch).expect("it compresses");
    }
    builder.finish().expect("an object")
}

fn decode(object: &LogObject) {
    let expected = ExpectedIdentity {
        database_id: WRITER.database_id,
        writer_epoch: WRITER.writer_epoch,
        start_lsn: Lsn::FIRST,
    };
    let decoded = LogObject::decode(object.bytes().clone(), &expected).expect("whole");
    for batch in decoded.batches() {
        black_box(batch.expect("whole"));
    }
}

fn compress(raw: &[u8]) -> Vec<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL).expect("a compressor");
    raw.chunks(BLOCK_BYTES)
        .map(|block| compressor.compress(block).expect("it compresses"))
        .collect()
}

fn codec(criterion: &mut Criterion) {
    let batches = batches();
    let raw: Vec<u8> = batches.iter().flat_map(|batch| batch.body.iter().copied()).collect();
    let mut group = criterion.benchmark_group("cold/encode");
    group.throughput(Throughput::Bytes(raw.len() as u64));
    let mut bare = || drop(black_box(compress(&raw)));
    let mut subject = || drop(black_box(encode(&batches)));
    beside(&mut group, ("bare zstd", &mut bare), ("nodedb-cold", &mut subject));
    group.finish();

    let mut group = criterion.benchmark_group("cold/decode");
    group.throughput(Throughput::Bytes(raw.len() as u64));
    let blocks = compress(&raw);
    let object = encode(&batches);
    let mut bare = || {
        for block in &blocks {
            black_box(zstd::bulk::decompress(block, BLOCK_BYTES).expect("it was compressed"));
        }
    };
    let mut subject = || decode(&object);
    beside(&mut group, ("bare zstd", &mut bare), ("nodedb-cold", &mut subject));
    group.finish();
}

/// What no create can do without: contents, then a name, both durable.
fn create_bare(env: &Env, dir: &Path, number: u64, bytes: &[u8]) {
    let staged = dir.join(format!("{number}.staged"));
    let file = env.files.open(&staged, Open::CreateNew).expect("a file");
    file.write_all_at(bytes, 0).expect("written");
    file.sync_data().expect("synced");
    let path = dir.join(number.to_string());
    env.files.hard_link(&staged, &path).expect("linked");
    env.files.sync_dir(dir).expect("synced");
}

fn create(criterion: &mut Criterion) {
    let temp = tempfile::tempdir().expect("a directory");
    let env = Env::real();
    let bytes = Bytes::from(payload(1, OBJECT_BYTES));
    let mut group = criterion.benchmark_group("cold/create");
    group.throughput(Throughput::Bytes(OBJECT_BYTES as u64));
    let folder = temp.path().join("limit");
    let root = temp.path().join("store");
    for dir in [&folder, &root] {
        env.files.create_dir(dir).expect("a directory");
    }
    let store = DirectoryStore::new(env.clone(), &root);
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let (mut bare, mut created) = (0, 0);
    let mut limit = || {
        bare += 1;
        create_bare(&env, &folder, bare, &bytes);
    };
    let mut subject = || {
        created += 1;
        let key = ObjectKey::new(&format!("log/{created}")).expect("a key");
        let answer = runtime.block_on(store.create(&key, bytes.clone()));
        assert_eq!(answer.expect("created"), Created::New);
    };
    beside(&mut group, ("limit", &mut limit), ("nodedb-cold", &mut subject));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2));
    targets = codec, create
}
criterion_main!(benches);
