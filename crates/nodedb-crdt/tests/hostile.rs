//! Updates of somebody who means harm, or of a broken disk: whatever the bytes, the document survives
//! and is as it was.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

use loro::{ExportMode, LoroDoc, LoroMap, LoroText, LoroValue, VersionVector};
use nodedb_crdt::{CrdtDocument, CrdtError, loro};
use proptest::prelude::*;
use xxhash_rust::xxh32::xxh32;

/// Sets the checksum of an update anew, so that damage reaches the decoder behind it.
fn seal(update: &mut [u8]) {
    if update.len() > 20 {
        let checksum = xxh32(&update[20..], u32::from_le_bytes(*b"LORO"));
        update[16..20].copy_from_slice(&checksum.to_le_bytes());
    }
}

/// Every kind of container and value, by two peers, in updates that build on each other.
fn trace() -> Vec<Vec<u8>> {
    let doc = LoroDoc::new();
    let mut updates = Vec::new();
    let mut edit = |peer: u64, edit: &dyn Fn(&LoroDoc) -> loro::LoroResult<()>| {
        doc.set_peer_id(peer).expect("a peer");
        let before = doc.oplog_vv();
        edit(&doc).expect("an edit");
        doc.commit();
        updates.push(doc.export(ExportMode::updates(&before)).expect("an update"));
    };
    edit(1, &|doc| doc.get_text("text").insert(0, "the quick brown fox"));
    edit(2, &|doc| doc.get_text("text").delete(4, 6));
    edit(1, &|doc| {
        let map = doc.get_map("map");
        map.insert("nested", vec![LoroValue::Null, LoroValue::from(1.5), LoroValue::from("x")])?;
        map.insert_container("child", LoroMap::new())?.insert("deep", true)?;
        map.insert_container("body", LoroText::new())?.insert(0, "inside")
    });
    edit(2, &|doc| {
        let list = doc.get_movable_list("list");
        for number in 0..8 {
            list.push(number)?;
        }
        list.mov(1, 5)?;
        list.set(2, "set")
    });
    edit(1, &|doc| {
        let tree = doc.get_tree("tree");
        let root = tree.create(None)?;
        let child = tree.create(root)?;
        tree.create(root)?;
        tree.mov(child, None)?;
        tree.get_meta(root)?.insert("name", "root")
    });
    edit(2, &|doc| doc.get_counter("counter").increment(2.5));
    edit(1, &|doc| doc.get_text("text").mark(0..3, "bold", true));
    updates
}

fn state(document: &CrdtDocument) -> (String, VersionVector) {
    let version = VersionVector::decode(&document.version().expect("a version"));
    (document.value_json().expect("a value"), version.expect("its own encoding"))
}

/// Sends some bytes to a document that knows the first updates of the trace. It may take them, refuse
/// them and stay as it was, or die of them without harm to others.
fn send(known: &[Vec<u8>], bytes: &[u8]) {
    let mut document = CrdtDocument::load(known.iter()).expect("loads");
    let before = state(&document);
    match document.import(bytes) {
        // What is taken can be read, exported, and loaded again.
        Ok(imported) => {
            let stored = imported.stored.as_deref().unwrap_or(bytes).to_vec();
            let Ok(value) = document.value_json() else { return };
            let snapshot = document.snapshot().expect("a snapshot");
            let again = CrdtDocument::load([snapshot].iter()).expect("loads");
            assert_eq!(again.value_json().expect("a value"), value);
            let rows = known.iter().chain(std::iter::once(&stored));
            assert_eq!(CrdtDocument::load(rows).expect("loads").value_json(), Ok(value));
        }
        Err(CrdtError::Panicked { .. }) => {}
        Err(_) => assert_eq!(state(&document), before),
    }
}

#[test]
fn the_trace_itself_is_taken_update_by_update_and_as_a_snapshot() {
    let trace = trace();
    let mut document = CrdtDocument::new();
    for update in &trace {
        assert!(document.import(update).expect("a good one").changed);
    }
    let snapshot = document.snapshot().expect("a snapshot");
    let mut other = CrdtDocument::new();
    let imported = other.import(&snapshot).expect("a snapshot");
    assert!(imported.changed && imported.stored.is_some(), "its history is stored");
    assert_eq!(state(&other), state(&document));
    let mut late = CrdtDocument::load(trace[..3].iter()).expect("loads");
    assert!(late.import(&snapshot).expect("a snapshot").changed);
    assert_eq!(state(&late), state(&document));
    assert!(!late.import(&snapshot).expect("known").changed);
}

