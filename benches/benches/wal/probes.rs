//! What each way to write costs, by the bytes that are synced at a time.

use crate::{
    map::{MapSync, Mapped},
    ways::{Direct, Dsync, FILE_BYTES, Fresh, Way, Written},
};
use anyhow::{Context, Result};
use nodedb_bench::{
    Arguments, Contender, Machine, Outcome, Report, Sample, in_turns, payload, real,
};
use nodedb_env::Env;
use std::{cell::RefCell, path::Path, rc::Rc, time::Duration};

const SIZES: [(&str, usize); 4] =
    [("sync-512", 512), ("sync-4k", 4 << 10), ("sync-16k", 16 << 10), ("sync-256k", 256 << 10)];

/// Turns here for one of the log's cases, each so much shorter: nothing has to get going first, and the
/// more often everybody has a turn, the less a noisy disk tells.
const TURNS: u32 = 3;

type Shared = Rc<RefCell<dyn Way>>;

/// Measures every way with every size, in turns.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let temp = tempfile::tempdir()?;
    let effort = arguments.effort().finer(TURNS);
    let report = Report::begin(arguments, effort, &Machine::of(temp.path()))?;
    let (ways, absent) = ways(&Env::real(), temp.path())?;
    for (case, bytes) in SIZES {
        let probe = |way: &Shared| Box::new(Probe::new(way, bytes)) as Box<dyn Contender>;
        let series = in_turns(ways.iter().map(probe).collect(), effort)?;
        report.tell(&Outcome {
            group: "wal-io",
            case: case.to_owned(),
            unit: "syncs/s",
            limit: Written::NAME,
            series,
            remarks: absent.clone(),
        })?;
    }
    Ok(())
}

/// Every way that this file system offers, and a remark about each other.
fn ways(env: &Env, dir: &Path) -> Result<(Vec<Shared>, Vec<String>)> {
    let mut ways: Vec<Shared> = vec![
        Rc::new(RefCell::new(Written::create(env, dir)?)),
        Rc::new(RefCell::new(Fresh::fallocated(env, dir))),
        Rc::new(RefCell::new(Fresh::growing(env, dir))),
        Rc::new(RefCell::new(Mapped::create(env, dir, MapSync::Msync)?)),
        Rc::new(RefCell::new(Mapped::create(env, dir, MapSync::Fdatasync)?)),
        Rc::new(RefCell::new(Dsync::create(env, dir)?)),
    ];
    let mut absent = Vec::new();
    let smallest = payload(4, SIZES[0].1);
    let direct = Direct::create(env, dir).and_then(|mut direct| {
        direct.write_synced(&smallest, 0)?;
        Ok(direct)
    });
    match direct {
        Ok(direct) => ways.push(Rc::new(RefCell::new(direct))),
        Err(error) => absent.push(format!("no o-direct of 512 bytes here: {error}")),
    }
    Ok((ways, absent))
}

/// One way with one size.
struct Probe {
    way: Shared,
    env: Env,
    bytes: Vec<u8>,
}

impl Probe {
    fn new(way: &Shared, bytes: usize) -> Self {
        Self { way: Rc::clone(way), env: Env::real(), bytes: payload(5, bytes) }
    }
}

impl Contender for Probe {
    fn who(&self) -> &'static str {
        self.way.borrow().name()
    }

    /// Until the time is over or the file is full.
    fn turn(&mut self, time: Duration) -> Result<Sample> {
        let mut way = self.way.borrow_mut();
        way.renew()?;
        let begin = self.env.clock.now();
        let mut now = begin;
        let mut syncs = 0;
        for offset in (0..FILE_BYTES).step_by(self.bytes.len()) {
            if now >= begin + time {
                break;
            }
            let written = way.write_synced(&self.bytes, offset);
            written.with_context(|| format!("{} at {offset}", way.name()))?;
            syncs += 1;
            now = self.env.clock.now();
        }
        let elapsed = now.saturating_sub(begin);
        Ok(Sample { value: real(syncs) / elapsed.as_secs_f64(), notes: vec![] })
    }
}
