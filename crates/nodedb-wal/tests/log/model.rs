//! What must be in a log, going by what it answered.

use crate::{waiter::Promise, world::Log};
use nodedb_types::{LogEpoch, Lsn, LsnRange};
use nodedb_wal::{ReadLimit, RecoveryReport, Wal};
use std::collections::BTreeSet;

/// An atomic group that was appended.
struct Group {
    epoch: LogEpoch,
    first: Lsn,
    payloads: Vec<Vec<u8>>,
}

impl Group {
    fn last(&self) -> Lsn {
        self.first.advance(self.payloads.len() as u64 - 1)
    }
}

#[derive(Default)]
pub(crate) struct Model {
    /// By their order; what a crash took is forgotten.
    groups: Vec<Group>,
    /// Every position that was ever given out.
    used: BTreeSet<(LogEpoch, Lsn)>,
    /// Acknowledged to survive a power cut, and a kill.
    durable: Option<Lsn>,
    written: Option<Lsn>,
    /// The last redo position that was recorded, and the highest that was tried.
    redo: Option<Lsn>,
    redo_tried: Option<Lsn>,
}

impl Model {
    pub(crate) fn appended(&mut self, epoch: LogEpoch, range: LsnRange, payloads: Vec<Vec<u8>>) {
        let before = self.groups.last().map(Group::last);
        assert_eq!(range.start(), Lsn::after(before), "numbers are dense");
        let group = Group { epoch, first: range.start(), payloads };
        for index in 0..group.payloads.len() as u64 {
            let fresh = self.used.insert((epoch, group.first.advance(index)));
            assert!(fresh, "{:?} was given out twice in {epoch:?}", group.first.advance(index));
        }
        self.groups.push(group);
    }

    /// What the log says is as good as an acknowledgement.
    pub(crate) fn observe(&mut self, wal: &Wal) {
        let durable = wal.durable();
        let written = wal.written();
        assert!(durable <= written && written <= wal.appended(), "each lies within the next");
        self.durable = self.durable.max(durable);
        self.written = self.written.max(written);
    }

    pub(crate) fn acknowledged(&mut self, promise: Promise, lsn: Lsn, wal: &Wal) {
        let reached = match promise {
            Promise::Durable => wal.durable(),
            Promise::Written => wal.written(),
            Promise::Nothing => return,
        };
        assert!(reached >= Some(lsn), "{promise:?} was promised of {lsn}, and is {reached:?}");
        self.observe(wal);
    }

    pub(crate) fn closed(&mut self, wal: &Wal) {
        let last = self.groups.last().map(Group::last);
        assert_eq!(wal.durable(), last, "a close makes everything durable");
        self.durable = last;
        self.written = last;
    }

    pub(crate) fn power_is_cut(&mut self) {
        self.written = self.durable;
    }

    pub(crate) fn checkpoint(&mut self, redo: Lsn, recorded: bool) {
        self.redo_tried = self.redo_tried.max(Some(redo));
        if recorded {
            self.redo = self.redo.max(Some(redo));
        }
    }

    /// Checks what an open reports. From then on it counts as acknowledged.
    pub(crate) fn check_report(&mut self, log: &Log, report: &RecoveryReport) {
        let last = report.last;
        assert!(last >= self.durable, "durable {:?}, found {last:?}", self.durable);
        assert!(last >= self.written, "written {:?}, found {last:?}", self.written);
        assert!(last >= report.proven, "it says itself that more was durable");
        let end = self.groups.iter().rev().map(Group::last).find(|end| Some(*end) <= last);
        assert_eq!(end, last, "it ends with the end of a group that was appended");
        assert!(Some(report.redo) >= self.redo, "a recorded checkpoint is forgotten");
        assert!(report.redo <= self.redo_tried.unwrap_or(Lsn::FIRST), "nobody recorded that");
        assert!(report.oldest <= report.redo, "what recovery needs is there");
        assert_eq!(log.wal.oldest(), report.oldest);
        self.durable = last;
        self.written = last;
        self.redo_tried = Some(report.redo);
    }

    /// The same for an open after which the log is used; forgets what the crash took.
    pub(crate) fn check(&mut self, log: &Log, report: &RecoveryReport) {
        self.check_report(log, report);
        self.groups.retain(|group| Some(group.last()) <= report.last);
        let oldest = report.oldest;
        let records = self.groups.iter().flat_map(|group| {
            let numbered = group.payloads.iter().enumerate();
            numbered.map(|(index, payload)| {
                (group.epoch, group.first.advance(index as u64), payload.as_slice())
            })
        });
        let mut expected = records.filter(|(_, lsn, _)| *lsn >= oldest);
        let mut reader = log.wal.reader(oldest, ReadLimit::Durable).expect("there");
        while let Some(batch) = reader.next_batch().expect("intact") {
            for record in batch.records() {
                let found = (batch.epoch, record.lsn, record.payload.as_ref());
                assert!(Some(found) == expected.next(), "other bytes than were written");
            }
        }
        assert!(expected.next().is_none(), "records are missing");
    }
}
