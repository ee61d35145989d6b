//! What an update says about itself, before loro sees it.

use crate::{
    CrdtError, CrdtLimits, block::BlockHead, history, reader::Reader, value::Skipped,
    weight::Weight,
};
use loro::VersionVector;
use std::collections::BTreeMap;
use xxhash_rust::xxh32::xxh32;

/// Bytes in front of the part that the checksum covers.
const UNCHECKED_BYTES: usize = 20;
/// The seed of loro's checksums.
const SEED: u32 = u32::from_le_bytes(*b"LORO");
const SNAPSHOT: u16 = 3;
const UPDATES: u16 = 4;
/// Most bytes of history, and of state, that a row is unfolded to in order to weigh it. Beyond it, its size
/// has to do.
const ROW_UNFOLDS_TO: usize = 256 << 20;

/// What may be imported.
#[derive(Debug)]
pub(crate) enum Inspected {
    /// The bytes as they are.
    Updates {
        /// What they do to the document.
        cost: Skipped,
    },
    /// The history of a snapshot, as an update. Its state is left out: a document takes its state from
    /// its history alone, so a snapshot that lies about it has no effect.
    Snapshot {
        /// What to import.
        history: Vec<u8>,
        /// As of an update.
        cost: Skipped,
    },
}

/// Checks an update or snapshot of another replica against the limits, and that it goes on from
/// `known`. Reads only what tells how much an import would allocate and do.
pub(crate) fn inspect(
    bytes: &[u8],
    known: &VersionVector,
    limits: &CrdtLimits,
) -> Result<Inspected, CrdtError> {
    let (mode, reader) = open(bytes, limits)?;
    match mode {
        UPDATES => {
            let cost = check_blocks(reader, known, limits)?;
            Ok(Inspected::Updates { cost })
        }
        SNAPSHOT => {
            let history = history::of_snapshot(reader, limits)?;
            limits.check_update(history.len())?;
            let cost = check_blocks(Reader::new(body(&history)), known, limits)?;
            Ok(Inspected::Snapshot { history, cost })
        }
        _ => Err(CrdtError::invalid("it is of an outdated or unknown encoding")),
    }
}

/// What the blocks of an update have; `None` of a snapshot.
pub(crate) fn update_heads(
    bytes: &[u8],
    limits: &CrdtLimits,
) -> Result<Option<Vec<BlockHead>>, CrdtError> {
    match open(bytes, limits)? {
        (UPDATES, reader) => heads(reader, limits).map(Some),
        _ => Ok(None),
    }
}

/// Checks size, header and checksum. Answers the encoding and what follows.
fn open<'a>(bytes: &'a [u8], limits: &CrdtLimits) -> Result<(u16, Reader<'a>), CrdtError> {
    limits.check_update(bytes.len())?;
    let mut reader = Reader::new(bytes);
    if reader.take(4)? != b"loro" {
        return Err(CrdtError::invalid("it is no update of loro"));
    }
    // Zeros in the encodings that are still written.
    if reader.take(12)? != [0; 12] {
        return Err(CrdtError::invalid("its header is damaged or of an outdated encoding"));
    }
    let checksum = reader.u32_le()?;
    if xxh32(bytes.get(UNCHECKED_BYTES..).unwrap_or_default(), SEED) != checksum {
        return Err(CrdtError::invalid("its checksum does not match"));
    }
    let mode = reader.array::<2>().map(u16::from_be_bytes)?;
    Ok((mode, reader))
}

/// The blocks of an update, each with its length in front.
pub(crate) fn body(update: &[u8]) -> &[u8] {
    update.get(UNCHECKED_BYTES + 2..).unwrap_or_default()
}

/// The bytes of an update with these blocks, each with its length in front.
pub(crate) fn update_of(blocks: &[u8]) -> Vec<u8> {
    let mut update = Vec::with_capacity(UNCHECKED_BYTES + 2 + blocks.len());
    update.extend_from_slice(b"loro");
    update.extend_from_slice(&[0; 16]);
    update.extend_from_slice(&UPDATES.to_be_bytes());
    update.extend_from_slice(blocks);
    let checksum = xxh32(update.get(UNCHECKED_BYTES..).unwrap_or_default(), SEED);
    if let Some(field) = update.get_mut(UNCHECKED_BYTES - 4..UNCHECKED_BYTES) {
        field.copy_from_slice(&checksum.to_le_bytes());
    }
    update
}

