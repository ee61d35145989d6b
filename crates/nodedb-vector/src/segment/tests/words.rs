//! Embeddings of WordNet's glosses: the whole set where it is, the sample of the product if not.
#![expect(clippy::disallowed_methods, reason = "tests look at real files")]

use serde::Deserialize;
use std::{
    io::BufRead,
    path::{Path, PathBuf},
};

#[derive(Deserialize)]
struct Row {
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Question {
    query: Vec<f32>,
}

/// 384 numbers of unit length each.
pub(super) struct Words {
    pub(super) rows: Vec<Vec<f32>>,
    /// Glosses outside of the rows.
    pub(super) queries: Vec<Vec<f32>>,
}

/// The first `count` rows, or fewer where only the sample is.
pub(super) fn words(count: usize) -> Words {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shared = manifest.join("../../../shared/data");
    let sample = manifest.join("../nodedb-cli/data");
    let whole = shared.join("wordnet-minilm-20k.jsonl.zst");
    let (rows, queries) = if whole.exists() {
        (whole, unpacked(&shared.join("wordnet-minilm-queries-200.jsonl.zst")))
    } else {
        eprintln!("SKIPPED: {} is not there, 4,000 rows serve instead", whole.display());
        let queries = std::fs::read(sample.join("wordnet-sample-queries.jsonl")).expect("read");
        (sample.join("wordnet-sample.jsonl.zst"), queries)
    };
    let queries = queries.lines().map(|line| {
        let question: Question = serde_json::from_str(&line.expect("text")).expect("a query");
        question.query
    });
    let packed = std::fs::File::open(&rows).expect("opened");
    let lines = std::io::BufReader::new(zstd::Decoder::new(packed).expect("packed")).lines();
    let rows = lines.take(count).map(|line| {
        let row: Row = serde_json::from_str(&line.expect("text")).expect("a row");
        row.embedding
    });
    Words { rows: rows.collect(), queries: queries.collect() }
}

fn unpacked(path: &PathBuf) -> Vec<u8> {
    let packed = std::fs::read(path).expect("read");
    zstd::decode_all(&*packed).expect("unpacked")
}
