//! The store in a directory, with the power cut at every operation.

use super::support::{batch, lsn, new_archive, session};
use crate::{
    Archive, Created, DirectoryStore, Folder, LogObjectBuilder, ObjectKey, ObjectStore, StoreError,
};
use bytes::Bytes;
use nodedb_env::{Env, Files, RealFiles};
use nodedb_testkit::SimFiles;
use nodedb_types::ErrorKind;
use std::{path::Path, sync::Arc};
use tokio::task::JoinSet;

const ROOT: &str = "/archive";
const WHOLE: &[u8] = &[0xab; 5000];

fn disk(seed: u64) -> SimFiles {
    let disk = SimFiles::new(seed);
    disk.plant_dir(ROOT);
    disk
}

fn store(disk: &SimFiles) -> DirectoryStore {
    DirectoryStore::new(disk.env(), Path::new(ROOT))
}

fn key() -> ObjectKey {
    Folder::new("wal/00000001").expect("a folder").object("x.seg")
}

async fn create(disk: &SimFiles, bytes: &'static [u8]) -> Result<Created, StoreError> {
    store(disk).create(&key(), Bytes::from_static(bytes)).await
}

async fn read(disk: &SimFiles) -> Option<Bytes> {
    store(disk).get(&key(), 1 << 20).await.expect("readable")
}

#[tokio::test]
async fn a_power_cut_at_every_operation_leaves_the_object_whole_or_absent() {
    let mut crashed = 0;
    for seed in 0..20 {
        for after in 0..40 {
            let disk = disk(seed * 100 + after);
            disk.crash_after(after);
            let result = create(&disk, WHOLE).await;
            crashed += u32::from(result.is_err());
            for image in [disk.crash(), disk.crash_losing_all(), disk.crash_keeping_all()] {
                let found = read(&image).await;
                assert!(
                    found.as_deref().is_none_or(|found| found == WHOLE),
                    "torn after {after} operations"
                );
                if result.is_ok() {
                    assert!(found.is_some(), "acknowledged and lost after {after} operations");
                }
                // Whoever comes next learns the truth, and then it stays.
                let expected = if found.is_some() { Created::Exists } else { Created::New };
                let next = create(&image, b"second").await.expect("the disk is well");
                assert_eq!(next, expected);
                let last = read(&image.crash_losing_all()).await;
                let kept = found.unwrap_or(Bytes::from_static(b"second"));
                assert_eq!(last, Some(kept), "two winners after {after} operations");
            }
        }
    }
    assert!(crashed > 100, "the cuts hit nothing: {crashed}");
}

#[tokio::test]
async fn a_tail_that_was_read_survives_a_power_cut() {
    for after in 0..120 {
        let disk = disk(after);
        let shared = |disk: &SimFiles| -> Arc<dyn ObjectStore> { Arc::new(store(disk)) };
        let archive = Archive::init(shared(&disk), new_archive(1), session(1)).await;
        let archive = archive.expect("made");
        disk.crash_after(after);
        let writer = archive.writer();
        let mut chain = crate::ObjectHash::ZERO;
        for first in 1..=4 {
            let mut builder = LogObjectBuilder::new(writer, lsn(first), chain).expect("new");
            builder.push(&batch(first, first)).expect("pushed");
            let object = builder.finish().expect("an object");
            chain = object.hash();
            if archive.upload_log(&object).await.is_err() {
                break;
            }
        }
        // The process is killed: what it had not synced is readable, and not durable.
        let killed = disk.crash_keeping_all();
        let again = Archive::attach(shared(&killed), writer, session(2)).await;
        let tail = again.expect("attached").tail(None).await.expect("a tail");
        let cut = killed.crash_losing_all();
        let again = Archive::attach(shared(&cut), writer, session(3)).await;
        let after_cut = again.expect("attached").tail(None).await.expect("a tail");
        assert_eq!(after_cut, tail, "killed after {after} operations");
    }
}

