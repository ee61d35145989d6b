use super::{
    super::graph::{Arrow, Graph, Member, inherits_lints},
    violations,
};
use std::collections::BTreeMap;

const LAYERS: [(&str, u64); 6] = [
    ("nodedb-types", 0),
    ("nodedb-env", 0),
    ("nodedb-wal", 1),
    ("nodedb-engine", 1),
    ("nodedb-vector", 1),
    ("nodedb-data", 2),
];

fn arrow(to: &str) -> Arrow {
    Arrow { to: to.to_owned(), dev: false, versioned: true }
}

fn member(name: &str) -> Member {
    Member {
        name: name.to_owned(),
        arrows: Vec::new(),
        inherits_lints: true,
        publishable: LAYERS.iter().any(|(layer, _)| *layer == name),
    }
}

/// A graph that is as it should be.
fn sound() -> Graph {
    let names = LAYERS.iter().map(|(name, _)| *name);
    let mut graph = Graph {
        layers: LAYERS.map(|(name, layer)| (name.to_owned(), layer)).into(),
        members: names.chain(["nodedb-testkit"]).map(member).collect(),
    };
    let arrows = [
        ("nodedb-env", "nodedb-types"),
        ("nodedb-wal", "nodedb-types"),
        ("nodedb-wal", "memmap2"),
        ("nodedb-vector", "memmap2"),
        ("nodedb-vector", "nodedb-engine"),
        ("nodedb-data", "nodedb-vector"),
        ("nodedb-testkit", "nodedb-env"),
    ];
    for (from, to) in arrows {
        at(&mut graph, from).arrows.push(arrow(to));
    }
    graph
}

fn at<'a>(graph: &'a mut Graph, name: &str) -> &'a mut Member {
    let mut members = graph.members.iter_mut();
    members.find(|member| member.name == name).unwrap()
}

fn check(change: impl FnOnce(&mut Graph), expected: &[&str]) {
    let mut graph = sound();
    change(&mut graph);
    assert_eq!(violations(&graph), expected);
}

#[test]
fn a_sound_graph_passes() {
    check(|_| {}, &[]);
}

#[test]
fn arrows_upward_and_sideways_fail() {
    let cases = [
        ("nodedb-types", "nodedb-wal", "from layer 0 to layer 1 is not downward"),
        ("nodedb-types", "nodedb-env", "from layer 0 to layer 0 is not downward"),
        ("nodedb-engine", "nodedb-vector", "from layer 1 to layer 1 is not downward"),
        ("nodedb-wal", "nodedb-engine", "from layer 1 to layer 1 is not downward"),
        ("nodedb-wal", "nodedb-testkit", "the product uses no development crate"),
        ("nodedb-data", "flume", "only nodedb-bridge knows it"),
        ("nodedb-testkit", "opendal", "only nodedb-cold knows it"),
        ("nodedb-data", "tokio", "this crate needs no runtime"),
        ("nodedb-testkit", "redb", "only benches/compare knows peers"),
    ];
    for (from, to, why) in cases {
        let line = format!("{from} -> {to}: {why}");
        check(|graph| at(graph, from).arrows.push(arrow(to)), &[&line]);
    }
}

#[test]
fn tests_may_point_anywhere_but_product_tests_not_to_hidden_libraries() {
    let dev = |to: &str| Arrow { dev: true, versioned: false, ..arrow(to) };
    for to in ["nodedb-testkit", "nodedb-data", "tokio"] {
        check(|graph| at(graph, "nodedb-wal").arrows.push(dev(to)), &[]);
    }
    check(|graph| at(graph, "nodedb-testkit").arrows.push(dev("loro")), &[]);
    check(
        |graph| at(graph, "nodedb-wal").arrows.push(dev("loro")),
        &["nodedb-wal -> loro: only nodedb-crdt knows it"],
    );
}

#[test]
fn manifests_are_complete() {
    check(
        |graph| at(graph, "nodedb-wal").inherits_lints = false,
        &["nodedb-wal: [lints] workspace = true is missing"],
    );
    check(
        |graph| at(graph, "nodedb-wal").publishable = false,
        &["nodedb-wal: a product crate can be published"],
    );
    check(
        |graph| {
            graph.members.push(Member { publishable: true, ..member("stray") });
        },
        &["stray: give it a layer, or publish = false"],
    );
    check(
        |graph| graph.layers.extend([("nodedb-gone".to_owned(), 1)]),
        &["nodedb-gone has a layer and is no member"],
    );
    check(
        |graph| at(graph, "nodedb-wal").arrows[0].versioned = false,
        &["nodedb-wal -> nodedb-types: take it from the workspace, which states its version"],
    );
}

#[test]
fn the_lints_table_is_read() {
    assert!(inherits_lints("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"));
    assert!(!inherits_lints("[lints]\n\n[dependencies]\nworkspace = true\n"));
    assert!(!inherits_lints("[package]\nworkspace = true\n"));
}

#[test]
fn the_graph_prints_from_the_top() {
    let text = sound().to_string();
    let first = "L2   nodedb-data      -> nodedb-vector\n";
    assert!(text.starts_with(first), "{text}");
    assert!(text.contains("\nL0   nodedb-types\n"), "{text}");
    assert!(text.contains("\ndev  nodedb-testkit   -> nodedb-env\n"), "{text}");
    let empty = Graph { layers: BTreeMap::new(), members: Vec::new() };
    assert_eq!(empty.to_string(), "");
}