fn check_blocks(
    reader: Reader<'_>,
    known: &VersionVector,
    limits: &CrdtLimits,
) -> Result<Skipped, CrdtError> {
    let mut heads = heads(reader, limits)?;
    match missing(&mut heads, known) {
        missing if missing.is_empty() => Ok(cost(&heads)),
        missing => Err(CrdtError::MissingDependencies { missing: missing.join(", ") }),
    }
}

/// What changes do to a document.
fn cost(heads: &[BlockHead]) -> Skipped {
    let mut cost = Skipped::default();
    for head in heads {
        cost.add(&head.cost);
    }
    cost
}

/// What the blocks of an update have, each checked.
fn heads(mut reader: Reader<'_>, limits: &CrdtLimits) -> Result<Vec<BlockHead>, CrdtError> {
    let mut ops = 0_u64;
    let mut heads = Vec::new();
    while !reader.is_empty() {
        let head = BlockHead::read(reader.blob()?)?;
        ops = ops.saturating_add(u64::from(head.ops));
        limits.check_ops(ops)?;
        heads.push(head);
    }
    Ok(heads)
}

/// Ranges `peer: from..to` of operations that the changes build on, and that are neither known nor among
/// them.
fn missing(heads: &mut [BlockHead], known: &VersionVector) -> Vec<String> {
    heads.sort_unstable_by_key(|head| (head.peer, head.start));
    let mut ends = Ends::new(known);
    let mut missing: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
    let mut miss = |peer, from: u32, to: u32| {
        let range = missing.entry(peer).or_insert((from, to));
        *range = (range.0.min(from), range.1.max(to));
    };
    for head in &*heads {
        let end = ends.of(head.peer);
        if head.start > end {
            miss(head.peer, end, head.start);
        }
        ends.reach(head.peer, head.start.saturating_add(head.ops));
    }
    for (peer, number) in heads.iter().flat_map(|head| &head.joins) {
        let end = ends.of(*peer);
        if *number >= end {
            miss(*peer, end, number.saturating_add(1));
        }
    }
    missing.iter().map(|(peer, (from, to))| format!("{peer}: {from}..{to}")).collect()
}

/// Where the operations of each peer end.
#[derive(Debug)]
pub(crate) struct Ends<'a> {
    known: &'a VersionVector,
    /// Of peers whose operations were added.
    ends: BTreeMap<u64, u32>,
}

impl<'a> Ends<'a> {
    pub(crate) const fn new(known: &'a VersionVector) -> Self {
        Self { known, ends: BTreeMap::new() }
    }

    /// The first operation of a peer that is missing.
    pub(crate) fn of(&self, peer: u64) -> u32 {
        let known = || self.known.get(&peer).copied().and_then(|end| u32::try_from(end).ok());
        self.ends.get(&peer).copied().or_else(known).unwrap_or(0)
    }

    /// Adds the operations of a peer below `end`.
    pub(crate) fn reach(&mut self, peer: u64, end: u32) {
        self.ends.insert(peer, end.max(self.of(peer)));
    }
}

/// What a stored row takes in memory, about. It is trusted: it was inspected or made here.
pub(crate) fn weigh(row: &[u8]) -> Weight {
    let limits = CrdtLimits {
        update_bytes_max: ROW_UNFOLDS_TO,
        update_ops_max: u64::MAX,
        ..CrdtLimits::default()
    };
    weigh_within(row, &limits).unwrap_or_else(|_| Weight::unknown(row.len() as u64))
}

fn weigh_within(row: &[u8], limits: &CrdtLimits) -> Result<Weight, CrdtError> {
    let reader = Reader::new(body(row));
    if !is_snapshot(row) {
        return Ok(cost(&heads(reader, limits)?).weight);
    }
    let history = history::of_snapshot(reader, limits)?;
    let mut weight = cost(&heads(Reader::new(body(&history)), limits)?).weight;
    // The state stays in memory as it is until it is needed.
    weight.read = weight.read.saturating_add(row.len() as u64);
    weight.texts = Weight::pieces(history::text_pieces(reader, limits.update_bytes_max)?);
    Ok(weight)
}

/// Whether some bytes say that they are a snapshot.
pub(crate) fn is_snapshot(bytes: &[u8]) -> bool {
    bytes.get(UNCHECKED_BYTES..UNCHECKED_BYTES + 2) == Some(&SNAPSHOT.to_be_bytes())
}
