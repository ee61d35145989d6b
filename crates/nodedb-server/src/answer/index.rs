//! An index as answers show it.

use nodedb::{IndexInfo, IndexKind, IndexState};
use serde::Serialize;

/// An index as answers show it.
#[derive(Serialize, Debug)]
pub struct IndexAnswer {
    field: String,
    #[serde(flatten)]
    kind: Kind,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    /// Why it cannot be built, if it cannot.
    pub failure: Option<String>,
}

#[derive(Serialize, Debug)]
#[serde(untagged)]
enum Kind {
    Vector { dimensions: u32, metric: &'static str, storage: &'static str },
    Field { unique: bool },
}

impl From<IndexInfo> for IndexAnswer {
    fn from(info: IndexInfo) -> Self {
        let kind = match info.kind {
            IndexKind::Vector { dimensions, metric, storage } => {
                let (metric, storage) = (metric.name(), storage.name());
                Kind::Vector { dimensions, metric, storage }
            }
            IndexKind::Field { unique } => Kind::Field { unique },
        };
        let state = match info.state {
            IndexState::Ready => "ready",
            IndexState::Building => "building",
        };
        Self { field: info.over, kind, state, failure: info.failure }
    }
}

impl IndexAnswer {
    /// As an option would write it.
    pub fn text(&self) -> String {
        let over = &self.field;
        let written = match &self.kind {
            Kind::Vector { dimensions, metric, storage } => {
                format!("{over}:{dimensions}:{metric}:{storage}")
            }
            Kind::Field { unique: true } => format!("{over}:unique"),
            Kind::Field { unique: false } => over.clone(),
        };
        if self.state == "ready" { written } else { format!("{written} ({})", self.state) }
    }
}
