//! What replicas may rely on, whatever order updates come in.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

use bytes::Bytes;
use loro::{ExportMode, LoroDoc};
use nodedb_crdt::{CrdtDocument, CrdtError, CrdtLimits, loro, version_from_hex, version_to_hex};
use nodedb_types::{ErrorKind, limits};
use proptest::prelude::*;
use std::collections::VecDeque;

const NONE: [&[u8]; 0] = [];

fn insert(document: &mut CrdtDocument, peer: u64, text: &str) -> Vec<u8> {
    let update = document.edit(peer, |doc| doc.get_text("t").insert(0, text));
    let update = update.expect("an edit");
    assert!(document.import(&update).expect("own update").changed);
    update
}

/// A document with three updates by two peers, each building on the one before.
fn history() -> (CrdtDocument, [Vec<u8>; 3]) {
    let mut document = CrdtDocument::new();
    let first = insert(&mut document, 1, "one ");
    let second = insert(&mut document, 2, "two ");
    let third = insert(&mut document, 1, "three ");
    (document, [first, second, third])
}

fn state(document: &CrdtDocument) -> (String, Vec<u8>) {
    let json = document.value_json().expect("a value");
    (json, document.export_all().expect("a history"))
}

#[test]
fn two_replicas_merge_to_the_same_text_in_either_order() {
    let mut base = CrdtDocument::new();
    let start = insert(&mut base, 9, "shared");
    let left = base.edit(1, |doc| doc.get_text("t").insert(0, "left "));
    let right = base.edit(2, |doc| {
        doc.get_text("t").insert(6, " right")?;
        doc.get_map("m").insert("who", "right")
    });
    let (left, right) = (left.expect("an edit"), right.expect("an edit"));
    let forth = CrdtDocument::load([&start, &left, &right].into_iter());
    let back = CrdtDocument::load([&start, &right, &left].into_iter());
    let forth = forth.expect("loads").value_json().expect("a value");
    assert_eq!(forth, back.expect("loads").value_json().expect("a value"));
    assert_eq!(forth, r#"{"m":{"who":"right"},"t":"left shared right"}"#);
}

#[test]
fn importing_again_changes_nothing() {
    let (mut document, updates) = history();
    let before = state(&document);
    for update in &updates {
        assert!(!document.import(update).expect("known").changed);
    }
    let snapshot = document.snapshot().expect("a snapshot");
    assert!(!document.import(&snapshot).expect("known").changed);
    assert_eq!(state(&document), before);
    let loaded = CrdtDocument::load([&snapshot].into_iter().chain(&updates)).expect("loads");
    assert_eq!(state(&loaded).0, before.0);
}

#[test]
fn missing_dependencies_are_refused_by_name_and_change_nothing() {
    let (_, [first, second, third]) = history();
    for known in [&NONE[..], &[&first]] {
        let mut replica = CrdtDocument::load(known.iter()).expect("loads");
        let before = state(&replica);
        let lacking = if known.is_empty() { &second } else { &third };
        let error = replica.import(lacking).expect_err("builds on what is missing");
        let CrdtError::MissingDependencies { missing } = &error else {
            panic!("{error}");
        };
        let expected = if known.is_empty() { "1: 0..4" } else { "2: 0..4" };
        assert_eq!(missing, expected);
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(state(&replica), before);
        // Nothing waited: what was missing brings back only itself.
        let brought = if known.is_empty() { &first } else { &second };
        assert!(replica.import(brought).expect("complete").changed);
        let json = replica.value_json().expect("a value");
        assert_eq!(json.contains("two"), !known.is_empty());
        assert!(!json.contains("three"));
        assert!(replica.import(lacking).expect("complete now").changed);
    }
}

#[test]
fn a_half_importable_update_is_refused_whole() {
    // One blob with a change that fits and one that lacks its dependency.
    let mut left = CrdtDocument::new();
    insert(&mut left, 1, "known");
    let known = left.version().expect("a version");
    let mut other = CrdtDocument::new();
    let foreign = insert(&mut other, 2, "foreign");
    left.import(&foreign).expect("independent");
    let skipped = left.export_since(&known).expect("a history");
    insert(&mut left, 3, "on top of both");
    let mut replica = CrdtDocument::new();
    insert(&mut replica, 4, "own");
    let before = state(&replica);
    let blob = left.export_since(&other.version().expect("a version")).expect("a history");
    assert!(matches!(
        replica.import(&blob),
        Err(CrdtError::MissingDependencies { missing }) if missing.starts_with("2: 0..7")
    ));
    assert_eq!(state(&replica), before);
    replica.import(&skipped).expect("independent");
    assert!(replica.import(&blob).expect("complete now").changed);
}

#[test]
fn damaged_blobs_are_refused_and_change_nothing() {
    let (document, updates) = history();
    let snapshot = document.snapshot().expect("a snapshot");
    let mut replica = CrdtDocument::load(updates.iter().take(1)).expect("loads");
    let before = state(&replica);
    for blob in [&snapshot, &updates[1]] {
        for cut in 0..blob.len() {
            let error = replica.import(&blob[..cut]).expect_err("cut");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{cut}: {error}");
        }
        for at in 0..blob.len() {
            let mut flipped = blob.clone();
            flipped[at] ^= 1 << (at % 8);
            let error = replica.import(&flipped).expect_err("flipped");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{at}: {error}");
        }
    }
    assert_eq!(state(&replica), before);
    assert!(replica.import(&snapshot).expect("whole").changed);
}

#[test]
fn damaged_rows_are_corruption_by_name() {
    let (document, [first, second, third]) = history();
    let mut snapshot = document.snapshot().expect("a snapshot");
    let last = snapshot.len() - 1;
    snapshot[last] ^= 1;
    let error = CrdtDocument::load([&snapshot].into_iter()).expect_err("flipped");
    assert!(matches!(&error, CrdtError::Corrupt { part, .. } if part == "row 0"));
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let error = CrdtDocument::load([&first, &third, &second].into_iter());
    let error = error.expect_err("a row is missing");
    assert!(matches!(error, CrdtError::Corrupt { part, .. } if part == "row 1"));
}

#[test]
fn limits_and_shallow_snapshots() {
    let mut document = CrdtDocument::new();
    let huge = vec![0; limits::VALUE_BYTES_MAX + 1];
    let error = document.import(&huge).expect_err("too large");
    assert!(matches!(error, CrdtError::TooLarge { .. }));
    let (full, _) = history();
    let doc = LoroDoc::from_snapshot(&full.snapshot().expect("a snapshot")).expect("whole");
    let shallow = doc.export(ExportMode::shallow_snapshot(&doc.oplog_frontiers()));
    let error = document.import(&shallow.expect("exported")).expect_err("shallow");
    assert!(matches!(error, CrdtError::InvalidUpdate { .. }), "{error}");
    assert_eq!(document.value_json().expect("a value"), "{}");
    insert(&mut document, 1, "still alive");
}

#[test]
fn versions_travel_as_text_and_select_what_is_new() {
    let (document, [first, ..]) = history();
    let mut replica = CrdtDocument::load([&first].into_iter()).expect("loads");
    let text = version_to_hex(&replica.version().expect("a version"));
    let version = version_from_hex(&text).expect("a version");
    let news = document.export_since(&version).expect("a history");
    assert!(news.len() < document.export_all().expect("a history").len());
    assert!(replica.import(&news).expect("complete").changed);
    assert_eq!(state(&replica).0, state(&document).0);
    for bad in ["xyz", "0", "ffffff"] {
        let error = version_from_hex(bad).expect_err(bad);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert!(matches!(
        document.export_since(&[255; 100]),
        Err(CrdtError::InvalidVersion { version }) if version.len() == 80
    ));
}

#[test]
fn a_refused_edit_changes_nothing() {
    let (document, _) = history();
    let before = state(&document);
    let error = document.edit(5, |doc| {
        doc.get_text("t").insert(0, "x")?;
        doc.get_text("t").delete(0, 1000)
    });
    assert!(matches!(error, Err(CrdtError::InvalidEdit { .. })));
    assert_eq!(state(&document), before);
}

#[test]
fn a_panic_ends_the_document_not_the_process() {
    let (mut document, updates) = history();
    let error = document.edit(5, |_| panic!("in the library"));
    let message = "in the library".to_owned();
    assert_eq!(error, Err(CrdtError::Panicked { action: "editing", message }));
    assert!(matches!(document.value_json(), Err(CrdtError::Panicked { .. })));
    assert!(matches!(document.import(&updates[0]), Err(CrdtError::Panicked { .. })));
    drop(document);
    CrdtDocument::load(updates.iter()).expect("the rows are as they were");
}

#[test]
fn updates_that_go_on_from_each_other_are_one_import() {
    let (document, updates) = history();
    let updates = updates.map(Bytes::from);
    let limits = CrdtLimits::default();
    let mut replica = CrdtDocument::new();
    let imported = replica.import_together(&updates, &limits).expect("good ones");
    let joint = imported.expect("they go on from each other").stored.expect("one update");
    assert_eq!(state(&replica), state(&document));
    assert_eq!(state(&CrdtDocument::load([joint].iter()).expect("loads")), state(&document));
    let before = state(&replica);
    let snapshot = Bytes::from(document.snapshot().expect("a snapshot"));
    for (together, why) in [
        (vec![updates[0].clone(), updates[1].clone()], "known"),
        (vec![Bytes::from_static(b"garbage")], "damaged"),
        (vec![snapshot], "a snapshot"),
    ] {
        assert_eq!(replica.import_together(&together, &limits), Ok(None), "{why}");
    }
    assert_eq!(state(&replica), before);
    let narrow = CrdtLimits { update_ops_max: 8, ..limits };
    let mut replica = CrdtDocument::new();
    assert_eq!(replica.import_together(&updates, &narrow), Ok(None), "together too many");
    assert!(replica.import_within(&updates[0], &narrow).expect("alone").changed);
}

/// What loro exports when there is nothing new was said to have changed the document, if it came together
/// with something that did.
#[test]
fn an_update_of_nothing_is_judged_by_itself() {
    let mut mine = CrdtDocument::new();
    let first = Bytes::from(insert(&mut mine, 1, "a"));
    let version = mine.version().expect("a version");
    let nothing = Bytes::from(mine.export_since(&version).expect("an export"));
    let mut replica = CrdtDocument::new();
    let limits = CrdtLimits::default();
    let both = [first.clone(), nothing.clone()];
    assert_eq!(replica.import_together(&both, &limits), Ok(None));
    assert!(replica.import(&first).expect("new").changed);
    assert!(!replica.import(&nothing).expect("sound").changed);
}

/// What an update builds on of other peers was found out by importing it, and taken back by building the
/// whole document anew.
#[test]
fn what_others_wrote_and_is_missing_is_named_before_anything_is_imported() {
    let (_, [first, second, third]) = history();
    let limits = CrdtLimits::default();
    let mut replica = CrdtDocument::new();
    let joint = replica.import_together(&[first.clone().into(), third.clone().into()], &limits);
    assert_eq!(joint, Ok(None), "the second is missing");
    let mut other = CrdtDocument::new();
    let base = insert(&mut other, 7, "base ");
    let on_base = insert(&mut other, 8, "on it");
    let joint = replica.import_together(&[first.clone().into(), on_base.clone().into()], &limits);
    assert_eq!(joint, Ok(None), "the base of another peer is missing");
    let error = replica.import(&on_base).expect_err("the same alone");
    assert_eq!(error, CrdtError::MissingDependencies { missing: "7: 0..5".to_owned() });
    let backwards = [second.clone().into(), first.clone().into()];
    assert_eq!(replica.import_together(&backwards, &limits), Ok(None), "backwards");
    assert_eq!(state(&replica).0, "{}");
    let all = [first, base, second, on_base, third].map(Bytes::from);
    assert!(replica.import_together(&all, &limits).expect("good ones").is_some());
}

proptest! {
    #[test]
    fn replicas_converge_in_any_order(
        edits in proptest::collection::vec((0_u64..3, "[a-z]{1,4}"), 1..12),
        order in any::<proptest::sample::Index>(),
    ) {
        let mut peers: Vec<_> = (0..3).map(|_| CrdtDocument::new()).collect();
        let mut updates = Vec::new();
        for (peer, text) in &edits {
            let editor = &mut peers[usize::try_from(*peer).expect("small")];
            updates.push(insert(editor, peer + 1, text));
        }
        let expected = CrdtDocument::load(updates.iter()).expect("loads");
        // Peers never saw each other, so any order that keeps each peer's own is complete; retrying
        // the refused ones completes every other.
        let at = order.index(updates.len());
        updates.rotate_left(at);
        let mut replica = CrdtDocument::new();
        while !updates.is_empty() {
            let before = updates.len();
            updates.retain(|update| match replica.import(update) {
                Ok(_) => false,
                Err(CrdtError::MissingDependencies { .. }) => true,
                Err(error) => panic!("{error}"),
            });
            prop_assert!(updates.len() < before);
        }
        prop_assert_eq!(replica.value_json(), expected.value_json());
    }

    #[test]
    fn together_or_one_by_one_is_the_same(
        edits in proptest::collection::vec((0_u64..3, "[a-z]{1,4}"), 2..12),
        sizes in proptest::collection::vec(1_usize..5, 12),
    ) {
        let mut shared = CrdtDocument::new();
        let updates = edits.iter().map(|(peer, text)| {
            Bytes::from(insert(&mut shared, peer + 1, text))
        });
        let mut rest: VecDeque<_> = updates.collect();
        let mut replica = CrdtDocument::new();
        let mut rows = Vec::new();
        for size in sizes {
            let together: Vec<_> = rest.drain(..size.min(rest.len())).collect();
            if together.is_empty() {
                break;
            }
            let imported = replica.import_together(&together, &CrdtLimits::default());
            rows.extend(imported.expect("good ones").expect("in order").stored);
        }
        prop_assert_eq!(replica.value_json(), shared.value_json());
        prop_assert_eq!(replica.version(), shared.version());
        let loaded = CrdtDocument::load(rows.iter()).expect("loads");
        prop_assert_eq!(loaded.value_json(), shared.value_json());
    }
}
