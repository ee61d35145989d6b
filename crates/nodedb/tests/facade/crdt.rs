use crate::world::{World, copy};
use nodedb::{
    CheckpointRequest, Collection, CollectionKind, Database, Error, ErrorKind, Metric,
    NewCollection, NewIndex, RestoreRequest, RestoreTarget, ScanOptions, WriteOptions,
    loro::{LoroDoc, LoroList, LoroMap, LoroText},
};
use std::collections::BTreeSet;

fn texts(database: &Database) -> Collection {
    let new = NewCollection::named("texts").with_kind(CollectionKind::Crdt);
    database.create_collection(new).expect("created");
    database.collection("texts").expect("found")
}

/// Who has ever edited a document.
fn peers(texts: &Collection) -> BTreeSet<u64> {
    let replica = LoroDoc::new();
    replica.import(&texts.export_crdt("doc", None).expect("exported")).expect("imported");
    replica.oplog_vv().keys().copied().collect()
}

fn push(texts: &Collection, item: &str) {
    let edit = |doc: &LoroDoc| doc.get_list("list").push(item);
    assert!(texts.edit_crdt("doc", edit).expect("edited").changed);
}

/// Merges each into each other, and says what both come to.
fn exchange(left: &Collection, right: &Collection) -> String {
    let (from_left, from_right) = (
        left.export_crdt("doc", None).expect("exported"),
        right.export_crdt("doc", None).expect("exported"),
    );
    left.merge("doc", &from_right).expect("merged");
    right.merge("doc", &from_left).expect("merged");
    let text = |texts: &Collection| {
        let found = texts.get("doc").expect("read").expect("there");
        found.text().expect("text").to_owned()
    };
    assert_eq!(text(left), text(right));
    text(left)
}

/// A replica that went back to an earlier state and edits on as the peer that it was would write other
/// operations under numbers that are taken: no merge would ever repair that.
#[test]
fn a_restored_database_edits_as_new_peers_and_converges_with_the_one_it_comes_from() {
    let world = World::new();
    let database = world.open(world.archived());
    let original = texts(&database);
    for item in ["a", "b", "c"] {
        push(&original, item);
    }
    let common = peers(&original);
    assert_eq!(common.len(), 1, "one open database edits a document as one peer");
    database
        .checkpoint(CheckpointRequest { base: true, ..CheckpointRequest::default() })
        .expect("a base");
    push(&original, "original");
    assert_eq!(peers(&original), common);
    let request = RestoreRequest {
        archive: world.archive_url(),
        into: world.path("restored"),
        target: RestoreTarget::Latest,
    };
    nodedb::restore(&request, &mut |_| ()).expect("restored");
    let killed = world.path("copied");
    copy(&world.dir(), &killed);
    for dir in [request.into, killed] {
        let other = Database::open_with(&dir, World::options(None)).expect("opened");
        let others = other.collection("texts").expect("found");
        push(&others, "other");
        push(&original, "original");
        let new: BTreeSet<_> = peers(&others).difference(&common).copied().collect();
        assert_eq!(new.len(), 1);
        assert!(new.is_disjoint(&peers(&original)));
        let both = exchange(&original, &others);
        assert!(both.contains("other") && both.contains("original"), "{both}");
        push(&original, "later");
        push(&others, "later");
        exchange(&original, &others);
        other.close().expect("closed");
    }
    let before = peers(&original);
    drop(original);
    database.close().expect("closed");
    let database = world.reopen();
    let texts = database.collection("texts").expect("found");
    push(&texts, "reopened");
    assert_eq!(peers(&texts).difference(&before).count(), 1, "every open is a new peer");
}

#[test]
fn a_document_that_was_deleted_is_edited_as_a_new_peer() {
    let world = World::new();
    let database = world.open(World::small());
    let texts = texts(&database);
    push(&texts, "before");
    let gone = peers(&texts);
    let old = texts.export_crdt("doc", None).expect("exported");
    texts.delete("doc", WriteOptions::default()).expect("deleted");
    push(&texts, "after");
    assert!(peers(&texts).is_disjoint(&gone));
    assert!(texts.merge("doc", &old).expect("no operation of it is another one").changed);
    let found = texts.get("doc").expect("read").expect("there");
    let value: serde_json::Value = found.parse().expect("JSON");
    assert_eq!(value["list"].as_array().map(Vec::len), Some(2));
}

