//! Who is answered.

use crate::client::{Served, read};
use nodedb_server::ServeOptions;

const TOKEN: &str = "0123456789abcdef";

#[test]
fn with_a_token_nothing_but_the_page_is_answered_without_it() {
    let served =
        Served::with(ServeOptions { token: Some(TOKEN.to_owned()), ..ServeOptions::default() });
    for path in ["/v1/status", "/healthz", "/metrics", "/v1/events", "/nowhere"] {
        served.get(path).refused(401, "InvalidInput");
        for wrong in ["Bearer 0123456789abcdeg", "Bearer ", "Basic 0123456789abcdef", TOKEN] {
            let header = format!("Authorization: {wrong}");
            let refused = served.ask(&format!("GET {path}"), &[&header], b"");
            refused.refused(401, "InvalidInput");
            assert!(refused.head.contains("www-authenticate: bearer"), "{refused:?}");
        }
    }
    let header = format!("Authorization: Bearer {TOKEN}");
    served.ask("GET /v1/status", &[&header], b"").ok();
    for path in ["/", "/page.css", "/page.js"] {
        assert_eq!(served.get(path).status, 200, "{path}");
    }
}

#[test]
fn pages_of_other_origins_reach_nothing() {
    let served = Served::new();
    served
        .ask("GET /v1/status", &["Origin: http://evil.example"], b"")
        .refused(403, "InvalidInput");
    served.ask("GET /v1/status", &["Origin: null"], b"").refused(403, "InvalidInput");
    let own = format!("Origin: http://{}", served.address());
    served.ask("GET /v1/status", &[&own], b"").ok();
    // A name of the page's own that points here.
    let rebound = served.send_raw("GET /v1/status", &["Host: evil.example"], b"");
    read(rebound).refused(403, "InvalidInput");
}

#[test]
fn every_answer_says_what_a_browser_may_do() {
    let served = Served::new();
    for path in ["/", "/healthz", "/nowhere"] {
        let head = served.get(path).head;
        assert!(head.contains("content-security-policy: default-src 'none';"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
    }
}

#[test]
fn what_is_not_served_is_a_typed_error() {
    let served = Served::new();
    served.get("/nowhere").refused(404, "NotFound");
    served.ask("DELETE /healthz", &[], b"").refused(405, "InvalidInput");
}
