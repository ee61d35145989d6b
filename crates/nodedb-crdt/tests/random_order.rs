//! Updates, snapshots and shallow snapshots of several peers, in any order, repeated, cut and damaged: what
//! is stored replays to what raw loro comes to, and whatever is refused is refused by name.
#![expect(clippy::expect_used, reason = "a failed expectation is the result of a test")]

use bytes::Bytes;
use loro::{ExportMode, LoroDoc};
use nodedb_crdt::{CrdtDocument, CrdtError, CrdtLimits, LiveDocument, loro};
use nodedb_types::limits::VALUE_BYTES_MAX;
use proptest::{prelude::*, sample::Index};
use std::collections::BTreeMap;

const PEERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A peer edits, and says what is new.
    Edit(usize, usize, Index),
    /// A peer hears of everything another one has.
    Sync(usize, usize),
    /// A peer says everything that it has: as updates, a snapshot, or a shallow snapshot.
    Export(usize, usize),
}

#[derive(Clone, Debug)]
enum Damage {
    Cut(Index),
    Flip(Index, u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..PEERS, 0_usize..5, any::<Index>()).prop_map(|(p, k, at)| Step::Edit(p, k, at)),
        1 => (0..PEERS, 0..PEERS).prop_map(|(from, to)| Step::Sync(from, to)),
        1 => (0..PEERS, 0_usize..3).prop_map(|(peer, how)| Step::Export(peer, how)),
    ];
    proptest::collection::vec(step, 1..30)
}

fn damage() -> impl Strategy<Value = Option<Damage>> {
    proptest::option::weighted(
        0.2,
        prop_oneof![
            any::<Index>().prop_map(Damage::Cut),
            (any::<Index>(), 0_u8..8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        ],
    )
}

fn edit(doc: &LoroDoc, kind: usize, at: Index) {
    let edited = match kind {
        0 => doc.get_text("t").insert(at.index(doc.get_text("t").len_unicode() + 1), "ab"),
        1 => doc.get_map("m").insert(&at.index(4).to_string(), at.index(1_000).to_string()),
        2 => doc.get_list("l").insert(at.index(doc.get_list("l").len() + 1), true),
        3 => {
            let list = doc.get_movable_list("ml");
            list.push(1).expect("an edit");
            list.mov(at.index(list.len()), 0)
        }
        _ => {
            let tree = doc.get_tree("tree");
            let node = tree.create(None).expect("a node");
            let nodes: Vec<_> = tree.roots();
            let other = nodes[at.index(nodes.len())];
            if other == node { Ok(()) } else { tree.mov(node, other) }
        }
    };
    edited.expect("an edit");
    doc.commit();
}

/// Plays the peers. Answers what they said, and the documents.
fn play(steps: &[Step]) -> (Vec<Bytes>, Vec<LoroDoc>) {
    let docs: Vec<_> = (1..=PEERS as u64)
        .map(|peer| {
            let doc = LoroDoc::new();
            doc.set_peer_id(peer).expect("a peer");
            doc
        })
        .collect();
    let mut said: Vec<Bytes> = Vec::new();
    for step in steps {
        match step {
            Step::Edit(peer, kind, at) => {
                let before = docs[*peer].oplog_vv();
                edit(&docs[*peer], *kind, *at);
                let update = docs[*peer].export(ExportMode::updates(&before));
                said.push(update.expect("an update").into());
            }
            Step::Sync(from, to) => {
                let all = docs[*from].export(ExportMode::all_updates()).expect("an update");
                docs[*to].import(&all).expect("a merge");
            }
            Step::Export(peer, how) => {
                let doc = &docs[*peer];
                let blob = match how {
                    0 => doc.export(ExportMode::all_updates()),
                    1 => doc.export(ExportMode::Snapshot),
                    _ => doc.export(ExportMode::shallow_snapshot(&doc.oplog_frontiers())),
                };
                said.push(blob.expect("an export").into());
            }
        }
    }
    (said, docs)
}

fn damaged(blob: &Bytes, damage: Option<&Damage>) -> Bytes {
    let mut bytes = blob.to_vec();
    match damage {
        None => {}
        Some(Damage::Cut(at)) => bytes.truncate(at.index(bytes.len())),
        Some(Damage::Flip(at, bit)) => {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
    }
    bytes.into()
}

/// What a store holds: the rows by slot, and which of them make up the document.
#[derive(Default)]
struct Store {
    rows: BTreeMap<u8, Bytes>,
    slots: Vec<u8>,
    used: u8,
}

impl Store {
    fn put(&mut self, row: nodedb_crdt::StoredRow) {
        self.rows.insert(row.slot, row.blob);
        (self.slots, self.used) = (row.slots, row.used);
    }

    fn load(&self) -> LiveDocument {
        let rows = self.slots.iter().map(|slot| (*slot, &self.rows[slot]));
        LiveDocument::load(self.used, rows).expect("what was stored loads")
    }
}

fn value(live: &LiveDocument) -> String {
    live.document().value_json().expect("a value")
}

/// What raw loro makes of everything that was stored.
fn modelled(model: &LoroDoc) -> String {
    let all = model.export(ExportMode::all_updates()).expect("an update");
    CrdtDocument::load([all].iter()).expect("loads").value_json().expect("a value")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_comes_is_refused_by_name_or_replays(
        steps in steps(),
        sent in proptest::collection::vec((any::<Index>(), damage(), 1_usize..4), 1..60),
    ) {
        let (said, docs) = play(&steps);
        prop_assume!(!said.is_empty());
        let limits = CrdtLimits::default();
        let (mut live, mut store) = (LiveDocument::new(), Store::default());
        let model = LoroDoc::new();
        for (which, damage, together) in &sent {
            let first = which.index(said.len());
            let mut blobs: Vec<_> = said[first..].iter().take(*together).cloned().collect();
            blobs[0] = damaged(&blobs[0], damage.as_ref());
            let before = value(&live);
            let joint = live.import_together(&blobs, &limits);
            if let Ok(Some(row)) = joint {
                prop_assert!(damage.is_none(), "nothing damaged is taken");
                for blob in &blobs {
                    model.import(blob).expect("loro takes it, too");
                }
                store.put(row);
            } else {
                prop_assert_eq!(value(&live), before.clone(), "refused together");
                match live.import(&blobs[0], &limits) {
                    Ok(row) => {
                        model.import(&blobs[0]).expect("loro takes it, too");
                        if let Some(row) = row {
                            store.put(row);
                        }
                    }
                    Err(error) => {
                        let named = matches!(
                            error,
                            CrdtError::MissingDependencies { .. } | CrdtError::InvalidUpdate { .. }
                        );
                        prop_assert!(named, "{error:?}");
                        prop_assert_eq!(value(&live), before, "refused");
                    }
                }
            }
            if let Some(row) = live.pack(VALUE_BYTES_MAX).expect("packs") {
                store.put(row);
            }
            prop_assert_eq!(value(&live), modelled(&model));
        }
        let loaded = store.load();
        prop_assert_eq!(value(&loaded), value(&live));
        prop_assert_eq!(loaded.document().version(), live.document().version());
        // And with all that the peers have, it is what raw loro makes of it.
        for doc in &docs {
            let all = Bytes::from(doc.export(ExportMode::all_updates()).expect("an update"));
            live.import(&all, &limits).expect("it has all that it builds on");
            model.import(&all).expect("loro takes it, too");
        }
        prop_assert_eq!(value(&live), modelled(&model));
    }
}
