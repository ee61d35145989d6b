//! Two authors who edit one text at the same time, as it was recorded.

use crate::world::{World, copy};
use nodedb::{
    CheckpointRequest, Collection, CollectionKind, CreateOptions, Database, Durability, ErrorKind,
    NewCollection,
    loro::{ExportMode, LoroDoc},
};
use serde::Deserialize;
use std::{collections::VecDeque, path::Path};

#[derive(Deserialize)]
struct Trace {
    #[serde(rename = "endContent")]
    end: String,
    txns: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    parents: Vec<usize>,
    agent: usize,
    patches: Vec<(usize, usize, String)>,
}

/// One of the authors.
struct Author {
    doc: LoroDoc,
    /// Which transactions the author knows.
    knows: Vec<bool>,
    /// Own edits that were not sent yet begin here.
    sent: nodedb::loro::VersionVector,
}

/// The updates that each author sends: all edits between two of the other's that came in.
fn play(trace: &Trace) -> [VecDeque<Vec<u8>>; 2] {
    let mut authors = [1, 2].map(|peer| {
        let doc = LoroDoc::new();
        doc.set_peer_id(peer).expect("a peer");
        let sent = doc.oplog_vv();
        Author { doc, knows: vec![false; trace.txns.len()], sent }
    });
    let mut updates: Vec<Vec<u8>> = Vec::new();
    let mut sends = [VecDeque::new(), VecDeque::new()];
    for (number, transaction) in trace.txns.iter().enumerate() {
        let author = &mut authors[transaction.agent];
        let mut wanted: Vec<_> =
            transaction.parents.iter().copied().filter(|at| !author.knows[*at]).collect();
        let mut news = Vec::new();
        while let Some(at) = wanted.pop() {
            if !std::mem::replace(&mut author.knows[at], true) {
                news.push(at);
                wanted.extend(&trace.txns[at].parents);
            }
        }
        news.sort_unstable();
        if !news.is_empty() {
            author.send(&mut sends[transaction.agent]);
            for at in news {
                author.doc.import(&updates[at]).expect("complete");
            }
            author.sent = author.doc.oplog_vv();
        }
        let before = author.doc.oplog_vv();
        let text = author.doc.get_text("text");
        for (at, deleted, inserted) in &transaction.patches {
            text.delete(*at, *deleted).expect("in range");
            text.insert(*at, inserted).expect("in range");
        }
        author.doc.commit();
        author.knows[number] = true;
        updates.push(author.doc.export(ExportMode::updates(&before)).expect("an update"));
    }
    for (author, sends) in authors.iter_mut().zip(&mut sends) {
        author.send(sends);
    }
    sends
}

impl Author {
    fn send(&mut self, sends: &mut VecDeque<Vec<u8>>) {
        if self.doc.oplog_vv() != self.sent {
            sends.push_back(self.doc.export(ExportMode::updates(&self.sent)).expect("an update"));
            self.sent = self.doc.oplog_vv();
        }
    }
}

/// Merges some of what is left, of either author as a simple random sequence says. What lacks the
/// other's edits is refused and sent again later.
fn merge_some(
    texts: &Collection,
    left: &mut [VecDeque<Vec<u8>>; 2],
    random: &mut u64,
    count: usize,
) {
    for _ in 0..count {
        *random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let first = usize::from(*random >> 63 == 1);
        for author in [first, 1 - first] {
            let Some(update) = left[author].front() else { continue };
            match texts.merge("doc", update) {
                Ok(merged) => {
                    assert!(merged.changed);
                    left[author].pop_front();
                    break;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
        }
    }
}

fn open(database: &Database) -> Collection {
    let new = NewCollection::named("texts").with_kind(CollectionKind::Crdt);
    database.create_collection(new).expect("created");
    database.collection("texts").expect("found")
}

#[test]
fn two_authors_converge_in_any_order_over_checkpoints_reopens_and_kills() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/trace-friendsforever.json.zst");
    let Ok(packed) = std::fs::read(&path) else {
        eprintln!("skipped: {} is not there", path.display());
        return;
    };
    let json = zstd::decode_all(&*packed).expect("unpacked");
    let trace: Trace = serde_json::from_slice(&json).expect("a trace");
    let sends = play(&trace);
    let mut exports = Vec::new();
    for seed in [1_u64, 2] {
        let world = World::new();
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut left = sends.clone();
        let third = (left[0].len() + left[1].len()) / 3;
        // Buffered survives what is done here to the files, and thousands of merges need no sync each.
        let options = CreateOptions { durability: Durability::Buffered, ..World::small() };
        let database = world.open(options);
        let texts = open(&database);
        merge_some(&texts, &mut left, &mut random, third);
        database.checkpoint(CheckpointRequest::default()).expect("a checkpoint");
        drop((texts, database));
        let database = world.reopen();
        let texts = database.collection("texts").expect("found");
        merge_some(&texts, &mut left, &mut random, third);
        // What a kill leaves: the files as they are while the database is open.
        let killed = world.path("killed");
        copy(&world.dir(), &killed);
        drop((texts, database));
        let database = Database::open_with(&killed, World::options(None)).expect("recovered");
        let texts = database.collection("texts").expect("found");
        while left.iter().any(|sends| !sends.is_empty()) {
            merge_some(&texts, &mut left, &mut random, third);
        }
        let found = texts.get("doc").expect("read").expect("there");
        let value: serde_json::Value =
            serde_json::from_str(found.text().expect("text")).expect("JSON");
        assert_eq!(value["text"], trace.end.as_str(), "the order of replica {seed}");
        exports.push(texts.export_crdt("doc", None).expect("exported"));
        assert!(!texts.merge("doc", &exports[0]).expect("merged").changed, "all have the same");
    }
}