#[test]
fn a_snapshot_that_lies_about_its_state_has_no_effect() {
    // Two documents with the same history length; the state of one beside the history of the other.
    let snapshot = |text: &str| {
        let doc = LoroDoc::new();
        doc.set_peer_id(1).expect("a peer");
        doc.get_text("t").insert(0, text).expect("an edit");
        doc.commit();
        doc.export(ExportMode::Snapshot).expect("a snapshot")
    };
    let sections = |snapshot: &[u8]| -> Vec<Vec<u8>> {
        let mut rest = &snapshot[22..];
        let mut sections = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk() {
            let length = usize::try_from(u32::from_le_bytes(*length)).expect("small");
            let (section, after) = after.split_at(length);
            sections.push(section.to_vec());
            rest = after;
        }
        sections
    };
    let (truth, lie) = (snapshot("truth"), snapshot("a lie"));
    let (truth_parts, lie_parts) = (sections(&truth), sections(&lie));
    let mut forged = truth[..22].to_vec();
    for part in [&truth_parts[0], &lie_parts[1], &truth_parts[2]] {
        forged.extend_from_slice(&u32::try_from(part.len()).expect("small").to_le_bytes());
        forged.extend_from_slice(part);
    }
    seal(&mut forged);
    let raw = LoroDoc::new();
    raw.import(&forged).expect("the library believes it");
    assert_eq!(raw.get_text("t").to_string(), "a lie");
    let mut document = CrdtDocument::new();
    document.import(&forged).expect("a history");
    assert_eq!(document.value_json().expect("a value"), r#"{"t":"truth"}"#);
}

#[test]
fn bombs_are_refused_before_they_unfold() {
    // A text of one letter compresses well in a snapshot, and takes as much room as it says after it.
    let doc = LoroDoc::new();
    doc.get_text("t").insert(0, &"x".repeat(4 << 20)).expect("an edit");
    doc.commit();
    let snapshot = doc.export(ExportMode::Snapshot).expect("a snapshot");
    assert!(snapshot.len() < 200 << 10, "{} bytes", snapshot.len());
    let mut document = CrdtDocument::new();
    let error = document.import(&snapshot).expect_err("four million operations");
    assert!(matches!(error, CrdtError::TooManyOps { ops: 4_194_304, .. }), "{error}");
    let limits =
        nodedb_crdt::CrdtLimits { update_bytes_max: 1 << 20, ..nodedb_crdt::CrdtLimits::default() };
    let error = document.import_within(&snapshot, &limits).expect_err("four million bytes");
    assert!(error.to_string().contains("unfolds"), "{error}");
    // A value that is nested deeper than any stack.
    let mut value = LoroValue::Null;
    for _ in 0..200 {
        value = LoroValue::from(vec![value]);
    }
    let doc = LoroDoc::new();
    doc.get_map("m").insert("deep", value).expect("an edit");
    doc.commit();
    let deep = doc.export(ExportMode::all_updates()).expect("an update");
    let error = document.import(&deep).expect_err("too deep");
    assert!(error.to_string().contains("nested"), "{error}");
    assert_eq!(document.value_json().expect("a value"), "{}");
}

#[test]
fn every_byte_of_the_trace_may_be_anything() {
    let trace = trace();
    let (known, last) = trace.split_at(trace.len() - 1);
    let document = CrdtDocument::load(trace.iter()).expect("loads");
    let whole = document.export_all().expect("an update");
    let snapshot = document.snapshot().expect("a snapshot");
    for blob in [&last[0], &whole, &snapshot] {
        for at in 20..blob.len() {
            for change in [1, 0x40, 0x80, 0xff] {
                let mut bytes = blob.clone();
                bytes[at] ^= change;
                seal(&mut bytes);
                send(known, &bytes);
            }
        }
    }
}

/// Makes a document so many levels deeper.
type Edit<'a> = &'a dyn Fn(&LoroDoc, usize) -> loro::LoroResult<()>;

/// Loro reads values by recursion: maps in maps in maps, each made by an operation of its own, ended the
/// process at the first read of the document, and again after every restart.
#[test]
fn a_document_nests_as_deep_as_json_may_and_no_deeper() {
    const LIMIT: usize = 127;
    let maps = |doc: &LoroDoc, count: usize| {
        let mut map = doc.get_map("m");
        for _ in 0..count {
            map = map.insert_container("m", LoroMap::new())?;
        }
        map.insert("leaf", 1)
    };
    let nodes = |doc: &LoroDoc, count: usize| {
        let tree = doc.get_tree("t");
        let mut node = tree.create(None)?;
        for _ in 0..count {
            node = tree.create(node)?;
        }
        Ok(())
    };
    let values = |doc: &LoroDoc, count: usize| {
        let mut value = LoroValue::Null;
        for _ in 0..count {
            value = LoroValue::from(vec![value]);
        }
        doc.get_map("m").insert("deep", value)
    };
    // The object of the whole counts, and so does the root container. A node is an object, with an
    // object of what it is about, in an array.
    let edits = [
        (&maps as Edit<'_>, LIMIT - 2, 3_000),
        (&nodes, (LIMIT - 4) / 2, 3_000),
        (&values, LIMIT - 2, LIMIT - 1),
    ];
    for (edit, deepest, far) in edits {
        let exported = |count: usize| {
            let doc = LoroDoc::new();
            edit(&doc, count).expect("an edit");
            doc.commit();
            doc.export(ExportMode::all_updates()).expect("an update")
        };
        let mut document = CrdtDocument::new();
        assert!(document.import(&exported(deepest)).expect("at the limit").changed);
        let text = document.value_json().expect("a value");
        serde_json::from_str::<serde_json::Value>(&text).expect("every parser reads it");
        let mut document = CrdtDocument::new();
        let refused = |document: &mut CrdtDocument, count: usize| {
            let error = document.import(&exported(count)).expect_err("too deep");
            assert_eq!(error, CrdtError::TooDeep { limit: LIMIT });
            assert_eq!(document.value_json().expect("a value"), "{}");
        };
        refused(&mut document, deepest + 1);
        refused(&mut document, far);
        let update = document.edit(1, |doc| doc.get_text("x").insert(0, "alive"));
        assert!(document.import(&update.expect("an edit")).expect("a good one").changed);
    }
}

/// One level at a time, so that no update is deep by itself.
#[test]
fn depth_is_of_the_whole_document_however_it_came() {
    let doc = LoroDoc::new();
    let mut document = CrdtDocument::new();
    let mut map = doc.get_map("m");
    for level in 2.. {
        let before = doc.oplog_vv();
        map = map.insert_container("m", LoroMap::new()).expect("an edit");
        doc.commit();
        let update = doc.export(ExportMode::updates(&before)).expect("an update");
        match document.import(&update) {
            Ok(imported) => assert!(imported.changed && level < 127, "level {level}"),
            Err(error) => {
                assert_eq!((error, level), (CrdtError::TooDeep { limit: 127 }, 127));
                break;
            }
        }
    }
    let rows = [document.snapshot().expect("a snapshot")];
    let mut loaded = CrdtDocument::load(rows.iter()).expect("loads");
    assert_eq!(loaded.value_json(), document.value_json());
    let update =
        loaded.edit(7, |doc| doc.get_map("n").insert_container("x", LoroMap::new()).map(drop));
    assert!(loaded.import(&update.expect("an edit")).expect("it is flat").changed);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn mutated_cut_and_spliced_updates_never_harm(
        which in any::<proptest::sample::Index>(),
        other in any::<proptest::sample::Index>(),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..6),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
        splice in proptest::option::of(any::<proptest::sample::Index>()),
        known in 0_usize..7,
    ) {
        let trace = trace();
        let mut bytes = trace[which.index(trace.len())].clone();
        if let Some(cut) = cut {
            bytes.truncate(22 + cut.index(bytes.len() - 22));
        }
        if let Some(splice) = splice {
            let other = &trace[other.index(trace.len())];
            bytes.extend_from_slice(&other[22 + splice.index(other.len() - 22)..]);
        }
        for (at, byte) in changes {
            let length = bytes.len();
            if length > 20 {
                bytes[20 + at.index(length - 20)] = byte;
            }
        }
        seal(&mut bytes);
        send(&trace[..known], &bytes);
    }
}
