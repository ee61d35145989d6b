//! Verification finds what is wrong and touches nothing.

use super::support::{DATABASE, base, filled, lsn, memory, reader};
use crate::{
    ExpectedIdentity, Layout, ObjectKey, ObjectStore, ProblemKind, VerifyLevel, WriterEpoch,
    testing::FaultyStore,
};
use bytes::Bytes;
use nodedb_types::LsnRange;
use std::sync::Arc;

fn key(start: u64) -> ObjectKey {
    ExpectedIdentity {
        database_id: DATABASE,
        writer_epoch: WriterEpoch::FIRST,
        start_lsn: lsn(start),
    }
    .key()
}

async fn archive_with_base() -> (Arc<FaultyStore>, ObjectKey) {
    let store = memory();
    let (archive, tail) = filled(&store, 50).await;
    let base = base(&archive, 15, 16).await;
    archive.complete_base(&base, tail.archived()).await.expect("complete");
    let part = Layout::new(DATABASE).part(base.files[0].parts[0].hash());
    (store, part)
}

async fn flip(store: &Arc<FaultyStore>, key: &ObjectKey, at: usize) {
    let bytes = store.get(key, 1 << 20).await.expect("read").expect("there");
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 0x10;
    store.show(key, Some(bytes.into()));
}

#[tokio::test]
async fn a_sound_archive_has_no_problems_and_is_not_changed() {
    let (store, _) = archive_with_base().await;
    let creates = store.creates();
    for level in [VerifyLevel::Chain, VerifyLevel::Content] {
        let report = reader(&store).await.verify(level).await.expect("read");
        assert!(report.is_sound(), "{report:?}");
        // FORMAT, an epoch, five log objects, BASE and its two parts.
        assert_eq!((report.files, report.records), (10, 50), "{level:?}");
        assert!(report.bytes > 0);
    }
    assert_eq!(store.creates(), creates);
}

#[tokio::test]
async fn a_missing_object_is_a_gap_and_the_rest_is_still_looked_at() {
    let (store, _) = archive_with_base().await;
    store.show(&key(11), None);
    flip(&store, &key(41), 200).await;
    let report = reader(&store).await.verify(VerifyLevel::Content).await.expect("read");
    let found: Vec<_> = report.problems.iter().map(|one| (one.kind, one.range)).collect();
    let range = |from, to| Some(LsnRange::new(lsn(from), lsn(to)));
    assert_eq!(found, [(ProblemKind::Gap, range(11, 21)), (ProblemKind::Corrupt, range(41, 51))]);
    assert_eq!(report.records, 30);
}

#[tokio::test]
async fn a_damaged_header_is_found_by_both_levels() {
    for level in [VerifyLevel::Chain, VerifyLevel::Content] {
        let (store, _) = archive_with_base().await;
        flip(&store, &key(21), 60).await;
        let report = reader(&store).await.verify(level).await.expect("read");
        let problem = &report.problems[0];
        assert_eq!((problem.kind, problem.key.as_ref()), (ProblemKind::Corrupt, Some(&key(21))));
        assert_eq!((report.problems.len(), report.records), (1, 40), "{level:?}");
    }
}

#[tokio::test]
async fn parts_are_looked_at() {
    let (store, part) = archive_with_base().await;
    flip(&store, &part, 0).await;
    let check = async |level| {
        let report = reader(&store).await.verify(level).await.expect("read");
        report.problems.iter().map(|one| one.kind).collect::<Vec<_>>()
    };
    assert_eq!(check(VerifyLevel::Chain).await, [], "its length is right");
    assert_eq!(check(VerifyLevel::Content).await, [ProblemKind::Corrupt]);
    store.show(&part, None);
    assert_eq!(check(VerifyLevel::Chain).await, [ProblemKind::Missing]);
    assert_eq!(check(VerifyLevel::Content).await, [ProblemKind::Missing]);
    store.show(&part, Some(Bytes::from_static(b"longer than the part was")));
    assert_eq!(check(VerifyLevel::Chain).await, [ProblemKind::Corrupt]);
}

#[tokio::test]
async fn a_store_that_is_down_is_an_error_and_no_finding() {
    let (store, _) = archive_with_base().await;
    let reader = reader(&store).await;
    store.set_down(true);
    let error = reader.verify(VerifyLevel::Chain).await.expect_err("down");
    assert!(error.is_temporary(), "{error}");
}
