//! A small log with everything in it, and what must become of it when it is damaged.

use crate::world::{Log, dir, killed, lsn, options, segment};
use nodedb_env::Random;
use nodedb_testkit::{SeededRandom, SimFiles, Snapshot};
use nodedb_types::{Durability, Lsn};
use nodedb_wal::{ReadLimit, Wal, WalError, inspect};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    path::{Path, PathBuf},
};

/// Files by path.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

pub(crate) const SECTOR: usize = 512;

/// Three segments: one with small batches, groups and the `SyncPoint` of an orderly close; one with a
/// batch that fills it; one that a kill left, with a checkpoint, durable batches, and a tail that was
/// written and never synced. Two prepared files.
pub(crate) struct Sample {
    pub(crate) disk: SimFiles,
    pub(crate) before: Snapshot,
    /// LSN and payload of every record.
    records: Vec<(Lsn, Vec<u8>)>,
    /// Where groups end.
    ends: BTreeSet<Lsn>,
    /// The last record that is proven durable.
    pub(crate) proven: Lsn,
    /// Of each segment the bytes that must hold.
    pub(crate) firm: BTreeMap<PathBuf, Range<usize>>,
    /// The bytes of the last segment that were never synced.
    pub(crate) tail: Range<usize>,
}

/// What must become of damage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// It costs nothing.
    Harmless,
    /// It may cost what was never synced.
    Tail,
    /// The log must not be opened.
    Refused,
}

impl Sample {
    pub(crate) fn new() -> Self {
        let log = Log::create(SimFiles::new(41), options());
        log.commit(b"first");
        log.group(&[b"a", &[2; 700], b""], Durability::Buffered);
        log.commit(&[3; 100]);
        // Closed and opened: a SyncPoint, a new epoch, a new segment.
        drop(log.wal);
        let (log, _) = Log::open(killed(&log.disk), options()).expect("sound");
        let mut noise = vec![0; 52_000];
        SeededRandom::new(43).fill(&mut noise).expect("no fault");
        log.commit(&noise[..4000]);
        // Fills the segment to its end: the next record rotates.
        let halves = log.group(&[&noise[..26_000], &noise[26_000..]], Durability::Sync);
        log.wal.wait_durable(halves.start().next(), log.deadline()).expect("durable");
        log.checkpoint(lsn(3));
        log.group(&[&[5; 50], &[6; 60]], Durability::Sync);
        log.commit(&[7; 600]);
        let proven = log.commit(&[8; 90]);
        let durable_end = log.wal.log_offset();
        log.write(&[9; 80]);
        log.write(&[10; 900]);
        log.wait_for_spares();
        Self::of(&log, proven, durable_end)
    }

    fn of(log: &Log, proven: Lsn, durable_end: u64) -> Self {
        let mut records = Vec::new();
        let mut ends = BTreeSet::new();
        let mut reader = log.wal.reader(Lsn::FIRST, ReadLimit::Written).expect("there");
        while let Some(batch) = reader.next_batch().expect("intact") {
            for record in batch.records() {
                ends.extend(record.group.last.then_some(record.lsn));
                records.push((record.lsn, record.payload.to_vec()));
            }
        }
        let disk = killed(&log.disk);
        let small = |value: u64| usize::try_from(value).expect("small");
        let segments = log.wal.segments();
        let newest = segments.last().expect("three");
        let mut firm: BTreeMap<_, _> =
            segments.iter().map(|one| (one.path.clone(), 0..small(one.bytes))).collect();
        let durable_end = small(durable_end - newest.base_offset);
        firm.insert(newest.path.clone(), 0..durable_end);
        let report = inspect::verify(&disk.env(), dir()).expect("sound");
        assert_eq!((report.segments.len(), report.proven), (3, Some(proven)));
        let tail = durable_end..small(newest.bytes);
        Self { before: disk.snapshot(), disk, records, ends, proven, firm, tail }
    }

    pub(crate) fn control() -> PathBuf {
        dir().join("CONTROL")
    }

    pub(crate) fn newest(&self) -> PathBuf {
        let (path, _) = self.firm.last_key_value().expect("three segments");
        path.clone()
    }

