//! CRDT documents.

use super::world::{DRAWINGS, NOTES, World, at, delete, get, options, put, text, value, vshard};
use crate::{Consistency, DataError, Exported, Merged, Op, Outcome, Scan, Write};
use bytes::Bytes;
use nodedb_crdt::{CrdtDocument, CrdtError, CrdtLimits};
use nodedb_engine::{RecordKind, Redo};
use nodedb_types::{CollectionId, Durability, ErrorKind};
use nodedb_wal::ReadLimit;

fn edit(document: &mut CrdtDocument, text: &str) -> Bytes {
    let update = document.edit(1, |doc| doc.get_text("t").insert(0, text));
    let update = update.expect("an edit");
    document.import(&update).expect("an import");
    update.into()
}

fn merge_op(update: Bytes) -> Op {
    Op::CrdtMerge {
        collection: DRAWINGS,
        key: Bytes::from_static(b"d"),
        update,
        durability: Durability::Sync,
    }
}

fn merge(world: &World, update: Bytes) -> Merged {
    match world.ask(vshard(0), merge_op(update)).expect("a merge") {
        Outcome::Merged(merged) => merged,
        other => panic!("{other:?}"),
    }
}

fn export(world: &World, since: Option<Vec<u8>>) -> Option<Exported> {
    let op = Op::CrdtExport { collection: DRAWINGS, key: Bytes::from_static(b"d"), since };
    match world.ask(vshard(0), op).expect("an export") {
        Outcome::Exported(exported) => exported,
        other => panic!("{other:?}"),
    }
}

fn json(world: &World) -> Option<String> {
    let op = get(DRAWINGS, "d", Consistency::Strong);
    value(world.ask(vshard(0), op)).map(|row| text(&row))
}

