//! Words of `serve`.

use clap::Args;
use std::{net::SocketAddr, path::PathBuf};

/// Words of `serve`.
#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes any that is free. Another address than loopback needs --token-file and
    /// --tls-terminated.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7464")]
    pub(crate) listen: SocketAddr,
    /// A file with the token that requests must carry as `Authorization: Bearer TOKEN`: 16 to 256 visible
    /// ASCII characters. Default: no token.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Say that a terminator of TLS stands in front, so that tokens do not cross the network in the clear.
    #[arg(long)]
    pub(crate) tls_terminated: bool,
    /// Most bytes of the body of a request, 1024 to 268435456.
    #[arg(long, value_name = "N", default_value_t = 33_554_432)]
    pub(crate) body_bytes_max: usize,
    /// How long a request may take, 10 to 3600000 milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 30_000)]
    pub(crate) request_limit_ms: u64,
}
