//! The CRDT step: two databases, one text.

use super::workbench::{Workbench, check};
use crate::failure::Failure;
use nodedb::{Collection, CollectionKind, CreateOptions, Database, Error, Merged, NewCollection};

const KEY: &str = "shopping";
const STEP: &str = "merge";
/// The replica holds one note.
const REPLICA_SEGMENT_BYTES: u64 = 1 << 20;

pub(super) fn merge(bench: &mut Workbench) -> Result<String, Failure> {
    let phone = bench.collection("notes")?;
    let options =
        CreateOptions { segment_bytes: REPLICA_SEGMENT_BYTES, ..CreateOptions::default() };
    let replica = Database::create(bench.replica(), options)?;
    replica.create_collection(NewCollection::named("notes").with_kind(CollectionKind::Crdt))?;
    let laptop = replica.collection("notes")?;

    insert(&phone, 0, "milk, bread")?;
    laptop.merge(KEY, &phone.export_crdt(KEY, None)?)?;
    // Apart: neither knows of the other's edit.
    insert(&phone, 0, "tea, ")?;
    insert(&laptop, "milk, bread".len(), ", salt")?;
    let from_phone = phone.export_crdt(KEY, None)?;
    let from_laptop = laptop.export_crdt(KEY, None)?;
    // Together, in both orders.
    phone.merge(KEY, &from_laptop)?;
    laptop.merge(KEY, &from_phone)?;

    let (here, there) = (text(&phone)?, text(&laptop)?);
    check(STEP, here == there, || format!("the phone has {here}, the laptop {there}"))?;
    let all = "tea, milk, bread, salt";
    check(STEP, here.contains(all), || format!("{here} is not `{all}`"))?;
    let again = phone.merge(KEY, &from_laptop)?;
    check(STEP, !again.changed, || "merging twice changed the text".to_owned())?;
    replica.close()?;
    Ok(format!("both replicas hold {here}; merging again changed nothing"))
}

fn insert(notes: &Collection, at: usize, words: &str) -> Result<Merged, Error> {
    notes.edit_crdt(KEY, |document| document.get_text("text").insert(at, words))
}

fn text(notes: &Collection) -> Result<String, Failure> {
    let document = notes.get(KEY)?.ok_or_else(|| Failure::Step {
        step: STEP,
        message: format!("the note `{KEY}` is gone"),
    })?;
    Ok(document.text()?.to_owned())
}
