//! The status page: three files of this crate, no outside requests.

use crate::state::Shared;
use axum::{Router, http::header, routing::get};

/// What is answered without a token, since it holds no data.
pub(crate) const PATHS: [&str; 3] = ["/", "/page.css", "/page.js"];

const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

pub(crate) fn routes() -> Router<Shared> {
    let file = |content_type: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, content_type)], text) })
    };
    Router::new()
        .route("/", file("text/html; charset=utf-8", HTML))
        .route("/page.css", file("text/css; charset=utf-8", STYLE))
        .route("/page.js", file("text/javascript; charset=utf-8", SCRIPT))
}