#[tokio::test]
async fn after_a_failed_sync_of_a_directory_nothing_more_is_promised() {
    for nth in 1..=3 {
        let disk = disk(nth);
        let store = store(&disk);
        disk.fail_dir_sync(nth);
        let bytes = Bytes::from_static(WHOLE);
        let first = store.create(&key(), bytes.clone()).await;
        assert!(first.is_err(), "sync {nth} failed");
        let second = store.create(&key(), bytes).await;
        assert!(second.is_err(), "a second sync would say that all is well");
    }
}

#[tokio::test]
async fn a_failed_write_or_sync_leaves_nothing_and_can_be_repeated() {
    let disk = disk(1);
    let store = store(&disk);
    disk.fail_write(1);
    assert!(store.create(&key(), Bytes::from_static(WHOLE)).await.is_err());
    disk.fail_sync(1);
    assert!(store.create(&key(), Bytes::from_static(WHOLE)).await.is_err());
    disk.set_quota(Some(100));
    let full = store.create(&key(), Bytes::from_static(WHOLE)).await;
    assert_eq!(full.expect_err("full").kind(), ErrorKind::NoSpace);
    assert_eq!(read(&disk).await, None);
    disk.set_quota(None);
    let created = store.create(&key(), Bytes::from_static(WHOLE)).await;
    assert_eq!(created.expect("well again"), Created::New);
    assert_eq!(read(&disk.crash_losing_all()).await.as_deref(), Some(WHOLE));
}

#[tokio::test]
async fn what_dead_processes_left_is_swept_and_the_living_are_left_alone() {
    let disk = disk(3);
    disk.plant("/archive/.staging/dead/1", b"half an object");
    let living = store(&disk);
    living.create(&key(), Bytes::from_static(WHOLE)).await.expect("created");
    let staged = |disk: &SimFiles| {
        let entries = disk.list(Path::new("/archive/.staging")).expect("listed");
        entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>()
    };
    let before = staged(&disk);
    assert!(before.len() == 1 && before[0] != "dead", "{before:?}");
    create(&disk, b"second").await.expect("answered");
    assert_eq!(staged(&disk), before, "the second store has come and gone");
    let inner = Folder::root().object("y");
    let created = living.create(&inner, Bytes::from_static(b"y")).await;
    assert_eq!(created.expect("still alive"), Created::New);
    let root = living.list(&Folder::root()).await.expect("listed");
    assert_eq!(root.folders, ["wal"], "staging is no folder of objects");
}

#[tokio::test]
async fn reading_changes_nothing() {
    let disk = disk(4);
    create(&disk, WHOLE).await.expect("created");
    let before = disk.snapshot();
    let store = store(&disk);
    store.get(&key(), 1 << 20).await.expect("read");
    store.list(&Folder::root()).await.expect("listed");
    store.stat(&key()).await.expect("looked");
    drop(store);
    assert_eq!(disk.snapshot().differences(&before), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_racers_on_a_real_disk_one_wins() {
    let dir = tempfile::tempdir().expect("a directory");
    // Two handles, as two processes have.
    let stores = [0, 1].map(|_| Arc::new(DirectoryStore::new(Env::real(), dir.path())));
    for round in 0..60_u32 {
        let key = Folder::root().folder("race").object(&round.to_string());
        let mut racers = JoinSet::new();
        for racer in 0..8_u8 {
            let store = Arc::clone(&stores[usize::from(racer % 2)]);
            let key = key.clone();
            racers.spawn(async move {
                let bytes = Bytes::from(vec![racer; 300]);
                (racer, store.create(&key, bytes).await.expect("an answer"))
            });
        }
        let answers = racers.join_all().await;
        let won: Vec<_> = answers.iter().filter(|(_, created)| *created == Created::New).collect();
        assert_eq!(won.len(), 1, "round {round}");
        let found = stores[0].get(&key, 1000).await.expect("read").expect("there");
        assert_eq!(*found, vec![won[0].0; 300]);
    }
    drop(stores);
    let left = RealFiles.list(&dir.path().join(".staging")).expect("listed");
    assert_eq!(left, [], "staging is cleared when a store is dropped");
}
