//! What an arrow may be.

use super::{
    graph::{Arrow, Graph, Member},
    peers,
};

/// Arrows within a layer that are meant: an engine to the trait it implements, ports to ids.
const SIDEWAYS: [(&str, &str); 4] = [
    ("nodedb-document", "nodedb-engine"),
    ("nodedb-vector", "nodedb-engine"),
    ("nodedb-crdt", "nodedb-engine"),
    ("nodedb-env", "nodedb-types"),
];

/// Measures products beside what stands below them.
const BENCH: &str = "nodedb-bench";

/// Libraries that one crate, or two, hide from all others.
const HIDDEN: [(&str, &str); 9] = [
    ("axum", "nodedb-server"),
    ("flume", "nodedb-bridge"),
    ("opendal", "nodedb-cold"),
    ("lsm-tree", "nodedb-document"),
    ("loro", "nodedb-crdt"),
    ("memmap2", "nodedb-wal"),
    ("memmap2", "nodedb-vector"),
    ("usearch", "nodedb-vector"),
    ("numkong", "nodedb-vector"),
];

/// What the log is held against. Their builds are long, and nobody needs them but one bench.
const PEERS: [&str; 6] = ["fjall", "okaywal", "raft-engine", "redb", "rocksdb", "rusqlite"];

/// Crates that anybody can use without a runtime.
const WITHOUT_TOKIO: [&str; 9] = [
    "nodedb-types",
    "nodedb-env",
    "nodedb-wal",
    "nodedb-bridge",
    "nodedb-engine",
    "nodedb-document",
    "nodedb-vector",
    "nodedb-crdt",
    "nodedb-data",
];

/// Every breach, one line each; empty if the graph is as it should be.
pub(crate) fn violations(graph: &Graph) -> Vec<String> {
    let names = graph.names();
    let absent = graph.layers.keys().filter(|name| !names.contains(name.as_str()));
    let mut found: Vec<String> =
        absent.map(|name| format!("{name} has a layer and is no member")).collect();
    for member in &graph.members {
        found.extend(of_manifest(graph, member));
        for arrow in &member.arrows {
            let reasons = [
                of_direction(graph, member, arrow),
                of_version(graph, member, arrow),
                of_library(graph, member, arrow),
            ];
            let reasons = reasons.into_iter().flatten();
            found.extend(reasons.map(|why| format!("{} -> {}: {why}", member.name, arrow.to)));
        }
    }
    found.sort();
    found
}

fn of_manifest(graph: &Graph, member: &Member) -> Vec<String> {
    let mut found = Vec::new();
    if !member.inherits_lints {
        found.push(format!("{}: [lints] workspace = true is missing", member.name));
    }
    let product = graph.layers.contains_key(&member.name);
    if product && !member.publishable {
        found.push(format!("{}: a product crate can be published", member.name));
    }
    if !product && member.publishable {
        found.push(format!("{}: give it a layer, or publish = false", member.name));
    }
    found
}

/// Tests may use what they like; development crates too.
fn of_direction(graph: &Graph, member: &Member, arrow: &Arrow) -> Option<String> {
    let from = *graph.layers.get(&member.name)?;
    if arrow.dev || !graph.names().contains(arrow.to.as_str()) {
        return None;
    }
    let Some(to) = graph.layers.get(&arrow.to).copied() else {
        return Some("the product uses no development crate".to_owned());
    };
    if SIDEWAYS.contains(&(member.name.as_str(), arrow.to.as_str())) {
        return None;
    }
    (to >= from).then(|| format!("from layer {from} to layer {to} is not downward"))
}

fn of_version(graph: &Graph, member: &Member, arrow: &Arrow) -> Option<String> {
    let internal = graph.layers.contains_key(&arrow.to);
    let published = graph.layers.contains_key(&member.name) && !arrow.dev;
    (internal && published && !arrow.versioned)
        .then(|| "take it from the workspace, which states its version".to_owned())
}

fn of_library(graph: &Graph, member: &Member, arrow: &Arrow) -> Option<String> {
    // A bench may measure a hidden library beside the crate that hides it.
    let outside = !graph.layers.contains_key(&member.name);
    let beside = outside && (arrow.dev || member.name == BENCH);
    let owners = HIDDEN.iter().filter(|(library, _)| *library == arrow.to);
    let owners: Vec<&str> = owners.map(|(_, owner)| *owner).collect();
    if !owners.is_empty() && !owners.contains(&&*member.name) && !beside {
        return Some(format!("only {} knows it", owners.join(", ")));
    }
    if PEERS.contains(&arrow.to.as_str()) {
        return Some(format!("only {} knows peers", peers::FOLDER));
    }
    let free = WITHOUT_TOKIO.contains(&member.name.as_str());
    (arrow.to == "tokio" && free && !arrow.dev).then(|| "this crate needs no runtime".to_owned())
}

#[cfg(test)]
mod tests;
