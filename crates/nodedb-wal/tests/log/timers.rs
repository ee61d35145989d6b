//! What the flusher does by the clock, and that nothing makes it do so late, or without need.

use crate::world::{Log, dir, lsn, options, record, until};
use nodedb_env::Files;
use nodedb_testkit::{ManualClock, SimFiles};
use nodedb_types::{Durability, Lsn};
use nodedb_wal::{AppendClass, DurabilityListener, LogOptions, PoisonCause, Wal};
use std::{
    fmt::{self, Debug, Formatter},
    sync::{Arc, Mutex},
    time::Duration,
};

const MINUTE: Durability = Durability::Periodic { every: Duration::from_mins(1) };

/// Does something once, on the leading thread, after it has written and before it decides about a sync.
struct InPass(Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Debug for InPass {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("InPass")
    }
}

impl DurabilityListener for InPass {
    fn written(&self, _: Lsn) {
        if let Some(act) = self.0.lock().expect("no panic").take() {
            act();
        }
    }
    fn durable(&self, _: Lsn) {}
    fn poisoned(&self, _: &PoisonCause) {}
}

/// The flusher slept until a `Periodic` append was due, far away, when a caller committed: the evidence for
/// that came as late.
#[test]
fn evidence_does_not_wait_for_a_periodic_append() {
    let soon = LogOptions { sync_point_idle: Duration::from_millis(2), ..options() };
    let log = Log::create(SimFiles::new(1), soon);
    let first = log.append(b"due in a minute", MINUTE);
    until("the flusher has written it", || log.wal.written() == first.last());
    let second = log.place(b"committed");
    log.wal.commit(second, log.deadline()).expect("durable");
    let end = log.wal.log_offset();
    until("a SyncPoint", || log.wal.log_offset() > end);
}

/// One that was due under load made every pass sync from then on: what was appended while its pass was
/// written counted as due with it, so that `Periodic` cost as much as `Sync`.
#[test]
fn a_periodic_append_that_is_due_does_not_make_later_ones_due() {
    let disk = SimFiles::new(2);
    let clock = Arc::new(ManualClock::new());
    let env = disk.env_with_clock(Arc::<ManualClock>::clone(&clock));
    disk.create_dir(dir()).expect("empty disk");
    let wal = Wal::create(&env, dir(), options()).expect("empty directory");
    let append = |wal: &Wal| {
        wal.append(&[record(b"x")], MINUTE, AppendClass::User).expect("room");
    };
    let flush = |number| {
        let far = env.clock.now() + Duration::from_mins(1);
        wal.flush(lsn(number), far).expect("written");
    };
    append(&wal);
    flush(1);
    clock.advance(Duration::from_mins(2));
    let writer = wal.clone();
    let act = move || append(&writer);
    wal.set_listener(Arc::new(InPass(Mutex::new(Some(Box::new(act))))));
    for number in [2, 4, 5, 6] {
        let staged = wal.stage(&[record(b"y")], AppendClass::User).expect("room");
        assert_eq!(staged.start(), lsn(number));
        flush(number);
    }
    assert_eq!(wal.durable(), Some(lsn(2)), "the third is due in a minute");
}
