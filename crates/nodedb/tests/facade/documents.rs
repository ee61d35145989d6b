use crate::world::World;
use nodedb::{
    BatchOp, BatchOptions, CollectionKind, Database, Direction, Durability, Error, ErrorKind,
    Expect, IdempotencyId, ImportOptions, KeyRange, Metric, NewCollection, OnError, ScanOptions,
    SearchOptions, WriteOptions,
};
use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

fn notes(world: &World) -> (Database, nodedb::Collection) {
    let database = world.open(World::small());
    let new = NewCollection::named("notes").with_vector("v", 2, Metric::L2);
    database.create_collection(new).expect("created");
    let notes = database.collection("notes").expect("found");
    (database, notes)
}

#[test]
fn a_value_comes_back_digit_for_digit_and_member_for_member() {
    let world = World::new();
    let (_database, notes) = notes(&world);
    let json = br#"{ "z": 1.10, "a": 12345678901234567890123, "n": [ 1e5, -0.0 ], "t": " a  b " }"#;
    notes.put_raw("k", json, WriteOptions::default()).expect("put");
    let found = notes.get("k").expect("read").expect("there");
    let kept = r#"{"z":1.10,"a":12345678901234567890123,"n":[1e5,-0.0],"t":" a  b "}"#;
    assert_eq!(found.text().expect("text"), kept);
}

#[test]
fn expectations_hold_or_nothing_is_written() {
    let world = World::new();
    let (_database, notes) = notes(&world);
    let absent = WriteOptions { expect: Some(Expect::Absent), ..WriteOptions::default() };
    let first = notes.put_raw("k", b"1", absent).expect("absent");
    let error = notes.put_raw("k", b"2", absent).expect_err("there");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let seen = WriteOptions { expect: Some(Expect::Version(first.version)), ..absent };
    notes.put_raw("k", b"3", seen).expect("as seen");
    assert_eq!(notes.put_raw("k", b"4", seen).expect_err("stale").kind(), ErrorKind::Conflict);
    assert_eq!(notes.delete("k", seen).expect_err("stale").kind(), ErrorKind::Conflict);
    assert_eq!(notes.get("k").expect("read").expect("there").text().expect("text"), "3");
    notes.delete("k", WriteOptions::default()).expect("deleted");
    notes.put_raw("k", b"5", absent).expect("absent again");
}

/// P8: a version of another database never satisfies an expectation.
#[test]
fn a_version_of_another_history_is_refused() {
    let (world, other) = (World::new(), World::new());
    let (_database, notes) = notes(&world);
    let (_other_database, other) = self::notes(&other);
    let foreign = other.put("k", &1).expect("put").version;
    notes.put("k", &1).expect("put");
    let options = WriteOptions { expect: Some(Expect::Version(foreign)), ..Default::default() };
    let error = notes.put_raw("k", b"2", options).expect_err("foreign");
    assert_eq!(error.kind(), ErrorKind::WrongHistory);
}

#[test]
fn a_batch_is_all_or_nothing_over_vshards() {
    let world = World::new();
    let (database, notes) = notes(&world);
    let put = |key: u32, expect| BatchOp::Put {
        collection: "notes".to_owned(),
        key: key.to_string().into_bytes(),
        value: key.to_string().into_bytes(),
        expect,
    };
    let written =
        database.batch(&(0..40).map(|key| put(key, None)).collect::<Vec<_>>()).expect("written");
    assert_eq!(written.versions.len(), 40);
    for key in 0..40_usize {
        let found = notes.get(key.to_string()).expect("read").expect("there");
        assert_eq!(found.version, written.versions[key]);
    }
    let mut half = (40..60).map(|key| put(key, None)).collect::<Vec<_>>();
    half.push(put(7, Some(Expect::Absent)));
    assert_eq!(database.batch(&half).expect_err("conflict").kind(), ErrorKind::Conflict);
    assert_eq!(database.collections().expect("listed")[0].documents, 40);
    let twice = vec![put(1, None), put(1, None)];
    assert_eq!(database.batch(&twice).expect_err("twice").kind(), ErrorKind::InvalidInput);
    drop((notes, database));
    assert_eq!(world.reopen().collections().expect("listed")[0].documents, 40);
}

