//! Request ids never repeat.

use crate::ping::{CORE, ask};
use nodedb_bridge::{Bridge, BridgeOptions, Envelope, Inbox, Reply, RequestIds, Ticket};
use nodedb_env::{Clock, RealClock};
use std::{collections::HashSet, sync::Arc, thread};

#[test]
fn ids_are_unique_over_threads_and_bridges_that_share_them() {
    let options = BridgeOptions { ids: RequestIds::new(), ..BridgeOptions::default() };
    let clock: Arc<dyn Clock> = Arc::new(RealClock::new());
    let (one, _inboxes_one) = Bridge::<u64, u64>::new(1, options.clone(), Arc::clone(&clock));
    let (two, _inboxes_two) = Bridge::<u64, u64>::new(1, options, clock);
    let ids: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = [&one, &two, &one, &two]
            .into_iter()
            .map(|bridge| {
                scope.spawn(move || {
                    (0..1000)
                        .map(|op| bridge.send(CORE, ask(op)).expect("there is room").id())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(ids.len(), 4000);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 4000);
}

#[test]
fn what_crosses_threads_may() {
    fn crosses<T: Send>() {}
    fn shared<T: Send + Sync>() {}
    shared::<Bridge<u64, u64>>();
    shared::<RequestIds>();
    crosses::<Inbox<u64, u64>>();
    crosses::<Envelope<u64, u64>>();
    crosses::<Reply<u64>>();
    crosses::<Ticket<u64>>();
}
