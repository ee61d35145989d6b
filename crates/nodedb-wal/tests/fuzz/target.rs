//! What is fuzzed: every way from bytes on a disk into the log. Each target takes any bytes, and panics if
//! the log does, changes what it refuses, or contradicts itself.

use crate::format::{seal_control, seal_records, seal_segment};
use bytes::Bytes;
use nodedb_env::Files;
use nodedb_testkit::SimFiles;
use nodedb_types::{Durability, Lsn, TenantId, VshardId};
use nodedb_wal::{
    AppendClass, LogOptions, ReadLimit, Record, Wal, decode_records,
    inspect::{self, DumpRange, LossyTruncation},
};
use std::{collections::BTreeMap, path::Path, path::PathBuf, sync::OnceLock, time::Duration};

/// Numbers that no log reaches in a life time, and beyond which their sums are not looked at.
const FAR: u64 = 1 << 60;

type Image = BTreeMap<PathBuf, Vec<u8>>;

fn dir() -> &'static Path {
    Path::new("/wal")
}

fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 64 << 10,
        sync_point_idle: Duration::from_hours(1),
        ..LogOptions::default()
    }
}

/// A small log of three segments: groups, `SyncPoint`s, a checkpoint, a tail that was never synced.
fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let disk = SimFiles::new(7);
        disk.create_dir(dir()).expect("empty disk");
        let wal = Wal::create(&disk.env(), dir(), options()).expect("empty directory");
        append(&wal, &[&[1; 5], &[2; 700]], true);
        append(&wal, &[&[3; 40]], true);
        wal.close().expect("no fault");
        for fill in [4, 6] {
            let (wal, _) = Wal::open(&disk.env(), dir(), options()).expect("sound");
            append(&wal, &[&[fill; 90]], true);
            let last = append(&wal, &[&[fill; 20], &[], &[fill; 9]], true);
            wal.record_checkpoint(Lsn::FIRST.next(), last, None).expect("no fault");
            wal.close().expect("no fault");
        }
        let (wal, _) = Wal::open(&disk.env(), dir(), options()).expect("sound");
        append(&wal, &[&[7; 30]], true);
        append(&wal, &[&[8; 30]], false);
        disk.snapshot().files().clone()
    })
}

fn append(wal: &Wal, payloads: &[&[u8]], sync: bool) -> Lsn {
    let record = |payload| {
        let (tenant, vshard) = (TenantId::DEFAULT, VshardId::new(1));
        Record { tenant, vshard, kind: 2, payload }
    };
    let records: Vec<_> = payloads.iter().map(|payload| record(*payload)).collect();
    let range =
        wal.append(&records, Durability::Buffered, AppendClass::User).expect("there is room");
    let last = range.last().expect("not empty");
    let deadline = Duration::from_hours(1);
    if sync { wal.commit(last, deadline) } else { wal.flush(last, deadline) }.expect("no fault");
    last
}

fn planted(image: &Image) -> SimFiles {
    let disk = SimFiles::new(1);
    for (path, bytes) in image {
        disk.plant(path, bytes);
    }
    disk
}

/// What a truncation says that it leaves is what it leaves: a log that opens.
fn check_tools(image: &Image) {
    let disk = planted(image);
    let shown = inspect::dump(&disk.env(), dir(), DumpRange::default());
    let records = shown.into_iter().flatten().flat_map(|batch| batch.records);
    let Some(at) = records.last().map(|record| record.lsn) else {
        return;
    };
    let Ok(planned) = inspect::plan_truncation(&disk.env(), dir(), at) else {
        return;
    };
    let truncation = LossyTruncation { at, copies: Path::new("/copies") };
    let report = inspect::truncate(&disk.env(), dir(), truncation);
    let report = report.unwrap_or_else(|error| panic!("planned, and not done: {error}"));
    assert_eq!(report.loss, planned);
    let left = inspect::verify(&disk.env(), dir());
    let left = left.unwrap_or_else(|error| panic!("truncated, and not sound: {error}"));
    assert_eq!(left.last, planned.kept);
}

