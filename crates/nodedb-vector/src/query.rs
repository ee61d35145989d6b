//! A nearest-neighbour question and its answers.

use bytes::Bytes;
use nodedb_engine::Metric;
use nodedb_types::IndexId;

/// What to look for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Query<'a> {
    /// In which index.
    pub index: IndexId,
    /// Near what; passed [`check_vector`](crate::check_vector) of that index.
    pub vector: &'a [f32],
    /// How distance is measured: the metric of the index.
    pub metric: Metric,
    /// How many neighbours at most.
    pub k: usize,
    /// How many candidates each graph keeps while it is walked: more find better and take longer. At
    /// least `k` are kept. `None` for a number that finds 98 of 100 on real text embeddings.
    pub ef: Option<usize>,
    /// How exact the answer must be.
    pub mode: SearchMode,
}

/// How exact an answer must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum SearchMode {
    /// Graphs where there are some: nearly always the nearest.
    #[default]
    Auto,
    /// As `Auto`, and most rows may be refused: it looks at more candidates at once, and at all of them
    /// if few are taken.
    Filtered,
    /// Every row is measured: always the nearest.
    Exact,
}

/// How an answer was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SearchPlan {
    /// Every row was measured, and asked for in the order of distance.
    Exact,
    /// Graphs were walked; their candidates were asked for in the order of distance.
    Graph {
        /// How many graphs.
        segments: usize,
        /// How many candidates each of them kept.
        ef: usize,
    },
    /// Only rows that an index of fields led to were measured.
    Among {
        /// How many of them have a vector; those that match the filter in part are among them.
        matches: usize,
    },
}

impl SearchPlan {
    /// Its name in explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Graph { .. } => "graph",
            Self::Among { .. } => "among",
        }
    }
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// Ascending by distance, then by key.
    pub neighbours: Vec<Neighbour>,
    /// How they were found.
    pub plan: SearchPlan,
}

/// One answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Neighbour {
    /// Whose vector it is.
    pub key: Bytes,
    /// How far it is, in the unit of the [`Metric`].
    pub distance: f32,
}
