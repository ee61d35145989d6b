//! A plan reaches its target exactly, or says why not.

use super::{
    support::{base, batch, filled, lsn, memory, reader, records},
    writers::take_over,
};
use crate::{
    ArchiveReader, ColdError, ExpectedIdentity, LogObject, LogObjectBuilder, ObjectKey,
    ObjectStore, RestoreTarget, WriterEpoch, list_databases, testing::FaultyStore,
};
use nodedb_types::{ErrorKind, Lsn};
use std::sync::Arc;

fn shared(store: &Arc<FaultyStore>) -> Arc<dyn ObjectStore> {
    Arc::<FaultyStore>::clone(store)
}

fn key(start: u64) -> ObjectKey {
    ExpectedIdentity {
        database_id: super::support::DATABASE,
        writer_epoch: WriterEpoch::FIRST,
        start_lsn: lsn(start),
    }
    .key()
}

#[tokio::test]
async fn every_position_is_reached_exactly() {
    let store = memory();
    let (archive, tail) = filled(&store, 35).await;
    for (redo, ceiling) in [(6, 12), (21, 20)] {
        let base = base(&archive, redo, ceiling).await;
        let done = archive.complete_base(&base, tail.archived()).await;
        done.expect("complete");
    }
    let reader = reader(&store).await;
    for target in 1..=35 {
        let plan = reader.plan(RestoreTarget::Lsn(lsn(target))).await.expect("a plan");
        assert_eq!(plan.target_lsn, Some(lsn(target)));
        // P13: never a base with content above the target.
        let ceiling = plan.base.as_ref().map(|base| base.ceiling_lsn.get());
        let expected = match target {
            0..12 => None,
            12..20 => Some(12),
            _ => Some(20),
        };
        assert_eq!(ceiling, expected, "target {target}");
        let records = records(reader.batches(&plan)).await.expect("sound");
        let needed: Vec<_> = (plan.first_lsn.get()..=target).collect();
        let held = |record: &u64| (plan.first_lsn.get()..=target).contains(record);
        let got: Vec<_> = records.iter().copied().filter(held).collect();
        assert_eq!(got, needed, "target {target}");
        // Only the batch around the first record and the one around the target exceed the range.
        assert!(records.len() <= needed.len() + 2, "target {target}");
    }
}