#[test]
fn scans_are_in_key_order_and_cursors_go_on() {
    let world = World::new();
    let (_database, notes) = notes(&world);
    for key in 0..300 {
        notes.put(format!("k{key:03}"), &serde_json::json!({"n": key})).expect("put");
    }
    let keys = |options| -> Vec<String> {
        let scan = notes.scan(options).expect("scanning");
        scan.map(|found| String::from_utf8(found.expect("read").key.to_vec()).expect("text"))
            .collect()
    };
    let all: Vec<String> = (0..300).map(|key| format!("k{key:03}")).collect();
    assert_eq!(keys(ScanOptions::default()), all);
    let prefix = ScanOptions { prefix: b"k12".to_vec(), ..ScanOptions::default() };
    assert_eq!(keys(prefix), all[120..130]);
    let filter = Some("n >= 10 AND n < 13".to_owned());
    assert_eq!(keys(ScanOptions { filter, ..ScanOptions::default() }), all[10..13]);
    let mut first = notes.scan(ScanOptions { limit: Some(100), ..ScanOptions::default() });
    let first = first.as_mut().expect("scanning");
    assert_eq!(first.by_ref().count(), 100);
    let cursor = first.cursor();
    assert!(cursor.is_some());
    assert_eq!(keys(ScanOptions { cursor, ..ScanOptions::default() }), all[100..]);
    let bad = ScanOptions { cursor: Some("zz".to_owned()), ..ScanOptions::default() };
    assert_eq!(notes.scan(bad).expect_err("bad").kind(), ErrorKind::InvalidInput);
}

#[test]
fn scans_go_both_ways_within_a_range_and_cursors_keep_their_direction() {
    let world = World::new();
    let (database, notes) = notes(&world);
    let other = database.create_collection(NewCollection::named("other")).expect("created");
    for key in 0..200 {
        notes.put(format!("k{key:03}"), &serde_json::json!({"n": key})).expect("put");
    }
    let keys = |scan: &mut nodedb::Scan| -> Vec<String> {
        scan.map(|found| String::from_utf8(found.expect("read").key.to_vec()).expect("text"))
            .collect()
    };
    let down = || ScanOptions {
        range: KeyRange::new("k050".."k150"),
        direction: Direction::Descending,
        limit: Some(30),
        ..ScanOptions::default()
    };
    let expected: Vec<String> = (50..150).rev().map(|key| format!("k{key:03}")).collect();
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let mut scan = notes.scan(ScanOptions { cursor, ..down() }).expect("scanning");
        found.extend(keys(&mut scan));
        cursor = scan.cursor();
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, expected);

    let mut scan = notes.scan(down()).expect("scanning");
    assert_eq!(keys(&mut scan).len(), 30);
    let cursor = scan.cursor();
    let up = ScanOptions { cursor: cursor.clone(), ..ScanOptions::default() };
    assert!(matches!(notes.scan(up), Err(Error::BadCursor { .. })));
    let elsewhere = database.collection(&other.name).expect("there");
    let foreign = ScanOptions { cursor, ..down() };
    assert!(matches!(elsewhere.scan(foreign), Err(Error::BadCursor { .. })));
}

fn put_all(notes: &nodedb::Collection, value: &[u8]) {
    for key in 0..2000 {
        notes.put_raw(format!("k{key:04}"), value, WriteOptions::default()).expect("put");
    }
}

/// P3: a scan sees one state, whatever is written and flushed under it.
#[test]
fn a_scan_reads_one_snapshot_while_others_write_and_flush() {
    let world = World::new();
    let (database, notes) = notes(&world);
    put_all(&notes, b"1");
    notes.put("k9999", &1).expect("put");
    let expected = notes.scan(ScanOptions::default()).expect("scanning").count();
    let mut scan = notes.scan(ScanOptions::default()).expect("scanning");
    let head: Vec<_> = scan.by_ref().take(10).collect::<Result<_, _>>().expect("read");
    put_all(&notes, b"2");
    notes.put("k00005", &"new").expect("put");
    let writer = thread::spawn(move || database.checkpoint(nodedb::CheckpointRequest::default()));
    let rest: Vec<_> = scan.collect::<Result<_, _>>().expect("read");
    assert_eq!(head.len() + rest.len(), expected);
    assert!(head.iter().chain(&rest).all(|found| &found.value[..] == b"1"));
    writer.join().expect("no panic").expect("checkpoint");
}

