//! The graph of the `usearch` library behind our port. This file and the view beside it are the only
//! ones that name it.

use super::{
    error::SegmentError,
    filter::Filter,
    graph::{Question, Shape, VectorIndex, VectorIndexBuilder},
    header::Checked,
    scale::Scale,
    slot::position,
    spec::SegmentSpec,
    view::IndexView,
};
use nodedb_engine::{EngineError, Metric, VectorStorage};
use nodedb_types::ByteReader;
use std::sync::{Mutex, TryLockError};
use usearch::{
    Index,
    ffi::{IndexOptions, MetricKind, ScalarKind},
};

/// Neighbours that a row has at most on every level but the lowest, which has twice as many.
const CONNECTIVITY: usize = 16;
/// Candidates that are kept while neighbours of a new row are looked for.
const EXPANSION_BUILD: usize = 128;
/// Bytes of the graph's body before those of the library. The library's begin with 8 bytes and then all
/// vectors, which so begin on a cache line.
const PREFACE_BYTES: usize = 56;

/// A sealed graph over a checked file.
#[derive(Debug)]
pub(super) struct UsearchGraph {
    scale: Scale,
    /// `None` without rows and of a flat segment. The lock makes searches exclusive without anyone ever waiting for it.
    view: Option<Mutex<IndexView>>,
}

impl VectorIndex for UsearchGraph {
    type Builder = UsearchBuilder;

    fn builder(shape: Shape) -> Result<UsearchBuilder, SegmentError> {
        let scale = Scale::of(shape);
        let index = if shape.rows == 0 { None } else { Some(reserved(&shape)?) };
        Ok(UsearchBuilder {
            scale,
            index,
            storage: shape.spec.storage,
            numbers: vec![],
            codes: vec![],
        })
    }

    fn view(checked: &Checked) -> Result<Self, EngineError> {
        let header = checked.header;
        let factor = preface(checked.body()).map_err(|message| checked.corrupt(message))?;
        let scale = Scale::new(header.spec.metric, header.spec.storage, factor);
        if header.rows == 0 || checked.body().len() == PREFACE_BYTES {
            return Ok(Self { scale, view: None });
        }
        let refused = |message: String| checked.corrupt(format!("the graph: {message}"));
        let index = new_index(&header.spec).map_err(refused)?;
        // A slot for one thread: by default there would be memory for as many as the machine has.
        index.reserve_capacity_and_threads(0, 1).map_err(|error| refused(error.to_string()))?;
        let view = IndexView::new(index, checked, PREFACE_BYTES).map_err(refused)?;
        if u32::try_from(view.len()) != Ok(header.rows) {
            return Err(refused(format!("{} rows of {}", view.len(), header.rows)));
        }
        let spec = &header.spec;
        if !view.is(spec.width(), metric_kind(spec), scalar_kind(spec)) {
            return Err(refused("of another kind than the header says".to_owned()));
        }
        Ok(Self { scale, view: Some(Mutex::new(view)) })
    }

    fn search(
        &self,
        question: Question<'_>,
        filter: Option<&Filter<'_, '_>>,
    ) -> Result<Vec<u32>, SegmentError> {
        let Some(view) = &self.view else {
            return Ok(Vec::new());
        };
        let mut view = match view.try_lock() {
            Ok(view) => view,
            Err(TryLockError::WouldBlock) => return Err(SegmentError::Busy),
            Err(TryLockError::Poisoned(_)) => {
                return Err(failed("searching")("it panicked before"));
            }
        };
        // Never false: the library was given slots.
        let number = |key: u64| u32::try_from(key);
        let ask =
            |key: u64| filter.zip(number(key).ok()).is_some_and(|(filter, slot)| filter.ask(slot));
        let predicate = filter.is_some().then_some(&ask as &dyn Fn(u64) -> bool);
        let Question { vector, wanted, ef } = question;
        let found = match self.scale.storage() {
            VectorStorage::I8 => {
                view.search(&self.scale.query_codes(vector), wanted, ef, predicate)
            }
            VectorStorage::F32 | VectorStorage::Bf16 => {
                view.search(&self.scale.query(vector), wanted, ef, predicate)
            }
        };
        let found = found.map_err(|error| failed("searching")(&error))?;
        found.keys.iter().map(|key| slot(*key)).collect()
    }

    fn is_built(&self) -> bool {
        self.view.is_some()
    }

    fn memory_bytes(&self) -> usize {
        let view = self.view.as_ref().and_then(|view| view.lock().ok());
        view.map_or(0, |view| view.memory_bytes())
    }
}

