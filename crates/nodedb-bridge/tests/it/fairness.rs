//! Neither class of requests starves behind the other.

use crate::ping::{ask, ask_background, next, one_core, options, send, serve_all};

/// Background ops are told by their number.
const BACKGROUND: u64 = 1000;

#[test]
fn background_is_served_after_every_full_run_of_foreground() {
    for run in [1, 3, 32] {
        let (bridge, mut inbox) = one_core(options(4096, run));
        let foreground: Vec<_> = (0..200).map(|op| send(&bridge, ask(op))).collect();
        let background: Vec<_> =
            (0..5).map(|op| send(&bridge, ask_background(BACKGROUND + op))).collect();
        let ops = serve_all(&mut inbox);

        let run = usize::try_from(run).expect("small");
        let places: Vec<_> = (0..ops.len()).filter(|&at| ops[at] >= BACKGROUND).collect();
        let expected: Vec<_> = (1..=5).map(|nth| nth * (run + 1) - 1).collect();
        assert_eq!(places, expected, "run {run}");
        for (class, count) in [(false, 200), (true, 5)] {
            let order: Vec<_> = ops.iter().filter(|&&op| (op >= BACKGROUND) == class).collect();
            assert_eq!(order.len(), count);
            assert!(order.is_sorted(), "first in, first out");
        }
        drop((foreground, background));
    }
}

#[test]
fn foreground_that_keeps_coming_cannot_hold_background_back() {
    let (bridge, mut inbox) = one_core(options(4, 32));
    let _waiting = send(&bridge, ask_background(BACKGROUND));
    let mut before = 0;
    loop {
        let _busy = send(&bridge, ask(before));
        let envelope = next(&mut inbox);
        let served = envelope.op;
        envelope.reply.send(0);
        if served == BACKGROUND {
            break;
        }
        before += 1;
        assert!(before <= 32, "background starves");
    }
    assert_eq!(before, 32);
}

#[test]
fn foreground_overtakes_a_full_background_queue() {
    let (bridge, mut inbox) = one_core(options(4096, 32));
    let _background: Vec<_> =
        (0..4096).map(|op| send(&bridge, ask_background(BACKGROUND + op))).collect();
    for op in 0..100 {
        let _ticket = send(&bridge, ask(op));
        let mut turns = 1;
        while next(&mut inbox).op != op {
            turns += 1;
            assert!(turns <= 2, "at most one background request goes first");
        }
    }
}
