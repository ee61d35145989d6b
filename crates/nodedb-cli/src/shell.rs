//! `shell`: one command per line in, one JSON line per command out, over one opened database.

use crate::{
    answer::Answer,
    args::Line,
    commands,
    context::{Context, Output},
    failure::Failure,
};
use clap::{Parser, error::ErrorKind};
use serde::Serialize;
use std::io::{self, BufRead, Read, Write};

/// Longest line, in bytes: the largest value with room for its escapes.
const LINE_BYTES_MAX: u64 = 64 << 20;

#[derive(Serialize)]
struct Help {
    help: String,
}

/// Runs the commands of standard input until it ends.
///
/// # Errors
/// [`Failure`] if the database does not open or standard output is gone. A command that fails is
/// answered, and the next one runs.
pub(crate) fn run(context: &mut Context) -> Result<Answer, Failure> {
    // At once: a shell on a database that does not open must say so before the first command.
    context.database()?;
    context.output = Output::Shell;
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    while next_line(&mut input, &mut line)? {
        if let Some(answer) = answer(&line, context) {
            let mut out = io::stdout().lock();
            out.write_all(answer.as_bytes()).map_err(Failure::Output)?;
            // One at a time: whoever waits for this answer sends the next command after it.
            out.flush().map_err(Failure::Output)?;
        }
    }
    Ok(Answer::already_printed())
}

/// Reads one line without its end; whether there was one. Of a longer one than the limit, one byte
/// more than the limit is kept, which [`words`] refuses.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<bool, Failure> {
    let failed =
        |source| Failure::File { action: "reading", path: "standard input".into(), source };
    line.clear();
    let count = input.take(LINE_BYTES_MAX + 1).read_until(b'\n', line).map_err(failed)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if count as u64 > LINE_BYTES_MAX {
        input.skip_until(b'\n').map_err(failed)?;
    }
    Ok(count > 0)
}

/// The answer to one line, or `None` for an empty one.
fn answer(line: &[u8], context: &mut Context) -> Option<String> {
    let words = match words(line) {
        Ok(words) if words.is_empty() => return None,
        Ok(words) => words,
        Err(failure) => return Some(refusal(&failure)),
    };
    let result = run_words(&words, context);
    Some(result.map_or_else(|failure| refusal(&failure), |answer| answer.shell_line()))
}

fn refusal(failure: &Failure) -> String {
    format!("{{\"ok\":false,\"error\":{}}}\n", failure.json())
}

/// The words of a line: a JSON array of them, or split as a POSIX shell does.
fn words(line: &[u8]) -> Result<Vec<String>, Failure> {
    if line.len() as u64 > LINE_BYTES_MAX {
        let message = format!("longer than {LINE_BYTES_MAX} bytes: put the value into a file");
        return Err(Failure::input("the line", message));
    }
    let text = str::from_utf8(line).map_err(|error| Failure::input("the line", error))?;
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| {
            Failure::input("the line", format!("{error}: give a JSON array of strings"))
        });
    }
    shlex::split(text).ok_or_else(|| Failure::input("the line", "a quote is not closed"))
}

fn run_words(words: &[String], context: &mut Context) -> Result<Answer, Failure> {
    let line = match Line::try_parse_from(words) {
        Ok(line) => line,
        Err(error) if error.kind() == ErrorKind::DisplayHelp => {
            let help = error.render().to_string();
            return Answer::new(&Help { help }, "");
        }
        Err(error) => return Err(error.into()),
    };
    let before = context.globals.clone();
    context.globals.tenant = line.globals.tenant.or_else(|| before.tenant.clone());
    let result = commands::run(&line.command, context);
    context.globals = before;
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{args::Globals, settings::Settings};

    fn split(line: &str) -> Result<Vec<String>, String> {
        words(line.as_bytes()).map_err(|failure| failure.line())
    }

    #[test]
    fn words_are_split_as_a_shell_does_or_given_as_json() -> Result<(), String> {
        let split_line = split(r#"put notes "a b" '{"t": "x \" y"}' --expect absent"#)?;
        assert_eq!(split_line, ["put", "notes", "a b", r#"{"t": "x \" y"}"#, "--expect", "absent"]);
        let given = split(r#" ["get", "notes", "it's\n[here]"]"#)?;
        assert_eq!(given, ["get", "notes", "it's\n[here]"]);
        assert!(split("  ")?.is_empty() && split("# a comment")?.is_empty());
        Ok(())
    }

    #[test]
    fn a_line_that_is_no_command_is_answered() {
        let mut context = Context::new(Globals::default(), Settings::default());
        context.output = Output::Shell;
        for bad in [
            &b"put 'open"[..],
            b"[1, 2]",
            b"[\"get\"",
            b"\xff",
            b"fly",
            b"get notes",
            b"get notes a --dir /elsewhere",
            b"shell",
            b"init",
            b"verify",
            b"wal segments",
            b"quickstart",
            b"put notes a -",
        ] {
            let line = answer(bad, &mut context).expect("an answer");
            let value: serde_json::Value = serde_json::from_str(&line).expect("one JSON document");
            assert_eq!(value["ok"], false, "{line}");
            assert_eq!(value["error"]["kind"], "InvalidInput", "{line}");
            assert_eq!(line.matches('\n').count(), 1, "{line}");
        }
        assert_eq!(answer(b"", &mut context), None);
    }

    #[test]
    fn help_is_an_answer_too() {
        let mut context = Context::new(Globals::default(), Settings::default());
        let line = answer(b"help put", &mut context).expect("an answer");
        assert!(line.starts_with("{\"ok\":true,\"help\":"), "{line}");
    }

    #[test]
    fn lines_are_read_up_to_the_last_without_an_end() -> Result<(), Failure> {
        let mut input = &b"one\n\nlast"[..];
        let mut line = Vec::new();
        let mut lines = Vec::new();
        while next_line(&mut input, &mut line)? {
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
        assert_eq!(lines, ["one", "", "last"]);
        Ok(())
    }
}
