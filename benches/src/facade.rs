//! A whole database as its callers meet it: admission, routing, the bridge, a core, the log, and back.

mod bare_log;
mod bare_tree;
mod callers;
mod get;
mod import;
mod memory;
mod put;
mod recovery;
mod stalls;
mod world;

use crate::{Case, wal};

pub(crate) use memory::is_child;

/// The cases of the group `checkpoint`.
///
/// - `writes`: durable puts by 64 async callers, with as many that get, in a database that takes one checkpoint
///   after the other, beside `hurried`, whose checkpoints do not take their time, `off`, which takes none, and
///   a log with the same puts: the 99th and the 99.9th percentile of puts, and puts a second.
/// - `paced`: the percentiles at 4,000 puts and 4,000 gets a second.
/// - `recovery`: how long the open takes of a database that was killed under load, at three sizes of log, beside
///   what it said it would take. The limit reads the files of the log.
pub fn checkpoint_cases<'a>() -> Vec<Case<'a>> {
    vec![
        Case::new("writes", stalls::checkpoints::writes),
        Case::new("paced", stalls::checkpoints::paced),
        Case::new("recovery", recovery::measure),
    ]
}

/// The cases of this group.
///
/// - `put-N`: N async callers, each puts one document of 256 bytes with its key and awaits that it is
///   durable. The limit appends the same bytes to a log and awaits its durable future, with as many
///   callers on the same runtime. Peers have N threads, each with a transaction for each row.
/// - `get-N`: N async callers, each awaits one strong read of one of 100,000 documents in tables. The limit
///   reads the same rows from a bare `lsm-tree`, on one thread for `get-1`, otherwise on as many as there
///   are processors.
/// - `import-flights`: the import of 200,000 flights as JSON lines, durable, into a collection with an index
///   of one field. The limit has a log make the same lines durable, as many at a time as the import.
/// - `memory`: what a process takes that has imported the WordNet rows with their vectors. The limit is JSON
///   text and vectors as bf16.
/// - `stalls-paced`, `-closed`, `-vectors`: the 99.9th percentile of puts and of gets in a database whose
///   memtables are so small that it flushes, merges and takes checkpoints all the time; of puts beside a log
///   with the same load, of gets beside `calm`, the same database with nothing in the background.
pub fn cases<'a>(peers: &'a [&'a dyn wal::Subject]) -> Vec<Case<'a>> {
    let put = |id, callers| Case::new(id, move |site| put::measure(site, callers, peers));
    let get = |id, callers| Case::new(id, move |site| get::measure(site, callers));
    vec![
        put("put-1", 1),
        put("put-8", 8),
        put("put-64", 64),
        get("get-1", 1),
        get("get-64", 64),
        Case::new("import-flights", import::measure),
        Case::new("memory", memory::measure),
        Case::new("stalls-paced", stalls::paced),
        Case::new("stalls-closed", stalls::closed),
        Case::new("stalls-vectors", stalls::vectors),
    ]
}