#[test]
fn edits_of_several_threads_at_once_are_all_there() {
    let world = World::new();
    let database = world.open(World::small());
    let texts = texts(&database);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let texts = &texts;
            scope.spawn(move || {
                for number in 0..10 {
                    push(texts, &format!("{thread}-{number}"));
                }
            });
        }
    });
    let found = texts.get("doc").expect("read").expect("there");
    let value: serde_json::Value = found.parse().expect("JSON");
    let items: BTreeSet<_> =
        value["list"].as_array().expect("a list").iter().map(ToString::to_string).collect();
    assert_eq!(items.len(), 40);
    let all = texts.export_crdt("doc", None).expect("exported");
    let replica = LoroDoc::new();
    replica.import(&all).expect("imported");
    assert_eq!(replica.get_list("list").len(), 40);
}

/// Every kind of container, and containers in containers.
fn everything(doc: &LoroDoc) -> nodedb::loro::LoroResult<()> {
    doc.get_text("body").insert(0, "hello")?;
    let list = doc.get_list("list");
    list.push(1)?;
    list.push_container(LoroText::new())?.insert(0, "in a list")?;
    let map = doc.get_map("fields");
    map.insert("rank", 7)?;
    map.insert("flag", true)?;
    let child = map.insert_container("child", LoroMap::new())?;
    child.insert_container("items", LoroList::new())?.push(2.5)?;
    doc.get_counter("votes").increment(3.0)?;
    let movable = doc.get_movable_list("movable");
    movable.push("a")?;
    movable.push("b")?;
    movable.mov(0, 1)?;
    let tree = doc.get_tree("tree");
    let root = tree.create(None)?;
    tree.get_meta(root)?.insert("name", "root")?;
    let leaf = tree.create(root)?;
    tree.get_meta(leaf)?.insert("name", "leaf")
}

#[test]
fn every_container_is_read_and_filtered_as_json_and_travels_by_version() {
    let world = World::new();
    let database = world.open(World::small());
    let texts = texts(&database);
    texts.edit_crdt("doc", everything).expect("edited");
    texts.edit_crdt("other", |doc| doc.get_map("fields").insert("rank", 1)).expect("edited");
    let found = texts.get("doc").expect("read").expect("there");
    let value: serde_json::Value = found.parse().expect("JSON");
    assert_eq!(value["body"], "hello");
    assert_eq!(value["list"], serde_json::json!([1, "in a list"]));
    let fields = serde_json::json!({"rank": 7, "flag": true, "child": {"items": [2.5]}});
    assert_eq!(value["fields"], fields);
    assert_eq!(value["votes"], 3.0);
    assert_eq!(value["movable"], serde_json::json!(["b", "a"]));
    assert_eq!(value["tree"][0]["meta"]["name"], "root");
    assert_eq!(value["tree"][0]["children"][0]["meta"]["name"], "leaf");
    for (filter, matches) in [
        ("body = 'hello'", 1),
        ("votes > 2", 1),
        ("fields.rank >= 1", 2),
        ("fields.rank > 1 AND fields.flag = true", 1),
        ("body = 'bye'", 0),
    ] {
        let options = ScanOptions { filter: Some(filter.to_owned()), ..ScanOptions::default() };
        let rows: Vec<_> = texts.scan(options).expect("scanned").collect();
        assert_eq!(rows.len(), matches, "{filter}");
        assert_eq!(texts.count(Some(filter)).expect("counted"), matches as u64, "{filter}");
    }
    // What a replica lacks, by the version that it has.
    let replica = LoroDoc::new();
    replica.import(&texts.export_crdt("doc", None).expect("exported")).expect("imported");
    let known = nodedb_crdt::version_to_hex(&replica.oplog_vv().encode());
    texts.edit_crdt("doc", |doc| doc.get_text("body").insert(5, "!")).expect("edited");
    let news = texts.export_crdt("doc", Some(&known)).expect("exported");
    assert!(news.len() < 200, "{} bytes", news.len());
    replica.import(&news).expect("imported");
    assert_eq!(replica.get_text("body").to_string(), "hello!");
}

