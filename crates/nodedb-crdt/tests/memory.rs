//! The estimate of a live document's memory against what the allocator says, over documents of many
//! shapes. It once was a multiple of the bytes imported, up to 500 times too low for a document that was
//! loaded from a snapshot, so a cache that was bounded by it was not.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

use allocation_counter::measure;
use bytes::Bytes;
use loro::{ExportMode, LoroDoc, LoroMap, LoroResult, LoroText};
use nodedb_crdt::{CrdtLimits, LiveDocument, loro};
use nodedb_types::limits::VALUE_BYTES_MAX;
use std::cell::RefCell;

/// Below this, what an empty document takes decides.
const SMALL: i64 = 64 << 10;

fn updates(
    count: usize,
    peers: u64,
    mut edit: impl FnMut(&LoroDoc, usize) -> LoroResult<()>,
) -> Vec<Bytes> {
    let doc = LoroDoc::new();
    let mut updates = Vec::new();
    for (number, peer) in (0..count).zip((1..=peers).cycle()) {
        doc.set_peer_id(peer).expect("a peer");
        let before = doc.oplog_vv();
        edit(&doc, number).expect("an edit");
        doc.commit();
        updates.push(doc.export(ExportMode::updates(&before)).expect("an update").into());
    }
    updates
}

/// Bytes that a step allocates and keeps.
fn kept(step: impl FnOnce()) -> i64 {
    measure(step).bytes_current
}

/// Checks the estimate in every state that a document of a cache is in.
fn check(name: &str, updates: &[Bytes]) {
    let mut live = LiveDocument::new();
    let limits = CrdtLimits::default();
    // The rows are what a store holds, not the document.
    let rows = RefCell::new((Vec::new(), 0));
    let mut truth = kept(|| {
        for update in updates {
            let row = live.import(update, &limits).expect("a good one").expect("something new");
            let packed = live.pack(VALUE_BYTES_MAX).expect("packs");
            let last = packed.unwrap_or(row);
            drop(last.blob);
            *rows.borrow_mut() = (last.slots, last.used);
        }
    });
    truth -= i64::try_from(rows.borrow().0.capacity()).expect("small");
    // The first export copies what is large.
    within(name, "merged", &live, truth, 4);

    let snapshot = live.document().snapshot().expect("a snapshot");
    let mut loaded = None;
    let mut truth = kept(|| {
        loaded = Some(LiveDocument::load(1, [(0, &snapshot)].into_iter()).expect("loads"));
    });
    let mut loaded = loaded.expect("just loaded");
    truth += kept(|| drop(loaded.document().value_json().expect("a value")));
    within(name, "read", &loaded, truth, 4);
    let news = {
        let first = LoroDoc::new();
        first.import(&updates[0]).expect("the first");
        first.set_peer_id(7_777).expect("a peer");
        let before = first.oplog_vv();
        first.get_text("t").insert(0, "news").expect("an edit");
        first.get_list("l").insert(0, 1).expect("an edit");
        first.get_movable_list("ml").insert(0, 1).expect("an edit");
        first.get_map("m").insert("news", true).expect("an edit");
        first.commit();
        Bytes::from(first.export(ExportMode::updates(&before)).expect("an update"))
    };
    truth += kept(|| {
        loaded.import(&news, &limits).expect("a good one");
        drop(loaded.document().export_all().expect("a history"));
    });
    within(name, "unfolded", &loaded, truth, 2);
}

fn within(name: &str, state: &str, live: &LiveDocument, truth: i64, factor: i64) {
    let estimate = i64::try_from(live.estimated_bytes()).expect("small");
    assert!(2 * estimate + SMALL >= truth, "{name}, {state}: {estimate}, but it is {truth}");
    assert!(estimate <= factor * truth + SMALL, "{name}, {state}: {estimate}, but it is {truth}");
}

#[test]
fn texts_take_what_is_estimated() {
    check("one letter", &updates(1, 1, |doc, _| doc.get_text("t").insert(0, "x")));
    check("typed", &updates(4_000, 1, |doc, at| doc.get_text("t").insert(at, "x")));
    check(
        "typed anywhere",
        &updates(4_000, 1, |doc, at| doc.get_text("t").insert(at * 7_919 % (at + 1), "x")),
    );
    check("typed by many", &updates(2_000, 200, |doc, at| doc.get_text("t").insert(at, "x")));
    let pasted = "hello world ".repeat(90_000);
    check("pasted", &updates(1, 1, |doc, _| doc.get_text("t").insert(0, &pasted)));
    check(
        "deleted",
        &updates(2_000, 1, |doc, _| {
            doc.get_text("t").insert(0, "abcdefgh")?;
            doc.get_text("t").delete(1, 6)
        }),
    );
    check(
        "marked",
        &updates(1_000, 1, |doc, _| {
            doc.get_text("t").insert(0, "abcdefgh")?;
            doc.get_text("t").mark(0..4, "bold", true)
        }),
    );
    check(
        "many texts",
        &updates(1_000, 1, |doc, at| doc.get_text(format!("t{at}")).insert(0, "abc")),
    );
}

#[test]
fn maps_and_lists_take_what_is_estimated() {
    check("keys", &updates(4_000, 1, |doc, at| doc.get_map("m").insert(&at.to_string(), 1)));
    check(
        "keys at once",
        &updates(1, 1, |doc, _| {
            (0..20_000).try_for_each(|at| doc.get_map("m").insert(&format!("key{at}"), at))
        }),
    );
    check(
        "texts of keys",
        &updates(1_000, 1, |doc, at| doc.get_map("m").insert(&at.to_string(), "v".repeat(500))),
    );
    check(
        "maps",
        &updates(1, 1, |doc, _| {
            (0..5_000).try_for_each(|at| {
                let map = doc.get_map("m").insert_container(&format!("k{at}"), LoroMap::new())?;
                map.insert("a", 1)?;
                map.insert("b", "two")
            })
        }),
    );
    check(
        "records",
        &updates(1, 1, |doc, _| {
            (0..2_000).try_for_each(|at| {
                let map = doc.get_list("l").push_container(LoroMap::new())?;
                map.insert("id", at)?;
                map.insert("name", format!("name {at}"))?;
                map.insert_container("body", LoroText::new())?.insert(0, "some words of text")
            })
        }),
    );
    check("list", &updates(4_000, 1, |doc, at| doc.get_list("l").push(at.to_string())));
    check(
        "list at once",
        &updates(1, 1, |doc, _| (0..30_000).try_for_each(|at| doc.get_list("l").push(at))),
    );
    check(
        "moved",
        &updates(3_000, 1, |doc, at| {
            let list = doc.get_movable_list("ml");
            list.push(1)?;
            list.mov(at, at / 2)
        }),
    );
}

#[test]
fn trees_and_counters_take_what_is_estimated() {
    let mut nodes = Vec::new();
    check(
        "tree",
        &updates(3_000, 1, |doc, at| {
            let tree = doc.get_tree("tree");
            let node = match nodes.get(at / 8) {
                Some(parent) => tree.create(*parent)?,
                None => tree.create(None)?,
            };
            nodes.push(node);
            tree.get_meta(node)?.insert("name", at.to_string())?;
            if at % 3 == 2 { tree.mov(node, nodes[0]) } else { Ok(()) }
        }),
    );
    check("counter", &updates(3_000, 1, |doc, _| doc.get_counter("c").increment(1.5)));
}
