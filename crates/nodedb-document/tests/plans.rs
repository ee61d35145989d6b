//! Filters that are answered by indexes answer what a look at every document answers.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod world;

use bytes::Bytes;
use nodedb_document::{
    Direction, DocumentEngine, DocumentError, Filter, KeyRange, ReadAt, ScanRange,
    index::{FieldValue, field_values, stored_values},
    plan::{Plan, Selection},
};
use nodedb_engine::{
    CatalogChange, Engine, FieldChange, FieldIndex, Frozen, IndexState, Redo, Snapshot,
};
use nodedb_types::{ErrorKind, IndexId, limits};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use world::{Bench, NOTES, TENANT, compact, lsn, stamp};

fn index(id: u32, path: &str) -> FieldIndex {
    let (path, state) = (path.to_owned(), IndexState::Ready);
    FieldIndex { id: IndexId::new(id), path, unique: false, state }
}

/// An engine, what each record wrote, and the documents that there should be, by key.
struct Notes {
    bench: Bench,
    engine: DocumentEngine,
    indexes: Vec<FieldIndex>,
    history: Vec<(String, Option<String>)>,
    documents: BTreeMap<String, String>,
    snapshots: Vec<Snapshot>,
}

impl Notes {
    fn new(bench: Bench, indexes: Vec<FieldIndex>) -> Self {
        let engine = bench.create();
        let (history, documents, snapshots) = (Vec::new(), BTreeMap::new(), Vec::new());
        Self { bench, engine, indexes, history, documents, snapshots }
    }

    fn last(&self) -> u64 {
        self.history.len() as u64
    }

    /// The documents after some records.
    fn as_of(&self, records: u64) -> BTreeMap<String, String> {
        let mut documents = BTreeMap::new();
        let records = usize::try_from(records).expect("small");
        for (key, document) in self.history.iter().take(records) {
            match document {
                Some(document) => documents.insert(key.clone(), document.clone()),
                None => documents.remove(key),
            };
        }
        documents
    }

    fn write(&mut self, key: &str, document: Option<&str>) {
        let values = |text: &str| field_values(&self.indexes, text.as_bytes()).expect("a document");
        let none = |index: &FieldIndex| FieldValue { index: index.id, value: None };
        let none = || self.indexes.iter().map(none).collect();
        let before = self.documents.get(key).map_or_else(none, |text| values(text));
        let after = document.map_or_else(none, values);
        let changes = before.into_iter().zip(after).filter(|(before, after)| before != after);
        let fields = changes.map(|(before, after)| FieldChange {
            index: before.index,
            before: before.value,
            after: after.value,
        });
        let (collection, fields) = (NOTES, fields.collect());
        let key_bytes = Bytes::copy_from_slice(key.as_bytes());
        let redo = if let Some(text) = document {
            self.documents.insert(key.to_owned(), text.to_owned());
            let value = Bytes::copy_from_slice(text.as_bytes());
            let (expires, vectors) = (None, Vec::new());
            Redo::Put { collection, key: key_bytes, value, expires, vectors, fields }
        } else {
            self.documents.remove(key);
            Redo::Delete { collection, key: key_bytes, vectors: Vec::new(), fields, crdt: None }
        };
        self.history.push((key.to_owned(), document.map(str::to_owned)));
        self.engine.apply(stamp(self.last()), TENANT, &redo);
    }

    fn flush(&mut self) {
        let Some(frozen) = self.engine.freeze(lsn(self.last().max(1))) else { return };
        let watermark = frozen.watermark();
        self.snapshots.retain(|snapshot| snapshot.lsn() >= watermark);
        self.engine.install(frozen.persist(&*self.bench.log).expect("persisted"));
    }

    fn snapshot(&mut self) {
        self.bench.log.set_durable(self.last());
        let log = Arc::clone(&self.bench.log);
        let snapshot =
            self.bench.ports.snapshots.register(|| nodedb_engine::DurableLog::durable(&*log));
        self.snapshots.extend(snapshot);
    }

    fn plan(&self, filter: &Filter) -> Plan {
        Plan::new(filter, &self.indexes.iter().collect::<Vec<_>>())
    }