#[test]
fn replicas_merge_to_the_same_text_in_either_order() {
    let (here, there) = (World::new(), World::new());
    let open = |world: &World| {
        let database = world.open(World::small());
        let new = NewCollection::named("texts").with_kind(CollectionKind::Crdt);
        database.create_collection(new).expect("created");
        let texts = database.collection("texts").expect("found");
        (database, texts)
    };
    let ((_a, here), (_b, there)) = (open(&here), open(&there));
    here.edit_crdt("doc", |doc| doc.get_text("body").insert(0, "shared")).expect("edited");
    there.merge("doc", &here.export_crdt("doc", None).expect("exported")).expect("merged");
    here.edit_crdt("doc", |doc| doc.get_text("body").insert(0, "left ")).expect("edited");
    there.edit_crdt("doc", |doc| doc.get_text("body").insert(6, " right")).expect("edited");
    let left = here.export_crdt("doc", None).expect("exported");
    let right = there.export_crdt("doc", None).expect("exported");
    assert!(here.merge("doc", &right).expect("merged").changed);
    assert!(there.merge("doc", &left).expect("merged").changed);
    let text = |texts: &Collection| {
        let found = texts.get("doc").expect("read").expect("there");
        found.text().expect("text").to_owned()
    };
    assert_eq!(text(&here), text(&there));
    assert!(!here.merge("doc", &right).expect("merged").changed, "merging again changes nothing");
}

#[test]
fn many_edits_survive_compaction_and_reopen() {
    let world = World::new();
    let database = world.open(World::small());
    let new = NewCollection::named("texts").with_kind(CollectionKind::Crdt);
    database.create_collection(new).expect("created");
    let texts = database.collection("texts").expect("found");
    for edit in 0..200 {
        let insert = |doc: &LoroDoc| doc.get_list("list").push(edit);
        texts.edit_crdt("doc", insert).expect("edited");
    }
    let before = texts.get("doc").expect("read").expect("there");
    drop((texts, database));
    let database = world.reopen();
    let texts = database.collection("texts").expect("found");
    assert_eq!(texts.get("doc").expect("read").expect("there"), before);
    texts.delete("doc", WriteOptions::default()).expect("deleted");
    assert!(texts.get("doc").expect("read").is_none());
}

#[test]
fn damaged_updates_and_plain_puts_are_refused() {
    let world = World::new();
    let database = world.open(World::small());
    let new = NewCollection::named("texts").with_kind(CollectionKind::Crdt);
    database.create_collection(new).expect("created");
    let texts = database.collection("texts").expect("found");
    texts.edit_crdt("doc", |doc| doc.get_text("body").insert(0, "hello")).expect("edited");
    let mut update = texts.export_crdt("doc", None).expect("exported");
    let last = update.len() - 1;
    update[last / 2] ^= 1;
    assert_eq!(texts.merge("new", &update).expect_err("damaged").kind(), ErrorKind::InvalidInput);
    assert_eq!(
        texts.merge("new", &update[..last]).expect_err("cut").kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(texts.put("doc", &1).expect_err("no put").kind(), ErrorKind::InvalidInput);
    assert!(texts.get("new").expect("read").is_none());
    let error = texts.export_crdt("missing", None).expect_err("missing");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

/// An index over a field reads what documents hold, and a merge says nothing of that.
#[test]
fn indexes_of_crdt_collections_are_refused_by_name() {
    let world = World::new();
    let database = world.open(world.archived());
    let texts = texts(&database);
    push(&texts, "a");
    for new in [NewIndex::vector("vector", 4, Metric::Cosine), NewIndex::field("title")] {
        let error = texts.add_index(new).expect_err("refused");
        assert!(matches!(error, Error::WrongCollectionKind { .. }), "{error:?}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert!(texts.indexes().expect("a list").is_empty());
    push(&texts, "b");
}
