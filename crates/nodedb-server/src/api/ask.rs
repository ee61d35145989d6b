//! What stands in a request: words of its path and query, whose data it means, its body.

use crate::{refusal::Refusal, state::Shared};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use nodedb::{Collection, Database, Tenant};
use serde::de::DeserializeOwned;

/// The header that names a tenant; without it the default one is meant.
const TENANT: &str = "nodedb-tenant";

/// Whose data a request means.
#[derive(Clone, Debug)]
pub(super) struct Whose(Option<String>);

impl Whose {
    pub(super) fn tenant(&self, database: &Database) -> Result<Tenant, Refusal> {
        Ok(database.tenant(self.0.as_deref())?)
    }

    pub(super) fn collection(
        &self,
        database: &Database,
        name: &str,
    ) -> Result<Collection, Refusal> {
        Ok(self.tenant(database)?.collection(name)?)
    }
}

impl FromRequestParts<Shared> for Whose {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Refusal> {
        let name = parts.headers.get(TENANT).map(|name| name.to_str().map(str::to_owned));
        let name =
            name.transpose().map_err(|error| Refusal::input(format!("{TENANT}: {error}")))?;
        Ok(Self(name))
    }
}

/// Words of the path.
#[derive(Debug)]
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Named<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        let path = Path::<T>::from_request_parts(parts, shared).await;
        path.map(|Path(words)| Self(words)).map_err(|error| Refusal::input(error.body_text()))
    }
}

/// Words of the query. One that is not known is an error, not nothing.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        let query = Query::<T>::from_request_parts(parts, shared).await;
        query.map(|Query(words)| Self(words)).map_err(|error| Refusal::input(error.body_text()))
    }
}

/// A body as it came.
#[derive(Debug)]
pub(super) struct Sent(pub(super) Bytes);

impl FromRequest<Shared> for Sent {
    type Rejection = Refusal;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Refusal> {
        let limit = shared.options.body_bytes_max;
        let bytes =
            Bytes::from_request(request, shared).await.map_err(|error| match error.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Refusal::input(format!(
                    "the body is larger than {limit} bytes: send less at once"
                ))
                .with_status(StatusCode::PAYLOAD_TOO_LARGE),
                _ => Refusal::input(error.body_text()),
            });
        bytes.map(Self)
    }
}

/// A body that says that it is JSON, which a form of a web page cannot.
#[derive(Debug)]
pub(super) struct SentJson(pub(super) Bytes);

impl FromRequest<Shared> for SentJson {
    type Rejection = Refusal;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Refusal> {
        if !says_json(request.headers()) {
            let refusal = Refusal::input("send JSON with `Content-Type: application/json`");
            return Err(refusal.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let Sent(bytes) = Sent::from_request(request, shared).await?;
        Ok(Self(bytes))
    }
}

impl SentJson {
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.0)
            .map_err(|error| Refusal::input(format!("the body is not usable: {error}")))
    }
}

fn says_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|given| given.to_str().ok());
    let essence = given.and_then(|given| given.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}