#[test]
fn search_answers_the_nearest_over_all_partitions() {
    let world = World::new();
    let (_database, notes) = notes(&world);
    for key in 0..100_u8 {
        let document = serde_json::json!({"v": [f32::from(key), 0.0], "odd": key % 2 == 1});
        notes.put([key], &document).expect("put");
    }
    notes.put("none", &serde_json::json!({"text": "no vector"})).expect("put");
    let keys = |options| -> Vec<u8> {
        let hits = notes.search(options).expect("searched");
        hits.iter().map(|hit| hit.document.key[0]).collect()
    };
    let near = SearchOptions::vector("v", vec![40.2, 0.0]).with_k(3);
    assert_eq!(keys(near.clone()), [40, 41, 39]);
    assert_eq!(keys(near.with_filter("odd = true")), [41, 39, 43]);
    assert_eq!(keys(SearchOptions::like("v", [7]).with_k(1)), [7]);
    notes.delete([40], WriteOptions::default()).expect("deleted");
    assert_eq!(keys(SearchOptions::vector("v", vec![40.2, 0.0]).with_k(1)), [41]);
    for (options, kind) in [
        (SearchOptions::vector("v", vec![1.0]), ErrorKind::InvalidInput),
        (SearchOptions::vector("v", vec![f32::NAN, 0.0]), ErrorKind::InvalidInput),
        (SearchOptions::vector("w", vec![1.0, 0.0]), ErrorKind::NotFound),
        (SearchOptions::like("v", "none"), ErrorKind::NotFound),
        (SearchOptions::like("v", "missing"), ErrorKind::NotFound),
        (SearchOptions::vector("v", vec![1.0, 0.0]).with_k(0), ErrorKind::InvalidInput),
    ] {
        assert_eq!(notes.search(options.clone()).expect_err("refused").kind(), kind, "{options:?}");
    }
}

