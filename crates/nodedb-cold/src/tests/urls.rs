//! Addresses of archives.

use crate::{ColdError, Folder, open_store};
use bytes::Bytes;
use nodedb_env::Env;
use nodedb_types::ErrorKind;

#[test]
fn addresses_that_cannot_be_used_say_what_to_give() {
    let dir = tempfile::tempdir().expect("a directory");
    let missing = format!("file://{}/missing", dir.path().display());
    for (url, advice) in [
        ("/var/archive", "file:///absolute/path"),
        ("file://relative/path", "three slashes"),
        (missing.as_str(), "does not exist"),
        ("file:///dev/null", "is not a directory"),
        ("s3://bucket/prefix", "no cloud services"),
        ("ftp://host", "unknown scheme"),
        ("memory://", "give a name"),
    ] {
        let error = open_store(&Env::real(), url).expect_err(url);
        assert!(error.to_string().contains(advice), "{error}");
        assert!(matches!(error, ColdError::BadUrl { .. }));
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn both_stores_keep_the_same_contract() {
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("file://{}", dir.path().display());
    for url in [url.as_str(), "memory://contract"] {
        let store = open_store(&Env::real(), url).expect("a store");
        let folder = Folder::new("a/b").expect("a folder");
        let key = folder.object("x");
        assert_eq!(store.get(&key, 10).await.expect("read"), None, "{url}");
        assert_eq!(store.stat(&key).await.expect("read"), None);
        assert_eq!(store.get_range(&key, 0, 1).await.expect("read"), None);
        assert_eq!(store.list(&folder).await.expect("read"), crate::Listing::default());
        let first = store.create(&key, Bytes::from_static(b"first")).await;
        assert_eq!(first.expect("created"), crate::Created::New);
        let second = store.create(&key, Bytes::from_static(b"second")).await;
        assert_eq!(second.expect("not created"), crate::Created::Exists);
        let whole = store.get(&key, 5).await.expect("read");
        assert_eq!(whole.as_deref(), Some(b"first".as_slice()), "{url}");
        assert!(store.get(&key, 4).await.is_err(), "longer than allowed");
        for (offset, len, expected) in [(1, 3, "irs"), (3, 9, "st"), (5, 1, ""), (9, 1, "")] {
            let range = store.get_range(&key, offset, len).await.expect("read");
            assert_eq!(range.as_deref(), Some(expected.as_bytes()), "{url} {offset}");
        }
        assert_eq!(store.stat(&key).await.expect("read"), Some(5));
        let inner = folder.folder("c").object("y");
        store.create(&inner, Bytes::from_static(b"y")).await.expect("created");
        let listing = store.list(&folder).await.expect("listed");
        assert_eq!((listing.folders, listing.objects), (vec!["c".into()], vec!["x".into()]));
        let root = store.list(&Folder::root()).await.expect("listed");
        assert_eq!((root.folders, root.objects), (vec!["a".into()], vec![]), "{url}");
    }
}
