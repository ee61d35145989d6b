//! watch.

use crate::harness::Database;
use serde_json::json;

#[test]
fn changes_come_in_order_and_go_on_after_a_token() {
    let database = Database::with_collection();
    let mut shell = database.shell();
    let version = shell.ok("put c a 1.50")["version"].clone();
    let batch = r#"[{"put": {"collection": "c", "key": "b", "value": 2}},
                    {"put": {"collection": "c", "key": "d", "value": [3]}}]"#;
    let words = serde_json::to_string(&["batch", batch]).expect("words");
    shell.ok(&words);
    shell.ok("delete c a");
    let mut watch = |words: &str| {
        let answer = shell.ok(&format!("watch {words}"));
        answer["changes"].as_array().expect("an array").clone()
    };
    let all = watch("c");
    let seen: Vec<_> = all.iter().map(|line| (line["key"].clone(), line["op"].clone())).collect();
    let said = [("a", "put"), ("b", "put"), ("d", "put"), ("a", "delete")];
    assert_eq!(seen, said.map(|(key, op)| (json!(key), json!(op))));
    assert!(all[3].get("value").is_none() && all[0]["time"].is_string(), "{all:?}");
    assert_eq!(all[0]["token"], version, "that of the value");
    let token = all[1]["token"].as_str().expect("a text");
    assert_eq!(watch(&format!("--from {token}")), all[2..], "also within a group");
    assert_eq!(watch(&format!("--from {}", all[3]["lsn"])), all[3..]);
    assert!(shell.end().success());
}

/// A process that was killed has left its log for the next one.
#[test]
fn lines_are_printed_of_what_the_log_has() {
    let database = Database::with_collection();
    let kill_after_put = || {
        let mut writer = database.shell();
        writer.ok("put c a 1.50");
        writer.child.kill().expect("killed");
        writer.child.wait().expect("ended");
    };
    kill_after_put();
    let text = database.text(&["watch", "c"]);
    assert!(text.ends_with("\tc\tput\ta\t1.50\n"), "{text}");
    kill_after_put();
    let text = database.text(&["watch", "c", "--json"]);
    assert!(text.ends_with("\"op\":\"put\",\"value\":1.50}\n"), "digit for digit: {text}");
}

#[test]
fn positions_that_are_none_are_refused() {
    let database = Database::with_collection();
    let version = Database::with_collection().json(&["put", "c", "a", "1"])["version"].clone();
    let foreign = version.as_str().expect("a text");
    database.refused(&["watch", "c", "--from", foreign], "WrongHistory", 1);
    for from in ["0", "nonsense", ""] {
        database.refused(&["watch", "c", "--from", from], "InvalidInput", 64);
    }
    database.refused(&["watch", "nothing"], "NotFound", 3);
}