/// Opens a directory and holds what it finds against itself.
fn check(image: &Image) {
    check_tools(image);
    let disk = planted(image);
    let verified = inspect::verify(&disk.env(), dir());
    let opened = Wal::open(&disk.env(), dir(), options());
    let (wal, report) = match (verified, opened) {
        (Err(seen), Err(error)) => {
            assert_eq!(seen.to_string(), error.to_string(), "verify and open differ");
            // The lock file is made before anything is looked at.
            let mut files = image.clone();
            files.entry(dir().join("LOCK")).or_default();
            assert!(disk.has_exactly(&files), "refused and changed: {error}");
            return;
        }
        (Ok(seen), Ok((wal, report))) => {
            let agreed = (seen.last, seen.proven, seen.records, seen.oldest, seen.redo)
                == (report.last, report.proven, report.records, report.oldest, report.redo);
            assert!(agreed, "verify and open differ: {seen:?} {report:?}");
            (wal, report)
        }
        (seen, opened) => panic!("verify and open differ: {seen:?} {opened:?}"),
    };
    let found = dump(&wal);
    assert_eq!(found.len() as u64, report.records, "records are read as they were counted");
    assert_eq!(found.last().map(|(lsn, _)| *lsn).or(report.oldest.previous()), report.last);
    assert!(report.last >= report.proven && report.oldest <= report.redo);
    let far = report.last > Lsn::from_u64(FAR) || wal.log_offset() > FAR;
    drop(wal);
    if !far {
        let again = Wal::open(&disk.env(), dir(), options());
        let (wal, again) = again.unwrap_or_else(|error| panic!("it opens once only: {error}"));
        assert_eq!((again.last, again.oldest), (report.last, report.oldest));
        assert!(dump(&wal) == found, "a second open finds other records");
    }
}

fn dump(wal: &Wal) -> Vec<(Lsn, Vec<u8>)> {
    let mut reader = wal.reader(wal.oldest(), ReadLimit::Written).expect("there");
    let mut found = Vec::new();
    while let Some(batch) = reader.next_batch().expect("what was opened can be read") {
        found.extend(batch.records().map(|record| (record.lsn, record.payload.to_vec())));
    }
    found
}

/// A whole directory. The first byte says of which files the checksums are made to hold afterwards; then
/// edits of eight bytes each.
pub(crate) fn directory(data: &[u8]) {
    let Some((sealed, edits)) = data.split_first() else {
        return;
    };
    let mut image = image().clone();
    let paths: Vec<PathBuf> = image.keys().cloned().collect();
    for edit in edits.as_chunks::<8>().0.iter().take(16) {
        change(&mut image, &paths, *edit);
    }
    for (index, path) in paths.iter().enumerate() {
        if let Some(file) = image.get_mut(path).filter(|_| sealed & (1 << (index % 8)) != 0) {
            if path.ends_with("CONTROL") { seal_control(file) } else { seal_segment(file) }
        }
    }
    check(&image);
}

