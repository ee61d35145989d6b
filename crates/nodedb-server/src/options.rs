//! How a database is served.

use crate::ServeError;
use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// Shortest token.
pub const TOKEN_BYTES_MIN: usize = 16;
/// Longest token.
pub const TOKEN_BYTES_MAX: usize = 256;

const BODY_BYTES_MAX: usize = 256 << 20;
const COUNT_MAX: usize = 10_000;
const TIME_MAX: Duration = Duration::from_hours(1);

/// How a database is served.
#[derive(Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// Where to listen; port 0 takes any that is free. Default 127.0.0.1:7464.
    pub listen: SocketAddr,
    /// What every request but one for the status page must carry as `Authorization: Bearer TOKEN`: 16 to
    /// 256 visible ASCII characters. Default: none, which only loopback allows.
    pub token: Option<String>,
    /// Whether a terminator of TLS stands in front. Needed for any address but loopback. Default: no.
    pub tls_terminated: bool,
    /// Most bytes of a body, 1 KiB to 256 MiB. Default 32 MiB.
    pub body_bytes_max: usize,
    /// How long a request may take, body and all, 10 ms to 1 h. Default 30 s.
    pub request_limit: Duration,
    /// How long requests under way may take once the server stops, up to 1 h. Default 10 s.
    pub stop_limit: Duration,
    /// Most connections, 1 to 10,000; further ones wait to be accepted. Default 512.
    pub connections_max: usize,
    /// Most requests that work on the database at once, 1 to 10,000, each on a thread; further ones are
    /// `Busy`. Default 64.
    pub requests_max: usize,
    /// Most subscribers of events, 1 to 10,000; further ones are `Busy`. Default 16.
    pub subscribers_max: usize,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7464)),
            token: None,
            tls_terminated: false,
            body_bytes_max: 32 << 20,
            request_limit: Duration::from_secs(30),
            stop_limit: Duration::from_secs(10),
            connections_max: 512,
            requests_max: 64,
            subscribers_max: 16,
        }
    }
}

impl ServeOptions {
    /// Whether they can be served.
    ///
    /// # Errors
    /// [`ServeError::NoToken`], [`ServeError::NoTls`], [`ServeError::Token`], [`ServeError::Option`].
    pub fn validate(&self) -> Result<(), ServeError> {
        if let Some(token) = &self.token {
            let visible = token.bytes().all(|byte| byte.is_ascii_graphic());
            let bytes = token.len();
            if !visible || !(TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&bytes) {
                return Err(ServeError::Token { bytes });
            }
        }
        let address = self.listen;
        match (address.ip().is_loopback(), &self.token) {
            (false, None) => return Err(ServeError::NoToken { address }),
            (false, Some(_)) if !self.tls_terminated => return Err(ServeError::NoTls { address }),
            _ => {}
        }
        let body = (1 << 10..=BODY_BYTES_MAX).contains(&self.body_bytes_max);
        check(body, ("body_bytes_max", self.body_bytes_max), "1 KiB to 256 MiB")?;
        let request = (Duration::from_millis(10)..=TIME_MAX).contains(&self.request_limit);
        check(request, ("request_limit", self.request_limit.as_millis()), "10 ms to 1 h")?;
        let stop = self.stop_limit <= TIME_MAX;
        check(stop, ("stop_limit", self.stop_limit.as_millis()), "up to 1 h")?;
        for (option, count) in [
            ("connections_max", self.connections_max),
            ("requests_max", self.requests_max),
            ("subscribers_max", self.subscribers_max),
        ] {
            check((1..=COUNT_MAX).contains(&count), (option, count), "1 to 10000")?;
        }
        Ok(())
    }
}

fn check(
    holds: bool,
    (option, value): (&'static str, impl fmt::Display),
    expected: &'static str,
) -> Result<(), ServeError> {
    if holds {
        Ok(())
    } else {
        Err(ServeError::Option { option, value: value.to_string(), expected })
    }
}

/// Without the token.
impl fmt::Debug for ServeOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServeOptions")
            .field("listen", &self.listen)
            .field("has_token", &self.token.is_some())
            .field("tls_terminated", &self.tls_terminated)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(listen: &str, token: Option<&str>, tls_terminated: bool) -> ServeOptions {
        let listen = listen.parse().expect("an address");
        let token = token.map(str::to_owned);
        ServeOptions { listen, token, tls_terminated, ..ServeOptions::default() }
    }

    #[test]
    fn another_address_than_loopback_takes_a_token_and_tls() {
        let token = Some("0123456789abcdef");
        for loopback in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:0"] {
            assert!(options(loopback, None, false).validate().is_ok(), "{loopback}");
        }
        for open in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
            let refused = |token, tls| options(open, token, tls).validate();
            assert!(matches!(refused(None, true), Err(ServeError::NoToken { .. })), "{open}");
            assert!(matches!(refused(token, false), Err(ServeError::NoTls { .. })), "{open}");
            assert!(refused(token, true).is_ok(), "{open}");
        }
    }

    #[test]
    fn tokens_and_limits_at_their_limits_are_taken_and_others_refused() {
        for (bytes, taken) in [(15, false), (16, true), (256, true), (257, false)] {
            let token = "t".repeat(bytes);
            let result = options("127.0.0.1:0", Some(&token), false).validate();
            assert_eq!(result.is_ok(), taken, "{bytes}");
        }
        assert!(options("127.0.0.1:0", Some("0123456789 abcdef"), false).validate().is_err());
        for (body_bytes_max, taken) in
            [(1023, false), (1024, true), (256 << 20, true), ((256 << 20) + 1, false)]
        {
            let options = ServeOptions { body_bytes_max, ..ServeOptions::default() };
            assert_eq!(options.validate().is_ok(), taken, "{body_bytes_max}");
        }
        for (count, taken) in [(0, false), (1, true), (10_000, true), (10_001, false)] {
            let options = ServeOptions { requests_max: count, ..ServeOptions::default() };
            assert_eq!(options.validate().is_ok(), taken, "{count}");
        }
    }

    #[test]
    fn nothing_prints_the_token() {
        let shown = format!("{:?}", options("127.0.0.1:0", Some("0123456789abcdef"), false));
        assert!(!shown.contains("0123456789abcdef"), "{shown}");
    }
}
