use super::*;
use crate::Answer;
use crate::release::ParkedLimits;
use nodedb_bridge::{Bridge, BridgeOptions, Priority, Received, Request, Ticket};
use nodedb_document::Statistics;
use nodedb_env::Env;
use std::{thread, time::Duration};

const LIMITS: ParkedLimits = ParkedLimits { answers_max: 8, bytes_max: 4096 };

fn finish() -> (Finish, Ticket<Answer>) {
    let (bridge, mut inboxes) = Bridge::new(1, BridgeOptions::default(), Env::real().clock);
    let request = Request {
        tenant: TenantId::DEFAULT,
        vshard: VshardId::new(0),
        op: (),
        deadline: Duration::MAX,
        priority: Priority::Foreground,
        bytes: 0,
    };
    let ticket = bridge.send(CoreId::new(0), request).expect("room");
    let Received::Request(envelope) = inboxes.remove(0).receive(None) else {
        panic!("a request was sent");
    };
    let parked = Parked::write(envelope.reply, Outcome::Statistics(Statistics::default()));
    let until = Until::Now;
    (Finish { until, parked }, ticket)
}

fn cores(ids: &[u16]) -> BTreeSet<CoreId> {
    ids.iter().copied().map(CoreId::new).collect()
}

#[test]
fn a_group_that_is_given_up_stays_so() {
    let state = GroupState::new(2);
    state.join(CoreId::new(3)).expect("open");
    assert_eq!(state.verdict(), None);
    let waiting = state.abort(DataError::TimedOut).expect("open");
    assert_eq!(waiting, cores(&[3]));
    assert_eq!(state.verdict(), Some(Verdict::Aborted));
    assert!(matches!(state.join(CoreId::new(1)), Err(DataError::TimedOut)));
    assert!(matches!(state.begin_commit(), Err(DataError::TimedOut)));
    assert!(matches!(state.abort(DataError::Closed), Err(Some(DataError::TimedOut))));
}

#[test]
fn nothing_stops_a_group_that_is_being_logged() {
    let state = GroupState::new(2);
    state.join(CoreId::new(0)).expect("open");
    state.begin_commit().expect("open");
    assert!(matches!(state.abort(DataError::TimedOut), Err(None)));
    assert_eq!(state.verdict(), None, "those who wait go on waiting");
    let (end, ticket) = finish();
    let first = Some(Lsn::FIRST);
    assert_eq!(state.end_commit(first, Ok(end)), cores(&[0]));
    assert_eq!(state.verdict(), Some(Verdict::Committed(first)));
    assert!(matches!(state.abort(DataError::TimedOut), Err(None)));
    let queue = ReleaseQueue::new(LIMITS);
    state.applied(&queue);
    state.applied(&queue);
    assert!(ticket.wait().expect("answered").is_ok());
}

#[test]
fn a_refused_append_gives_the_group_up() {
    let state = GroupState::new(2);
    state.join(CoreId::new(0)).expect("open");
    state.begin_commit().expect("open");
    assert_eq!(state.end_commit(None, Err(DataError::LogFull)), cores(&[0]));
    assert_eq!(state.verdict(), Some(Verdict::Aborted));
    assert!(matches!(state.abort(DataError::TimedOut), Err(Some(DataError::LogFull))));
}

/// P4: it is answered when it is applied everywhere, not when it is durable somewhere.
#[test]
fn the_answer_waits_for_the_last_part() {
    let state = GroupState::new(3);
    state.begin_commit().expect("open");
    let (end, mut ticket) = finish();
    state.end_commit(Some(Lsn::FIRST), Ok(end));
    let queue = ReleaseQueue::new(LIMITS);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..2 {
        state.applied(&queue);
        let pending = std::pin::pin!(&mut ticket).poll(&mut context).is_pending();
        assert!(pending);
    }
    state.applied(&queue);
    assert!(ticket.wait().expect("answered").is_ok());
}

#[test]
fn of_a_deadline_and_a_commit_exactly_one_wins() {
    for _ in 0..200 {
        let state = GroupState::new(1);
        let (aborted, committed) = thread::scope(|scope| {
            let abort = scope.spawn(|| state.abort(DataError::TimedOut).is_ok());
            let commit = state.begin_commit().is_ok();
            (abort.join().expect("joins"), commit)
        });
        assert!(aborted != committed);
    }
}

#[test]
fn the_outcome_is_in_the_order_of_the_writes_as_they_were_sent() {
    let (bridge, _) = Bridge::new(1, BridgeOptions::default(), Env::real().clock);
    let mut visit = GroupVisit::new(BTreeMap::new(), 3, (Durability::Sync, None), bridge);
    let part = |id, writes| PreparedPart {
        vshard: VshardId::new(id),
        payloads: vec![(1, vec![0])],
        writes,
    };
    // Sent: write 0 to vshard 1, a delete of nothing and write 2 to vshard 0.
    visit.prepared.push(part(0, vec![(Place(1), None), (Place(2), Some(0))]));
    visit.prepared.push(part(1, vec![(Place(0), Some(0))]));
    assert_eq!(visit.records(), 2);
    let lsns = LsnRange::starting_at(Lsn::FIRST, 2);
    let epoch = LogEpoch::new(1);
    let Outcome::GroupWritten(written) = visit.outcome(epoch, Some(lsns)) else {
        panic!("a group");
    };
    let stamps: Vec<_> = written.writes.iter().map(|write| write.stamp).collect();
    let stamp = |lsn| Some(Stamp { epoch, lsn });
    assert_eq!(stamps, [stamp(Lsn::FIRST.next()), None, stamp(Lsn::FIRST)]);
}
