//! Breadth-first search through every state of a model.

use std::{
    collections::{HashSet, VecDeque},
    fmt::{self, Debug},
    hash::{Hash, Hasher},
};
use xxhash_rust::xxh3::xxh3_128;

/// Something with states, steps between them, and what must hold in each.
pub(super) trait Model {
    type State: Clone + Hash + Debug;

    fn start(&self) -> Self::State;

    /// Everything that can happen next, by name. An error is a step that breaks a promise.
    fn steps(&self, state: &Self::State) -> Vec<(&'static str, Result<Self::State, String>)>;

    /// What must hold in every state.
    fn check(&self, state: &Self::State) -> Result<(), String>;
}

/// What a search has seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Explored {
    pub(super) states: usize,
    pub(super) steps: usize,
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} states, {} steps", self.states, self.steps)
    }
}

/// A promise that is broken, and the shortest way there.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) promise: String,
    pub(super) path: Vec<&'static str>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after: {}", self.promise, self.path.join(", "))
    }
}

/// Searches all states; ends at the first broken promise.
///
/// # Panics
/// Above `states_max` states: the bounds of the model are then too wide to be exhaustive.
pub(super) fn explore<M: Model>(model: &M, states_max: usize) -> Result<Explored, Box<Broken>> {
    let start = model.start();
    let mut seen = HashSet::from([digest(&start)]);
    let mut ways: Vec<(usize, &'static str)> = vec![(0, "start")];
    let mut open = VecDeque::from([(0, start)]);
    let mut steps = 0;
    while let Some((at, state)) = open.pop_front() {
        for (name, next) in model.steps(&state) {
            steps += 1;
            let checked = next.and_then(|next| model.check(&next).map(|()| next));
            let next = match checked {
                Ok(next) => next,
                Err(promise) => {
                    let path = path(&ways, at, name);
                    return Err(Box::new(Broken { promise, path }));
                }
            };
            if seen.insert(digest(&next)) {
                ways.push((at, name));
                open.push_back((ways.len() - 1, next));
            }
        }
        assert!(ways.len() <= states_max, "more than {states_max} states");
    }
    Ok(Explored { states: ways.len(), steps })
}

/// 128 bits, so that no two of a few million states share one by chance.
fn digest<S: Hash>(state: &S) -> u128 {
    let mut bytes = Bytes(Vec::with_capacity(2048));
    state.hash(&mut bytes);
    xxh3_128(&bytes.0)
}

/// Collects what a state feeds to its hash.
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn finish(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&self.0)
    }
}

fn path(ways: &[(usize, &'static str)], mut at: usize, last: &'static str) -> Vec<&'static str> {
    let mut path = vec![last];
    while at != 0 {
        let (before, name) = ways[at];
        path.push(name);
        at = before;
    }
    path.reverse();
    path
}
