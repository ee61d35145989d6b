//! Documents of the size and shape that applications store.

use nodedb_testkit::SeededRandom;

const WORDS: [&str; 16] = [
    "north", "river", "copper", "signal", "harbour", "minute", "orchard", "ledger", "engine",
    "silver", "window", "market", "letter", "garden", "bridge", "winter",
];

/// `count` keys with JSON objects of 200 to 500 bytes: text, a number and a few tags, about as
/// compressible as records of people and orders are.
pub fn documents(seed: u64, count: usize) -> Vec<(String, String)> {
    let random = SeededRandom::new(seed);
    (0..count).map(|number| (format!("user:{number:08}"), document(&random, number))).collect()
}

fn document(random: &SeededRandom, number: usize) -> String {
    let words = 20 + random.below(30);
    let title = text(random, 3);
    let body = text(random, words);
    let score = random.below(10_000);
    let tags = [word(random), word(random)];
    format!(
        r#"{{"id":{number},"title":"{title}","body":"{body}","score":{score},"tags":{tags:?}}}"#
    )
}

fn text(random: &SeededRandom, words: u64) -> String {
    let words: Vec<&str> = (0..words).map(|_| word(random)).collect();
    words.join(" ")
}

fn word(random: &SeededRandom) -> &'static str {
    let index = usize::try_from(random.below(WORDS.len() as u64)).unwrap_or_default();
    WORDS[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ascend_and_sizes_are_as_stated() {
        let documents = documents(3, 200);
        assert!(documents.is_sorted_by(|a, b| a.0 < b.0));
        for (key, json) in documents {
            assert!((200..=500).contains(&json.len()), "{key}: {}", json.len());
            assert!(json.starts_with('{') && json.ends_with("\"]}"), "{json}");
        }
    }
}
