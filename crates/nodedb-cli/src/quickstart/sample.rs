//! The bundled sample: 4,000 glosses of WordNet with embeddings, and queries over them. Its licence
//! stands beside the data, in `data/NOTICE.md`.

use crate::failure::Failure;
use serde::Deserialize;

const ROWS: &[u8] = include_bytes!("../../data/wordnet-sample.jsonl.zst");
const QUERIES: &str = include_str!("../../data/wordnet-sample-queries.jsonl");

/// Nearest documents that are asked for and compared.
pub(super) const NEAREST: usize = 10;

/// The sample.
pub(super) struct Sample {
    /// The rows as JSON lines.
    pub(super) text: String,
    pub(super) rows: Vec<Word>,
    pub(super) queries: Vec<Query>,
}

/// A row, as far as the steps look into it.
#[derive(Deserialize)]
pub(super) struct Word {
    pub(super) id: String,
    pub(super) pos: String,
    pub(super) length: u32,
    embedding: Vec<f32>,
}

/// A query with its exact answer, computed beforehand by another program.
#[derive(Deserialize)]
pub(super) struct Query {
    pub(super) query: Vec<f32>,
    pub(super) top10: Vec<String>,
}

impl Sample {
    /// # Errors
    /// [`Failure::Internal`] if the program itself is damaged.
    pub(super) fn unpack() -> Result<Self, Failure> {
        let damaged = |error: String| Failure::Internal { message: format!("sample: {error}") };
        let bytes = zstd::decode_all(ROWS).map_err(|error| damaged(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| damaged(error.to_string()))?;
        let rows = lines(&text).map_err(|error| damaged(error.to_string()))?;
        let queries = lines(QUERIES).map_err(|error| damaged(error.to_string()))?;
        Ok(Self { text, rows, queries })
    }

    /// The keys of the nearest rows that satisfy a condition, by brute force.
    pub(super) fn nearest(&self, query: &[f32], condition: impl Fn(&Word) -> bool) -> Vec<&str> {
        let rows = self.rows.iter().filter(|word| condition(word));
        let mut found: Vec<_> = rows.map(|word| (score(word, query), word)).collect();
        found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        found.iter().take(NEAREST).map(|(_, word)| word.id.as_str()).collect()
    }
}

fn lines<'a, T: Deserialize<'a>>(text: &'a str) -> Result<Vec<T>, serde_json::Error> {
    text.lines().map(serde_json::from_str).collect()
}

/// The dot product: the embeddings have unit length.
fn score(word: &Word, query: &[f32]) -> f32 {
    word.embedding.iter().zip(query).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_whole_and_its_listed_answers_are_exact() -> Result<(), Failure> {
        let sample = Sample::unpack()?;
        assert_eq!((sample.rows.len(), sample.queries.len()), (4000, 40));
        assert!(sample.rows.iter().all(|word| word.embedding.len() == 384));
        let mut right = 0;
        for query in &sample.queries {
            let nearest = sample.nearest(&query.query, |_| true);
            assert_eq!(nearest.len(), NEAREST);
            right += nearest.iter().filter(|id| query.top10.iter().any(|top| top == *id)).count();
        }
        // 64-bit sums made the list, 32-bit ones are compared: a tie may fall the other way.
        assert!(right >= 398, "{right} of 400");
        Ok(())
    }
}
