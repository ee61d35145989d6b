//! Damaged, missing and foreign files: refused with the file's name, and nothing on disk changed.
#![expect(clippy::disallowed_methods, reason = "tests look at real files")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use nodedb_document::ReadAt;
use nodedb_engine::EngineError;
use std::path::{Path, PathBuf};
use world::{Bench, compact, copy, delete, get, put, scan};

/// Every file below a directory with its bytes.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            let bytes = std::fs::read(&path).expect("readable");
            found.push((path, bytes));
        }
    }
    found.sort();
    found
}

/// A store with several tables in several levels.
fn filled() -> Bench {
    let bench = Bench::new();
    let mut engine = bench.create();
    for n in 1..=7_u64 {
        put(&mut engine, n, &format!("k{n}"), &n.to_string());
        if n == 5 {
            delete(&mut engine, 6, "k1");
        }
        if n != 6 {
            bench.flush(&mut engine, n.max(if n == 5 { 6 } else { n }));
        }
        if n == 5 {
            compact(&mut engine);
        }
    }
    bench
}

fn refused(bench: &Bench, file: &Path) {
    let before = contents(&bench.dir);
    for result in [bench.load().map(drop), bench.verify().map(drop)] {
        let error = result.expect_err("refused");
        assert!(matches!(&error, EngineError::Corrupt { path, .. } if path == file), "{error:?}");
        assert!(contents(&bench.dir) == before, "a refusal changes nothing");
    }
}

fn version_file(bench: &Bench) -> PathBuf {
    let current = std::fs::read(bench.tables().join("current")).expect("there");
    let id = u64::from_le_bytes(*current.first_chunk().expect("25 bytes"));
    bench.tables().join(format!("v{id}"))
}

fn table_files(bench: &Bench) -> Vec<PathBuf> {
    let dir = bench.tables().join("tables");
    contents(&dir).into_iter().map(|(path, _)| path).collect()
}

#[test]
fn a_whole_store_passes() {
    let bench = filled();
    let before = contents(&bench.dir);
    let verified = bench.verify().expect("whole");
    assert_eq!(verified.files, 2 + table_files(&bench).len() as u64);
    let bytes: usize = contents(&bench.tables()).iter().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!(verified.bytes, bytes as u64);
    assert!(contents(&bench.dir) == before);
    let engine = bench.load().expect("loaded");
    assert_eq!(scan(&engine, ReadAt::Latest), "k2=2 k3=3 k4=4 k5=5 k7=7");
}

#[test]
fn a_missing_file_is_damage_and_never_emptiness() {
    for name in ["current", "version", "table", "tables"] {
        let bench = filled();
        let (gone, blamed) = match name {
            "current" => (bench.tables().join("current"), bench.tables().join("current")),
            "version" => (version_file(&bench), version_file(&bench)),
            "table" => (table_files(&bench)[0].clone(), table_files(&bench)[0].clone()),
            _ => (bench.tables(), bench.tables()),
        };
        if gone.is_dir() {
            std::fs::remove_dir_all(&gone).expect("removed");
        } else {
            std::fs::remove_file(&gone).expect("removed");
        }
        refused(&bench, &blamed);
    }
}

#[test]
fn every_flipped_byte_of_current_and_version_is_found() {
    let bench = filled();
    for (path, blamed) in
        [(bench.tables().join("current"), None), (version_file(&bench), Some(version_file(&bench)))]
    {
        let whole = std::fs::read(&path).expect("readable");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(&path, &damaged).expect("written");
            // A flip in `current` shows there, or as a version file that is missing or another one.
            let error = bench.load().map(drop).expect_err("refused");
            let found = matches!(&error, EngineError::Corrupt { path, .. }
                if blamed.as_ref().map_or(path.starts_with(bench.tables()), |blamed| path == blamed));
            assert!(found, "byte {at}: {error:?}");
        }
        std::fs::write(&path, &whole).expect("put back");
    }
    assert!(bench.load().is_ok());
}