/// A graph that grows row by row.
pub(super) struct UsearchBuilder {
    scale: Scale,
    storage: VectorStorage,
    /// `None` without rows.
    index: Option<Index>,
    numbers: Vec<f32>,
    codes: Vec<i8>,
}

impl VectorIndexBuilder for UsearchBuilder {
    fn add(&mut self, slot: u32, vector: &[f32]) -> Result<(), SegmentError> {
        let Some(index) = &self.index else {
            return Err(failed("building")("it was announced to have no rows"));
        };
        // The library crashes when a row has no room, rather than making some.
        assert!(index.size() < index.capacity(), "room is reserved before any row comes");
        let added = match self.storage {
            VectorStorage::I8 => {
                self.scale.row_codes(vector, &mut self.codes);
                index.add(u64::from(slot), &self.codes)
            }
            VectorStorage::F32 | VectorStorage::Bf16 => {
                self.scale.row(vector, &mut self.numbers);
                index.add(u64::from(slot), &self.numbers)
            }
        };
        added.map_err(|error| failed("building")(&error.to_string()))
    }

    fn save(self, file: &mut Vec<u8>) -> Result<(), SegmentError> {
        put_preface(self.scale.factor(), file);
        let Some(index) = self.index else {
            return Ok(());
        };
        let graph = file.len();
        file.resize(graph + index.serialized_length(), 0);
        let place = file.get_mut(graph..).unwrap_or_default();
        index.save_to_buffer(place).map_err(|error| failed("saving")(&error.to_string()))
    }
}

impl std::fmt::Debug for UsearchBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rows = self.index.as_ref().map_or(0, Index::size);
        f.debug_struct("UsearchBuilder")
            .field("scale", &self.scale)
            .field("rows", &rows)
            .finish_non_exhaustive()
    }
}

/// An index with room for all rows, and for one thread.
fn reserved(shape: &Shape) -> Result<Index, SegmentError> {
    let failed = failed("reserving");
    let index = new_index(&shape.spec).map_err(|message| failed(&message))?;
    let reserved = index.reserve_capacity_and_threads(position(shape.rows), 1);
    reserved.map_err(|error| failed(&error.to_string()))?;
    Ok(index)
}

fn new_index(spec: &SegmentSpec) -> Result<Index, String> {
    let options = IndexOptions {
        dimensions: spec.width(),
        metric: metric_kind(spec),
        quantization: scalar_kind(spec),
        connectivity: CONNECTIVITY,
        expansion_add: EXPANSION_BUILD,
        expansion_search: EXPANSION_BUILD,
        multi: false,
    };
    Index::new(&options).map_err(|error| error.to_string())
}

fn metric_kind(spec: &SegmentSpec) -> MetricKind {
    match spec.metric {
        // Codes are scaled row by row, which an angle does not feel.
        Metric::Cosine if spec.storage == VectorStorage::I8 => MetricKind::Cos,
        // Numbers have unit length, so that the product is the angle, at a third of the work.
        Metric::Cosine | Metric::Dot => MetricKind::IP,
        Metric::L2 => MetricKind::L2sq,
    }
}

fn scalar_kind(spec: &SegmentSpec) -> ScalarKind {
    match spec.storage {
        VectorStorage::F32 => ScalarKind::F32,
        VectorStorage::Bf16 => ScalarKind::BF16,
        VectorStorage::I8 => ScalarKind::I8,
    }
}

/// Appends the body of a graph that is not there: of no rows, or of a flat segment.
pub(super) fn save_none(file: &mut Vec<u8>) {
    put_preface(1.0, file);
}

fn put_preface(factor: f64, file: &mut Vec<u8>) {
    let start = file.len();
    file.extend_from_slice(&factor.to_le_bytes());
    file.resize(start + PREFACE_BYTES, 0);
}

/// The factor that a graph was scaled with.
fn preface(body: &[u8]) -> Result<f64, String> {
    let mut reader = ByteReader::new(body);
    let factor = reader.u64("factor").map(f64::from_bits).map_err(|error| error.to_string())?;
    let rest = reader.take("preface", PREFACE_BYTES - size_of::<f64>());
    let rest = rest.map_err(|error| error.to_string())?;
    if !(factor.is_finite() && factor > 0.0) || rest.iter().any(|byte| *byte != 0) {
        return Err("its preface is none".to_owned());
    }
    Ok(factor)
}

fn slot(key: u64) -> Result<u32, SegmentError> {
    u32::try_from(key).map_err(|error| failed("searching")(&error.to_string()))
}

fn failed(action: &'static str) -> impl Fn(&str) -> SegmentError + Copy {
    move |message| SegmentError::Graph { action, message: message.to_owned() }
}
