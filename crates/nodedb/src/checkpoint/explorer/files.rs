//! The log's files in small, for the rules of writing and reopening them that a checkpoint rests on:
//! which records of which life are there after any crash.

use super::search::Model;

/// A record by the life that wrote it, its number, and which append it was.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Written {
    epoch: u8,
    lsn: u8,
    payload: u8,
}

/// A segment: what it holds in order, and what of it a power cut leaves.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct File {
    records: Vec<Written>,
    /// So many of them are on the medium.
    on_disk: usize,
    /// Bytes of a lost record that stand behind the end, as the disk wrote them out of order.
    stale: Option<Written>,
    /// Whether the directory names it durably.
    named: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Files {
    segments: Vec<File>,
    epoch: u8,
    next_payload: u8,
    /// What was acknowledged as durable, in order.
    acknowledged: Vec<Written>,
    /// Every record that was dropped by a recovery.
    dropped: Vec<Written>,
    /// A sync has failed: pages are clean that the medium lacks.
    sync_failed: bool,
    appends: u8,
    crashes: u8,
    failures: u8,
}

/// Which rule of the log is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LogFlaw {
    /// After a torn tail numbers come again in the same epoch.
    ReuseLsn,
    /// The new life appends where the old one ended.
    AppendToOldTail,
    /// A failed sync is tried again, and believed.
    RetrySync,
    /// A new segment is written to before the directory is synced.
    DropDirectorySync,
}

#[derive(Clone, Debug)]
pub(super) struct SmallLog {
    pub(super) appends: u8,
    pub(super) crashes: u8,
    pub(super) failures: u8,
    pub(super) flaw: Option<LogFlaw>,
}

/// Records of a segment.
const SEGMENT: usize = 2;

type Step = (&'static str, Result<Files, String>);

impl SmallLog {
    fn append(&self, log: &Files) -> Result<Files, String> {
        let mut next = log.clone();
        next.appends -= 1;
        let count: usize = log.segments.iter().map(|file| file.records.len()).sum();
        let lsn = u8::try_from(count + 1).expect("small");
        let record = Written { epoch: log.epoch, lsn, payload: log.next_payload };
        next.next_payload += 1;
        let same = |old: &&Written| (old.epoch, old.lsn) == (record.epoch, record.lsn);
        if log.dropped.iter().any(|old| same(&old)) {
            return Err("P8: a record of a lost one's name and another payload".to_owned());
        }
        if next.segments.last().is_none_or(|file| file.records.len() == SEGMENT) {
            let named = self.flaw != Some(LogFlaw::DropDirectorySync);
            next.segments.push(File { named, ..File::default() });
        }
        let last = next.segments.last_mut().expect("one was made");
        // Written over the place of the first lost record, which ends before what follows it.
        last.records.push(record);
        Ok(next)
    }

    fn syncs(&self, log: &Files, steps: &mut Vec<Step>) {
        let missing = log.segments.iter().any(|file| file.on_disk < file.records.len());
        if !missing {
            return;
        }
        let poisoned = log.sync_failed && self.flaw != Some(LogFlaw::RetrySync);
        if !poisoned {
            let mut next = log.clone();
            // After a failure the kernel has no dirty page left: it syncs nothing and answers well.
            if !log.sync_failed {
                for file in &mut next.segments {
                    file.on_disk = file.records.len();
                }
            }
            let all = next.segments.iter().flat_map(|file| file.records.iter().copied());
            next.acknowledged = all.collect();
            steps.push(("sync", Ok(next)));
        }
        if log.failures > 0 && !log.sync_failed {
            let failures = log.failures - 1;
            steps.push(("sync fails", Ok(Files { sync_failed: true, failures, ..log.clone() })));
        }
    }

    /// A power cut: each unsynced record of the last segment is on the medium or not, whatever comes
    /// before it.
    fn cuts(&self, log: &Files, steps: &mut Vec<Step>) {
        let Some(last) = log.segments.last() else {
            return;
        };
        let unsynced = last.records.len() - last.on_disk;
        for kept in 0..1_u32 << unsynced {
            steps.push(("power cut", self.recovered(log, kept)));
        }
    }

    fn recovered(&self, log: &Files, kept: u32) -> Result<Files, String> {
        let mut next = log.clone();
        next.crashes -= 1;
        next.sync_failed = false;
        let before: Vec<_> = next.records();
        next.segments.retain(|file| file.named);
        for at in 0..next.segments.len() {
            let is_last = at + 1 == next.segments.len();
            let file = &mut next.segments[at];
            let mut found = file.records[..file.on_disk].to_vec();
            let mut torn = false;
            for (bit, record) in file.records[file.on_disk..].iter().enumerate() {
                let there = is_last && kept & (1 << bit) != 0;
                if there && !torn {
                    found.push(*record);
                } else if there {
                    file.stale = Some(*record);
                } else {
                    torn = true;
                }
            }
            // What stands where the valid records end is read on, whoever wrote it.
            let follows =
                |stale: &Written| usize::from(stale.lsn) == at * SEGMENT + found.len() + 1;
            if let Some(stale) = file.stale.filter(|stale| !found.is_empty() && follows(stale)) {
                found.push(stale);
            }
            file.records = found;
            // Recovery writes again what it keeps, and syncs (protocol rule P1).
            file.on_disk = file.records.len();
        }
        next.settle(&before, self)
    }
}

impl Files {
    fn records(&self) -> Vec<Written> {
        self.segments.iter().flat_map(|file| file.records.iter().copied()).collect()
    }

    fn settle(mut self, before: &[Written], model: &SmallLog) -> Result<Self, String> {
        let after = self.records();
        if !after.starts_with(&self.acknowledged) {
            return Err("I3: an acknowledged record is lost".to_owned());
        }
        if !before.starts_with(&after) {
            return Err("I4: what is recovered is no prefix of what was there".to_owned());
        }
        self.dropped.extend(&before[after.len()..]);
        self.acknowledged = after;
        if model.flaw != Some(LogFlaw::ReuseLsn) {
            self.epoch += 1;
        }
        if model.flaw != Some(LogFlaw::AppendToOldTail) {
            // The old tail is closed where it ends: its link says so, and nothing behind is read.
            for file in &mut self.segments {
                file.stale = None;
            }
        }
        Ok(self)
    }
}

impl Model for SmallLog {
    type State = Files;

    fn start(&self) -> Files {
        Files {
            segments: Vec::new(),
            epoch: 1,
            next_payload: 0,
            acknowledged: Vec::new(),
            dropped: Vec::new(),
            sync_failed: false,
            appends: self.appends,
            crashes: self.crashes,
            failures: self.failures,
        }
    }

    fn steps(&self, log: &Files) -> Vec<Step> {
        let mut steps = Vec::new();
        // The link of a new segment proves the one before, so that is synced first.
        let rotates = log.segments.last().is_some_and(|file| file.records.len() == SEGMENT);
        let proven = log.segments.iter().all(|file| file.on_disk == file.records.len());
        if log.appends > 0
            && (proven || !rotates)
            && !(log.sync_failed && self.flaw != Some(LogFlaw::RetrySync))
        {
            steps.push(("append", self.append(log)));
        }
        self.syncs(log, &mut steps);
        if log.crashes > 0 {
            self.cuts(log, &mut steps);
        }
        steps
    }

    fn check(&self, log: &Files) -> Result<(), String> {
        let records = log.records();
        let dense =
            records.iter().enumerate().all(|(at, record)| usize::from(record.lsn) == at + 1);
        if dense { Ok(()) } else { Err("I1: numbers are not dense".to_owned()) }
    }
}
