//! The bytes of format version 1, which every later version must read.

use crate::world::{dir, lsn, options, record, segment};
use nodedb_env::{Env, Files, Random, RealThreads};
use nodedb_testkit::{ManualClock, SimFiles};
use nodedb_types::{Durability, Lsn, TenantId, VshardId, from_hex, to_hex};
use nodedb_wal::{
    AppendClass, GroupFlags, PinPolicy, PinState, ReadLimit, Record, SKIPPABLE, Wal, inspect,
};
use std::{fmt::Write, io, path::Path, sync::Arc, time::Duration};

const GOLDEN: &str = include_str!("golden-v1.hex");
const GOLDEN_PINS: &str = include_str!("golden-pins-v1.hex");

/// The same bytes at every run.
#[derive(Debug)]
struct Fixed;

impl Random for Fixed {
    fn fill(&self, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0xa7);
        Ok(())
    }
}

fn env(disk: &SimFiles) -> Env {
    Env {
        files: Arc::new(disk.clone()),
        clock: Arc::new(ManualClock::new()),
        random: Arc::new(Fixed),
        threads: Arc::new(RealThreads),
    }
}

/// Two groups, one commit each, and an orderly end.
fn write() -> SimFiles {
    let disk = SimFiles::new(1);
    disk.create_dir(dir()).expect("empty disk");
    let wal = Wal::create(&env(&disk), dir(), options()).expect("empty directory");
    let other = Record {
        tenant: TenantId::SYSTEM,
        vshard: VshardId::new(0x0102),
        kind: 0x0304 | SKIPPABLE,
        payload: b"",
    };
    for group in [vec![record(b"hello")], vec![record(b"wor"), other]] {
        let range = wal.append(&group, Durability::Sync, AppendClass::User).expect("taken");
        wal.wait_durable(range.start(), Duration::from_secs(20)).expect("durable");
    }
    wal.close().expect("no fault");
    disk
}

/// Lines `name offset hex` of all 32-byte rows that are not zero.
fn dump(disk: &SimFiles) -> String {
    let mut text = String::new();
    for (name, path) in [("segment", segment(1)), ("control", dir().join("CONTROL"))] {
        let bytes = disk.read(&path).expect("there");
        for (row, bytes) in bytes.chunks(32).enumerate() {
            if bytes.iter().any(|byte| *byte != 0) {
                writeln!(text, "{name} {:05x} {}", row * 32, to_hex(bytes)).expect("a String");
            }
        }
    }
    text
}

fn load(text: &str) -> SimFiles {
    let mut segment_bytes = vec![0; 65536];
    let mut control_bytes = vec![0; 8192];
    for line in text.lines() {
        let fields: Vec<_> = line.split(' ').collect();
        let [name, offset, hex] = fields[..] else {
            panic!("three fields: {line}");
        };
        let file = if name == "segment" { &mut segment_bytes } else { &mut control_bytes };
        let at = usize::from_str_radix(offset, 16).expect("an offset");
        file[at..at + 32].copy_from_slice(&from_hex(hex).expect("a row"));
    }
    let disk = SimFiles::new(1);
    disk.plant(segment(1), &segment_bytes);
    disk.plant(dir().join("CONTROL"), &control_bytes);
    disk
}

#[test]
fn the_golden_log_opens_with_its_records() {
    let disk = load(GOLDEN);
    let report = inspect::verify(&disk.env(), dir()).expect("sound");
    assert_eq!((report.records, report.last), (3, Some(lsn(3))));
    assert!(report.clean_shutdown);
    let (wal, _) = Wal::open(&disk.env(), dir(), options()).expect("sound");
    let mut reader = wal.reader(Lsn::FIRST, ReadLimit::Durable).expect("there");
    let mut records = Vec::new();
    while let Some(batch) = reader.next_batch().expect("intact") {
        assert_eq!(batch.commit_ms, 1_767_225_600_000);
        records.extend(batch.records());
    }
    let payloads: Vec<_> = records.iter().map(|record| record.payload.as_ref()).collect();
    assert_eq!(payloads, [b"hello".as_slice(), b"wor", b""]);
    assert_eq!(records[2].kind, 0x0304 | SKIPPABLE);
    assert_eq!((records[2].tenant, records[2].vshard.get()), (TenantId::SYSTEM, 0x0102));
    assert_eq!(records[0].group, GroupFlags { first: true, last: true });
    assert_eq!(records[1].group, GroupFlags { first: true, last: false });
}

/// With `BLESS_GOLDEN` set it writes the file instead, which only a new format version may do.
#[test]
fn the_same_writes_give_the_same_bytes() {
    let written = dump(&write());
    if std::env::var_os("BLESS_GOLDEN").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/log/golden-v1.hex");
        Env::real().files.replace(&path, written.as_bytes()).expect("written");
        return;
    }
    assert_eq!(written, GOLDEN);
}

/// One pin that holds, and one that was given up.
fn write_pins() -> SimFiles {
    let disk = write();
    let (wal, _) = Wal::open(&env(&disk), dir(), options()).expect("sound");
    let limited = |max_bytes| PinPolicy { max_bytes: Some(max_bytes) };
    let free = PinPolicy { max_bytes: None };
    drop(wal.pin_persistent("replica-1", lsn(2), free).expect("a free name"));
    drop(wal.pin_persistent("given.up_2", lsn(1), limited(258)).expect("a free name"));
    drop(wal.plan_truncation(&[]));
    disk
}

/// Lines `offset hex` of all 32-byte rows that are not zero.
fn dump_pins(disk: &SimFiles) -> String {
    let mut text = String::new();
    for (row, bytes) in disk.read(&dir().join("PINS")).expect("there").chunks(32).enumerate() {
        if bytes.iter().any(|byte| *byte != 0) {
            writeln!(text, "{:05x} {}", row * 32, to_hex(bytes)).expect("a String");
        }
    }
    text
}

#[test]
fn the_golden_pins_hold_what_they_held() {
    let mut bytes = vec![0; 16384];
    for line in GOLDEN_PINS.lines() {
        let (offset, hex) = line.split_once(' ').expect("two fields");
        let at = usize::from_str_radix(offset, 16).expect("an offset");
        bytes[at..at + 32].copy_from_slice(&from_hex(hex).expect("a row"));
    }
    let disk = load(GOLDEN);
    disk.plant(dir().join("PINS"), &bytes);
    let pins = inspect::verify(&disk.env(), dir()).expect("sound").pins;
    let names: Vec<_> = pins.iter().map(|pin| (pin.name.as_str(), pin.lsn)).collect();
    assert_eq!(names, [("given.up_2", lsn(1)), ("replica-1", lsn(2))]);
    assert_eq!((pins[0].policy.max_bytes, pins[1].policy.max_bytes), (Some(258), None));
    let given_up = PinState::Invalidated { bytes: 10752, at: Some(lsn(3)) };
    assert_eq!((pins[0].state, pins[1].state), (given_up, PinState::Holding));
    let (wal, _) = Wal::open(&disk.env(), dir(), options()).expect("sound");
    assert_eq!(wal.holds()[0].lsn, lsn(2));
}

#[test]
fn the_same_pins_give_the_same_bytes() {
    let written = dump_pins(&write_pins());
    if std::env::var_os("BLESS_GOLDEN").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/log/golden-pins-v1.hex");
        Env::real().files.replace(&path, written.as_bytes()).expect("written");
        return;
    }
    assert_eq!(written, GOLDEN_PINS);
}
