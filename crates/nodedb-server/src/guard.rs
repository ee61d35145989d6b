//! Who is answered, for how long, and with which headers.

use crate::{page, refusal::Refusal, state::Shared};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use nodedb::ErrorKind;
use std::{hint::black_box, net::IpAddr, time::Duration};
use tokio::time;

/// What a browser may do with any answer: nothing but show the page, with its own script and style.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Stands around every route.
pub(crate) async fn guard(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let allowed = admit(&shared, request.uri().path(), request.headers());
    let mut response = match allowed {
        Err(refusal) => refusal.into_response(),
        Ok(()) => within(shared.options.request_limit, next.run(request)).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn within(limit: Duration, response: impl Future<Output = Response>) -> Response {
    time::timeout(limit, response).await.unwrap_or_else(|_elapsed| {
        let limit = limit.as_millis();
        let message = format!("no answer within {limit} ms; what was begun may still be done");
        Refusal::new(ErrorKind::Timeout, message).into_response()
    })
}

fn admit(shared: &Shared, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    check_origin(headers, host)?;
    match &shared.options.token {
        // The page holds no data; it asks for the token and sends it with its requests.
        Some(_) if page::PATHS.contains(&path) => Ok(()),
        Some(token) => check_token(headers, token),
        None => check_host(host),
    }
}

/// A page of another origin must not make a browser write here.
fn check_origin(headers: &HeaderMap, host: &str) -> Result<(), Refusal> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let own = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    if own.is_some_and(|(_, name)| !name.is_empty() && name == host) {
        return Ok(());
    }
    Err(forbidden("pages of other origins are not answered"))
}

/// A page must not reach this address under a name of its own, which it points here after it was loaded.
fn check_host(host: &str) -> Result<(), Refusal> {
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| !port.ends_with(']'))
        .map_or(host, |(name, _)| name);
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if name == "localhost" || address.is_ok_and(|address| address.is_loopback()) {
        return Ok(());
    }
    Err(forbidden("without a token only the names of loopback are answered: use 127.0.0.1"))
}

fn forbidden(message: &str) -> Refusal {
    Refusal::new(ErrorKind::InvalidInput, message).with_status(StatusCode::FORBIDDEN)
}

fn check_token(headers: &HeaderMap, token: &str) -> Result<(), Refusal> {
    let given = headers.get(header::AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
    let given = given.strip_prefix(b"Bearer ").unwrap_or_default();
    if is_same(given, token.as_bytes()) {
        return Ok(());
    }
    let refusal = Refusal::new(
        ErrorKind::InvalidInput,
        "the token is missing or wrong: send `Authorization: Bearer TOKEN`",
    );
    Err(refusal.with_status(StatusCode::UNAUTHORIZED))
}

/// Looks at every byte of the token whatever was given, so that the time tells nothing of how much of it
/// was right.
fn is_same(given: &[u8], token: &[u8]) -> bool {
    let mut difference = usize::from(given.len() != token.len());
    for (at, byte) in token.iter().enumerate() {
        let other = black_box(given.get(at).copied().unwrap_or(0));
        difference |= usize::from(byte ^ other);
    }
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_is_the_token() {
        let token = b"0123456789abcdef";
        assert!(is_same(token, token));
        for wrong in [&b""[..], b"0123456789abcde", b"0123456789abcdeg", b"1123456789abcdef"] {
            assert!(!is_same(wrong, token), "{wrong:?}");
        }
        assert!(!is_same(b"0123456789abcdef0", token), "longer");
        assert!(!is_same(b"0123456789abcdef\0", token), "longer by a zero byte");
        assert!(!is_same(b"", b"\0"), "a missing byte is none of the token");
    }

    #[test]
    fn loopback_has_few_names() {
        for own in ["localhost", "localhost:80", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:1"] {
            assert!(check_host(own).is_ok(), "{own}");
        }
        for other in
            ["", "evil.example", "evil.example:80", "localhost.evil.example", "192.0.2.1:1"]
        {
            assert!(check_host(other).is_err(), "{other}");
        }
    }

    #[test]
    fn an_origin_is_the_host_itself() {
        let of = |origin: &'static str| {
            HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))])
        };
        let host = "127.0.0.1:80";
        assert!(check_origin(&HeaderMap::new(), host).is_ok());
        assert!(check_origin(&of("http://127.0.0.1:80"), host).is_ok());
        for other in ["null", "http://evil.example", "http://127.0.0.1:81", "http://", ""] {
            assert!(check_origin(&of(other), host).is_err(), "{other}");
        }
        assert!(check_origin(&of("http://"), "").is_err(), "no host is nobody's");
    }
}
