//! The words as scripts use them.

use super::{values::parse_consistency, *};
use clap::CommandFactory;
use nodedb::{
    Consistency, Durability, Expect, Lsn, Metric, Name, RestoreTarget, VectorField, VectorStorage,
};
use std::{path::Path, time::Duration};

fn parse(words: &[&str]) -> Result<Cli, String> {
    let words = std::iter::once("nodedb").chain(words.iter().copied());
    Cli::try_parse_from(words).map_err(|error| error.to_string())
}

fn command(words: &[&str]) -> Command {
    parse(words).unwrap_or_else(|error| panic!("{words:?}: {error}")).command
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
    Line::command().debug_assert();
}

#[test]
fn global_options_stand_before_or_after() -> Result<(), String> {
    for words in [
        &["--dir", "db", "--json", "--tenant", "t", "get", "c", "k"][..],
        &["get", "c", "k", "--dir", "db", "--json", "--tenant", "t"],
        &["get", "--dir", "db", "c", "--json", "k", "--tenant=t"],
    ] {
        let globals = parse(words)?.globals;
        assert_eq!(globals.dir.as_deref(), Some(Path::new("db")));
        assert_eq!((globals.json, globals.tenant.as_deref()), (true, Some("t")));
    }
    assert!(parse(&["status", "--log", "info"]).is_ok());
    assert!(parse(&["status", "--log", "["]).is_err());
    Ok(())
}

#[test]
fn values_may_begin_with_a_hyphen_or_a_bracket() {
    for value in ["-1", "[0.1, -2]", "-", "-0.5e3", "@-x", "--x"] {
        let Command::Put(put) = command(&["put", "c", "k", value, "--expect", "absent"]) else {
            panic!("a put");
        };
        assert_eq!((put.value.as_str(), put.expect), (value, Some(Expected(Expect::Absent))));
    }
    let Command::Get(get) = command(&["get", "c", "-k"]) else { panic!("a get") };
    assert_eq!(get.key, "-k");
    let Command::Batch(batch) = command(&["batch", "[{}]"]) else { panic!("a batch") };
    assert_eq!(batch.operations, "[{}]");
    let words = ["search", "c", "--field", "f", "--vector", "[-1,2]", "-k", "3"];
    let Command::Search(search) = command(&words) else { panic!("a search") };
    assert_eq!((search.vector.as_deref(), search.k), (Some("[-1,2]"), 3));
    let words = ["search", "c", "--field", "f", "--like", "-k"];
    let Command::Search(search) = command(&words) else { panic!("a search") };
    assert_eq!((search.like.as_deref(), search.k), (Some("-k"), 10));
}

#[test]
fn what_contradicts_itself_is_refused() {
    for words in [
        &["search", "c", "--field", "f"][..],
        &["search", "c", "--field", "f", "--vector", "[1]", "--like", "k"],
        &["search", "c", "--like", "k"],
        &["delete", "c"],
        &["delete", "c", "k", "--filter", "a = 1"],
        &["put", "c", "k", "1", "--expect", "yesterday"],
        &["import", "c", "f.jsonl"],
        &["init", "--archive-policy", "required"],
        &["verify", "--level", "chain"],
        &["restore", "--archive", "file:///a"],
        &["wal"],
        &["wal", "truncate", "--accept-data-loss"],
        &["wal", "truncate", "--at", "0"],
        &["wal", "dump", "--from", "first"],
        &["collection"],
        &[],
    ] {
        assert!(parse(words).is_err(), "{words:?}");
    }
}

#[test]
fn what_is_not_built_is_absent() {
    for words in [
        &["serve", "--socket", "s"][..],
        &["watch", "--follow"],
        &["follow", "--archive", "file:///a"],
        &["promote"],
        &["bench"],
        &["archive", "attach", "file:///a"],
        &["init", "--archive", "file:///a", "--archive-policy", "best-effort"],
        &["verify", "--archive", "file:///a", "--level", "restore"],
    ] {
        assert!(parse(words).is_err(), "{words:?}");
    }
}

#[test]
fn consistency_is_strong_bounded_or_eventual() {
    assert_eq!(parse_consistency("strong"), Ok(Consistency::Strong));
    assert_eq!(parse_consistency("eventual"), Ok(Consistency::Eventual));
    for ms in [0, 3_600_000] {
        let bound = Consistency::BoundedStaleness(Duration::from_millis(ms));
        assert_eq!(parse_consistency(&format!("bounded:{ms}")), Ok(bound));
    }
    for bad in ["", "most", "bounded", "bounded:", "bounded:-1", "bounded:3600001", "strong:1"] {
        assert!(parse_consistency(bad).is_err(), "{bad}");
    }
}

#[test]
fn durability_is_sync_buffered_or_periodic() {
    assert_eq!(parse_durability("sync"), Ok(Durability::Sync));
    assert_eq!(parse_durability("buffered"), Ok(Durability::Buffered));
    let every = Duration::from_millis(250);
    assert_eq!(parse_durability("periodic:250"), Ok(Durability::Periodic { every }));
    for bad in ["", "none", "periodic", "periodic:", "periodic:0", "periodic:1s", "sync:1"] {
        assert!(parse_durability(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_target_is_latest_an_lsn_a_time_or_a_point() {
    let name = Name::new("a.b").expect("a name");
    for (text, target) in [
        ("latest", RestoreTarget::Latest),
        ("lsn:7", RestoreTarget::Lsn(Lsn::FIRST.advance(6))),
        ("time:1970-01-01T00:00:01.5Z", RestoreTarget::Time(1500)),
        ("time:1970-01-01T02:00:00+02:00", RestoreTarget::Time(0)),
        ("point:a.b", RestoreTarget::Point(name)),
    ] {
        assert_eq!(text.parse(), Ok(Target(target)));
    }
    for bad in [
        "",
        "lsn:0",
        "lsn:-1",
        "lsn:x",
        "time:yesterday",
        "time:1960-01-01T00:00:00Z",
        "point:",
        "point:a b",
        "latest:1",
        "before",
    ] {
        assert!(bad.parse::<Target>().is_err(), "{bad}");
    }
}

#[test]
fn a_vector_field_names_its_metric_and_storage() {
    let field = |metric, storage| {
        let field = "a:b".to_owned();
        VectorField { field, dimensions: 3, metric, storage }
    };
    for (text, metric, storage) in [
        ("a:b:3:cosine", Metric::Cosine, VectorStorage::Bf16),
        ("a:b:3:l2:f32", Metric::L2, VectorStorage::F32),
        ("a:b:3:dot:bf16", Metric::Dot, VectorStorage::Bf16),
        ("a:b:3:dot:i8", Metric::Dot, VectorStorage::I8),
    ] {
        assert_eq!(values::parse_vector_field(text), Ok(field(metric, storage)));
    }
    for bad in
        ["", "a", "a:3", "a:3:manhattan", ":3:dot", "a:x:dot", "a:-1:dot", "a:3:dot:f16", "f32"]
    {
        assert!(values::parse_vector_field(bad).is_err(), "{bad}");
    }
}
