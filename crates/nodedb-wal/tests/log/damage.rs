//! Every byte, sector, length and file of a small log, damaged one at a time. Below the proven position
//! the log is refused, by a verify and by an open alike, with the file's name and without a changed byte.
//! At or above it, it opens with whole groups that were written. It is never silently other bytes.

use crate::{
    sample::{Files, SECTOR, Sample, Verdict},
    world::{Log, dir, killed, options, segment},
};
use nodedb_testkit::SimFiles;
use std::path::{Path, PathBuf};

/// The sample on a disk that a case damages and mends again.
struct Case<'a> {
    sample: &'a Sample,
    disk: SimFiles,
    files: Files,
}

impl<'a> Case<'a> {
    fn new(sample: &'a Sample) -> Self {
        let files = sample.before.files().clone();
        Self { sample, disk: killed(&sample.disk), files }
    }

    fn put(&mut self, path: &Path, offset: usize, bytes: &[u8]) {
        self.disk.overwrite(path, offset as u64, bytes);
        let file = self.files.get_mut(path).expect("a file of the sample");
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes these bytes over, judges, and undoes it.
    fn overwrite(&mut self, changes: &[(&Path, usize, &[u8])]) -> Verdict {
        for (path, offset, bytes) in changes {
            self.put(path, *offset, bytes);
        }
        let damaged: Vec<_> = changes.iter().map(|(path, ..)| *path).collect();
        let what = || format!("{:?}", changes.iter().map(|c| (c.0, c.1)).collect::<Vec<_>>());
        let verdict = self.sample.judge(&self.disk, &self.files, &damaged, &what());
        for (path, offset, bytes) in changes {
            let old = &self.sample.bytes(path)[*offset..*offset + bytes.len()];
            self.put(path, *offset, old);
        }
        verdict
    }
}

/// How often each verdict was met: a run in which one is missing has proved less than it says.
#[derive(Default, Debug)]
struct Tally {
    harmless: usize,
    tail: usize,
    refused: usize,
}

impl Tally {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Harmless => self.harmless += 1,
            Verdict::Tail => self.tail += 1,
            Verdict::Refused => self.refused += 1,
        }
    }
}

/// Every bit of every header, every byte of the rest that is in use, and samples of what is not.
fn flips(sample: &Sample, path: &Path) -> Vec<(usize, u8)> {
    let bytes = sample.bytes(path);
    let used = sample.used(path);
    // What is opened costs more time than what is refused: there each byte is flipped once.
    let firm = sample.firm.get(path).map_or(0, |firm| firm.end);
    let mut flips = Vec::new();
    let mut header_ends = 0;
    for offset in 0..bytes.len() {
        let head = &bytes[offset..bytes.len().min(offset + 4)];
        if offset % SECTOR == 0 && (head == b"KBAT" || head == b"KWAL") && offset < used {
            // A segment's header, or the header of a batch and of its first record.
            header_ends = offset + if head == b"KWAL" { 128 } else { 96 };
        }
        let zeros =
            offset % 4096 >= SECTOR && bytes[offset / SECTOR * SECTOR..][..SECTOR] == [0; SECTOR];
        let long = used > 20_000 && (5200..57_000).contains(&offset);
        if offset < header_ends.min(firm) {
            flips.extend((0..8).map(|bit| (offset, 1 << bit)));
        } else if offset >= used || zeros {
            flips.extend((offset % 509 == 0).then_some((offset, 0xff)));
        } else if !long || offset % 61 == 0 {
            flips.push((offset, 1 << (offset % 8)));
        }
    }
    flips
}

#[test]
fn every_flipped_bit_of_a_header_and_byte_of_the_rest_is_refused_or_harmless() {
    let sample = Sample::new();
    let mut tally = Tally::default();
    let mut case = Case::new(&sample);
    for path in sample.before.files().keys() {
        for (offset, xor) in flips(&sample, path) {
            let flipped = sample.bytes(path)[offset] ^ xor;
            tally.count(case.overwrite(&[(path, offset, &[flipped])]));
        }
    }
    assert!(tally.refused > 5000 && tally.tail > 500 && tally.harmless > 500, "{tally:?}");
}

/// The sectors that mean something, and some that do not.
fn sectors(sample: &Sample) -> Vec<(&Path, usize)> {
    let mut sectors = Vec::new();
    for (path, bytes) in sample.before.files() {
        for (index, sector) in bytes.chunks_exact(SECTOR).enumerate() {
            let telling = sector.iter().any(|byte| *byte != 0);
            // The long batch fills many: its ends and some of its middle will do.
            let long = sample.used(path) > 20_000 && (20..117).contains(&index);
            if (telling && !long) || index % 24 == 1 {
                sectors.push((path.as_path(), index * SECTOR));
            }
        }
    }
    sectors
}

