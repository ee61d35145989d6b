//! Durable puts by async callers.

use super::{
    bare_log::BareLog,
    callers::{Called, Callers},
    world::{SYNCED, World, until_taken},
};
use crate::{
    Contender, Outcome, Site, payload,
    wal::{PAYLOAD_BYTES, Race, Subject, Workload},
};
use anyhow::{Context, Result, ensure};
use nodedb::CheckpointRequest;

/// Measures the log, the database, and peers with as many threads as there are callers.
pub(super) fn measure(site: &Site, callers: usize, peers: &[&dyn Subject]) -> Result<Vec<Outcome>> {
    let log = BareLog::create(&site.fresh("log")?)?;
    let puts = Puts { world: World::create(&site.fresh("nodedb")?)? };
    let mut contenders: Vec<Box<dyn Contender>> =
        vec![Box::new(Callers::prepare(log, callers)?), Box::new(Callers::prepare(puts, callers)?)];
    let workload = Workload::Commits { threads: callers, depth: 1 };
    for peer in peers.iter().filter(|peer| peer.takes(workload)) {
        let race = Race::prepare(*peer, &site.fresh(peer.who())?, callers, 1);
        let race = race.with_context(|| format!("{} before its first turn", peer.who()))?;
        contenders.push(Box::new(race));
    }
    Ok(vec![site.race("puts/s", contenders)?])
}

/// A key and a document, together as long as the records of peers.
pub(super) fn row(number: u64) -> (String, String) {
    const FRAME: usize = r#"row:000000000000{"n":000000000000,"text":""}"#.len();
    let text = letters(number, PAYLOAD_BYTES - FRAME);
    // Digits that lead may not be zeros in JSON.
    let n = 100_000_000_000 + number;
    (format!("row:{number:012}"), format!(r#"{{"n":{n},"text":"{text}"}}"#))
}

/// So many letters in an order without pattern.
pub(super) fn letters(seed: u64, len: usize) -> String {
    payload(seed, len).iter().map(|byte| char::from(b'a' + byte % 26)).collect()
}

struct Puts {
    world: World,
}

impl Called for Puts {
    const WHO: &'static str = "nodedb";

    async fn call(&self, number: u64) -> Result<()> {
        let (key, json) = row(number);
        let put = || self.world.collection.put_async(&key, json.as_bytes(), SYNCED);
        until_taken(None, put).await?;
        Ok(())
    }

    /// A checkpoint, which gives the log of the turn back as segments to come: those of the bare log
    /// are ready too when its turn begins.
    fn settle(&self) -> Result<()> {
        self.world.database.checkpoint(CheckpointRequest::default())?;
        Ok(())
    }

    fn verify(self, calls: u64) -> Result<()> {
        let found = self.world.reopen_and_count()?;
        ensure!(found == calls, "nodedb acknowledged {calls} documents and has {found}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn rows_are_as_long_as_the_records_of_peers() {
        for number in [0, 1, 899_999_999_999] {
            let (key, json) = row(number);
            assert_eq!(key.len() + json.len(), PAYLOAD_BYTES);
        }
    }

    #[test]
    fn every_acknowledged_put_is_there() {
        let temp = tempfile::tempdir().expect("a directory");
        let puts = Puts { world: World::create(temp.path()).expect("created") };
        let mut callers = Callers::prepare(puts, 4).expect("warm");
        assert!(callers.turn(Duration::from_millis(20)).expect("a turn").value > 0.0);
        Box::new(callers).verify().expect("all are there");

        let temp = tempfile::tempdir().expect("a directory");
        let log = BareLog::create(temp.path()).expect("created");
        let mut callers = Callers::prepare(log, 4).expect("warm");
        assert!(callers.turn(Duration::from_millis(20)).expect("a turn").value > 0.0);
        Box::new(callers).verify().expect("all are there");
    }
}
