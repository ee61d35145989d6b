//! What can go wrong in an engine.

use crate::EngineKind;
use nodedb_types::{DecodeError, ErrorKind, Lsn};
use std::{io, path::PathBuf};

/// Failure of an engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The system failed. A failed flush is not repeated in a loop; the floor stays where it was.
    #[error("{action} {path} failed")]
    Io {
        /// What was tried, such as "writing".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Stored bytes are damaged, missing or foreign. Nothing was changed.
    #[error("{path} is damaged: {message}; restore from the archive or run `verify`")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// How it shows.
        message: String,
    },
    /// A file of another version.
    #[error(
        "{path} has format version {found}, this software knows {supported}: use a matching version"
    )]
    UnsupportedFormat {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        supported: u32,
    },
    /// The log refused to make a position durable, so nothing that contains it may be switched to.
    #[error("the log cannot make record {lsn} durable: reopen the database")]
    NotDurable {
        /// The position.
        lsn: Lsn,
    },
    /// An earlier sync or rename in an engine's directory failed. Which names a power cut leaves there is
    /// unknown, and a later sync that says "done" would prove nothing (protocol rule P1).
    #[error(
        "an earlier switch in {path} failed midway, its names are in doubt: reopen the database"
    )]
    InDoubt {
        /// Which directory.
        path: PathBuf,
    },
    /// An earlier flush of this engine panicked, so its state in memory is not trusted any more.
    #[error("an earlier flush of the {} engine panicked: reopen the database", engine.name())]
    FlushPanicked {
        /// Which engine.
        engine: EngineKind,
    },
    /// A record of the log is no redo.
    #[error("record {lsn} of the log cannot be decoded; restore from the archive")]
    Redo {
        /// Its position.
        lsn: Lsn,
        /// How it shows.
        #[source]
        source: DecodeError,
    },
}

impl EngineError {
    /// An I/O failure on a path.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Damage of a file.
    pub fn corrupt(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self::Corrupt { path: path.into(), message: message.into() }
    }

    /// How a caller reacts to it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                ErrorKind::NoSpace
            }
            Self::Io { .. } => ErrorKind::Io,
            Self::Corrupt { .. } | Self::Redo { .. } => ErrorKind::Corrupt,
            Self::UnsupportedFormat { .. } => ErrorKind::UnsupportedFormat,
            Self::NotDurable { .. } | Self::InDoubt { .. } => ErrorKind::Poisoned,
            Self::FlushPanicked { .. } => ErrorKind::Internal,
        }
    }
}