#[test]
fn merges_are_read_exported_and_survive_a_kill() {
    let world = World::new(1, options(1));
    assert_eq!((json(&world), export(&world, None)), (None, None));
    let mut mine = CrdtDocument::new();
    let first = edit(&mut mine, "a");
    assert!(merge(&world, first.clone()).changed);
    let again = merge(&world, first);
    assert_eq!((again.changed, again.stamp), (false, None));
    assert_eq!(json(&world).as_deref(), Some(r#"{"t":"a"}"#));
    let known = export(&world, None).expect("it is there").version;
    let stamp = merge(&world, edit(&mut mine, "b")).stamp;
    let since = export(&world, Some(known)).expect("it is there");
    assert_eq!(Some(since.stamp), stamp);
    let all = export(&world, None).expect("it is there").update;
    let copy = CrdtDocument::load([&*all].into_iter()).expect("loads");
    assert_eq!(copy.value_json().expect("json"), r#"{"t":"ba"}"#);
    let world = world.kill(1);
    assert_eq!(json(&world).as_deref(), Some(r#"{"t":"ba"}"#));
    let snapshot = world.wal.durable().expect("durable");
    let scan = Scan { rows: 10, ..Scan::all(DRAWINGS, snapshot) };
    let Ok(Outcome::Page(page)) = world.ask(vshard(0), Op::Scan(scan)) else {
        panic!("a page");
    };
    assert_eq!(text(&page.rows[0]), r#"{"t":"ba"}"#);
}

#[test]
fn an_update_that_lacks_what_it_builds_on_is_refused_and_not_logged() {
    let world = World::new(1, options(1));
    let mut mine = CrdtDocument::new();
    let first = edit(&mut mine, "a");
    let second = edit(&mut mine, "b");
    let before = world.wal.appended();
    let error = world.ask(vshard(0), merge_op(second.clone()));
    let error = error.expect_err("the first is missing");
    assert!(matches!(error, DataError::Crdt(_)), "{error}");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let garbage = world.ask(vshard(0), merge_op(Bytes::from_static(b"garbage")));
    assert_eq!(garbage.expect_err("garbage").kind(), ErrorKind::InvalidInput);
    assert_eq!(world.wal.appended(), before);
    assert_eq!(json(&world), None);
    merge(&world, first);
    merge(&world, second);
    assert_eq!(json(&world).as_deref(), Some(r#"{"t":"ba"}"#));
}

/// Records that replace rows, and how many rows the document has in the end.
fn packs(world: &World) -> (usize, usize) {
    let mut reader = world.wal.reader(world.wal.oldest(), ReadLimit::Durable).expect("a reader");
    let (mut packs, mut rows) = (0, 0);
    while let Some(batch) = reader.next_batch().expect("reads") {
        for record in batch.records() {
            let Some(kind) = RecordKind::from_code(record.kind) else { continue };
            if kind == RecordKind::CrdtSnapshot || kind == RecordKind::CrdtMerge {
                match Redo::decode(kind, &record.payload).expect("sound") {
                    Redo::CrdtMerge { rows: now, .. } => rows = now.slots.len(),
                    Redo::CrdtSnapshot { rows: now, .. } => {
                        packs += 1;
                        rows = now.slots.len();
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    (packs, rows)
}

#[test]
fn many_updates_are_packed_and_replay() {
    let world = World::new(1, options(1));
    let mut mine = CrdtDocument::new();
    for _ in 0..650 {
        let update = edit(&mut mine, "x");
        merge(&world, update);
    }
    let (packs, rows) = packs(&world);
    assert!((9..=10).contains(&packs), "at every 64 rows: {packs}");
    assert!(rows < 80, "{rows} rows");
    let expected = mine.value_json().expect("json");
    assert_eq!(json(&world).as_ref(), Some(&expected));
    let world = world.kill(1);
    assert_eq!(json(&world).as_ref(), Some(&expected));
    world.flush(0).expect("flushed");
    let world = world.kill(1);
    assert_eq!(json(&world).as_ref(), Some(&expected));
}

#[test]
fn an_update_that_makes_the_library_fail_is_kept_aside_and_not_tried_again() {
    let world = World::new(1, options(1));
    let mut mine = CrdtDocument::new();
    merge(&world, edit(&mut mine, "a"));
    let appended = world.wal.appended();
    let planted = Bytes::from_static(super::PLANTED);
    let error = world.ask(vshard(0), merge_op(planted.clone())).expect_err("it panics");
    assert!(matches!(error, DataError::Crdt(CrdtError::Panicked { .. })), "{error}");
    assert_eq!(json(&world).as_deref(), Some(r#"{"t":"a"}"#), "built again from its rows");
    let error = world.ask(vshard(0), merge_op(planted)).expect_err("it is known");
    let DataError::Crdt(CrdtError::Quarantined { digest }) = error else { panic!("{error}") };
    assert_eq!(world.wal.appended(), appended, "nothing of it was logged");
    let status = world.status(0);
    let [held] = &status.quarantine[..] else { panic!("one: {:?}", status.quarantine) };
    assert_eq!(
        (held.digest, &*held.key.key, held.bytes),
        (digest, &b"d"[..], super::PLANTED.len())
    );
    assert_eq!(held.reason, "planted");
    assert_eq!(held.update.as_deref(), Some(super::PLANTED));
    assert_eq!(world.data.quarantine(), [(vshard(0), held.clone())]);
    merge(&world, edit(&mut mine, "b"));
    assert_eq!(json(&world).as_deref(), Some(r#"{"t":"ba"}"#));
    let world = world.kill(1);
    assert_eq!(json(&world).as_deref(), Some(r#"{"t":"ba"}"#));
    assert_eq!(world.status(0).quarantine, []);
}

#[test]
fn limits_are_refused_by_name_and_change_nothing() {
    let crdt_limits =
        CrdtLimits { update_bytes_max: 300, update_ops_max: 50, document_bytes_max: 400 };
    let world = World::new(1, crate::DataOptions { crdt_limits, ..options(1) });
    let refused = |update: Bytes| match world.ask(vshard(0), merge_op(update)) {
        Err(DataError::Crdt(error)) => error,
        other => panic!("{other:?}"),
    };
    let mut mine = CrdtDocument::new();
    let ops = edit(&mut mine, &"x".repeat(51));
    let ops = refused(ops);
    assert_eq!(ops, CrdtError::TooManyOps { ops: 51, limit: 50 });
    assert_eq!(ops.kind(), ErrorKind::InvalidInput);
    let bytes = refused(vec![0; 301].into());
    assert_eq!(bytes, CrdtError::TooLarge { bytes: 301, limit: 300 });
    let mut mine = CrdtDocument::new();
    let full = loop {
        let update = edit(&mut mine, &"x".repeat(50));
        match world.ask(vshard(0), merge_op(update)) {
            Ok(_) => {}
            Err(DataError::Crdt(error)) => break error,
            Err(other) => panic!("{other}"),
        }
    };
    assert!(matches!(full, CrdtError::DocumentTooLarge { limit: 400, .. }), "{full}");
    let before = json(&world);
    let world = world.kill(1);
    assert_eq!(json(&world), before);
}

#[test]
fn a_delete_takes_all_rows_and_a_new_document_starts_anew() {
    let world = World::new(1, options(1));
    let mut mine = CrdtDocument::new();
    for _ in 0..70 {
        let update = edit(&mut mine, "x");
        merge(&world, update);
    }
    let gone = Write { collection: DRAWINGS, ..delete("d") };
    let answer = world.ask(vshard(0), at(gone.clone(), Durability::Sync));
    assert!(super::world::written(answer).stamp.is_some());
    let answer = world.ask(vshard(0), at(gone, Durability::Sync));
    assert_eq!(super::world::written(answer).stamp, None);
    assert_eq!((json(&world), export(&world, None)), (None, None));
    let mut other = CrdtDocument::new();
    merge(&world, edit(&mut other, "new"));
    let world = world.kill(1);
    assert_eq!(json(&world).as_deref(), Some(r#"{"t":"new"}"#));
}

#[test]
fn operations_of_the_other_kind_of_collection_are_refused() {
    let world = World::new(1, options(1));
    let wrong_put = Write { collection: DRAWINGS, ..put("d", "{}") };
    let merge_into = |collection: CollectionId| Op::CrdtMerge {
        collection,
        key: Bytes::from_static(b"d"),
        update: Bytes::new(),
        durability: Durability::Sync,
    };
    for op in [at(wrong_put, Durability::Sync), merge_into(NOTES)] {
        let error = world.ask(vshard(0), op).expect_err("the other kind");
        assert!(matches!(error, DataError::WrongKind { .. }), "{error}");
    }
    let error = world.ask(vshard(0), merge_into(CollectionId::new(9)));
    assert_eq!(error.expect_err("missing").kind(), ErrorKind::NotFound);
}

#[test]
fn only_the_documents_used_lately_stay_live() {
    let world = World::new(1, crate::DataOptions { crdt_documents_max: 2, ..options(1) });
    let mut documents: Vec<_> = (0..3).map(|_| CrdtDocument::new()).collect();
    for round in 0..3 {
        for (number, document) in documents.iter_mut().enumerate() {
            let update = edit(document, "x");
            let op = Op::CrdtMerge {
                collection: DRAWINGS,
                key: format!("{number}").into(),
                update,
                durability: Durability::Sync,
            };
            assert!(world.ask(vshard(0), op).is_ok(), "round {round}");
        }
    }
    assert_eq!(world.status(0).crdt_documents, 2);
    let row = world.get_from(0, DRAWINGS, "0", Consistency::Strong);
    assert_eq!(text(&row.expect("it is stored")), r#"{"t":"xxx"}"#);
}

/// The bytes of live documents are bounded for a core: eight vshards take no more than one.
#[test]
fn live_documents_of_all_vshards_of_a_core_share_one_budget() {
    let text = "x".repeat(4 << 10);
    let one = {
        let mut document = CrdtDocument::new();
        edit(&mut document, &text);
        document.estimated_bytes()
    };
    let crdt_bytes_max = 3 * one + one / 2;
    let world = World::new(8, crate::DataOptions { crdt_bytes_max, ..options(1) });
    let all = |world: &World| -> (usize, usize) {
        let status = (0..8).map(|id| world.status(id));
        status.fold((0, 0), |(documents, bytes), status| {
            (documents + status.crdt_documents, bytes + status.crdt_bytes)
        })
    };
    for number in 0..8_u16 {
        let op = merge_op(edit(&mut CrdtDocument::new(), &text));
        assert!(world.ask(vshard(number), op).is_ok());
        let (documents, bytes) = all(&world);
        assert!(bytes <= crdt_bytes_max, "{documents} documents, {bytes} bytes");
    }
    assert_eq!(all(&world).0, 3);
    // Reads bring documents to life, too.
    for number in 0..8_u16 {
        let row = world.get_from(number, DRAWINGS, "d", Consistency::Strong);
        assert!(row.is_some());
        // Documents are let go at the end of the turn, and then the log is asked for what it wrote.
        world.put(number, "turn", "over");
        assert!(all(&world).1 <= crdt_bytes_max);
    }
    assert!(all(&world).0 >= 2);
}

/// A merge that was refused brought its document to life for nothing, and nobody weighed it: documents
/// that were only ever refused filled the memory of a core beyond its budget.
#[test]
fn documents_that_come_to_life_for_a_refused_merge_count() {
    let mut theirs = CrdtDocument::new();
    edit(&mut theirs, "missing");
    let lacking = edit(&mut theirs, "refused");
    let crdt_bytes_max = 1;
    let world = World::new(8, crate::DataOptions { crdt_bytes_max, ..options(1) });
    for number in 0..8_u16 {
        let error = world.ask(vshard(number), merge_op(lacking.clone())).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
    // Documents are let go at the end of the turn, which the answer to a refusal does not wait for.
    world.hold(0).release();
    let live: usize = (0..8).map(|id| world.status(id).crdt_documents).sum();
    assert!(live <= 1, "{live} documents are alive for nothing");
}
