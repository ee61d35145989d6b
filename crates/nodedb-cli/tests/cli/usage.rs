//! Wrong words, help, completions, man page.

use crate::harness::{Database, refused, run};

#[test]
fn a_wrong_command_line_exits_64_with_one_line() {
    for words in [
        &[][..],
        &["fly"],
        &["get", "c"],
        &["get", "c", "k", "--fast"],
        &["put", "c", "k", "1", "--expect", "never"],
        &["init", "--durability", "periodic"],
        &["init", "--vshards", "many"],
        &["collection", "create", "c", "--vector", "f:3:cosine:f16"],
        &["restore", "--archive", "file:///a", "--into", "b", "--to", "yesterday"],
    ] {
        let message = refused(words, "InvalidInput", 64);
        assert!(!message.is_empty(), "{words:?}");
    }
    let message = refused(&["get", "c", "k"], "InvalidInput", 64);
    assert!(message.contains("--dir") && message.contains("NODEDB_DIR"), "{message}");
    let words = ["collection", "create", "c", "--vector", "f:3:cosine:f16"];
    assert!(refused(&words, "InvalidInput", 64).contains("f32|bf16|i8"));
}

#[test]
fn every_command_is_explained_with_an_example() {
    let top = run(&["help"]);
    assert_eq!((top.code, top.stderr.as_str()), (0, ""));
    for words in [
        "quickstart",
        "init",
        "collection create",
        "collection list",
        "collection drop",
        "put",
        "get",
        "delete",
        "batch",
        "import",
        "export",
        "scan",
        "search",
        "crdt export",
        "crdt merge",
        "checkpoint",
        "restore-point",
        "status",
        "shell",
        "verify",
        "wal segments",
        "wal dump",
        "wal verify",
        "wal truncate",
        "restore",
        "completions",
        "man",
    ] {
        let first = words.split(' ').next().expect("a word");
        assert!(top.stdout.contains(&format!("  {first} ")), "{first} is not listed");
        let help: Vec<_> = std::iter::once("help").chain(words.split(' ')).collect();
        let ran = run(&help);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{words}");
        assert!(ran.stdout.contains("Example"), "{words}: {}", ran.stdout);
        assert!(ran.stdout.contains("nodedb"), "{words}: {}", ran.stdout);
    }
    assert!(!top.stdout.contains("quickstart-writer"), "the child is nobody's command");
    let version = run(&["--version"]);
    assert_eq!((version.code, version.stdout.starts_with("nodedb ")), (0, true));
}

#[test]
fn completions_and_the_man_page_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(&["completions", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{shell}");
        assert!(ran.stdout.contains("restore-point"), "{shell}");
    }
    let man = run(&["man"]);
    assert_eq!(man.code, 0);
    assert!(man.stdout.contains(".TH nodedb 1") && man.stdout.contains("restore\\-point"));
    let page = crate::harness::json(&["man"]);
    assert_eq!(page["page"].as_str(), Some(man.stdout.as_str()));
    refused(&["completions", "sh"], "InvalidInput", 64);
}

#[test]
fn the_directory_may_stand_in_the_environment_and_the_flag_wins() {
    let (here, there) = (Database::with_collection(), Database::new());
    let mut command = crate::harness::command(&["put", "c", "k", "1"]);
    let ran = command.env("NODEDB_DIR", here.dir()).output().expect("the binary runs");
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(here.text(&["get", "c", "k"]), "1\n");
    for flag_first in [true, false] {
        let dir = there.dir().display().to_string();
        let mut words = vec!["get", "c", "k"];
        let at = if flag_first { 0 } else { 3 };
        words.splice(at..at, ["--dir", dir.as_str()]);
        let mut command = crate::harness::command(&words);
        let ran = command.env("NODEDB_DIR", here.dir()).output().expect("the binary runs");
        assert_eq!(ran.status.code(), Some(3), "{words:?}: {ran:?}");
    }
}