fn change(image: &mut Image, paths: &[PathBuf], edit: [u8; 8]) {
    let [file, how, low, high, a, b, c, d] = edit;
    let path = &paths[usize::from(file) % paths.len()];
    let other = image.get(&paths[usize::from(a) % paths.len()]).cloned();
    let Some(bytes) = image.get_mut(path).filter(|bytes| !bytes.is_empty()) else {
        return;
    };
    let len = bytes.len();
    // Densely where headers are, and anywhere.
    let offset = usize::from(u16::from_le_bytes([low, high])) % len;
    let sector = offset / 512 * 512;
    let within = |from: usize| from..len.min(from + 8);
    let from = usize::from(b) * 512 % len;
    match how % 12 {
        0 => bytes[offset] ^= a.max(1),
        1 => bytes[within(offset)].fill(a),
        2 => {
            // A field of eight bytes, near the ends of its range.
            let near = [0, 1, u64::MAX, u64::MAX / 2, u64::MAX / 4, FAR, 1 << 32, 1 << 16];
            let value =
                near[usize::from(a) % near.len()].wrapping_add(u64::from(b)).wrapping_sub(1);
            let field = within(offset / 8 * 8);
            let count = field.len();
            bytes[field].copy_from_slice(&value.to_le_bytes()[..count]);
        }
        3 => bytes[sector..len.min(sector + 512)].fill(a),
        4 => {
            let end = len.min(from + 512);
            let count = (end - from).min(len - sector);
            bytes.copy_within(from..from + count, sector);
        }
        5 => bytes.truncate(offset),
        6 => bytes.resize(len + usize::from(a) * 512 + usize::from(b), 0),
        7 => drop(image.remove(path)),
        8 => {
            if let Some(other) = other {
                image.insert(path.clone(), other);
            }
        }
        9 => {
            let number = u64::from(a) | u64::from(b) << 56;
            let copy = bytes.clone();
            image.insert(dir().join(format!("wal-{number:020}.seg")), copy);
        }
        10 => {
            let number = u64::from(a) << (b % 56);
            let (copy, end) = (bytes.clone(), if c % 2 == 0 { "seg" } else { "tmp" });
            image.insert(dir().join(format!("spare-{number}.{end}")), copy);
        }
        _ => {
            let field = offset / 4 * 4..len.min(offset / 4 * 4 + 4);
            let count = field.len();
            bytes[field].copy_from_slice(&[a, b, c, d][..count]);
        }
    }
}

/// The body of a batch. The first byte says whether the records' checksums are made to hold.
pub(crate) fn records(data: &[u8]) {
    let Some((sealed, body)) = data.split_first() else {
        return;
    };
    let mut body = body.to_vec();
    if sealed % 2 == 0 {
        seal_records(&mut body, |_| {});
    }
    let len = body.len();
    if let Ok(records) = decode_records(Bytes::from(body)) {
        let padded = |len: usize| len.next_multiple_of(8);
        let sum: usize = records.iter().map(|record| 32 + padded(record.payload.len())).sum();
        assert_eq!(sum, len, "every byte belongs to a record");
    }
}

/// CONTROL: fields of both slots, with checksums that hold. The first byte leaves one slot as it was.
pub(crate) fn control(data: &[u8]) {
    let Some((which, fields)) = data.split_first() else {
        return;
    };
    let mut image = image().clone();
    let file = image.get_mut(&dir().join("CONTROL")).expect("a log has one");
    for slot in [0, 1] {
        if which & (1 << slot) == 0 {
            // From the flags on: magic and versions have their own tests.
            let at = slot * 4096 + usize::from(which >> 2) % 13;
            let count = fields.len().min(508 - 13);
            file[at..at + count].copy_from_slice(&fields[..count]);
        }
    }
    seal_control(file);
    check(&image);
}

/// Header and link of the newest segment or of a prepared file, with checksums that hold. The first byte
/// says which, the second where the bytes go.
pub(crate) fn segment(data: &[u8]) {
    let [which, at, fields @ ..] = data else {
        return;
    };
    let mut image = image().clone();
    let segments = image.keys().filter(|path| path.to_string_lossy().contains("/wal-"));
    let mut paths: Vec<PathBuf> = segments.cloned().collect();
    let newest = paths.last().expect("a log has one").clone();
    let spare = dir().join("spare-99.seg");
    if which % 2 == 1 {
        // Named as the next one, as when the power goes between its sync and its rename.
        let mut next = image[&newest].clone();
        next[32] += 1;
        seal_segment(&mut next);
        image.insert(spare.clone(), next);
    }
    paths.push(spare);
    let path = if which % 2 == 1 { paths.last() } else { Some(&newest) };
    let file = image.get_mut(path.expect("chosen above")).expect("there");
    let places = [0, 8, 16, 32, 48, 56, 112, 4096 + 4, 4096 + 8, 4096 + 24, 4096 + 40, 4096 + 64];
    let start = places[usize::from(*at) % places.len()];
    let count = fields.len().min(128);
    file[start..start + count].copy_from_slice(&fields[..count]);
    seal_segment(file);
    check(&image);
}
