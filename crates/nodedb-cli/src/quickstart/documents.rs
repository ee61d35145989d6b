//! Steps on documents: create, import, search, scan, get.

use super::{
    sample::{NEAREST, Word},
    workbench::{Workbench, check},
};
use crate::{
    failure::Failure,
    user_file::{self, NewFile},
};
use nodedb::{
    ArchiveOptions, ArchivePolicy, CollectionKind, CreateOptions, Database, Hit, ImportOptions,
    Metric, NewCollection, OnError, ScanOptions, SearchOptions,
};
use std::{io::Write, sync::Arc};

/// Right answers of a hundred that a search must give.
const RECALL_MIN: f64 = 0.95;

pub(super) fn create(bench: &mut Workbench) -> Result<String, Failure> {
    let store = bench.store();
    let made = bench.env.files.create_dir(&store);
    made.map_err(|source| Failure::File { action: "creating", path: store, source })?;
    let archive = ArchiveOptions { url: bench.archive(), policy: ArchivePolicy::Required };
    let options = CreateOptions { archive: Some(archive), ..CreateOptions::default() };
    let database = Database::create(bench.db(), options)?;
    let detail = format!("database {} in {}", database.id(), bench.db().display());
    bench.adopt(database);
    Ok(detail)
}

pub(super) fn collection(bench: &mut Workbench) -> Result<String, Failure> {
    let words = NewCollection::named("words").with_vector("embedding", 384, Metric::Cosine);
    let database = bench.database()?;
    let info = database.create_collection(words)?;
    database.create_collection(NewCollection::named("notes").with_kind(CollectionKind::Crdt))?;
    database.create_collection(NewCollection::named("journal"))?;
    Ok(format!(
        "words over {} partitions with a vector index of 384 dimensions; notes (CRDT); journal",
        info.partitions
    ))
}

pub(super) fn import(bench: &mut Workbench) -> Result<String, Failure> {
    let path = bench.sample_path();
    let mut file = NewFile::create(&path)?;
    let rows = bench.sample()?.rows.len() as u64;
    let text = bench.sample()?.text.as_bytes();
    let failed = |source| Failure::File { action: "writing", path: path.clone(), source };
    file.write_all(text).map_err(failed)?;
    file.finish()?;
    let options =
        ImportOptions { key_field: "id".to_owned(), batch: 1000, on_error: OnError::Stop };
    let started = bench.env.clock.now();
    let words = bench.collection("words")?;
    let report = words.import(user_file::reader(&path)?, &options, &mut |_| ())?;
    let seconds = bench.env.clock.now().saturating_sub(started).as_secs_f64();
    let imported = report.imported;
    check("import", imported == rows, || format!("{imported} of {rows} rows imported"))?;
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = rows as f64 / seconds.max(0.001);
    Ok(format!("{rows} WordNet glosses with embeddings, {rate:.0} durable documents/s"))
}

pub(super) fn search(bench: &mut Workbench) -> Result<String, Failure> {
    let words = bench.collection("words")?;
    let clock = Arc::clone(&bench.env.clock);
    let queries = &bench.sample()?.queries;
    let (mut right, started) = (0, clock.now());
    for query in queries {
        let options = SearchOptions::vector("embedding", query.query.clone()).with_k(NEAREST);
        right += common(&words.search(options)?, &query.top10);
    }
    let took = clock.now().saturating_sub(started);
    let recall = recall("search", right, queries.len())?;
    let each = took.as_secs_f64() * 1000.0 / f64::from(u32::try_from(queries.len()).unwrap_or(1));
    Ok(format!("recall@10 {recall:.3} over {} queries, {each:.2} ms each", queries.len()))
}

pub(super) fn filtered_search(bench: &mut Workbench) -> Result<String, Failure> {
    let condition = |word: &Word| word.pos == "verb" && word.length >= 40;
    let words = bench.collection("words")?;
    let sample = bench.sample()?;
    let mut right = 0;
    for query in &sample.queries {
        let options = SearchOptions::vector("embedding", query.query.clone())
            .with_k(NEAREST)
            .with_filter("pos = 'verb' AND length >= 40");
        let hits = words.search(options)?;
        for hit in &hits {
            let word: Word = hit.document.parse()?;
            check("filtered search", condition(&word), || {
                format!("{} does not satisfy the filter", word.id)
            })?;
        }
        right += common(&hits, &sample.nearest(&query.query, condition));
    }
    let recall = recall("filtered search", right, sample.queries.len())?;
    Ok(format!("recall@10 {recall:.3} among the long verbs, {} queries", sample.queries.len()))
}

pub(super) fn scan(bench: &mut Workbench) -> Result<String, Failure> {
    let filter = Some("pos = 'adv' AND length < 30".to_owned());
    let scan = bench.collection("words")?.scan(ScanOptions { filter, ..ScanOptions::default() })?;
    let found: Vec<_> =
        scan.map(|document| document.map(|document| document.key)).collect::<Result<_, _>>()?;
    let rows = &bench.sample()?.rows;
    let wanted = rows.iter().filter(|word| word.pos == "adv" && word.length < 30);
    // The rows of the sample stand in key order.
    let same = found.iter().map(|key| &key[..]).eq(wanted.map(|word| word.id.as_bytes()));
    check("scan", same, || "the rows are not those of the sample".to_owned())?;
    Ok(format!("{} short adverbs of {} words, in key order", found.len(), rows.len()))
}

pub(super) fn get(bench: &mut Workbench) -> Result<String, Failure> {
    let words = bench.collection("words")?;
    let sample = bench.sample()?;
    for (word, line) in sample.rows.iter().zip(sample.text.lines()).step_by(100) {
        let stored = words.get(&word.id)?;
        let same = stored.as_ref().is_some_and(|document| document.value == line);
        check("get", same, || format!("{} is not the line that was imported", word.id))?;
    }
    Ok(format!("{} documents read by key, each byte as imported", sample.rows.len().div_ceil(100)))
}

fn common<T: AsRef<str>>(hits: &[Hit], wanted: &[T]) -> usize {
    let found = |key: &&T| hits.iter().any(|hit| hit.document.key == key.as_ref().as_bytes());
    wanted.iter().filter(found).count()
}

fn recall(step: &'static str, right: usize, queries: usize) -> Result<f64, Failure> {
    let parts = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let recall = parts(right) / parts(queries * NEAREST);
    check(step, recall >= RECALL_MIN, || format!("recall@10 is {recall:.3}"))?;
    Ok(recall)
}
