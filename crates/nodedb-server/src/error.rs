//! Why a server cannot start.

use nodedb::ErrorKind;
use std::{io, net::SocketAddr};

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Others than this machine could reach the database, and nothing asks them who they are.
    #[error("{address} can be reached from elsewhere: give a token, or listen on loopback")]
    NoToken {
        /// The address.
        address: SocketAddr,
    },
    /// The token would cross the network in the clear.
    #[error(
        "{address} can be reached from elsewhere and tokens would be sent in the clear: put a TLS \
         terminator in front and say so, or listen on loopback"
    )]
    NoTls {
        /// The address.
        address: SocketAddr,
    },
    /// The token is not one that a header can carry and nobody can guess.
    #[error("a token of {bytes} bytes is not usable: give 16 to 256 visible ASCII characters")]
    Token {
        /// Its length.
        bytes: usize,
    },
    /// A limit is out of range.
    #[error("`{option}` = {value} is out of range: give {expected}")]
    Option {
        /// Which.
        option: &'static str,
        /// What it was.
        value: String,
        /// What is wanted.
        expected: &'static str,
    },
    /// The address cannot be listened on.
    #[error("listening on {address} failed")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The threads of the server cannot be started.
    #[error("starting the threads of the server failed")]
    Threads(#[source] io::Error),
}

impl ServeError {
    /// The stable kind.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NoToken { .. }
            | Self::NoTls { .. }
            | Self::Token { .. }
            | Self::Option { .. } => ErrorKind::InvalidInput,
            Self::Listen { .. } | Self::Threads(_) => ErrorKind::Io,
        }
    }
}
