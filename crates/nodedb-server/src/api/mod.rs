//! The JSON API: the data commands of the binary as requests.

mod administration;
mod ask;
mod catalog;
mod documents;
mod scan;
mod search;
mod words;

use crate::{refusal::Refusal, state::Shared};
use axum::{
    Router,
    http::{Method, StatusCode, Uri},
    routing::{delete, get, post},
};
use nodedb::ErrorKind;

pub(crate) fn routes() -> Router<Shared> {
    let document = get(documents::get).put(documents::put).delete(documents::delete);
    Router::new()
        .route("/v1/collections", get(catalog::list).post(catalog::create))
        .route("/v1/collections/{collection}", delete(catalog::drop_collection))
        .route("/v1/collections/{collection}/documents", get(scan::scan))
        .route("/v1/collections/{collection}/documents/{key}", document)
        .route("/v1/collections/{collection}/search", post(search::search))
        .route("/v1/batch", post(documents::batch))
        .route("/v1/checkpoint", post(administration::checkpoint))
        .route("/v1/restore-points", post(administration::restore_point))
}

pub(crate) async fn unknown(uri: Uri) -> Refusal {
    Refusal::new(ErrorKind::NotFound, format!("nothing is served at {}", uri.path()))
}

pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    let message = format!("{} does not take {method}", uri.path());
    Refusal::new(ErrorKind::InvalidInput, message).with_status(StatusCode::METHOD_NOT_ALLOWED)
}
