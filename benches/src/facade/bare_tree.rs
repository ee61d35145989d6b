//! The library below the document store, without a database above it.

use crate::{Contender, LIMIT, Sample, real};
use anyhow::{Context, Result, anyhow, ensure};
use lsm_tree::{AbstractTree, AnyTree, Config, SequenceNumberCounter};
use nodedb_env::Env;
use parking_lot::Mutex;
use std::{hint::black_box, mem, path::Path, sync::Arc, time::Duration};

/// A tree with its default options and all rows in tables, read by so many threads.
pub(super) struct BareTree {
    tree: AnyTree,
    rows: Arc<[(String, String)]>,
    threads: usize,
}

impl BareTree {
    pub(super) fn fill(dir: &Path, rows: &Arc<[(String, String)]>, threads: usize) -> Result<Self> {
        let counter = SequenceNumberCounter::default();
        let tree = Config::new(dir, counter.clone(), SequenceNumberCounter::default()).open()?;
        for (key, json) in rows.iter() {
            tree.insert(key.as_bytes(), json.as_bytes(), counter.next());
        }
        tree.flush_active_memtable(0)?;
        Ok(Self { tree, rows: Arc::clone(rows), threads })
    }
}

impl Contender for BareTree {
    fn who(&self) -> &'static str {
        LIMIT
    }

    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let Env { clock, threads, .. } = Env::real();
        let counts = Arc::new(Mutex::new(Vec::new()));
        let begin = clock.now();
        let mut running = Vec::new();
        for first in 0..self.threads {
            let (tree, rows) = (self.tree.clone(), Arc::clone(&self.rows));
            let (clock, counts) = (Arc::clone(&clock), Arc::clone(&counts));
            let body = move || {
                let count = read_until(&tree, &rows[..], first, || clock.now() >= begin + time);
                counts.lock().push(count);
            };
            running.push(threads.spawn("bench-reader", Box::new(body))?);
        }
        for thread in running {
            thread.join().map_err(|_panic| anyhow!("a reader panicked"))?;
        }
        let counts: Result<Vec<u64>> = mem::take(&mut *counts.lock()).into_iter().collect();
        let elapsed = clock.now().saturating_sub(begin);
        Ok(Sample { value: real(counts?.iter().sum()) / elapsed.as_secs_f64(), notes: vec![] })
    }
}

/// Reads rows in an order without neighbours until it is time; answers how many.
fn read_until(
    tree: &AnyTree,
    rows: &[(String, String)],
    first: usize,
    over: impl Fn() -> bool,
) -> Result<u64> {
    let mut place = first;
    let mut count = 0;
    while !over() {
        place = super::get::next_place(place, rows.len());
        let (key, json) = &rows[place];
        let found = tree.get(key.as_bytes(), u64::MAX)?.context("every row is there")?;
        ensure!(black_box(found).len() == json.len(), "{key} is cut");
        count += 1;
    }
    Ok(count)
}