#[tokio::test]
async fn the_newest_state_needs_only_the_log_after_the_newest_base() {
    let store = memory();
    let (archive, tail) = filled(&store, 35).await;
    let base = base(&archive, 25, 30).await;
    archive.complete_base(&base, tail.archived()).await.expect("complete");
    let reader = reader(&store).await;
    let plan = reader.plan(RestoreTarget::Latest).await.expect("a plan");
    assert_eq!((plan.first_lsn, plan.target_lsn), (lsn(25), Some(lsn(35))));
    assert_eq!((plan.objects.len(), plan.target_ms), (2, 350));
    let objects: u64 = plan.objects.iter().map(|object| object.bytes).sum();
    assert_eq!(plan.bytes, objects + base.file_bytes());
    assert_eq!(plan.base, Some(base));
    let records = records(reader.batches(&plan)).await.expect("sound");
    assert_eq!(records, (25..=35).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_time_is_the_last_commit_at_or_before_it() {
    let store = memory();
    let (archive, tail) = filled(&store, 30).await;
    let base = base(&archive, 13, 14).await;
    archive.complete_base(&base, tail.archived()).await.expect("complete");
    let reader = reader(&store).await;
    // Batches of two records, committed at 10 ms times the last: 20, 40, ..., 300.
    for ms in 20..=300 {
        let plan = reader.plan(RestoreTarget::Time(ms)).await.expect("a plan");
        let expected = ms / 20 * 2;
        assert_eq!(plan.target_lsn, Some(lsn(expected)), "{ms} ms");
        assert_eq!(plan.target_ms, expected * 10, "{ms} ms");
        assert_eq!(plan.base.is_some(), ms >= 140, "{ms} ms");
        let records = records(reader.batches(&plan)).await.expect("sound");
        assert_eq!(records.last().copied(), Some(expected), "{ms} ms");
    }
    let late = reader.plan(RestoreTarget::Time(301)).await.expect_err("not archived");
    assert!(
        matches!(late, ColdError::BeyondEnd { newest_lsn, newest_ms: 300, .. }
            if newest_lsn == Some(lsn(30))),
        "{late}"
    );
    let early = reader.plan(RestoreTarget::Time(19)).await.expect_err("nothing then");
    assert!(matches!(early, ColdError::BeforeBeginning { .. }), "{early}");
}

#[tokio::test]
async fn a_target_beyond_the_end_names_the_newest() {
    let store = memory();
    filled(&store, 20).await;
    let reader = reader(&store).await;
    for target in [21, 1000, u64::MAX] {
        let error = reader.plan(RestoreTarget::Lsn(lsn(target))).await;
        let error = error.expect_err("not archived");
        assert!(
            matches!(error, ColdError::BeyondEnd { newest_lsn, newest_ms: 200, .. }
                if newest_lsn == Some(lsn(20))),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_empty_archive_restores_an_empty_database() {
    let store = memory();
    filled(&store, 0).await;
    let reader = reader(&store).await;
    let plan = reader.plan(RestoreTarget::Latest).await.expect("a plan");
    assert_eq!((plan.target_lsn, plan.target_ms, plan.bytes), (None, 0, 0));
    let nothing = records(reader.batches(&plan)).await;
    assert!(nothing.expect("nothing").is_empty());
    let error = reader.plan(RestoreTarget::Time(5)).await.expect_err("nothing then");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_gap_is_an_error_that_names_the_range() {
    let store = memory();
    filled(&store, 40).await;
    store.show(&key(11), None);
    let reader = reader(&store).await;
    for target in [
        RestoreTarget::Latest,
        RestoreTarget::Lsn(lsn(11)),
        RestoreTarget::Lsn(lsn(35)),
        RestoreTarget::Time(150),
        RestoreTarget::Time(400),
    ] {
        let error = reader.plan(target.clone()).await.expect_err("a hole");
        assert!(
            matches!(error, ColdError::Gap { from, to } if (from, to) == (lsn(11), lsn(21))),
            "{target}: {error}"
        );
    }
    let plan = reader.plan(RestoreTarget::Lsn(lsn(10))).await.expect("before the hole");
    assert_eq!(records(reader.batches(&plan)).await.expect("sound").len(), 10);
}

#[tokio::test]
async fn a_base_above_a_gap_restores_what_lies_above() {
    let store = memory();
    let (archive, tail) = filled(&store, 40).await;
    let base = base(&archive, 25, 26).await;
    archive.complete_base(&base, tail.archived()).await.expect("complete");
    store.show(&key(11), None);
    let reader = reader(&store).await;
    let plan = reader.plan(RestoreTarget::Latest).await.expect("a plan");
    let records = records(reader.batches(&plan)).await.expect("sound");
    assert_eq!(records, (25..=40).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_lost_end_below_a_base_is_a_gap() {
    let store = memory();
    let (archive, tail) = filled(&store, 40).await;
    let base = base(&archive, 25, 36).await;
    archive.complete_base(&base, tail.archived()).await.expect("complete");
    store.show(&key(31), None);
    let reader = reader(&store).await;
    let error = reader.plan(RestoreTarget::Latest).await.expect_err("31 is gone");
    assert!(
        matches!(error, ColdError::Gap { from, to } if (from, to) == (lsn(31), lsn(37))),
        "{error}"
    );
}

#[tokio::test]
async fn an_object_that_vanishes_after_planning_is_a_gap() {
    let store = memory();
    filled(&store, 40).await;
    let reader = reader(&store).await;
    let plan = reader.plan(RestoreTarget::Latest).await.expect("a plan");
    store.show(&key(21), None);
    let error = records(reader.batches(&plan)).await.expect_err("21 is gone");
    assert!(
        matches!(error, ColdError::Gap { from, to } if (from, to) == (lsn(21), lsn(31))),
        "{error}"
    );
}

#[tokio::test]
async fn an_object_of_another_history_breaks_the_chain() {
    let store = memory();
    let (archive, _) = filled(&store, 40).await;
    let mut builder =
        LogObjectBuilder::new(archive.writer(), lsn(21), crate::ObjectHash::of(b"other"))
            .expect("a compressor");
    builder.push(&batch(21, 30)).expect("pushed");
    let stray: LogObject = builder.finish().expect("an object");
    store.show(stray.key(), Some(stray.bytes().clone()));
    let reader = reader(&store).await;
    let plan = reader.plan(RestoreTarget::Latest).await.expect("headers are sound");
    let error = records(reader.batches(&plan)).await.expect_err("swapped");
    assert!(matches!(error, ColdError::BrokenChain { .. }), "{error}");
}

#[tokio::test]
async fn a_stale_listing_changes_no_plan() {
    let store = memory();
    let (archive, tail) = filled(&store, 40).await;
    let base = base(&archive, 25, 26).await;
    archive.complete_base(&base, tail.archived()).await.expect("complete");
    for hidden in [1, 11, 21, 31] {
        store.show_all();
        store.unlist(&key(hidden));
        let reader = reader(&store).await;
        let plan = reader.plan(RestoreTarget::Latest).await.expect("a plan");
        assert_eq!(plan.target_lsn, Some(lsn(40)), "{hidden} is not listed");
        assert_eq!(plan.objects.len(), 2);
        let records = records(reader.batches(&plan)).await.expect("sound");
        assert_eq!(records, (25..=40).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_damaged_base_is_passed_over_with_a_warning() {
    let store = memory();
    let (archive, tail) = filled(&store, 40).await;
    for (redo, ceiling) in [(11, 12), (31, 32)] {
        let base = base(&archive, redo, ceiling).await;
        archive.complete_base(&base, tail.archived()).await.expect("complete");
    }
    let reader = reader(&store).await;
    let newest = reader.bases().await.expect("listed")[0];
    let damaged = crate::Layout::new(archive.writer().database_id).base(newest);
    store.show(&damaged, Some(bytes::Bytes::from_static(b"NDBBASEM torn")));
    let plan = reader.plan(RestoreTarget::Latest).await.expect("the older base serves");
    assert_eq!(plan.base.map(|base| base.ceiling_lsn), Some(lsn(12)));
    assert_eq!((plan.target_lsn, plan.warnings.len()), (Some(lsn(40)), 1));
}

#[tokio::test]
async fn history_goes_through_a_take_over_and_not_into_the_abandoned_fork() {
    let store = memory();
    let (archive, _) = filled(&store, 20).await;
    let twenty = archive.tail(None).await.expect("a tail");
    let mut old = twenty;
    let writer = take_over(&store, &archive, 21, twenty.chain()).await;
    // The old writer goes on in its own epoch, unaware.
    super::support::upload(&archive, &mut old, 30).await;
    let stale = base(&archive, 25, 26).await;
    archive.complete_base(&stale, old.archived()).await.expect("complete");
    let mut builder = LogObjectBuilder::new(writer, lsn(21), twenty.chain()).expect("a compressor");
    let mut new = batch(21, 22);
    new.body = vec![0xee; 16].into();
    builder.push(&new).expect("pushed");
    let object = builder.finish().expect("an object");
    store.create(object.key(), object.bytes().clone()).await.expect("created");

    let reader = reader(&store).await;
    assert_eq!(reader.bases().await.expect("listed"), [], "the base is of no history");
    let plan = reader.plan(RestoreTarget::Latest).await.expect("a plan");
    assert_eq!(plan.target_lsn, Some(lsn(22)));
    let mut batches = reader.batches(&plan);
    let mut last = None;
    while let Some(batch) = batches.next().await.expect("sound") {
        last = Some(batch);
    }
    assert_eq!(last, Some(new));
    let report = reader.verify(crate::VerifyLevel::Content).await.expect("read");
    assert!(report.is_sound() && report.records == 22, "{report:?}");
}

#[tokio::test]
async fn databases_are_discovered() {
    let store = memory();
    let empty = ArchiveReader::open(shared(&store), None).await;
    assert!(matches!(empty, Err(ColdError::NoArchive)));
    filled(&store, 5).await;
    assert_eq!(list_databases(&*store).await.expect("listed"), [super::support::DATABASE]);
    let second = crate::NewArchive {
        database_id: nodedb_types::DatabaseId::from_bytes([2; 16]),
        ..super::support::new_archive(1)
    };
    crate::Archive::init(shared(&store), second, super::support::session(1))
        .await
        .expect("two databases share a store");
    let several = ArchiveReader::open(shared(&store), None).await;
    assert!(matches!(several, Err(ColdError::Ambiguous { found }) if found.len() == 2));
    let named = ArchiveReader::open(shared(&store), Some(second.database_id)).await;
    assert_eq!(named.expect("named").database_id(), second.database_id);
}

#[tokio::test]
async fn an_archive_attached_later_needs_its_base() {
    let store = memory();
    let new = super::support::new_archive(101);
    let archive =
        crate::Archive::init(shared(&store), new, super::support::session(1)).await.expect("made");
    let mut tail = archive.tail(None).await.expect("a tail");
    assert_eq!(tail.archived(), Lsn::from_u64(100));
    let reader = ArchiveReader::open(shared(&store), None).await.expect("open");
    let error = reader.plan(RestoreTarget::Latest).await.expect_err("no base");
    assert!(matches!(error, ColdError::BeforeBeginning { oldest_lsn: None, .. }), "{error}");
    let base = base(&archive, 101, 100).await;
    archive.complete_base(&base, tail.archived()).await.expect("complete");
    super::support::upload(&archive, &mut tail, 110).await;
    let plan = reader.plan(RestoreTarget::Latest).await.expect("a plan");
    let records = records(reader.batches(&plan)).await.expect("sound");
    assert_eq!(records, (101..=110).collect::<Vec<_>>());
    let error = reader.plan(RestoreTarget::Lsn(lsn(99))).await.expect_err("too old");
    assert!(
        matches!(error, ColdError::BeforeBeginning { oldest_lsn, .. } if oldest_lsn == Some(lsn(100)))
    );
}
