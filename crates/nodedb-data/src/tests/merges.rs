//! Merges that come together: they share an import and a record, and each is judged by itself.

use super::{
    PLANTED,
    world::{DRAWINGS, World, get, options, text, value, vshard},
};
use crate::{Answer, Consistency, DataError, DataOptions, Merged, Op, Outcome};
use bytes::Bytes;
use nodedb_crdt::{CrdtDocument, CrdtError};
use nodedb_types::{Durability, ErrorKind, Lsn};

fn edit(document: &mut CrdtDocument, peer: u64, text: &str) -> Bytes {
    let update = document.edit(peer, |doc| doc.get_text("t").insert(0, text)).expect("an edit");
    document.import(&update).expect("an import");
    update.into()
}

fn merge(key: &'static str, update: Bytes) -> Op {
    let (collection, key, durability) = (DRAWINGS, key.into(), Durability::Sync);
    Op::CrdtMerge { collection, key, update, durability }
}

/// Sends everything while the core is busy, so that it is served in one turn.
fn in_one_turn(world: &World, ops: impl IntoIterator<Item = Op>) -> Vec<Answer> {
    let held = world.hold(0);
    let tickets: Vec<_> = ops.into_iter().map(|op| world.send(vshard(0), op)).collect();
    held.release();
    tickets.into_iter().map(|ticket| ticket.wait().expect("an answer")).collect()
}

fn merged(answer: &Answer) -> Merged {
    match answer {
        Ok(Outcome::Merged(merged)) => *merged,
        other => panic!("{other:?}"),
    }
}

fn json(world: &World, key: &str) -> Option<String> {
    let op = get(DRAWINGS, key, Consistency::Strong);
    value(world.ask(vshard(0), op)).map(|row| text(&row))
}

fn records(world: &World) -> u64 {
    world.wal.appended().map_or(0, Lsn::get)
}

#[test]
fn merges_of_one_turn_into_one_document_share_a_record() {
    let world = World::new(1, options(1));
    let mut documents = [CrdtDocument::new(), CrdtDocument::new()];
    let before = records(&world);
    let mut ops = Vec::new();
    for number in 0_u8..20 {
        for (document, key) in documents.iter_mut().zip(["a", "b"]) {
            let letter = char::from(b'a' + number).to_string();
            ops.push(merge(key, edit(document, 1, &letter)));
        }
    }
    let answers = in_one_turn(&world, ops);
    assert_eq!(records(&world), before + 2, "one for each document");
    for of_one in [answers.iter().step_by(2), answers[1..].iter().step_by(2)] {
        let all: Vec<_> = of_one.map(merged).collect();
        assert!(all.iter().all(|merged| merged.changed && merged.stamp == all[0].stamp));
    }
    let expected = Some(r#"{"t":"tsrqponmlkjihgfedcba"}"#.to_owned());
    assert_eq!((json(&world, "a"), json(&world, "b")), (expected.clone(), expected.clone()));
    let world = world.kill(1);
    assert_eq!((json(&world, "a"), json(&world, "b")), (expected.clone(), expected));
}

#[test]
fn what_is_refused_or_known_spoils_nothing_for_the_others() {
    let world = World::new(1, options(1));
    let mut mine = CrdtDocument::new();
    let (first, second) = (edit(&mut mine, 1, "a"), edit(&mut mine, 1, "b"));
    let mut theirs = CrdtDocument::new();
    edit(&mut theirs, 2, "c");
    let lacking = edit(&mut theirs, 2, "d");
    let planted = Bytes::from_static(PLANTED);
    let garbage = Bytes::from_static(b"garbage");
    let all = [first.clone(), garbage, lacking, planted, first, second];
    let answers = in_one_turn(&world, all.map(|update| merge("d", update)));
    let changed = |at: usize| merged(&answers[at]).changed;
    assert_eq!([changed(0), changed(4), changed(5)], [true, false, true]);
    let kind = |at: usize| answers[at].as_ref().expect_err("refused").kind();
    assert_eq!([kind(1), kind(2)], [ErrorKind::InvalidInput, ErrorKind::Conflict]);
    let panicked = &answers[3];
    assert!(matches!(panicked, Err(DataError::Crdt(CrdtError::Panicked { .. }))), "{panicked:?}");
    assert_eq!(world.data.quarantine().len(), 1, "that one alone");
    assert_eq!(json(&world, "d").as_deref(), Some(r#"{"t":"ba"}"#));
    let world = world.kill(1);
    assert_eq!(json(&world, "d").as_deref(), Some(r#"{"t":"ba"}"#));
}

/// A document that failed in the library is never freed. Each turn of merges that failed together, and none
/// of them alone, would lose another one.
#[test]
fn updates_that_failed_together_are_not_tried_together_again() {
    let world = World::new(1, options(1));
    let mut mine = CrdtDocument::new();
    let good = edit(&mut mine, 1, "a");
    let both = [good, Bytes::from_static(PLANTED)];
    in_one_turn(&world, both.map(|update| merge("d", update)));
    let before = records(&world);
    let more = ["b", "c"].map(|letter| merge("d", edit(&mut mine, 1, letter)));
    let answers = in_one_turn(&world, more);
    assert!(answers.iter().all(|answer| merged(answer).changed));
    assert_eq!(records(&world), before + 2, "a record for each");
    let mut other = CrdtDocument::new();
    let more = ["a", "b"].map(|letter| merge("e", edit(&mut other, 1, letter)));
    in_one_turn(&world, more);
    assert_eq!(records(&world), before + 3, "another document is not meant");
    assert_eq!(json(&world, "d").as_deref(), Some(r#"{"t":"cba"}"#));
}

#[test]
fn what_comes_between_merges_sees_those_before_it_and_no_others() {
    let world = World::new(1, options(1));
    let mut mine = CrdtDocument::new();
    let mut ops = Vec::new();
    for letter in ["a", "b", "c"] {
        ops.push(merge("d", edit(&mut mine, 1, letter)));
        ops.push(get(DRAWINGS, "d", Consistency::Eventual));
    }
    let answers = in_one_turn(&world, ops);
    let seen = answers.into_iter().skip(1).step_by(2);
    let seen: Vec<_> = seen.map(|answer| value(answer).map(|row| text(&row))).collect();
    let expected = ["a", "ba", "cba"].map(|letters| Some(format!("{{\"t\":\"{letters}\"}}")));
    assert_eq!(seen, expected);
}

#[test]
fn together_they_keep_to_the_limit_of_parked_answers() {
    let world = World::new(1, DataOptions { parked_answers_max: 4, ..options(1) });
    let mut mine = CrdtDocument::new();
    world.faults.hold_syncs("/wal/");
    let updates: Vec<_> = (0..8).map(|_| edit(&mut mine, 1, "x")).collect();
    let held = world.hold(0);
    let tickets: Vec<_> =
        updates.into_iter().map(|update| world.send(vshard(0), merge("d", update))).collect();
    held.release();
    // Refusals wait for nothing.
    let mut tickets = tickets.into_iter();
    let parked: Vec<_> = tickets.by_ref().take(4).collect();
    for ticket in tickets {
        let answer = ticket.wait().expect("an answer");
        assert!(matches!(answer, Err(DataError::ParkedFull)), "{answer:?}");
    }
    world.faults.release_syncs();
    for ticket in parked {
        assert!(merged(&ticket.wait().expect("an answer")).changed);
    }
    assert_eq!(json(&world, "d").as_deref(), Some(r#"{"t":"xxxx"}"#));
}
