//! What is put and got.

use super::super::put::letters;
use crate::unit_vectors;
use nodedb::{Metric, NewCollection};
use std::{fmt::Write, sync::Arc};

/// Bytes of text in a document.
const TEXT_BYTES: usize = 960;
const FIELD: &str = "embedding";
const DIMENSIONS: u32 = 384;
/// Rows that gets ask for.
const STORED: u64 = 50_000;
const STORED_VECTORS: u64 = 10_000;
/// Different vectors; the documents are as many as there are puts.
const VECTORS: usize = 2_048;

/// Documents of about a kilobyte, or with a vector of 384 numbers.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// JSON of the vectors, if documents have one.
    pub(super) vectors: Arc<[String]>,
    /// How many are there before the first turn, for gets to ask for.
    pub(super) stored: u64,
}

impl Rows {
    pub(super) fn documents() -> Self {
        Self { vectors: Arc::new([]), stored: STORED }
    }

    pub(super) fn vectors() -> Self {
        let vectors = unit_vectors(1, VECTORS, DIMENSIONS as usize);
        let vectors = vectors.iter().map(|vector| json(vector)).collect();
        Self { vectors, stored: STORED_VECTORS }
    }

    /// The collection for them. Vectors go into one partition: one index has all the work.
    pub(super) fn collection(&self, indexed: bool) -> NewCollection {
        let rows = NewCollection::named("rows");
        match (self.have_vectors(), indexed) {
            (false, _) => rows,
            (true, false) => rows.with_partitions(1),
            (true, true) => rows.with_partitions(1).with_vector(FIELD, DIMENSIONS, Metric::Cosine),
        }
    }

    pub(super) fn have_vectors(&self) -> bool {
        !self.vectors.is_empty()
    }

    /// The document of a number.
    pub(super) fn json(&self, number: u64) -> String {
        let place = usize::try_from(number).unwrap_or_default() % self.vectors.len().max(1);
        match self.vectors.get(place) {
            Some(vector) => format!(r#"{{"n":{number},"{FIELD}":{vector}}}"#),
            None => format!(r#"{{"n":{number},"text":"{}"}}"#, letters(number, TEXT_BYTES)),
        }
    }
}

/// The key of a number. Odd, so every number has one of its own; they do not ascend, so tables overlap.
pub(super) fn key(number: u64) -> String {
    format!("row:{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Four decimals, as embeddings are sent.
fn json(vector: &[f32]) -> String {
    let mut text = String::from("[");
    for number in vector {
        let comma = if text.len() > 1 { "," } else { "" };
        // Writing to a string cannot fail.
        let _written = write!(text, "{comma}{number:.4}");
    }
    text + "]"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_number_has_a_row_of_its_own() {
        assert_eq!((0..1000).map(key).collect::<BTreeSet<_>>().len(), 1000);
        for rows in [Rows::documents(), Rows::vectors()] {
            let json = rows.json(7);
            assert!((900..4000).contains(&json.len()), "{}", json.len());
            let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            assert_eq!(value["n"], 7);
        }
        let json = Rows::vectors().json(7);
        let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(value[FIELD].as_array().map(Vec::len), Some(DIMENSIONS as usize));
    }
}