    /// The matching keys, page by page.
    fn select(&self, text: &str, range: &ScanRange, at: ReadAt) -> String {
        let filter = Filter::parse(text).expect(text);
        let plan = self.plan(&filter);
        let mut range = range.clone();
        let mut found = Vec::new();
        loop {
            let selection = Selection { range: &range, filter: &filter, plan: &plan };
            let page = self.engine.select(&selection, at).expect("readable");
            assert!(page.rows.len() <= range.limit_rows);
            found.extend(page.rows.into_iter().map(|(key, _)| key));
            match page.next {
                Some(next) => range.after = Some(next),
                None => break,
            }
        }
        let keys = found.iter().map(|key| String::from_utf8_lossy(key).into_owned());
        keys.collect::<Vec<_>>().join(" ")
    }

    fn expected(&self, text: &str, range: &ScanRange, at: u64) -> String {
        let filter = Filter::parse(text).expect(text);
        let state = if at == self.last() { self.documents.clone() } else { self.as_of(at) };
        let prefix = String::from_utf8_lossy(&range.prefix).into_owned();
        let matches = |(key, document): &(&String, &String)| {
            key.starts_with(&prefix) && filter.matches(document.as_bytes()).expect("a document")
        };
        let mut keys: Vec<_> = state.iter().filter(matches).map(|(key, _)| &**key).collect();
        if range.direction == Direction::Descending {
            keys.reverse();
        }
        keys.join(" ")
    }

    fn check(&self, text: &str, range: &ScanRange) {
        let expected = self.expected(text, range, self.last());
        assert_eq!(self.select(text, range, ReadAt::Latest), expected, "{text}");
        for snapshot in &self.snapshots {
            let at = snapshot.lsn();
            let expected = self.expected(text, range, at.get());
            assert_eq!(self.select(text, range, ReadAt::Snapshot(at)), expected, "{text} at {at}");
        }
        self.check_keys(text);
    }

    fn check_keys(&self, text: &str) {
        let filter = Filter::parse(text).expect(text);
        let (plan, range) = (self.plan(&filter), whole());
        let selection = Selection { range: &range, filter: &filter, plan: &plan };
        let keys = self.engine.candidate_keys(&selection, ReadAt::Latest).expect("readable");
        assert_eq!(keys.is_none(), plan.is_scan());
        if let Some(keys) = keys {
            let keys: BTreeSet<_> = keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
            for key in self.expected(text, &range, self.last()).split_whitespace() {
                assert!(keys.contains(key), "{text}: {key}");
            }
        }
    }

    fn explain(&self, text: &str) -> String {
        let plan = self.plan(&Filter::parse(text).expect(text));
        let explain = self.engine.explain(&whole(), &plan, ReadAt::Latest).expect("readable");
        assert!(explain.recheck);
        if explain.access == "scan" {
            assert_eq!((explain.index, explain.range), (None, None));
            return "scan".to_owned();
        }
        assert_eq!(explain.access, "index");
        format!("{}: {}", explain.index.unwrap_or_default(), explain.range.expect("a range"))
    }
}

fn whole() -> ScanRange {
    ScanRange { limit_rows: 1000, ..ScanRange::all(TENANT, NOTES) }
}

