//! What a bridge costs that nobody uses: nothing at all.
#![cfg(target_os = "linux")]
#![expect(
    clippy::disallowed_methods,
    reason = "the kernel's own counts are read where it tells them"
)]

use crate::ping::{LONG, ask, ask_until};
use nodedb_bridge::{Bridge, BridgeOptions, Received};
use nodedb_env::{Env, Thread};
use nodedb_types::CoreId;
use std::{
    collections::BTreeMap,
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

const CORES: u16 = 16;
const CORE_NAMES: &str = "idle-core-";
/// Longer than any tick or timer that might be hidden somewhere.
const WATCHED: Duration = Duration::from_millis(300);

/// What the kernel has counted for a thread.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Counts {
    asleep: bool,
    /// Nanoseconds on a processor, and times that it came onto one.
    schedstat: Vec<u64>,
}

/// The counts of threads by their names, as far as these begin so.
fn counts(prefix: &str) -> BTreeMap<String, Counts> {
    let tasks = fs::read_dir("/proc/self/task").expect("this process");
    let counts = tasks.filter_map(|task| {
        let path = task.ok()?.path();
        let name = fs::read_to_string(path.join("comm")).ok()?.trim().to_owned();
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let asleep = stat.rsplit(')').next()?.trim_start().starts_with('S');
        let schedstat = fs::read_to_string(path.join("schedstat")).ok()?;
        let schedstat = schedstat.split_whitespace().filter_map(|word| word.parse().ok());
        // The middle one counts waiting for a processor, which others cause.
        let schedstat = schedstat.enumerate().filter(|(place, _)| *place != 1);
        let schedstat = schedstat.map(|(_, count)| count).collect();
        name.starts_with(prefix).then_some((name, Counts { asleep, schedstat }))
    });
    counts.collect()
}

/// Whether the thread of that name sleeps.
pub(crate) fn is_asleep(name: &str) -> bool {
    counts(name).get(name).is_some_and(|counts| counts.asleep)
}

/// The counts once all cores sleep in their inboxes.
fn at_rest(opened: &AtomicUsize) -> BTreeMap<String, Counts> {
    loop {
        // Behind its count a core sleeps nowhere but in its inbox.
        let all_open = opened.load(Ordering::SeqCst) == usize::from(CORES);
        let counts = counts(CORE_NAMES);
        if all_open && counts.values().all(|counts| counts.asleep) {
            assert_eq!(counts.len(), usize::from(CORES));
            return counts;
        }
        thread::yield_now();
    }
}

#[test]
fn sixteen_idle_cores_never_come_onto_a_processor() {
    let env = Env::real();
    let (bridge, inboxes) = Bridge::<u64, u64>::new(CORES, BridgeOptions::default(), env.clock);
    let opened = Arc::new(AtomicUsize::new(0));
    let cores: Vec<Box<dyn Thread>> = inboxes
        .into_iter()
        .map(|mut inbox| {
            let opened = Arc::clone(&opened);
            let name = format!("{CORE_NAMES}{}", inbox.core());
            let body = move || {
                opened.fetch_add(1, Ordering::SeqCst);
                while let Received::Request(envelope) = inbox.receive(None) {
                    envelope.reply.send(envelope.op);
                }
            };
            env.threads.spawn(&name, Box::new(body)).expect("a thread")
        })
        .collect();

    let before = at_rest(&opened);
    let (kept, nothing) = mpsc::channel::<()>();
    assert!(nothing.recv_timeout(WATCHED).is_err(), "nobody sends");
    drop(kept);
    assert_eq!(counts(CORE_NAMES), before, "a core was woken, or ran");

    // A request wakes its own core and no other.
    let ticket = bridge.send(CoreId::new(7), ask_until(1, LONG)).expect("there is room");
    assert_eq!(ticket.wait(), Ok(1));
    let after = at_rest(&opened);
    let woken: Vec<_> = after.keys().filter(|name| after[*name] != before[*name]).collect();
    assert_eq!(woken, ["idle-core-7"]);

    // An answer that nobody waits for wakes nobody else either.
    drop(bridge.send(CoreId::new(3), ask(2)).expect("there is room"));
    bridge.close();
    for core in cores {
        core.join().expect("no panic");
    }
}
