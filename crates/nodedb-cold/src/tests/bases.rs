//! Base images are complete, sound, and lead nowhere else.

use super::support::{base, filled, lsn, memory, reader};
use crate::{BaseManifest, BasePath, ColdError, Created, FormatError, Layout};
use nodedb_env::{Env, Files};
use nodedb_types::ErrorKind;
use std::sync::Arc;

#[tokio::test]
async fn a_base_is_not_completed_before_its_log_is_archived() {
    let store = memory();
    let (archive, tail) = filled(&store, 10).await;
    let above = base(&archive, 5, 11).await;
    let error = archive.complete_base(&above, tail.archived()).await;
    let error = error.expect_err("record 11 is not archived");
    assert!(matches!(error, ColdError::BaseAboveArchive { .. }), "{error}");
    let error = archive.complete_base(&above, None).await;
    assert!(error.is_err(), "nothing is archived");
    assert_eq!(reader(&store).await.bases().await.expect("listed"), []);
    let at = base(&archive, 5, 10).await;
    let done = archive.complete_base(&at, tail.archived()).await;
    assert_eq!(done.expect("complete").created, Created::New);
    assert_eq!(reader(&store).await.bases().await.expect("listed"), [at.id()]);
}

#[tokio::test]
async fn completing_again_is_no_error_and_changes_nothing() {
    let store = memory();
    let (archive, tail) = filled(&store, 10).await;
    let first = base(&archive, 5, 10).await;
    let second = base(&archive, 7, 10).await;
    archive.complete_base(&first, tail.archived()).await.expect("complete");
    let again = archive.complete_base(&second, tail.archived()).await;
    assert_eq!(again.expect("there is one").created, Created::Exists);
    let found = reader(&store).await.base(first.id()).await.expect("sound");
    assert_eq!(found, first);
}

#[tokio::test]
async fn a_base_without_one_of_its_parts_is_not_completed() {
    let store = memory();
    let (archive, tail) = filled(&store, 10).await;
    let base = base(&archive, 5, 10).await;
    let part = base.files[0].parts[0];
    let key = Layout::new(base.database_id).part(part.hash());
    store.show(&key, None);
    let error = archive.complete_base(&base, tail.archived()).await;
    assert!(matches!(error, Err(ColdError::Missing { .. })), "{error:?}");
    store.show(&key, Some(bytes::Bytes::from_static(b"short")));
    let error = archive.complete_base(&base, tail.archived()).await;
    assert_eq!(error.expect_err("short").kind(), ErrorKind::Corrupt);
    store.show_all();
    assert!(archive.complete_base(&base, tail.archived()).await.is_ok());
}

#[tokio::test]
async fn files_come_back_as_they_were() {
    let store = memory();
    let (archive, tail) = filled(&store, 10).await;
    let base = base(&archive, 5, 10).await;
    archive.complete_base(&base, tail.archived()).await.expect("complete");
    let dir = tempfile::tempdir().expect("a directory");
    let files: Arc<dyn Files> = Env::real().files;
    let reader = reader(&store).await;
    let restored = reader.fetch_base(&base, Arc::clone(&files), dir.path());
    restored.await.expect("restored");
    let read = |path: &str| files.read(&dir.path().join(path)).expect("a file");
    assert_eq!(read("v0001/docs/tables/1"), b"state at 10unchanged");
    assert_eq!(read("v0001/manifest"), b"unchanged");
    assert_eq!(read("catalog"), b"");
    let again = reader.fetch_base(&base, files, dir.path()).await;
    assert!(matches!(again, Err(ColdError::Local { .. })), "never over files that are there");
}

#[tokio::test]
async fn a_damaged_part_is_never_restored() {
    let store = memory();
    let (archive, _) = filled(&store, 10).await;
    let base = base(&archive, 5, 10).await;
    let part = base.files[0].parts[0];
    let key = Layout::new(base.database_id).part(part.hash());
    store.show(&key, Some(bytes::Bytes::from_static(b"state at 11")));
    let reader = reader(&store).await;
    let error = reader.fetch_part(&part).await.expect_err("other bytes");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    store.show(&key, None);
    let error = reader.fetch_part(&part).await.expect_err("no bytes");
    assert!(matches!(error, ColdError::Missing { .. }));
}

#[tokio::test]
async fn every_flipped_bit_and_truncation_of_a_manifest_is_found() {
    let store = memory();
    let (archive, _) = filled(&store, 10).await;
    let base = base(&archive, 5, 10).await;
    let bytes = base.encode().expect("sound");
    assert_eq!(BaseManifest::decode(&bytes), Ok(base));
    for at in 0..bytes.len() * 8 {
        let mut damaged = bytes.to_vec();
        damaged[at / 8] ^= 1 << (at % 8);
        assert!(BaseManifest::decode(&damaged).is_err(), "bit {at}");
    }
    for len in 0..bytes.len() {
        assert!(BaseManifest::decode(&bytes[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn no_path_leads_out_of_the_directory() {
    for bad in [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        ".",
        "a/./b",
        "a b",
        "a\\b",
        "a\0",
        "\u{e9}",
    ] {
        assert!(matches!(BasePath::new(bad), Err(FormatError::Path { .. })), "{bad:?}");
    }
    for good in ["CONTROL", "v0001/docs/MANIFEST", ".hidden", "a..b"] {
        assert!(BasePath::new(good).is_ok(), "{good}");
    }
    assert!(BasePath::new(&"a".repeat(255)).is_ok());
    assert!(BasePath::new(&"a".repeat(256)).is_err());
}

#[tokio::test]
async fn a_sealed_manifest_with_a_hostile_path_is_refused() {
    let store = memory();
    let (archive, _) = filled(&store, 10).await;
    let base = base(&archive, 5, 10).await;
    let bytes = base.encode().expect("sound");
    for (good, hostile) in [("v0001/manifest", "../../manifest"), ("catalog", "/catalo")] {
        let body = &bytes[16..bytes.len() - 32];
        let at = body
            .windows(good.len())
            .position(|window| window == good.as_bytes())
            .expect("the path is there");
        let mut body = body.to_vec();
        body[at..at + good.len()].copy_from_slice(hostile.as_bytes());
        let envelope = crate::record::Envelope { magic: *b"NDBBASEM", version: 1 };
        let sealed = crate::record::seal(envelope, &body);
        let found = BaseManifest::decode(&sealed);
        assert!(matches!(found, Err(FormatError::Path { .. })), "{found:?}");
    }
}

#[tokio::test]
async fn a_manifest_that_contradicts_itself_is_not_written() {
    let store = memory();
    let (archive, tail) = filled(&store, 10).await;
    let sound = base(&archive, 5, 10).await;
    let change: [fn(&mut BaseManifest); 6] = [
        |base| base.redo_lsn = lsn(12),
        |base| base.redo_lsn = lsn(6),
        |base| base.floors[0].effective = Some(lsn(11)),
        |base| base.floors[0].proven = Some(lsn(9)),
        |base| base.vshards = 1,
        |base| base.files.push(base.files[0].clone()),
    ];
    for (index, change) in change.iter().enumerate() {
        let mut base = sound.clone();
        change(&mut base);
        let result = archive.complete_base(&base, tail.archived()).await;
        assert!(matches!(result, Err(ColdError::BadBase { .. })), "{index}: {result:?}");
    }
    assert!(archive.complete_base(&sound, tail.archived()).await.is_ok());
}
