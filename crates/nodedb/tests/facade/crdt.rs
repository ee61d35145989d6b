use crate::world::World;
use nodedb::{CollectionKind, ErrorKind, NewCollection, WriteOptions};

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
    let text = |texts: &nodedb::Collection| {
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
        let insert = |doc: &nodedb::loro::LoroDoc| doc.get_list("list").push(edit);
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
