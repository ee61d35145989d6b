//! Strong reads by async callers.

use super::{
    bare_tree::BareTree,
    callers::{Called, Callers},
    world::World,
};
use crate::{Contender, Outcome, Site, documents};
use anyhow::{Context, Result, ensure};
use nodedb::CheckpointRequest;
use std::{hint::black_box, sync::Arc, thread};

const ROWS: usize = 100_000;
/// Prime, so that all rows are visited before one comes again.
const STRIDE: usize = 7_919;

/// Measures the bare tree and the database.
pub(super) fn measure(site: &Site, callers: usize) -> Result<Vec<Outcome>> {
    let rows: Arc<[_]> = documents(1, ROWS).into();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    let threads = callers.min(processors);
    let tree = BareTree::fill(&site.fresh("lsm-tree")?, &rows, threads)?;
    let world = World::create(&site.fresh("nodedb")?)?;
    world.fill(&rows)?;
    // Into tables, as on the other side.
    world.database.checkpoint(CheckpointRequest::default())?;
    let gets = Callers::prepare(Gets { world, rows }, callers)?;
    let contenders: Vec<Box<dyn Contender>> = vec![Box::new(tree), Box::new(gets)];
    Ok(vec![site.race("gets/s", contenders)?])
}

/// Far from the last one, so that neighbours in time are none in the tables.
pub(super) const fn next_place(place: usize, rows: usize) -> usize {
    (place + STRIDE) % rows
}

struct Gets {
    world: World,
    rows: Arc<[(String, String)]>,
}

impl Called for Gets {
    const WHO: &'static str = "nodedb";

    async fn call(&self, number: u64) -> Result<()> {
        let place = usize::try_from(number)?.wrapping_mul(STRIDE) % self.rows.len();
        let (key, _) = &self.rows[place];
        let found = self.world.collection.get_async(key)?.await?.context("every row is there")?;
        // White space between values is not kept.
        ensure!(black_box(found).value.ends_with(b"\"]}"), "{key} is cut");
        Ok(())
    }

    fn verify(self, _: u64) -> Result<()> {
        let found = self.world.reopen_and_count()?;
        ensure!(found == self.rows.len() as u64, "nodedb has {found} documents");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, time::Duration};

    #[test]
    fn both_sides_read_every_row() {
        let rows: Arc<[_]> = documents(1, 500).into();
        let mut place = 0;
        let places = rows.iter().map(|_| {
            place = next_place(place, rows.len());
            place
        });
        assert_eq!(places.collect::<BTreeSet<_>>().len(), 500);

        let temp = tempfile::tempdir().expect("a directory");
        let mut tree = BareTree::fill(&temp.path().join("tree"), &rows, 2).expect("filled");
        assert!(tree.turn(Duration::from_millis(5)).expect("read").value > 0.0);

        let world = World::create(temp.path()).expect("created");
        world.fill(&rows).expect("filled");
        world.database.checkpoint(CheckpointRequest::default()).expect("flushed");
        let mut gets = Callers::prepare(Gets { world, rows }, 3).expect("warm");
        assert!(gets.turn(Duration::from_millis(5)).expect("read").value > 0.0);
        Box::new(gets).verify().expect("all are there");
    }
}
