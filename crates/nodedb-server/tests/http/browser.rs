//! The status page in a real browser. Where there is none the test says so, loudly, and looks at nothing.

use crate::client::Served;
use nodedb::{CheckpointRequest, NewCollection};
use std::{
    io::{self, Write},
    process::{Command, Stdio},
};

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// Milliseconds by the clock of the page, which stands still while a request is answered.
const SHOWS_WITHIN_MS: &str = "5000";

/// The first browser that runs here.
fn browser() -> Option<&'static str> {
    let runs = |name: &&str| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    BROWSERS.into_iter().find(runs)
}

/// What the page consists of after its script has run for a while.
fn shown(browser: &str, url: &str) -> String {
    let profile = tempfile::tempdir().expect("a directory");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--virtual-time-budget={SHOWS_WITHIN_MS}"))
        .args(["--dump-dom", url])
        .output()
        .expect("the browser runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a page of UTF-8")
}

#[test]
fn a_browser_shows_the_state_of_the_database() {
    let Some(browser) = browser() else {
        let message = "SKIPPED: no browser is installed, so nobody has looked at the status page\n";
        io::stderr().write_all(message.as_bytes()).expect("written");
        return;
    };
    let served = Served::new();
    served.database.create_collection(NewCollection::named("notes")).expect("created");
    let notes = served.database.collection("notes").expect("found");
    notes.put("a", &1).expect("put");
    served.database.checkpoint(CheckpointRequest::default()).expect("checkpoint");
    let page = shown(browser, &format!("http://{}/", served.server.address()));
    let status = served.database.status().expect("status");
    let redo = format!("recovery begins at {}", status.redo_lsn);
    for wanted in ["Live, once a second", ">Ok<", ">redo<", redo.as_str(), "advanced", "request"] {
        assert!(page.contains(wanted), "{wanted} is not shown:\n{page}");
    }
    // A row for each vshard, and none of the figures is left unknown.
    for vshard in &status.vshards {
        assert!(page.contains(&format!("<td>{}</td>", vshard.vshard)), "{page}");
    }
    assert!(!page.contains("No figures yet"), "{page}");
}
