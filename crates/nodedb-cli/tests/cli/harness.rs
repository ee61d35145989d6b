//! Runs the binary and reads its answers.

use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Output, Stdio},
};
use tempfile::TempDir;

/// Segment size of most tests: creation allocates it.
pub(crate) const SEGMENT: &str = "1048576";

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
        }
    }
}

pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodedb"));
    command.args(words).env_remove("NODEDB_DIR").stdin(Stdio::null());
    command
}

/// Runs the binary without a database.
pub(crate) fn run(words: &[&str]) -> Ran {
    command(words).output().expect("the binary runs").into()
}

/// The one JSON document of a successful run.
pub(crate) fn json(words: &[&str]) -> Value {
    let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
    let ran = run(&words);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{words:?}: {ran:?}");
    document(&ran.stdout)
}

/// Parses standard output that holds exactly one JSON document in one line.
pub(crate) fn document(stdout: &str) -> Value {
    assert_eq!(stdout.matches('\n').count(), 1, "one line: {stdout}");
    serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
}

/// Runs words that must fail, for people and for programs; the message.
pub(crate) fn refused(words: &[&str], kind: &str, code: i32) -> String {
    let ran = run(words);
    assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{words:?}: {ran:?}");
    assert!(ran.stderr.starts_with("error: "), "{words:?}: {ran:?}");
    assert_eq!(ran.stderr.matches('\n').count(), 1, "{words:?}: {ran:?}");
    let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
    let ran = run(&words);
    assert_eq!((ran.code, ran.stderr.as_str()), (code, ""), "{words:?}: {ran:?}");
    let answer = document(&ran.stdout);
    assert_eq!(answer["error"]["kind"], kind, "{words:?}: {answer}");
    answer["error"]["message"].as_str().expect("a message").to_owned()
}

/// A database in a directory of its own.
pub(crate) struct Database {
    pub(crate) root: TempDir,
}

impl Database {
    /// Creates it with small segments and further words of `init`.
    pub(crate) fn with(words: &[&str]) -> Self {
        Self::created(&[&["--segment-bytes", SEGMENT], words].concat())
    }

    /// Creates it with these words of `init`.
    pub(crate) fn created(words: &[&str]) -> Self {
        let database = Self { root: tempfile::tempdir().expect("a directory") };
        let init = [&["init"], words].concat();
        let created = database.json(&init);
        assert_eq!(created["database_id"].as_str().map(str::len), Some(32), "{created}");
        database
    }

    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// With an empty collection of documents `c`.
    pub(crate) fn with_collection() -> Self {
        let database = Self::new();
        database.json(&["collection", "create", "c"]);
        database
    }

    /// With an archive beside it, and an empty collection `c`.
    pub(crate) fn with_archive() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let database = Self { root };
        // An archive is never made by accident, such as on a disk that is not mounted.
        std::fs::create_dir(database.path("archive")).expect("a directory");
        let url = database.archive_url();
        database.json(&["init", "--segment-bytes", SEGMENT, "--archive", &url]);
        database.json(&["collection", "create", "c"]);
        database
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().join("db")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn archive_url(&self) -> String {
        format!("file://{}", self.path("archive").display())
    }

    fn words(&self, words: &[&str]) -> Vec<String> {
        let dir = self.dir().display().to_string();
        let words = words.iter().map(|word| (*word).to_owned());
        ["--dir".to_owned(), dir].into_iter().chain(words).collect()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let words = self.words(words);
        command(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.command(words).output().expect("the binary runs").into()
    }

    /// Standard output of a successful run for people.
    pub(crate) fn text(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        ran.stdout
    }

    pub(crate) fn json(&self, words: &[&str]) -> Value {
        json(&self.words(words).iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The JSON lines of a successful run.
    pub(crate) fn lines(&self, words: &[&str]) -> Vec<Value> {
        let words: Vec<_> = words.iter().copied().chain(["--json"]).collect();
        let text = self.text(&words);
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    pub(crate) fn refused(&self, words: &[&str], kind: &str, code: i32) -> String {
        refused(&self.words(words).iter().map(String::as_str).collect::<Vec<_>>(), kind, code)
    }

    /// Runs with these bytes on standard input.
    pub(crate) fn run_with_input(&self, words: &[&str], input: &[u8]) -> Ran {
        run_command(self.command(words), input)
    }

    pub(crate) fn shell(&self) -> Shell {
        let mut command = self.command(&["shell"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let stdin = child.stdin.take().expect("a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        Shell { child, stdin: Some(stdin), stdout }
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).expect("the file is written");
        path
    }
}

/// A running shell.
pub(crate) struct Shell {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Shell {
    pub(crate) fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("the input is open");
        writeln!(stdin, "{line}").expect("the shell reads");
    }

    /// Sends a line and waits for its answer.
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        self.send(line);
        self.next().expect("an answer")
    }

    /// Sends a line whose answer must be `ok`.
    pub(crate) fn ok(&mut self, line: &str) -> Value {
        let answer = self.ask(line);
        assert_eq!(answer["ok"], true, "{line}: {answer}");
        answer
    }

    /// The next whole answer; `None` at the end, also where a kill cut one off.
    pub(crate) fn next(&mut self) -> Option<Value> {
        self.next_line().map(|line| document(&line))
    }

    /// The same as it was written.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the shell answers in UTF-8");
        line.ends_with('\n').then_some(line)
    }

    /// Ends the input and waits.
    pub(crate) fn end(mut self) -> ExitStatus {
        drop(self.stdin.take());
        assert!(self.next().is_none(), "an answer nobody asked for");
        self.child.wait().expect("the shell ends")
    }
}

/// Runs a command with these bytes on standard input, no more than a pipe holds.
pub(crate) fn run_command(mut command: Command, input: &[u8]) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("the child reads");
    drop(stdin);
    child.wait_with_output().expect("the child ends").into()
}

/// Every file below a directory with its bytes.
pub(crate) fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(dir).expect("the directory is listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else {
                let bytes = std::fs::read(&path).expect("the file is read");
                found.push((path, bytes));
            }
        }
    }
    found.sort();
    found
}
