//! Who may write.

use super::support::{
    DATABASE, INCARNATION, batch, filled, init, lsn, memory, new_archive, session,
};
use crate::{
    Archive, ColdError, EpochRecord, Layout, LogObjectBuilder, NewArchive, Nonce, ObjectHash,
    ObjectStore, Session, WriterEpoch, WriterIdentity, testing::CreateFault, testing::FaultyStore,
};
use nodedb_types::{ErrorKind, Incarnation};
use std::sync::Arc;
use tokio::task::JoinSet;

fn shared(store: &Arc<FaultyStore>) -> Arc<dyn ObjectStore> {
    Arc::<FaultyStore>::clone(store)
}

#[tokio::test]
async fn init_can_be_repeated_by_its_writer_only() {
    let store = memory();
    init(&store).await;
    let later =
        NewArchive { vshards: 8, segment_bytes: 1 << 20, created_ms: 2000, ..new_archive(1) };
    let again = Archive::init(shared(&store), later, session(1)).await;
    assert!(again.is_ok(), "the same writer after a crash: {again:?}");
    let other = NewArchive { nonce: Nonce::from_bytes([8; 16]), ..new_archive(1) };
    let error = Archive::init(shared(&store), other, session(1)).await;
    let error = error.expect_err("another writer");
    assert!(matches!(error, ColdError::AlreadyExists { .. }), "{error}");
    let other = NewArchive { incarnation: Incarnation::from_bytes([9; 16]), ..new_archive(1) };
    let error = Archive::init(shared(&store), other, session(1)).await;
    let error = error.expect_err("another history");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(super::support::reader(&store).await.incarnation(), INCARNATION);
}

#[tokio::test]
async fn init_survives_a_fault_at_each_create() {
    for fault in [CreateFault::Refused, CreateFault::AnswerLost] {
        for nth in 0..6 {
            let store = memory();
            // The faults before the nth are lost answers, which cost nothing.
            for _ in 0..nth {
                store.fail_next_create(CreateFault::AnswerLost);
            }
            store.fail_next_create(fault);
            let mut archive = None;
            for _ in 0..8 {
                match Archive::init(shared(&store), new_archive(1), session(1)).await {
                    Ok(done) => archive = Some(done),
                    Err(error) => assert!(error.is_temporary(), "{error}"),
                }
            }
            let archive = archive.expect("a repeated init succeeds");
            assert_eq!(archive.writer(), new_archive(1).writer());
        }
    }
}

#[tokio::test]
async fn a_store_that_overwrites_is_refused() {
    let store = memory();
    store.ignore_conditions();
    let error = Archive::init(shared(&store), new_archive(1), session(1)).await;
    let error = error.expect_err("two creates won");
    assert!(matches!(error, ColdError::NotConditional), "{error}");
}

#[tokio::test]
async fn a_copied_directory_is_found_by_its_nonce() {
    let store = memory();
    let archive = init(&store).await;
    let writer = archive.writer();
    let original = Archive::attach(shared(&store), writer, session(2)).await;
    assert!(original.is_ok());
    let again = Archive::attach(shared(&store), writer, session(2)).await;
    assert!(again.is_ok(), "the same open, whose answer was lost");
    let copy = Session { nonce: Nonce::from_bytes([0xcc; 16]), ..session(2) };
    let error = Archive::attach(shared(&store), writer, copy).await;
    let error = error.expect_err("the copy opens under the same number");
    assert!(matches!(error, ColdError::CopiedDirectory { .. }), "{error}");
}

#[tokio::test]
async fn a_writer_is_fenced_by_another_nonce_or_a_later_epoch() {
    let store = memory();
    let archive = init(&store).await;
    let stranger = WriterIdentity { nonce: Nonce::from_bytes([8; 16]), ..archive.writer() };
    let error = Archive::attach(shared(&store), stranger, session(2)).await;
    assert_eq!(error.expect_err("not ours").kind(), ErrorKind::Fenced);
    let by = take_over(&store, &archive, 1, ObjectHash::ZERO).await;
    let error = Archive::attach(shared(&store), archive.writer(), session(2)).await;
    let error = error.expect_err("taken over");
    assert!(matches!(error, ColdError::Fenced { by: found } if found == by.writer_epoch));
    let error = archive.check_not_fenced().await.expect_err("taken over");
    assert_eq!(error.kind(), ErrorKind::Fenced);
}

/// Writes the epoch object of a second writer, as a take-over does.
pub(super) async fn take_over(
    store: &Arc<FaultyStore>,
    old: &Archive,
    start: u64,
    chain: ObjectHash,
) -> WriterIdentity {
    let writer = WriterIdentity {
        writer_epoch: WriterEpoch::FIRST.next().expect("a second epoch"),
        nonce: Nonce::from_bytes([0x22; 16]),
        ..old.writer()
    };
    let record = EpochRecord {
        writer,
        parent: Some(WriterEpoch::FIRST),
        start_lsn: lsn(start),
        chain,
        taken_ms: 5000,
    };
    let key = Layout::new(DATABASE).epoch(writer.writer_epoch);
    store.create(&key, record.encode()).await.expect("created");
    writer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_racing_writers_one_wins_each_name() {
    let store = memory();
    let (archive, tail) = filled(&store, 10).await;
    let mut tails = [tail, tail];
    for round in 0..200_u64 {
        let first = 11 + round;
        let mut racers = JoinSet::new();
        for (side, tail) in tails.iter().enumerate() {
            let mut builder = LogObjectBuilder::new(archive.writer(), lsn(first), tail.chain())
                .expect("a compressor");
            let mut batch = batch(first, first);
            batch.body = vec![u8::try_from(side).expect("small"); 64].into();
            builder.push(&batch).expect("pushed");
            let object = builder.finish().expect("an object");
            let archive = archive.clone();
            racers.spawn(async move { (side, archive.upload_log(&object).await) });
        }
        let (won, lost): (Vec<_>, Vec<_>) =
            racers.join_all().await.into_iter().partition(|(_, result)| result.is_ok());
        assert_eq!((won.len(), lost.len()), (1, 1), "round {round}");
        let lost = lost.into_iter().map(|(_, result)| result);
        for result in lost {
            let error = result.expect_err("it lost");
            assert!(matches!(error, ColdError::Diverged { .. }), "{error}");
        }
        for (_, result) in won {
            let receipt = result.expect("it won");
            tails[0].advance(&receipt).expect("in order");
            tails[1] = tails[0];
        }
    }
    assert_eq!(archive.tail(None).await.expect("a tail"), tails[0]);
}