#[test]
fn every_other_length_is_refused() {
    let bench = filled();
    let current = bench.tables().join("current");
    for path in [current, version_file(&bench), table_files(&bench)[0].clone()] {
        let whole = std::fs::read(&path).expect("readable");
        let lengths = (0..whole.len()).step_by(1 + whole.len() / 200).chain([whole.len() - 1]);
        for length in lengths {
            std::fs::write(&path, &whole[..length]).expect("written");
            assert!(bench.load().is_err(), "{} cut to {length}", path.display());
        }
        std::fs::write(&path, [&whole[..], b"\0"].concat()).expect("written");
        refused(&bench, &path);
        std::fs::write(&path, &whole).expect("put back");
    }
    assert!(bench.load().is_ok());
}

#[test]
fn every_flipped_byte_of_a_table_is_found_by_verify_and_never_read() {
    let bench = filled();
    let clean = bench.temp.path().join("clean");
    copy(&bench.dir, &clean);
    let names = table_files(&bench);
    for path in &names {
        let whole = std::fs::read(path).expect("readable");
        for at in (0..whole.len()).step_by(3) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            std::fs::write(path, &damaged).expect("written");
            let error = bench.verify().expect_err("found");
            assert!(matches!(&error, EngineError::Corrupt { path: found, .. } if found == path));
            // Opened nevertheless, it may refuse or fail, but what it shows is what was written.
            if at % 31 != 0 {
                continue;
            }
            if let Ok(engine) = bench.load() {
                for n in 1..=7 {
                    if let Ok(stored) = engine.get(&world::place(&format!("k{n}")), ReadAt::Latest)
                    {
                        let found = stored.map(|stored| stored.value.to_vec());
                        let expected = (n != 1 && n != 6).then(|| n.to_string().into_bytes());
                        assert_eq!(found, expected, "byte {at}");
                    }
                }
            }
            std::fs::remove_dir_all(&bench.dir).expect("removed");
            copy(&clean, &bench.dir);
        }
        std::fs::write(path, &whole).expect("put back");
    }
    assert_eq!(get(&bench.load().expect("whole"), "k7", ReadAt::Latest), Some("7".to_owned()));
}

#[test]
fn what_is_no_table_is_refused_and_left_alone() {
    for name in ["stranger", "12x", "18446744073709551616"] {
        let bench = filled();
        let path = bench.tables().join("tables").join(name);
        std::fs::write(&path, b"mine").expect("written");
        refused(&bench, &path);
        std::fs::remove_file(&path).expect("removed");
        std::fs::create_dir(&path).expect("made");
        refused(&bench, &path);
    }
}

#[test]
fn litter_of_a_kill_is_swept() {
    let bench = filled();
    let litter = [
        bench.tables().join(".tmpAbCdEf"),
        bench.tables().join("tables").join("999"),
        bench.tables().join("v999"),
    ];
    for path in &litter {
        std::fs::write(path, b"half written").expect("written");
    }
    let engine = bench.load().expect("loaded");
    assert_eq!(get(&engine, "k7", ReadAt::Latest), Some("7".to_owned()));
    for path in &litter {
        assert!(!path.exists(), "{}", path.display());
    }
}

#[test]
fn a_kill_while_the_tables_are_made_is_started_over() {
    let bench = Bench::new();
    drop(bench.create());
    std::fs::create_dir_all(bench.tables().join("tables")).expect("made");
    std::fs::write(bench.tables().join("v0"), b"half").expect("written");
    let mut engine = bench.load().expect("loaded");
    assert!(!bench.tables().exists());
    put(&mut engine, 1, "a", "1");
    bench.flush(&mut engine, 1);
    drop(engine);
    assert_eq!(scan(&bench.load().expect("loaded"), ReadAt::Latest), "a=1");
}

#[test]
fn rows_without_the_file_that_names_them_are_never_swept() {
    let bench = Bench::new();
    drop(bench.create());
    let tables = bench.tables().join("tables");
    std::fs::create_dir_all(&tables).expect("made");
    std::fs::write(tables.join("0"), b"rows").expect("written");
    refused(&bench, &bench.tables().join("current"));
}
