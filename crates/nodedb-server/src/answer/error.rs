//! Why something cannot be shown, or read, as JSON.

use nodedb::ErrorKind;
use std::fmt;

/// Why a value cannot be shown, or read, as JSON.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It is not what it should be; correct it.
    #[error("{what} is not usable: {message}")]
    Input {
        /// Which input.
        what: &'static str,
        /// Why, and what is wanted.
        message: String,
    },
    /// The database refused or failed.
    #[error(transparent)]
    Database(#[from] nodedb::Error),
    /// A defect of this software.
    #[error("internal error: {message}")]
    Internal {
        /// What did not hold.
        message: String,
    },
}

impl AnswerError {
    pub(crate) fn input(what: &'static str, message: impl fmt::Display) -> Self {
        Self::Input { what, message: message.to_string() }
    }

    /// The stable kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Input { .. } => ErrorKind::InvalidInput,
            Self::Database(error) => error.kind(),
            Self::Internal { .. } => ErrorKind::Internal,
        }
    }
}
