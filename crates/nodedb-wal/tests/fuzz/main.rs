//! The fuzz targets of `fuzz/`, in every test run: over the committed corpus, and over as many mutations of
//! it as there is time for.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends by a panic")]

mod format;
mod target;

use nodedb_env::Env;
use nodedb_testkit::SeededRandom;
use std::path::Path;

/// The inputs that are kept for a target.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let files = Env::real().files;
    let entries = files.list(&dir).expect("every target has a corpus");
    let mut names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort();
    assert!(!names.is_empty(), "the corpus of {target} is empty");
    names.iter().map(|name| files.read(&dir.join(name)).expect("there")).collect()
}

fn below(random: &SeededRandom, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).expect("below a usize")
}

/// Changes an input a little, by a piece of another now and then.
fn mutate(random: &SeededRandom, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=random.below(4) {
        let at = below(random, input.len() + 1);
        match random.below(6) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = [0, 1, 0x7f, 0x80, 0xff][below(random, 5)],
            2 => input.insert(at, random.next_u64().to_le_bytes()[0]),
            3 if at < input.len() => drop(input.remove(at)),
            4 => input.extend_from_slice(&random.next_u64().to_le_bytes()),
            _ => {
                let from = below(random, other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
    input.truncate(4096);
}

fn run(name: &str, target: fn(&[u8]), mutations: usize) {
    let corpus = corpus(name);
    for input in &corpus {
        target(input);
    }
    let random = SeededRandom::new(mutations as u64);
    for _ in 0..mutations {
        let mut input = corpus[below(&random, corpus.len())].clone();
        mutate(&random, &mut input, &corpus[below(&random, corpus.len())]);
        let unwound = std::panic::catch_unwind(|| target(&input));
        assert!(unwound.is_ok(), "{name} fails on {}", nodedb_types::to_hex(&input));
    }
}

#[test]
fn no_directory_makes_the_log_contradict_itself() {
    run("directory", target::directory, 1500);
}

#[test]
fn no_body_makes_the_record_decoder_panic() {
    run("records", target::records, 50_000);
}

#[test]
fn no_control_makes_the_log_contradict_itself() {
    run("control", target::control, 1000);
}

#[test]
fn no_segment_head_makes_the_log_contradict_itself() {
    run("segment", target::segment, 1000);
}
