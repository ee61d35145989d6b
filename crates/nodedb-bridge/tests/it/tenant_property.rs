//! Whatever is done to requests, in whatever order, the counts of tenants are exact after each step.

use nodedb_bridge::{
    Bridge, BridgeOptions, Envelope, Inbox, Priority, Request, SendError, Ticket, TicketError,
};
use nodedb_env::RealClock;
use nodedb_types::{CoreId, TenantId, VshardId};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const LIMIT: u32 = 3;

#[derive(Clone, Debug)]
enum Step {
    Send { tenant: u64, core: u16, background: bool },
    Receive { core: u16 },
    Answer,
    Refuse,
    DropReply,
    DropTicket,
    Forward { core: u16 },
    LoseInbox { core: u16 },
}

fn step() -> impl Strategy<Value = Step> {
    let core = 0..2_u16;
    prop_oneof![
        // Of a thousand tenants, many are counted in the same shard.
        8 => (prop_oneof![0..4_u64, 0..1_000_u64], core.clone(), any::<bool>())
            .prop_map(|(tenant, core, background)| Step::Send { tenant, core, background }),
        4 => core.clone().prop_map(|core| Step::Receive { core }),
        2 => Just(Step::Answer),
        1 => Just(Step::Refuse),
        1 => Just(Step::DropReply),
        2 => Just(Step::DropTicket),
        2 => core.clone().prop_map(|core| Step::Forward { core }),
        1 => core.prop_map(|core| Step::LoseInbox { core }),
    ]
}

/// An op that is alive as long as its request is. What holds more of a tenant's tokens than this test
/// does is the bridge and its envelopes: that is the count, kept by somebody else.
type Token = Arc<()>;

struct World {
    bridge: Bridge<Token, ()>,
    inboxes: Vec<Option<Inbox<Token, ()>>>,
    tickets: Vec<Ticket<()>>,
    begun: Vec<Envelope<Token, ()>>,
    tokens: BTreeMap<u64, Token>,
}

impl World {
    fn new() -> Self {
        let options =
            BridgeOptions { capacity: 8, tenant_in_flight: LIMIT, ..BridgeOptions::default() };
        let (bridge, inboxes) = Bridge::new(2, options, Arc::new(RealClock::new()));
        let inboxes = inboxes.into_iter().map(Some).collect();
        Self { bridge, inboxes, tickets: vec![], begun: vec![], tokens: BTreeMap::new() }
    }

    fn alive(&self, tenant: u64) -> usize {
        self.tokens.get(&tenant).map_or(0, |token| Arc::strong_count(token) - 1)
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Send { tenant, core, background } => self.send(tenant, core, background),
            Step::Receive { core } => {
                let inbox = self.inboxes[usize::from(core)].as_mut();
                self.begun.extend(inbox.and_then(Inbox::try_receive));
            }
            Step::Answer => self.end(|envelope| envelope.reply.send(())),
            Step::Refuse => self.end(|envelope| envelope.reply.refuse(TicketError::Timeout)),
            Step::DropReply => self.end(drop),
            Step::DropTicket => drop(self.tickets.pop()),
            Step::Forward { core } => self.end_at(core),
            Step::LoseInbox { core } => self.inboxes[usize::from(core)] = None,
        }
    }

    fn send(&mut self, tenant: u64, core: u16, background: bool) {
        let before = self.alive(tenant);
        let request = Request {
            tenant: TenantId::new(tenant),
            vshard: VshardId::new(0),
            op: Arc::clone(self.tokens.entry(tenant).or_default()),
            deadline: Duration::MAX,
            priority: if background { Priority::Background } else { Priority::Foreground },
            bytes: 0,
        };
        match self.bridge.send(CoreId::new(core), request) {
            Ok(ticket) => {
                assert!(before < LIMIT as usize || tenant == 0, "{before} are under way");
                self.tickets.push(ticket);
            }
            Err(SendError::TenantBusy { .. }) => assert_eq!(before, LIMIT as usize),
            Err(_) => {}
        }
    }

    fn end(&mut self, end: fn(Envelope<Token, ()>)) {
        self.begun.pop().into_iter().for_each(end);
    }

    fn end_at(&mut self, core: u16) {
        let Some(envelope) = self.begun.pop() else { return };
        if let Err(error) = self.bridge.forward(CoreId::new(core), envelope) {
            self.begun.push(error.into_envelope());
        }
    }

    fn check(&self) {
        for (&tenant, token) in &self.tokens {
            let alive = Arc::strong_count(token) - 1;
            let counted = self.bridge.in_flight(TenantId::new(tenant)) as usize;
            assert_eq!(counted, if tenant == 0 { 0 } else { alive }, "tenant {tenant}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn counts_are_exact_on_every_path(steps in prop::collection::vec(step(), 1..200)) {
        let mut world = World::new();
        for step in &steps {
            world.take(step);
            world.check();
        }
        world.inboxes.clear();
        world.begun.clear();
        world.check();
        let all = (0..1_000).map(|tenant| world.bridge.in_flight(TenantId::new(tenant)));
        prop_assert_eq!(all.sum::<u32>(), 0);
    }
}