    /// How many bytes of a file mean something.
    pub(crate) fn used(&self, path: &Path) -> usize {
        if *path == Self::control() {
            return 2 * 4096;
        }
        if *path == self.newest() {
            self.tail.end
        } else {
            self.firm.get(path).map_or(0, |f| f.end)
        }
    }

    pub(crate) fn bytes(&self, path: &Path) -> &[u8] {
        &self.before.files()[path]
    }

    /// What must become of this log, going by the bytes alone.
    fn verdict(&self, files: &Files) -> Verdict {
        let control = files.get(&Self::control()).map_or(&[][..], Vec::as_slice);
        let whole = self.bytes(&Self::control());
        let slots = [&whole[..SECTOR], &whole[4096..4096 + SECTOR]];
        let slot_holds =
            |at: usize| control.get(at..at + SECTOR).is_some_and(|s| slots.contains(&s));
        if control.len() != whole.len() || !(slot_holds(0) || slot_holds(4096)) {
            return Verdict::Refused;
        }
        let mut verdict = Verdict::Harmless;
        for (path, firm) in &self.firm {
            let old = self.bytes(path);
            let new = files.get(path).map_or(&[][..], Vec::as_slice);
            if new.len() != old.len() || new[firm.clone()] != old[firm.clone()] {
                return Verdict::Refused;
            }
            if *path == self.newest() && new[self.tail.clone()] != old[self.tail.clone()] {
                verdict = Verdict::Tail;
            }
        }
        let numbered = files.keys().filter(|path| path.to_string_lossy().contains("/wal-"));
        let stranger = numbered.filter(|path| !self.firm.contains_key(*path)).count() > 0;
        if stranger { Verdict::Refused } else { verdict }
    }

    /// Holds a damaged disk against its verdict. `damaged` are the files of which one must be named.
    pub(crate) fn judge(
        &self,
        disk: &SimFiles,
        files: &Files,
        damaged: &[&Path],
        what: &str,
    ) -> Verdict {
        let verdict = self.verdict(files);
        let verified = inspect::verify(&disk.env(), dir());
        if verdict == Verdict::Refused {
            let seen = verified.err().unwrap_or_else(|| panic!("{what}: verify saw nothing"));
            let error = match Wal::open(&disk.env(), dir(), options()) {
                Err(error) => error,
                Ok((_, report)) => panic!("{what}: opened: {report:?}"),
            };
            assert!(disk.has_exactly(files), "{what}: refused and changed");
            assert_eq!(seen.to_string(), error.to_string(), "{what}: verify and open differ");
            assert!(damaged.iter().any(|path| names(&error, path)), "{what}: {error}");
            return verdict;
        }
        let verified = verified.unwrap_or_else(|error| panic!("{what}: {error}"));
        // Opening changes the disk: the next case needs it as it is.
        let (log, report) =
            Log::open(killed(disk), options()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let last = report.last.expect("there are durable records");
        assert_eq!(
            (verified.last, verified.proven, verified.records, verified.dropped_bytes),
            (report.last, report.proven, report.records, report.dropped_bytes),
            "{what}: verify and open differ"
        );
        assert_eq!(verified.control_slots_intact, report.control_slots_intact, "{what}");
        let contents = log.contents();
        assert_eq!(contents.last().map(|(lsn, _)| *lsn), Some(last), "{what}");
        assert!(self.records.starts_with(&contents), "{what}: other bytes than were written");
        assert!(self.ends.contains(&last), "{what}: a group was cut");
        assert!(last >= self.proven, "{what}: kept up to {last}, proven were {}", self.proven);
        let all = self.records.last().map(|(lsn, _)| *lsn);
        assert!(verdict == Verdict::Tail || Some(last) == all, "{what}: {last} of {all:?}");
        verdict
    }
}

/// Whether an error says which file is at fault.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others do not speak of a file's contents")]
fn names(error: &WalError, damaged: &Path) -> bool {
    match error {
        WalError::Damaged { path, .. }
        | WalError::ControlCorrupt { path, .. }
        | WalError::WrongLog { path }
        | WalError::UnsupportedFormat { path, .. } => path == damaged,
        WalError::Corruption { segment: number, .. }
        | WalError::MissingSegment { segment: number, .. } => segment(*number) == damaged,
        _ => false,
    }
}