#[test]
fn every_sector_zeroed_copied_or_swapped_is_refused_or_harmless() {
    let sample = Sample::new();
    let mut tally = Tally::default();
    let mut case = Case::new(&sample);
    let sectors = sectors(&sample);
    for (index, (path, offset)) in sectors.iter().copied().enumerate() {
        let here = &sample.bytes(path)[offset..offset + SECTOR];
        for fill in [[0; SECTOR], [0xff; SECTOR]] {
            tally.count(case.overwrite(&[(path, offset, &fill)]));
        }
        for (other, (from, at)) in sectors.iter().copied().enumerate() {
            let there = &sample.bytes(from)[at..at + SECTOR];
            if here == there {
                continue;
            }
            tally.count(case.overwrite(&[(path, offset, there)]));
            if other > index {
                tally.count(case.overwrite(&[(path, offset, there), (from, at, here)]));
            }
        }
    }
    assert!(tally.refused > 1000 && tally.tail > 100 && tally.harmless > 50, "{tally:?}");
}

/// Judges the sample with files in other places.
fn judge_files(sample: &Sample, files: &Files, damaged: &[&Path], what: &str) {
    let disk = SimFiles::new(1);
    for (path, bytes) in files {
        disk.plant(path, bytes);
    }
    sample.judge(&disk, files, damaged, what);
}

#[test]
fn every_file_cut_to_every_length_is_refused_or_harmless() {
    let sample = Sample::new();
    for (path, bytes) in sample.before.files() {
        // A prepared file of another length is made anew, which takes time.
        let step = if sample.used(path) > 0 { 16 } else { 128 };
        let lengths = (0..bytes.len()).filter(|len| *len <= 4096 || len % 509 == 0);
        let near_the_end = bytes.len().saturating_sub(2)..bytes.len();
        for len in lengths.chain(near_the_end) {
            if len % step == 0 || (step == 16 && len < 1024) {
                let mut files = sample.before.files().clone();
                files.insert(path.clone(), bytes[..len].to_vec());
                judge_files(&sample, &files, &[path], &format!("{} cut to {len}", path.display()));
            }
        }
        for more in [1, SECTOR, 65_536] {
            let mut files = sample.before.files().clone();
            files.entry(path.clone()).or_default().resize(bytes.len() + more, 0);
            judge_files(&sample, &files, &[path], &format!("{} plus {more}", path.display()));
        }
    }
}

#[test]
fn every_file_missing_or_replaced_as_a_whole_is_refused_and_named() {
    let sample = Sample::new();
    let other = Log::create(SimFiles::new(42), options());
    other.fill_segments(3);
    let foreign = other.disk.snapshot();
    let all: Vec<&PathBuf> = sample.before.files().keys().collect();
    let old = |path: &Path| sample.before.files()[path].clone();
    for path in all.iter().copied() {
        let len = old(path).len();
        let mut changes = vec![("zeros", vec![0; len]), ("ones", vec![0xff; len])];
        changes.extend(foreign.files().get(path).map(|bytes| ("foreign", bytes.clone())));
        for from in all.iter().copied() {
            changes.push(("another", old(from)));
        }
        for (how, bytes) in changes {
            let mut files = sample.before.files().clone();
            files.insert(path.clone(), bytes);
            // A whole CONTROL of another log makes all segments strangers: the first one is named.
            let first = segment(1);
            let what = format!("{} is {how}", path.display());
            judge_files(&sample, &files, &[path, &first], &what);
        }
        let mut files = sample.before.files().clone();
        files.remove(path);
        judge_files(&sample, &files, &[path], &format!("{} is missing", path.display()));
        for to in all.iter().copied() {
            let mut files = sample.before.files().clone();
            files.insert(path.clone(), old(to));
            files.insert(to.clone(), old(path));
            let what = format!("{} and {} swapped", path.display(), to.display());
            judge_files(&sample, &files, &[path, to], &what);
        }
    }
}

#[test]
fn a_segment_under_a_number_that_is_not_its_own_is_refused() {
    let sample = Sample::new();
    for path in sample.firm.keys() {
        for number in 4..7 {
            let mut files = sample.before.files().clone();
            files.insert(segment(number), sample.bytes(path).to_vec());
            let missing = segment(4);
            let what = format!("{} copied to {number}", path.display());
            judge_files(&sample, &files, &[&segment(number), &missing], &what);
        }
        // As a prepared file it means nothing, whatever it holds.
        let mut files = sample.before.files().clone();
        files.insert(dir().join("spare-70.seg"), sample.bytes(path).to_vec());
        judge_files(&sample, &files, &[], "copied to a spare");
    }
}
