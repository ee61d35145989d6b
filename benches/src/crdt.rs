//! CRDT documents through the facade.

use crate::{Case, Contender, LIMIT, Outcome, Sample, Site, real, shared_data};
use anyhow::{Context, Result, ensure};
use nodedb::{
    Collection, CollectionKind, Database, NewCollection, WriteOptions,
    loro::{ExportMode, LoroDoc},
};
use nodedb_env::{Clock, Env};
use serde::Deserialize;
use std::{collections::VecDeque, sync::Arc, time::Duration};

const TRACE: &str = "trace-automerge-paper.json.zst";
/// Transactions of a quick run.
const FEW: usize = 5_000;
/// Merges that an application keeps under way.
const PIPELINE: usize = 256;
const TEXT: &str = "text";
const KEY: &str = "paper";

/// The cases of this group.
///
/// - `crdt-trace`: one author's edits of a paper, an update for each transaction, merged durably into a
///   document of a database, 256 of them under way. The limit imports the same updates into a bare loro
///   document, one by one. What is counted is transactions.
pub fn cases<'a>() -> Vec<Case<'a>> {
    vec![Case::new("crdt-trace", trace)]
}

fn trace(site: &Site) -> Result<Vec<Outcome>> {
    let Some(json) = shared_data(TRACE)? else { return Ok(vec![]) };
    let trace: Trace = serde_json::from_str(&json)?;
    let transactions = if site.effort.quick { FEW } else { usize::MAX };
    let updates = Updates::of(&trace, transactions)?;
    let clock = Env::real().clock;
    let bare = Bare { updates: updates.clone(), clock: Arc::clone(&clock) };
    let database = Database::open(site.fresh("nodedb")?)?;
    database.create_collection(NewCollection::named("texts").with_kind(CollectionKind::Crdt))?;
    let texts = database.collection("texts")?;
    let merges = Merges { texts, database, updates, clock };
    Ok(vec![site.race("transactions/s", vec![Box::new(bare), Box::new(merges)])?])
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    end_content: String,
    txns: Vec<Transaction>,
}

#[derive(Deserialize)]
struct Transaction {
    /// Place, characters to delete there, characters to insert there.
    patches: Vec<(usize, usize, String)>,
}

/// What one author's replica sends, and what comes out.
#[derive(Clone)]
struct Updates {
    updates: Arc<[Vec<u8>]>,
    text: String,
}

impl Updates {
    fn of(trace: &Trace, transactions: usize) -> Result<Self> {
        let author = LoroDoc::new();
        author.set_peer_id(1)?;
        let text = author.get_text(TEXT);
        let mut updates = Vec::new();
        for transaction in trace.txns.iter().take(transactions) {
            let before = author.oplog_vv();
            for (place, deleted, inserted) in &transaction.patches {
                text.delete(*place, *deleted)?;
                text.insert(*place, inserted)?;
            }
            author.commit();
            updates.push(author.export(ExportMode::updates(&before))?);
        }
        let text = text.to_string();
        let whole = updates.len() == trace.txns.len();
        ensure!(!whole || text == trace.end_content, "the trace does not end as it says");
        Ok(Self { updates: updates.into(), text })
    }

    fn rate(&self, begin: Duration, clock: &dyn Clock) -> Sample {
        let elapsed = clock.now().saturating_sub(begin).as_secs_f64();
        Sample { value: real(self.updates.len() as u64) / elapsed, notes: vec![] }
    }
}

struct Bare {
    updates: Updates,
    clock: Arc<dyn Clock>,
}

impl Contender for Bare {
    fn who(&self) -> &'static str {
        LIMIT
    }

    /// The whole trace, whatever the time.
    fn turn(&mut self, _: Duration) -> Result<Sample> {
        let begin = self.clock.now();
        let document = LoroDoc::new();
        for update in self.updates.updates.iter() {
            document.import(update)?;
        }
        let sample = self.updates.rate(begin, &*self.clock);
        ensure!(document.get_text(TEXT).to_string() == self.updates.text, "another text");
        Ok(sample)
    }
}

struct Merges {
    texts: Collection,
    database: Database,
    updates: Updates,
    clock: Arc<dyn Clock>,
}

impl Contender for Merges {
    fn who(&self) -> &'static str {
        "nodedb"
    }

    /// The whole trace into a new document, whatever the time.
    fn turn(&mut self, _: Duration) -> Result<Sample> {
        let begin = self.clock.now();
        let mut under_way = VecDeque::with_capacity(PIPELINE);
        for update in self.updates.updates.iter() {
            if under_way.len() == PIPELINE {
                under_way.pop_front().map_or(Ok(()), finished)?;
            }
            under_way.push_back(self.texts.merge_async(KEY, update)?);
        }
        under_way.into_iter().try_for_each(finished)?;
        let sample = self.updates.rate(begin, &*self.clock);
        let found = self.texts.get(KEY)?.context("the paper is there")?;
        let paper: serde_json::Value = found.parse()?;
        ensure!(paper[TEXT] == self.updates.text.as_str(), "another text");
        self.texts.delete(KEY, WriteOptions::default())?;
        Ok(sample)
    }

    fn verify(self: Box<Self>) -> Result<()> {
        Ok(self.database.close()?)
    }
}

fn finished(merge: nodedb::Pending<nodedb::Merged>) -> Result<()> {
    ensure!(merge.wait()?.changed, "a transaction changes something");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_the_trace_one_by_one() {
        let json = r#"{"startContent":"","endContent":"ac","txns":[
            {"patches":[[0,0,"ab"],[2,0,"c"]]},{"patches":[[1,1,""]]}]}"#;
        let trace: Trace = serde_json::from_str(json).expect("a trace");
        let updates = Updates::of(&trace, 9).expect("it ends as it says");
        assert_eq!((updates.updates.len(), updates.text.as_str()), (2, "ac"));
        assert_eq!(Updates::of(&trace, 1).expect("the first alone").text, "abc");
        let mut bare = Bare { updates, clock: Env::real().clock };
        assert!(bare.turn(Duration::ZERO).expect("the same text").value > 0.0);
    }
}
