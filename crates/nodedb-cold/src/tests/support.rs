//! What the tests share: an archive in memory, and a log whose every record is its own number.

use crate::{
    Archive, ArchiveReader, ArchivedBatch, ArchivedTail, BaseFile, BaseFloor, BaseManifest,
    BasePath, ColdError, LogObject, LogObjectBuilder, NewArchive, Nonce, ObjectStore, OpendalStore,
    PlanBatches, Session, testing::FaultyStore,
};
use bytes::Bytes;
use nodedb_types::{DatabaseId, Incarnation, LogEpoch, Lsn, Name, VshardId};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

pub(super) const DATABASE: DatabaseId = DatabaseId::from_bytes([0xd1; 16]);
pub(super) const INCARNATION: Incarnation = Incarnation::from_bytes([0x1c; 16]);

pub(super) fn lsn(value: u64) -> Lsn {
    Lsn::from_u64(value).expect("positions begin at 1")
}

pub(super) fn memory() -> Arc<FaultyStore> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    FaultyStore::new(Arc::new(OpendalStore::memory(&name).expect("memory")))
}

pub(super) fn new_archive(start: u64) -> NewArchive {
    NewArchive {
        database_id: DATABASE,
        incarnation: INCARNATION,
        nonce: Nonce::from_bytes([7; 16]),
        start_lsn: lsn(start),
        vshards: 8,
        segment_bytes: 1 << 20,
        created_ms: 1000,
    }
}

pub(super) fn session(log_epoch: u32) -> Session {
    Session {
        log_epoch: LogEpoch::new(log_epoch),
        nonce: Nonce::from_bytes([u8::try_from(log_epoch).expect("small"); 16]),
    }
}

pub(super) async fn init(store: &Arc<FaultyStore>) -> Archive {
    let store: Arc<dyn ObjectStore> = Arc::<FaultyStore>::clone(store);
    let archive = Archive::init(store, new_archive(1), session(1)).await;
    archive.expect("a fresh store takes an archive")
}

pub(super) async fn reader(store: &Arc<FaultyStore>) -> ArchiveReader {
    let store: Arc<dyn ObjectStore> = Arc::<FaultyStore>::clone(store);
    ArchiveReader::open(store, None).await.expect("the archive is there")
}

/// Batch of the records `first ..= last`, committed at 10 ms times its last record.
pub(super) fn batch(first: u64, last: u64) -> ArchivedBatch {
    let body = (first..=last).flat_map(u64::to_le_bytes).collect::<Vec<_>>();
    ArchivedBatch {
        log_epoch: LogEpoch::new(1),
        first_lsn: lsn(first),
        record_count: u32::try_from(last - first + 1).expect("small"),
        commit_ms: last * 10,
        body: body.into(),
    }
}

/// An object of batches with two records each, from the tail to `last`.
pub(super) fn object(archive: &Archive, tail: &ArchivedTail, last: u64) -> LogObject {
    let mut builder = LogObjectBuilder::new(archive.writer(), tail.next_lsn(), tail.chain())
        .expect("a compressor");
    let mut next = tail.next_lsn().get();
    while next <= last {
        let end = (next + 1).min(last);
        builder.push(&batch(next, end)).expect("it compresses");
        next = end + 1;
    }
    builder.finish().expect("an object")
}

pub(super) async fn upload(archive: &Archive, tail: &mut ArchivedTail, last: u64) -> LogObject {
    let object = object(archive, tail, last);
    let receipt = archive.upload_log(&object).await.expect("it uploads");
    tail.advance(&receipt).expect("in order");
    object
}

/// An archive with the records `1 ..= last`, ten in each object.
pub(super) async fn filled(store: &Arc<FaultyStore>, last: u64) -> (Archive, ArchivedTail) {
    let archive = init(store).await;
    let mut tail = archive.tail(None).await.expect("an empty tail");
    while tail.next_lsn().get() <= last {
        let end = (tail.next_lsn().get() + 9).min(last);
        upload(&archive, &mut tail, end).await;
    }
    (archive, tail)
}

pub(super) async fn base(archive: &Archive, redo: u64, ceiling: u64) -> BaseManifest {
    let part =
        archive.upload_part(Bytes::from(format!("state at {ceiling}"))).await.expect("a part");
    let shared = archive.upload_part(Bytes::from_static(b"unchanged")).await.expect("a part");
    let file =
        |path: &str, parts: Vec<_>| BaseFile { path: BasePath::new(path).expect("a path"), parts };
    BaseManifest {
        database_id: DATABASE,
        incarnation: INCARNATION,
        writer_epoch: archive.writer().writer_epoch,
        redo_lsn: lsn(redo),
        ceiling_lsn: lsn(ceiling),
        log_epoch: LogEpoch::new(1),
        commit_ms: ceiling * 10,
        vshards: 2,
        segment_bytes: 1 << 20,
        counters: Bytes::from_static(b"next ids"),
        floors: vec![BaseFloor {
            vshard: VshardId::new(1),
            engine: Name::new("document").expect("a name"),
            proven: lsn(redo).previous(),
            effective: lsn(redo).previous(),
        }],
        files: vec![
            file("v0001/docs/tables/1", vec![part, shared]),
            file("v0001/manifest", vec![shared]),
            file("catalog", Vec::new()),
        ],
    }
}

/// The records of all batches, each by its number.
pub(super) async fn records(mut batches: PlanBatches<'_>) -> Result<Vec<u64>, ColdError> {
    let mut records = Vec::new();
    while let Some(batch) = batches.next().await? {
        let (numbers, rest) = batch.body.as_chunks::<8>();
        assert!(rest.is_empty() && numbers.len() as u64 == u64::from(batch.record_count));
        records.extend(numbers.iter().map(|number| u64::from_le_bytes(*number)));
    }
    Ok(records)
}
