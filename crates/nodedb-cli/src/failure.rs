//! Why a command failed: one line, a stable kind, an exit code.

use nodedb::ErrorKind;
use nodedb_server::{ServeError, answer::AnswerError};
use serde::Serialize;
use std::{error::Error, fmt, io, path::PathBuf};

/// Exit code of a wrong command line; clap's own 2 means damage here.
pub(crate) const USAGE: u8 = 64;

/// Failure of a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Failure {
    /// The command line is wrong.
    #[error("{message}")]
    Usage {
        /// What and how to correct it.
        message: String,
    },
    /// The database refused or failed.
    #[error(transparent)]
    Database(#[from] nodedb::Error),
    /// A value cannot be shown, or read, as JSON.
    #[error(transparent)]
    Json(#[from] AnswerError),
    /// The server cannot start.
    #[error(transparent)]
    Server(#[from] ServeError),
    /// No document under the key.
    #[error("collection `{collection}` has no key `{key}`: `scan` shows those that are there")]
    NoDocument {
        /// The collection.
        collection: String,
        /// The key.
        key: String,
    },
    /// An input is not what the command takes.
    #[error("{what} is not usable: {message}")]
    Input {
        /// Which input.
        what: String,
        /// Why, and what is wanted.
        message: String,
    },
    /// What was asked for loses data, and that was not accepted.
    #[error("{message}")]
    DataLoss {
        /// What would be lost, and how to accept it.
        message: String,
    },
    /// The command cannot run inside a shell.
    #[error("`{command}` does not run in a shell: run it by itself")]
    NotInShell {
        /// Its name.
        command: &'static str,
    },
    /// A file that the caller named cannot be used.
    #[error("{action} {path} failed")]
    File {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The system does not tell of signals.
    #[error("listening for the signals that end the server failed")]
    Signals(#[source] io::Error),
    /// Standard output is gone.
    #[error("writing standard output failed")]
    Output(#[source] io::Error),
    /// Ctrl-C.
    #[error("{message}")]
    Interrupted {
        /// How far it got and how to go on.
        message: String,
    },
    /// A step of the quickstart did not hold.
    #[error("quickstart step `{step}` failed: {message}")]
    Step {
        /// Its name.
        step: &'static str,
        /// What did not hold.
        message: String,
    },
    /// An answer that cannot be written as JSON.
    #[error("internal error: {message}")]
    Internal {
        /// What did not hold.
        message: String,
    },
}

#[derive(Serialize)]
struct ErrorAnswer<'a> {
    kind: &'a str,
    message: &'a str,
}

impl Failure {
    pub(crate) fn input(what: impl Into<String>, message: impl fmt::Display) -> Self {
        Self::Input { what: what.into(), message: format!("{message}") }
    }

    /// The stable kind.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Usage { .. }
            | Self::Input { .. }
            | Self::DataLoss { .. }
            | Self::NotInShell { .. } => ErrorKind::InvalidInput,
            Self::Database(error) => error.kind(),
            Self::Json(error) => error.kind(),
            Self::Server(error) => error.kind(),
            Self::NoDocument { .. } => ErrorKind::NotFound,
            Self::File { source, .. } | Self::Signals(source) | Self::Output(source) => {
                kind_of_io(source)
            }
            Self::Interrupted { .. } => ErrorKind::Closed,
            Self::Step { .. } | Self::Internal { .. } => ErrorKind::Internal,
        }
    }

    /// 1 refused or failed, 2 damage, 3 not found, 64 usage.
    pub(crate) fn exit_code(&self) -> u8 {
        if matches!(self, Self::Usage { .. }) {
            return USAGE;
        }
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "every kind without a code of its own, also a future one, is a failure: 1"
        )]
        match self.kind() {
            ErrorKind::NotFound => 3,
            ErrorKind::Corrupt | ErrorKind::Gap => 2,
            _ => 1,
        }
    }

    /// Message and causes in one line; a cause that the message repeats already stands once.
    pub(crate) fn line(&self) -> String {
        let mut line = one_line(&self.to_string());
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = one_line(&error.to_string());
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        line
    }

    /// The `error` object.
    pub(crate) fn json(&self) -> String {
        let message = self.line();
        let answer = ErrorAnswer { kind: self.kind().name(), message: &message };
        serde_json::to_string(&answer).unwrap_or_else(|_| {
            // Two strings always serialise; the kind alone is a safe answer all the same.
            format!("{{\"kind\":\"{}\",\"message\":\"\"}}", self.kind().name())
        })
    }

    /// Whether the reader of standard output went away, which nobody needs to be told.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

fn kind_of_io(error: &io::Error) -> ErrorKind {
    let kinds = [
        (io::ErrorKind::NotFound, ErrorKind::NotFound),
        (io::ErrorKind::AlreadyExists, ErrorKind::AlreadyExists),
        (io::ErrorKind::StorageFull, ErrorKind::NoSpace),
    ];
    let known = kinds.into_iter().find(|(io, _)| *io == error.kind());
    known.map_or(ErrorKind::Io, |(_, kind)| kind)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// clap's several lines as one: message, tips, usage.
impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        let text = error.render().to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        let text = text.split("For more information").next().unwrap_or(text);
        let message = one_line(&text.replace("\n\nUsage:", "; usage:"));
        Self::Usage { message: format!("{message}; see `nodedb help`") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_appended_once_and_all_is_one_line() {
        let source = io::Error::new(io::ErrorKind::NotFound, "no\nsuch file");
        let failure = Failure::File { action: "reading", path: "x".into(), source };
        assert_eq!(failure.line(), "reading x failed: no such file");
        assert_eq!((failure.kind(), failure.exit_code()), (ErrorKind::NotFound, 3));
        let source = io::Error::other("writing standard output failed");
        assert_eq!(Failure::Output(source).line(), "writing standard output failed");
    }

    #[test]
    fn the_error_object_escapes_its_message() {
        let failure = Failure::input("the \"value\"", "line\n2");
        let object = r#"{"kind":"InvalidInput","message":"the \"value\" is not usable: line 2"}"#;
        assert_eq!(failure.json(), object);
        assert_eq!(failure.exit_code(), 1);
    }

    #[test]
    fn exit_codes_follow_the_contract() {
        let usage = Failure::Usage { message: "x".to_owned() };
        assert_eq!(usage.exit_code(), 64);
        let missing = Failure::NoDocument { collection: "c".to_owned(), key: "k".to_owned() };
        assert_eq!(missing.exit_code(), 3);
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let failure = Failure::File { action: "writing", path: "x".into(), source: full };
        assert_eq!((failure.kind(), failure.exit_code()), (ErrorKind::NoSpace, 1));
    }
}
