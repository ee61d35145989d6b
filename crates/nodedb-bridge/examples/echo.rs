//! Two core threads that answer what they are asked, a blocking caller and one with a deadline.
//!
//! `cargo run --example echo`

use nodedb_bridge::{Bridge, BridgeOptions, Inbox, Priority, Received, Request, TicketError};
use nodedb_env::Env;
use nodedb_types::{TenantId, VshardId};
use std::{
    error::Error,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

/// Answers every question but the empty one, which it keeps to itself until the end.
fn serve(mut inbox: Inbox<String, String>) {
    let core = inbox.core();
    let mut parked = Vec::new();
    while let Received::Request(envelope) = inbox.receive(None) {
        if envelope.op.is_empty() {
            parked.push(envelope);
        } else {
            let answer = format!("core {core} heard {}", envelope.op);
            envelope.reply.send(answer);
        }
    }
    for envelope in parked {
        envelope.reply.send(String::new());
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let env = Env::real();
    let (bridge, inboxes) = Bridge::new(2, BridgeOptions::default(), Arc::clone(&env.clock));
    let mut cores = Vec::new();
    for inbox in inboxes {
        let name = format!("core-{}", inbox.core());
        cores.push(env.threads.spawn(&name, Box::new(move || serve(inbox)))?);
    }

    let ask = |vshard: u16, question: &str, patience: Duration| {
        let vshard = VshardId::new(vshard);
        let request = Request {
            tenant: TenantId::DEFAULT,
            vshard,
            op: question.to_owned(),
            deadline: env.clock.now() + patience,
            priority: Priority::Foreground,
            bytes: 0,
        };
        bridge.send(vshard.core(2), request)
    };

    let mut out = io::stdout().lock();
    for (vshard, question) in [(0, "hello"), (1, "good morning"), (2, "good night")] {
        let answer = ask(vshard, question, Duration::from_secs(5))?.wait()?;
        writeln!(out, "{answer}")?;
    }
    let silence = ask(0, "", Duration::from_millis(50))?.wait();
    assert_eq!(silence, Err(TicketError::Timeout));
    writeln!(out, "no answer to nothing, in time")?;

    bridge.close();
    for core in cores {
        assert!(core.join().is_ok(), "a core ends without a panic");
    }
    Ok(())
}
