//! The crash step: a child writes and is killed; what it was told is safe must be there.

use super::workbench::{Workbench, check};
use crate::{answer::Answer, context::Context, failure::Failure};
use nodedb::{Collection, OpenOptions, ScanOptions, WriteOptions};
use std::{
    collections::{BTreeSet, VecDeque},
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

const STEP: &str = "kill";
/// Acknowledged writes after which the child is killed.
const WRITES_BEFORE_KILL: usize = 300;
/// Writes that are sent and not acknowledged yet, so that the kill falls into the middle of some.
const WRITES_UNDER_WAY: usize = 16;
/// The child ends by itself long before a forgotten one fills a disk.
const WRITES_MAX: u64 = 1_000_000;

/// What the child said before it was killed.
#[derive(Default)]
struct Told {
    sent: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
}

/// The child: says what it sends, sends it, says what is acknowledged, until it is killed or nobody
/// listens any more.
///
/// # Errors
/// Whatever a write meets.
pub(crate) fn write_until_killed(context: &mut Context) -> Result<Answer, Failure> {
    let journal = context.collection("journal")?;
    let mut out = io::stdout().lock();
    let mut under_way = VecDeque::new();
    for number in 1..=WRITES_MAX {
        let (key, value) = entry(number);
        // Said before it is sent: the kill may fall between the two, never the other way round.
        say(&mut out, "sent", &key)?;
        let write = journal.put_async(&key, value.as_bytes(), WriteOptions::default())?;
        under_way.push_back((key, write));
        if under_way.len() == WRITES_UNDER_WAY
            && let Some((key, write)) = under_way.pop_front()
        {
            write.wait()?;
            say(&mut out, "acknowledged", &key)?;
        }
    }
    Ok(Answer::already_printed())
}

fn say(out: &mut impl Write, what: &str, key: &str) -> Result<(), Failure> {
    // Flushed at once: what stays in a buffer dies with the process.
    writeln!(out, "{what} {key}").and_then(|()| out.flush()).map_err(Failure::Output)
}

fn entry(number: u64) -> (String, String) {
    let text = "every acknowledged write survives ".repeat(8);
    (format!("entry-{number:07}"), format!("{{\"number\":{number},\"text\":\"{text}\"}}"))
}

pub(super) fn kill_and_reopen(bench: &mut Workbench) -> Result<String, Failure> {
    // The child opens the directory, which one process has at a time.
    bench.close()?;
    let told = run_and_kill(&bench.db())?;
    let clock = Arc::clone(&bench.env.clock);
    let started = clock.now();
    bench.adopt(nodedb::Database::open_with(bench.db(), OpenOptions::existing())?);
    let ms = clock.now().saturating_sub(started).as_millis();
    let stored = stored(&bench.collection("journal")?)?;
    let lost: Vec<_> = told.acknowledged.difference(&stored).collect();
    check(STEP, lost.is_empty(), || format!("acknowledged and lost: {lost:?}"))?;
    let invented: Vec<_> = stored.difference(&told.sent).collect();
    check(STEP, invented.is_empty(), || format!("stored and never sent: {invented:?}"))?;
    Ok(format!(
        "killed after {} acknowledged writes, reopened in {ms} ms: all there, {} stored, {} sent",
        told.acknowledged.len(),
        stored.len(),
        told.sent.len()
    ))
}

/// The keys of the journal, each with exactly the value that its number has.
fn stored(journal: &Collection) -> Result<BTreeSet<String>, Failure> {
    let mut keys = BTreeSet::new();
    for document in journal.scan(ScanOptions::default())? {
        let document = document?;
        let key = String::from_utf8_lossy(&document.key).into_owned();
        let number = key.strip_prefix("entry-").and_then(|digits| digits.parse().ok());
        let whole = number.is_some_and(|number| {
            let (wanted_key, value) = entry(number);
            key == wanted_key && document.value == value
        });
        check(STEP, whole, || format!("{key} is not what was sent"))?;
        keys.insert(key);
    }
    Ok(keys)
}

fn run_and_kill(db: &Path) -> Result<Told, Failure> {
    let failed = |message: String| Failure::Step { step: STEP, message };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut child = Command::new(program)
        .arg("quickstart-writer")
        .arg("--dir")
        .arg(db)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("the child does not start: {error}")))?;
    let out = child.stdout.take();
    let told = out.map_or_else(|| Ok(Told::default()), |out| listen(out, &mut child));
    // Also after a failure: no child outlives its step.
    let killed = child.kill().and_then(|()| child.wait());
    let told = told.and_then(|told| killed.map(|_| told));
    let told = told.map_err(|error| failed(format!("listening to the child: {error}")))?;
    check(STEP, told.acknowledged.len() >= WRITES_BEFORE_KILL, || {
        format!("the child ended by itself after {} writes", told.acknowledged.len())
    })?;
    Ok(told)
}

/// Reads what the child says, kills it in the middle of its writes, reads the rest.
fn listen(out: ChildStdout, child: &mut Child) -> io::Result<Told> {
    let mut told = Told::default();
    let mut killed = false;
    for line in BufReader::new(out).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        match line.split_once(' ') {
            Some(("sent", key)) => told.sent.insert(key.to_owned()),
            Some(("acknowledged", key)) => told.acknowledged.insert(key.to_owned()),
            // The kill cut the last line.
            _ => false,
        };
        if !killed && told.acknowledged.len() >= WRITES_BEFORE_KILL {
            child.kill()?;
            killed = true;
        }
    }
    Ok(told)
}
