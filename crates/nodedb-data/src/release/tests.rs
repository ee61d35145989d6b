use super::*;
use crate::{Op, task::Task};
use nodedb_bridge::{Bridge, BridgeOptions, Inbox, Priority, Received, Request, Ticket};
use nodedb_document::Statistics;
use nodedb_env::Env;
use nodedb_types::{CoreId, ErrorKind, TenantId, VshardId};
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

const LIMITS: ParkedLimits = ParkedLimits { answers_max: 3, bytes_max: 4096 };

struct Side {
    bridge: Bridge<Task, Answer>,
    inbox: Inbox<Task, Answer>,
    queue: ReleaseQueue,
}

fn lsn(value: u64) -> Lsn {
    Lsn::from_u64(value).expect("not 0")
}

impl Side {
    fn new() -> Self {
        let options = BridgeOptions::default();
        let (bridge, mut inboxes) = Bridge::new(1, options, Env::real().clock);
        Self { bridge, inbox: inboxes.remove(0), queue: ReleaseQueue::new(LIMITS) }
    }

    fn reply(&mut self) -> (Reply<Answer>, Ticket<Answer>) {
        let request = Request {
            tenant: TenantId::DEFAULT,
            vshard: VshardId::new(0),
            op: Task::Op(Box::new(Op::Status)),
            deadline: Duration::MAX,
            priority: Priority::Foreground,
            bytes: 0,
        };
        let ticket = self.bridge.send(CoreId::new(0), request).expect("room");
        let Received::Request(envelope) = self.inbox.receive(None) else {
            panic!("a request was sent");
        };
        (envelope.reply, ticket)
    }

    fn park(&mut self, until: Until, stakes: Stakes) -> Ticket<Answer> {
        let (reply, ticket) = self.reply();
        let parked = Parked {
            stakes,
            ..Parked::read(reply, Ok(Outcome::Statistics(Statistics::default())))
        };
        self.queue.park(until, parked);
        ticket
    }
}

fn answer(ticket: &mut Ticket<Answer>) -> Option<Answer> {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(ticket).poll(&mut context) {
        Poll::Ready(answer) => Some(answer.expect("answered")),
        Poll::Pending => None,
    }
}

#[test]
fn answers_come_at_their_position_and_level_in_any_order_of_parking() {
    let mut side = Side::new();
    let mut late = side.park(Until::Durable(lsn(9)), Stakes::Write);
    let mut early = side.park(Until::Durable(lsn(5)), Stakes::Read);
    let mut written = side.park(Until::Written(lsn(9)), Stakes::Write);
    let mut now = side.park(Until::Now, Stakes::Write);
    assert!(answer(&mut now).is_some());
    side.queue.durable(lsn(5));
    assert!(answer(&mut early).is_some());
    assert!(answer(&mut late).is_none() && answer(&mut written).is_none());
    side.queue.written(lsn(9));
    assert!(answer(&mut written).is_some() && answer(&mut late).is_none());
    side.queue.durable(lsn(9));
    assert!(answer(&mut late).is_some());
    // What is there already is answered where it is parked.
    let mut passed = side.park(Until::Durable(lsn(7)), Stakes::Read);
    assert!(answer(&mut passed).is_some());
}

#[test]
fn what_is_durable_is_written_though_nobody_said_so() {
    let mut side = Side::new();
    let mut written = side.park(Until::Written(lsn(3)), Stakes::Write);
    side.queue.durable(lsn(4));
    assert!(answer(&mut written).is_some());
}

#[test]
fn poison_fails_what_waits_and_what_would_wait_but_not_what_is_durable() {
    let mut side = Side::new();
    side.queue.durable(lsn(5));
    let mut write = side.park(Until::Durable(lsn(6)), Stakes::Write);
    let mut read = side.park(Until::Durable(lsn(6)), Stakes::Read);
    side.queue.poison("disk");
    assert!(side.queue.is_poisoned());
    let mut later = side.park(Until::Written(lsn(6)), Stakes::Write);
    let mut below = side.park(Until::Durable(lsn(5)), Stakes::Read);
    let error =
        |ticket: &mut Ticket<Answer>| answer(ticket).expect("answered").expect_err("failed");
    let unknown = error(&mut write);
    assert!(matches!(unknown, DataError::OutcomeUnknown { .. }));
    assert!(matches!(error(&mut later), DataError::OutcomeUnknown { .. }));
    let refused = error(&mut read);
    assert!(matches!(refused, DataError::Poisoned { .. }));
    assert_eq!((unknown.kind(), refused.kind()), (ErrorKind::Poisoned, ErrorKind::Poisoned));
    assert!(answer(&mut below).expect("answered").is_ok());
}

#[test]
fn parked_reads_are_refused_at_the_limit_and_writes_are_told_before() {
    let mut side = Side::new();
    let _waiting = [5, 6, 7].map(|at| {
        assert!(side.queue.has_room());
        side.park(Until::Durable(lsn(at)), Stakes::Read)
    });
    assert!(!side.queue.has_room());
    let mut refused = side.park(Until::Durable(lsn(8)), Stakes::Read);
    let error = answer(&mut refused).expect("answered").expect_err("full");
    assert!(matches!(error, DataError::ParkedFull), "{error}");
    assert_eq!(error.kind(), ErrorKind::Busy);
    // One that need not wait is answered all the same.
    let mut now = side.park(Until::Now, Stakes::Read);
    assert!(answer(&mut now).expect("answered").is_ok());
    // A logged write cannot be refused any more.
    let mut write = side.park(Until::Durable(lsn(9)), Stakes::Write);
    assert!(answer(&mut write).is_none());
    side.queue.durable(lsn(9));
    assert!(answer(&mut write).is_some());
    assert!(side.queue.has_room() && side.queue.bytes() == 0);
}
