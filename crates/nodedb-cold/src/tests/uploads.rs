//! A receipt is a proof.

use super::support::{filled, init, lsn, memory, object, reader, upload};
use crate::{
    ArchivedPoint, ColdError, FenceRecord, LogObjectBuilder, ObjectStore, WriterEpoch,
    testing::CreateFault,
};
use bytes::Bytes;
use nodedb_types::{ErrorKind, Lsn, Name};

#[tokio::test]
async fn a_failed_upload_keeps_archived_where_it_was() {
    let store = memory();
    let (archive, tail) = filled(&store, 10).await;
    let object = object(&archive, &tail, 20);
    store.fail_next_create(CreateFault::Refused);
    let error = archive.upload_log(&object).await.expect_err("it failed");
    assert!(error.is_temporary(), "{error}");
    assert_eq!(tail.archived(), Some(lsn(10)));
    let again = archive.tail(tail.archived()).await.expect("a tail");
    assert_eq!(again, tail);
    let mut tail = tail;
    let receipt = archive.upload_log(&object).await.expect("the retry");
    tail.advance(&receipt).expect("in order");
    assert_eq!(tail.archived(), Some(lsn(20)));
}

#[tokio::test]
async fn a_success_that_is_untrue_gives_no_receipt() {
    for fault in [CreateFault::Vanished, CreateFault::Short, CreateFault::Flipped] {
        let store = memory();
        let (archive, tail) = filled(&store, 10).await;
        store.fail_next_create(fault);
        let result = archive.upload_log(&object(&archive, &tail, 20)).await;
        let error = result.expect_err("nothing was proven");
        assert!(matches!(error, ColdError::Unverified { .. }), "{fault:?}: {error}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_success_by_reading_back() {
    let store = memory();
    let (archive, mut tail) = filled(&store, 10).await;
    let object = object(&archive, &tail, 20);
    store.fail_next_create(CreateFault::AnswerLost);
    let receipt = archive.upload_log(&object).await.expect("it is there");
    assert_eq!((receipt.range(), receipt.hash()), (object.range(), object.hash()));
    tail.advance(&receipt).expect("in order");
    assert_eq!(archive.tail(None).await.expect("a tail"), tail);
}

/// D-19: create-only and read back; the same bytes again are no failure and no second object.
#[tokio::test]
async fn an_upload_that_is_repeated_succeeds_again() {
    let store = memory();
    let (archive, mut tail) = filled(&store, 10).await;
    let object = upload(&archive, &mut tail, 20).await;
    let receipt = archive.upload_log(&object).await.expect("idempotent");
    assert_eq!(receipt.hash(), object.hash());
    assert!(
        matches!(tail.advance(&receipt), Err(ColdError::OutOfOrder { .. })),
        "a receipt advances once"
    );
    assert_eq!(tail.archived(), Some(lsn(20)));
}

#[tokio::test]
async fn other_content_under_the_name_is_never_overwritten() {
    let store = memory();
    let (archive, tail) = filled(&store, 10).await;
    let object = object(&archive, &tail, 20);
    let foreign = Bytes::from_static(b"somebody else's");
    store.create(object.key(), foreign.clone()).await.expect("created");
    for _ in 0..2 {
        let error = archive.upload_log(&object).await.expect_err("taken");
        assert!(
            matches!(&error, ColdError::Diverged { key, .. } if key == object.key()),
            "{error}"
        );
        assert!(!error.is_temporary());
    }
    let found = store.get(object.key(), 1 << 20).await.expect("readable");
    assert_eq!(found, Some(foreign));
}

#[tokio::test]
async fn a_fence_stops_the_old_writer() {
    let store = memory();
    let (archive, tail) = filled(&store, 10).await;
    let object = object(&archive, &tail, 20);
    let by = WriterEpoch::FIRST.next().expect("a second epoch");
    let fence = FenceRecord { by }.encode();
    store.create(object.key(), fence).await.expect("created");
    let error = archive.upload_log(&object).await.expect_err("fenced");
    assert!(matches!(error, ColdError::Fenced { by: found } if found == by));
    assert_eq!(error.kind(), ErrorKind::Fenced);
    let error = archive.tail(None).await.expect_err("fenced");
    assert_eq!(error.kind(), ErrorKind::Fenced);
}

#[tokio::test]
async fn the_tail_is_found_again_from_any_known_position() {
    let store = memory();
    let (archive, tail) = filled(&store, 45).await;
    for known in (0..=45).map(Lsn::from_u64) {
        assert_eq!(archive.tail(known).await.expect("a tail"), tail, "{known:?}");
    }
    let error = archive.tail(Some(lsn(46))).await.expect_err("46 was proven");
    assert!(matches!(error, ColdError::Gap { from, to } if (from, to) == (lsn(46), lsn(47))));
}

#[tokio::test]
async fn a_broken_chain_is_not_continued() {
    let store = memory();
    let (archive, tail) = filled(&store, 10).await;
    let mut builder =
        LogObjectBuilder::new(archive.writer(), tail.next_lsn(), crate::ObjectHash::ZERO)
            .expect("a compressor");
    builder.push(&super::support::batch(11, 12)).expect("pushed");
    let stray = builder.finish().expect("an object");
    store.create(stray.key(), stray.bytes().clone()).await.expect("created");
    let error = archive.tail(None).await.expect_err("another history");
    assert!(matches!(error, ColdError::BrokenChain { .. }), "{error}");
}

#[tokio::test]
async fn restore_points_are_found_by_name() {
    let store = memory();
    let archive = init(&store).await;
    let mut tail = archive.tail(None).await.expect("a tail");
    for round in 0..3_u64 {
        let first = tail.next_lsn();
        let mut builder =
            LogObjectBuilder::new(archive.writer(), first, tail.chain()).expect("a compressor");
        builder.push(&super::support::batch(first.get(), first.get() + 1)).expect("pushed");
        let names = [format!("round-{round}"), "every".to_owned()];
        for name in names {
            builder.add_point(ArchivedPoint {
                name: Name::new(&name).expect("a name"),
                lsn: first,
                commit_ms: first.get() * 10,
            });
        }
        let object = builder.finish().expect("an object");
        let receipt = archive.upload_log(&object).await.expect("uploaded");
        tail.advance(&receipt).expect("in order");
    }
    let reader = reader(&store).await;
    let points = reader.points().await.expect("points");
    let names: Vec<_> = points.iter().map(|point| point.name.as_str()).collect();
    assert_eq!(names, ["round-0", "every", "round-1", "every", "round-2", "every"]);
    for (name, expected) in [("round-0", 1), ("round-1", 3), ("every", 5)] {
        let target = crate::RestoreTarget::Point(Name::new(name).expect("a name"));
        let plan = reader.plan(target).await.expect("a plan");
        assert_eq!(plan.target_lsn, Some(lsn(expected)), "{name}");
        assert!(super::support::records(reader.batches(&plan)).await.is_ok());
    }
    let target = crate::RestoreTarget::Point(Name::new("never").expect("a name"));
    let error = reader.plan(target).await.expect_err("unknown");
    assert!(matches!(error, ColdError::UnknownPoint { .. }));
}