/// Four hundred notes: `size` is 0 to 99, `tag` one of four, `address.city` one of fifty or absent.
fn notes() -> Notes {
    let indexes = vec![index(1, "size"), index(2, "tag"), index(3, "address.city")];
    let mut notes = Notes::new(Bench::new(), indexes);
    for n in 0..400 {
        let (size, tag, city) = (n % 100, n % 4, n % 50);
        let city = if n % 3 == 0 { "{}".to_owned() } else { format!(r#"{{"city":"c{city:02}"}}"#) };
        let document = format!(r#"{{"size":{size},"tag":"t{tag}","address":{city},"other":{n}}}"#);
        notes.write(&format!("k{n:03}"), Some(&document));
        if n == 250 {
            notes.flush();
        }
    }
    notes
}

#[test]
fn a_plan_names_its_index_and_its_range() {
    let notes = notes();
    for (filter, expected) in [
        ("size = 5", "size: size = 5"),
        ("5 = size", "size: size = 5"),
        ("size >= 10 AND size < 20", "size: size >= 10 AND size < 20"),
        ("10 <= size AND 20 > size", "size: size >= 10 AND size < 20"),
        ("size BETWEEN 10 AND 20", "size: size >= 10 AND size <= 20"),
        ("tag IN ('t1', 't3', 't1')", "tag: tag = 't1' OR tag = 't3'"),
        ("address.city LIKE 'c0%'", "address.city: address.city LIKE 'c0%'"),
        ("address.city LIKE 'c0_'", "address.city: address.city LIKE 'c0%'"),
        ("address.city LIKE 'c01'", "address.city: address.city = 'c01'"),
        ("NOT (size <> 5)", "size: size = 5"),
        ("NOT (size < 10 OR size >= 20)", "size: size >= 10 AND size < 20"),
        ("(size = 5) IS TRUE", "size: size = 5"),
        ("(size = 5) IS FALSE", "size: size < 5 OR size > 5"),
        ("size = 5 OR size = 7", "size: size = 5 OR size = 7"),
        ("size = 5 OR tag = 't2'", "size, tag: size = 5 OR tag = 't2'"),
        // The fewest entries: 4 of 400, not 100.
        ("tag = 't1' AND size = 5", "size: size = 5"),
        ("size = 5 AND tag = 't1' AND other = 9", "size: size = 5"),
        ("size = 5 AND (tag = 't1' OR other = 9)", "size: size = 5"),
        ("size = 5 AND size = 6", ": FALSE"),
        ("size = NULL", ": FALSE"),
        ("size = 'x' AND FALSE", ": FALSE"),
        ("size", "size: size = TRUE"),
        ("size = 5 OR other = 9", "scan"),
        ("other = 9", "scan"),
        ("size = other", "scan"),
        ("size IS NULL", "scan"),
        ("size IS NOT NULL", "scan"),
        ("(size = 5) IS UNKNOWN", "scan"),
        ("tag NOT LIKE 't1'", "scan"),
        ("\"address.city\" = 'c01'", "scan"),
        ("TRUE", "scan"),
    ] {
        assert_eq!(notes.explain(filter), expected, "{filter}");
        notes.check(filter, &ScanRange { limit_rows: 7, ..whole() });
    }
}

#[test]
fn long_lists_and_large_ranges_are_scanned() {
    let mut notes = Notes::new(Bench::plain(), vec![index(1, "a")]);
    for n in 0..9000 {
        notes.write(&format!("k{n:04}"), Some(&format!("{{\"a\":{n},\"b\":{}}}", n % 2)));
    }
    assert_eq!(notes.explain("a >= 0"), "scan");
    assert_eq!(notes.explain("a < 8000"), "a: a < 8000");
    let list = |n: u32| (0..n).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert!(notes.explain(&format!("a IN ({})", list(256))).starts_with("a: a = 0 OR"));
    assert_eq!(notes.explain(&format!("a IN ({})", list(257))), "scan");
    for filter in ["a >= 0", "a >= 1 AND b = 1", "a < 8000 AND b = 0"] {
        let range = ScanRange { limit_rows: 1000, ..whole() };
        assert_eq!(
            notes.select(filter, &range, ReadAt::Latest),
            notes.expected(filter, &range, 9000)
        );
    }
}

#[test]
fn a_document_without_a_value_is_found_by_other_conditions_only() {
    let mut notes = Notes::new(Bench::new(), vec![index(1, "a")]);
    for (key, document) in [
        ("absent", "{}"),
        ("array", r#"{"a":[1]}"#),
        ("null", r#"{"a":null}"#),
        ("number", r#"{"a":1}"#),
        ("object", r#"{"a":{"b":1}}"#),
        ("scalar", "1"),
        ("text", r#"{"a":"1"}"#),
    ] {
        notes.write(key, Some(document));
    }
    for (filter, expected) in [
        ("a = 1", "number"),
        ("a <> 1", ""),
        ("a IS NULL", "absent null scalar"),
        ("a IS NOT NULL", "array number object text"),
        ("NOT (a = 1)", ""),
        ("a >= ''", "text"),
    ] {
        assert_eq!(notes.select(filter, &whole(), ReadAt::Latest), expected, "{filter}");
        notes.check(filter, &whole());
    }
}

#[test]
fn texts_above_the_limit_are_found_and_a_unique_index_refuses_them() {
    let mut notes = Notes::new(Bench::new(), vec![index(1, "a")]);
    let long = "x".repeat(limits::INDEX_VALUE_BYTES_MAX);
    for end in ["", "a", "b", "ba"] {
        notes.write(&format!("k{end}"), Some(&format!(r#"{{"a":"{long}{end}"}}"#)));
    }
    for how in ["=", "<>", "<", "<=", ">", ">="] {
        for end in ["", "a", "b"] {
            notes.check(&format!("a {how} '{long}{end}'"), &whole());
        }
    }
    notes.check(&format!("a LIKE '{long}b%'"), &whole());

    let unique = [FieldIndex { unique: true, ..index(1, "a") }];
    let document = |end: &str| format!(r#"{{"a":"{long}{end}"}}"#);
    assert!(field_values(&unique, document("").as_bytes()).is_ok());
    let error = field_values(&unique, document("y").as_bytes()).expect_err("too long");
    assert!(matches!(error, DocumentError::ValueTooLong { bytes: 1025, limit: 1024, .. }));
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(stored_values(&unique, document("y").as_bytes()).is_ok());
}

#[test]
fn entries_of_a_dropped_index_are_never_shown_and_are_purged() {
    for bench in [Bench::new(), Bench::plain()] {
        let mut notes = notes_on(bench);
        let before = notes.bench.verify().expect("whole").bytes;
        let drop = CatalogChange::DropIndex { collection: NOTES, index: IndexId::new(1) };
        notes.engine.apply(stamp(notes.last() + 1), TENANT, &Redo::Catalog(drop));
        notes.history.push(("none".to_owned(), None));
        notes.flush();
        // A merge that has something to do: the rows of the next flush overlap with the first ones.
        notes.indexes.clear();
        for n in 0..8 {
            notes.write("k", Some("{}"));
            notes.write(&format!("z{n}"), Some("{}"));
            notes.flush();
        }
        compact(&mut notes.engine);
        let loaded = notes.bench.load().expect("loaded");
        assert!(notes.bench.verify().expect("whole").bytes < before, "its rows are purged");
        notes.engine = loaded;
        notes.indexes.push(index(1, "a"));
        assert_eq!(notes.select("a >= 0", &whole(), ReadAt::Latest), "");
    }
}

fn notes_on(bench: Bench) -> Notes {
    let mut notes = Notes::new(bench, vec![index(1, "a")]);
    for n in 0..500_u32 {
        let text = format!("{:064}", n.wrapping_mul(2_654_435_761));
        notes.write("k", Some(&format!(r#"{{"a":"{text}"}}"#)));
        notes.write(&format!("k{n}"), Some(&format!(r#"{{"a":"{text}"}}"#)));
    }
    notes.flush();
    notes
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, String),
    Delete(u8),
    Flush,
    Compact,
    Snapshot,
    Check(String, Box<ScanRange>),
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (-2..5_i8).prop_map(|n| n.to_string()),
        2 => (-4..8_i8).prop_map(|n| format!("{:?}", f64::from(n) / 2.0)),
        4 => "[ab]{0,2}".prop_map(|text| format!("\"{text}\"")),
        1 => any::<bool>().prop_map(|truth| truth.to_string()),
        1 => Just("null".to_owned()),
        1 => Just("[1]".to_owned()),
        1 => Just("9007199254740993".to_owned()),
    ]
}

fn document() -> impl Strategy<Value = String> {
    (value(), value(), value())
        .prop_map(|(a, b, d)| format!(r#"{{"a":{a},"x":0,"c":{{"d":{d}}},"b":{b}}}"#))
}

fn literal() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (-2..5_i8).prop_map(|n| n.to_string()),
        2 => (-4..8_i8).prop_map(|n| format!("{:?}", f64::from(n) / 2.0)),
        4 => "[ab]{0,2}".prop_map(|text| format!("'{text}'")),
        1 => Just("TRUE".to_owned()),
        1 => Just("NULL".to_owned()),
        1 => Just("9007199254740992.0".to_owned()),
    ]
}

fn filter() -> impl Strategy<Value = String> {
    let field = || prop::sample::select(vec!["a", "b", "c.d", "c", "x"]);
    let how = prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    let not = || prop::sample::select(vec!["", "NOT "]);
    let leaf = prop_oneof![
        6 => (field(), how.clone(), literal()).prop_map(|(f, how, l)| format!("{f} {how} {l}")),
        2 => (literal(), how, field()).prop_map(|(l, how, f)| format!("{l} {how} {f}")),
        1 => (field(), field()).prop_map(|(f, g)| format!("{f} = {g}")),
        2 => (field(), not(), prop::collection::vec(literal(), 1..4))
            .prop_map(|(f, not, list)| format!("{f} {not}IN ({})", list.join(", "))),
        2 => (field(), not(), literal(), literal())
            .prop_map(|(f, not, l, h)| format!("{f} {not}BETWEEN {l} AND {h}")),
        2 => (field(), not(), "[ab%_]{0,3}").prop_map(|(f, not, p)| format!("{f} {not}LIKE '{p}'")),
        1 => (field(), not()).prop_map(|(f, not)| format!("{f} IS {not}NULL")),
        1 => field().prop_map(str::to_owned),
        1 => Just("TRUE".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let chain = |word: &'static str, inner: BoxedStrategy<String>| {
            prop::collection::vec(inner, 2..4)
                .prop_map(move |parts| format!("({})", parts.join(&format!(" {word} "))))
        };
        let inner = inner.boxed();
        let is = prop::sample::select(vec!["TRUE", "NOT TRUE", "FALSE", "NOT FALSE", "UNKNOWN"]);
        prop_oneof![
            4 => chain("AND", inner.clone()),
            3 => chain("OR", inner.clone()),
            2 => inner.clone().prop_map(|inner| format!("NOT ({inner})")),
            1 => (inner, is).prop_map(|(inner, is)| format!("(({inner}) IS {is})")),
        ]
    })
}

fn range() -> impl Strategy<Value = ScanRange> {
    let prefix = prop::sample::select(vec!["", "k", "k1", "x"]);
    let limit = prop::sample::select(vec![1_usize, 2, 100]);
    (prefix, limit, any::<bool>()).prop_map(|(prefix, limit_rows, descending)| ScanRange {
        prefix: Bytes::from_static(prefix.as_bytes()),
        keys: KeyRange::ALL,
        direction: if descending { Direction::Descending } else { Direction::Ascending },
        limit_rows,
        ..ScanRange::all(TENANT, NOTES)
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        16 => (0..20_u8, document()).prop_map(|(key, text)| Step::Put(key, text)),
        3 => (0..20_u8).prop_map(Step::Delete),
        1 => Just(Step::Flush),
        1 => Just(Step::Compact),
        1 => Just(Step::Snapshot),
        8 => (filter(), range()).prop_map(|(filter, range)| Step::Check(filter, Box::new(range))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_plan_answers_what_a_scan_answers(
        steps in prop::collection::vec(step(), 1..120),
        indexed in 0..8_usize,
    ) {
        let paths = ["a", "b", "c.d"].into_iter().enumerate();
        let chosen = paths.filter(|(bit, _)| indexed >> bit & 1 == 1);
        let indexes = chosen.map(|(bit, path)| index(u32::try_from(bit).expect("small") + 1, path));
        let mut notes = Notes::new(Bench::plain(), indexes.collect());
        for step in steps {
            match step {
                Step::Put(key, text) => notes.write(&format!("k{key}"), Some(&text)),
                Step::Delete(key) => notes.write(&format!("k{key}"), None),
                Step::Flush => notes.flush(),
                Step::Compact => compact(&mut notes.engine),
                Step::Snapshot => notes.snapshot(),
                Step::Check(filter, range) => notes.check(&filter, &range),
            }
        }
    }
}

/// Parts of a filter that would make more ranges than a plan uses are left to the others.
#[test]
fn a_part_with_too_many_ranges_is_covered_by_another() {
    let indexes = [index(1, "a")];
    let over: Vec<_> = indexes.iter().collect();
    let list = |from: u32| (from..from + 1200).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let chain = |how: &str, with: &str| {
        let parts = (1000..2100_u32).map(|n| format!("a{how}{n}"));
        parts.collect::<Vec<_>>().join(with)
    };
    for (text, scanned) in [
        (format!("a IN ({}) AND a IN ({})", list(1000), list(1500)), true),
        (format!("a IN ({}) AND a = 1500", list(1000)), false),
        (format!("a NOT IN ({})", list(1000)), true),
        (chain("=", " OR "), true),
        (chain("<>", " AND "), false),
        (format!("{} AND a = 7", chain("<>", " AND ")), false),
    ] {
        let filter = Filter::parse(&text).expect("a filter");
        assert_eq!(Plan::new(&filter, &over).is_scan(), scanned, "{}", &text[..40]);
    }
}