#[test]
fn bad_input_is_refused_before_anything_is_logged() {
    let world = World::new();
    let (database, notes) = notes(&world);
    let before = database.status().expect("status").durable_lsn;
    let huge = format!("\"{}\"", "x".repeat(17 << 20));
    for (key, value) in [
        ("", "1"),
        (&"k".repeat(1025)[..], "1"),
        ("k", ""),
        ("k", "{"),
        ("k", "{\"v\":[1]}"),
        ("k", "{\"v\":[1,1e999]}"),
        ("k", "{\"v\":\"text\"}"),
        ("k", huge.as_str()),
    ] {
        let error = notes.put_raw(key, value.as_bytes(), WriteOptions::default());
        assert_eq!(error.expect_err("refused").kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(database.collection("nope").expect_err("none").kind(), ErrorKind::NotFound);
    assert_eq!(database.status().expect("status").durable_lsn, before);
}

#[test]
fn a_dropped_collection_is_gone_and_its_name_is_free() {
    let world = World::new();
    let (database, notes) = notes(&world);
    notes.put("k", &1).expect("put");
    database.drop_collection("notes").expect("dropped");
    assert_eq!(notes.put("k", &2).expect_err("gone").kind(), ErrorKind::NotFound);
    database.create_collection(NewCollection::named("notes")).expect("created");
    let again = database.collection("notes").expect("found");
    assert!(again.get("k").expect("read").is_none(), "nothing is resurrected");
    drop((notes, again, database));
    let database = world.reopen();
    assert!(database.collection("notes").expect("found").get("k").expect("read").is_none());
}

#[test]
fn one_tenant_never_sees_the_rows_of_another() {
    let world = World::new();
    let (database, notes) = notes(&world);
    notes.put("k", &"default").expect("put");
    assert_eq!(
        database
            .tenant(Some("acme"))
            .expect("a name")
            .collection("notes")
            .expect_err("none")
            .kind(),
        ErrorKind::NotFound
    );
    let acme = database.tenant(Some("acme")).expect("a name");
    acme.create_collection(NewCollection::named("notes")).expect("created");
    let theirs = acme.collection("notes").expect("found");
    assert!(theirs.get("k").expect("read").is_none());
    theirs.put("k", &"acme").expect("put");
    assert_eq!(theirs.scan(ScanOptions::default()).expect("scanning").count(), 1);
    let mine = notes.get("k").expect("read").expect("there");
    assert_eq!(mine.text().expect("text"), "\"default\"");
}

#[test]
fn imports_name_the_bad_line_and_lose_nothing() {
    let world = World::new();
    let (_database, notes) = notes(&world);
    let lines = "{\"id\":1}\n\n{\"id\":2}\n{\"id\":3\n{\"id\":4}\n{\"no\":5}\n";
    let mut options = ImportOptions::keyed_by("id");
    let error = notes.import(lines.as_bytes(), &options, &mut |_| ()).expect_err("line 4");
    assert!(error.to_string().starts_with("line 4 "), "{error}");
    assert_eq!(notes.scan(ScanOptions::default()).expect("scanning").count(), 2);
    options.on_error = OnError::Skip;
    let report = notes.import(lines.as_bytes(), &options, &mut |_| ()).expect("imported");
    assert_eq!((report.imported, report.skipped), (3, 2));
    assert_eq!(report.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [4, 6]);
}

#[test]
fn deleting_by_filter_removes_what_matches() {
    let world = World::new();
    let (_database, notes) = notes(&world);
    for key in 0..500 {
        notes.put(format!("{key}"), &serde_json::json!({"n": key})).expect("put");
    }
    let deleted = notes.delete_where("n < 300").expect("deleted");
    assert_eq!(deleted.count, 300);
    assert_eq!(notes.scan(ScanOptions::default()).expect("scanning").count(), 200);
    assert_eq!(notes.delete_where("n < 300").expect("deleted").count, 0);
}

/// P6: a write acknowledged at a weaker level is seen by the next strong read.
#[test]
fn a_strong_read_sees_a_buffered_write() {
    let world = World::new();
    let (_database, notes) = notes(&world);
    for round in 0..20 {
        let durability = Some(Durability::Buffered);
        let options = WriteOptions { durability, ..WriteOptions::default() };
        let text = round.to_string();
        let written = notes.put_raw("k", text.as_bytes(), options).expect("put");
        let found = notes.get("k").expect("read").expect("there");
        assert_eq!((found.version, found.text().expect("text")), (written.version, &text[..]));
    }
}

#[test]
fn bytes_collections_keep_any_bytes() {
    let world = World::new();
    let database = world.open(World::small());
    let new = NewCollection::named("blobs").with_kind(CollectionKind::Bytes);
    database.create_collection(new).expect("created");
    let blobs = database.collection("blobs").expect("found");
    let value = [0, 255, 10, 0];
    blobs.put_raw([0_u8, 1], &value, WriteOptions::default()).expect("put");
    assert_eq!(blobs.get([0_u8, 1]).expect("read").expect("there").value, value[..]);
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The greatest value, also with the log record around it, and one byte more.
#[test]
fn a_value_may_have_16_mib_and_not_a_byte_more() {
    let world = World::new();
    let database = world.open(nodedb::CreateOptions { vshards: 1, ..Default::default() });
    let texts = NewCollection::named("texts").with_index(nodedb::NewIndex::field("a"));
    let bytes = NewCollection::named("bytes").with_kind(CollectionKind::Bytes);
    for new in [texts, bytes] {
        let name = new.name.clone();
        database.create_collection(new).expect("created");
        let collection = database.collection(&name).expect("found");
        let value = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2)).into_bytes();
        let put = |key: &str, bytes| {
            collection.put_raw(key, &value(bytes), WriteOptions::default()).map(drop)
        };
        put("k", 16 << 20).expect("put");
        let refused = put("k", (16 << 20) + 1).expect_err("a byte more");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        let found = collection.get("k").expect("read").expect("there");
        assert!(found.value == value(16 << 20), "the value is what was put");
        let rows = collection.scan(ScanOptions::default()).expect("a scan");
        let lengths: Vec<_> = rows.map(|row| row.expect("a row").value.len()).collect();
        assert_eq!(lengths, [16 << 20]);
    }
    drop(database);
    let database = world.reopen();
    let texts = database.collection("texts").expect("found");
    assert_eq!(texts.get("k").expect("read").expect("there").value.len(), 16 << 20);
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn futures_need_no_runtime_of_the_callers() {
    let world = World::new();
    let (_database, notes) = notes(&world);
    block_on(async {
        let writes: Vec<_> = (0..100)
            .map(|key| notes.put_async(key.to_string(), b"1", WriteOptions::default()))
            .collect::<Result<_, _>>()
            .expect("sent");
        for write in writes {
            write.await.expect("written");
        }
        let found = notes.get_async("99").expect("sent").await.expect("read");
        assert!(found.is_some());
    });
}

#[test]
fn a_put_lasts_as_long_as_it_says() {
    let world = World::new();
    let (_database, notes) = notes(&world);
    let lasting = |ms| WriteOptions { ttl: Some(Duration::from_millis(ms)), ..Default::default() };
    notes.put_raw("long", br#"{"v":[1,2]}"#, lasting(3_600_000)).expect("put");
    notes.put_raw("short", br#"{"v":[1,2]}"#, lasting(1)).expect("put");
    while notes.get("short").expect("read").is_some() {
        thread::yield_now();
    }
    let keys: Vec<_> = notes.scan(ScanOptions::default()).expect("a scan").collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].as_ref().expect("a row").key, "long");
    let hits = notes.search(SearchOptions::vector("v", vec![1.0, 2.0])).expect("hits");
    assert_eq!(hits.len(), 1);
    let absent = WriteOptions { expect: Some(Expect::Absent), ..lasting(3_600_000) };
    notes.put_raw("short", b"{}", absent).expect("what has expired is not there");
    for wrong in [0, 36_501 * 24 * 3_600_000] {
        let error = notes.put_raw("k", b"1", lasting(wrong)).expect_err("no life");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

/// P5: a retry is answered as its first run was, also after a reopen and whatever others did since.
#[test]
fn a_named_write_is_done_once() {
    let world = World::new();
    let (database, notes) = notes(&world);
    let id = |name| Some(IdempotencyId::new(name).expect("a good name"));
    let named = WriteOptions { idempotency: id("order-17"), ..WriteOptions::default() };
    let first = notes.put_raw("a", b"1", named).expect("put");
    notes.put_raw("a", b"2", WriteOptions::default()).expect("another's");
    assert_eq!(notes.put_raw("a", b"1", named).expect("answered"), first);
    assert_eq!(notes.get("a").expect("read").expect("there").text().expect("text"), "2");
    let other = notes.put_raw("a", b"3", named).expect_err("another payload");
    assert_eq!(other.kind(), ErrorKind::Conflict);
    let old = WriteOptions { idempotency: id("1000000000000:order"), ..named };
    let error = notes.put_raw("a", b"1", old).expect_err("older than what is remembered");
    assert_eq!(error.kind(), ErrorKind::IdempotencyExpired);
    let batch: Vec<_> = (0..10_u32)
        .map(|key| BatchOp::Put {
            collection: "notes".to_owned(),
            key: key.to_string().into_bytes(),
            value: b"{}".to_vec(),
            expect: None,
        })
        .collect();
    let options = BatchOptions { idempotency: id("batch") };
    let tenant = database.tenant(None).expect("the default one");
    let written = tenant.batch_with(&batch, options).expect("written");
    drop((notes, tenant));
    database.close().expect("closed");
    let database = world.reopen();
    let tenant = database.tenant(None).expect("the default one");
    assert_eq!(tenant.batch_with(&batch, options).expect("answered"), written);
    let notes = database.collection("notes").expect("found");
    assert_eq!(notes.put_raw("a", b"1", named).expect("answered"), first);
}

/// A batch whose delete met no key was written without it, and answered as an internal error: whoever
/// believed the refusal had its puts in the database all the same.
#[test]
fn a_batch_with_a_delete_of_a_missing_key_writes_nothing() -> Result<(), Error> {
    let world = World::new();
    let database = world.open(World::small());
    let tenant = database.tenant(None)?;
    tenant.create_collection(NewCollection::named("c"))?;
    let documents = tenant.collection("c")?;
    let version = documents.put("old", &1)?.version;
    let put = |key: &str| BatchOp::Put {
        collection: "c".to_owned(),
        key: key.into(),
        value: b"1".to_vec(),
        expect: None,
    };
    let delete =
        |key: &str, expect| BatchOp::Delete { collection: "c".to_owned(), key: key.into(), expect };
    let durable = database.status()?.durable_lsn;
    for missing in ["m0", "m1", "m2", "m3"] {
        let refused = tenant.batch(&[put("k"), delete(missing, None)]).expect_err("not there");
        assert!(matches!(&refused, Error::NoDocument { key, .. } if key == missing), "{refused}");
        let only = tenant.batch(&[delete(missing, None)]).expect_err("not there");
        assert_eq!(only.kind(), ErrorKind::NotFound);
        let expected = delete(missing, Some(Expect::Version(version)));
        let refused = tenant.batch(&[put("k"), expected]).expect_err("not there");
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        let absent = delete(missing, Some(Expect::Absent));
        let refused = tenant.batch(&[put("k"), absent]).expect_err("it makes no sense");
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(database.status()?.durable_lsn, durable, "nothing was logged");
    assert!(documents.get("k")?.is_none());
    tenant.batch(&[put("k"), delete("old", Some(Expect::Version(version)))])?;
    assert_eq!(documents.count(None)?, 1);
    Ok(())
}
