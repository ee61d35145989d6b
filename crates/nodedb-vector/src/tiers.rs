//! Which segments of an index are merged, and when.
//!
//! A full head becomes a *flat* segment, which is as much work as copying it. Building a graph is what
//! ingestion costs, 0.3 to 0.5 ms of a core for each row at 384 dimensions: one graph is built over all
//! flat segments that have gathered. So the more building lags behind, the fewer graphs a row passes
//! through, and what waits for it stands on disk.
//!
//! While rows keep coming, graphs are merged once several are alike. A search asks every segment, so an
//! index that has come to rest is merged further, where that at least adds a fourth to its largest
//! segment. What one merge takes is bounded; a segment of half of that is closed, and left alone.

/// Most graphs of an index whose segments are below the bound of a merge. Every search asks each.
pub(crate) const SEGMENTS_MAX: usize = 6;

/// A segment in use by no other merge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Size {
    /// Rows, dead ones included.
    pub(crate) slots: u64,
    pub(crate) live: u64,
    /// Memory that a merge takes for it.
    pub(crate) bytes: u64,
    pub(crate) sort: Sort,
}

/// Whether a segment has a graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sort {
    Flat,
    Graph,
}

/// What merging is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Goal {
    /// Rows keep coming: few rebuilds.
    Ingest,
    /// Nothing has changed since the last flush: few segments.
    Rest,
}

/// How many alike graphs are merged while rows keep coming.
const ALIKE: usize = 4;
/// How many alike flat segments are joined while they wait for a graph.
const ALIKE_FLAT: usize = 8;
/// At rest the smaller segments are merged with one that is at most so many times their sum.
const REST_RATIO: u64 = 4;
/// Graphs that there may be beside closed ones, however many those are.
const OPEN_MAX: usize = 4;

impl Size {
    /// Whether more than a quarter is dead: searching walks through dead rows, and they take space.
    pub(crate) const fn is_rotten(self) -> bool {
        (self.slots - self.live) * 4 > self.slots
    }
}

/// A graph that there is, or the one that is to be built over flat segments.
#[derive(Debug)]
struct Element {
    live: u64,
    bytes: u64,
    places: Vec<usize>,
}

/// The segments over which one graph is to be built, by their places in `sizes`, or nothing. A merge
/// takes at most `bytes_max`.
pub(crate) fn due(sizes: &[Size], bytes_max: u64, goal: Goal) -> Option<Vec<usize>> {
    let graphs = || places(sizes, Sort::Graph);
    let (open, closed): (Vec<_>, Vec<_>) =
        graphs().partition(|(_, size)| size.bytes <= bytes_max / 2);
    let waiting = first_of(&by_size(sizes, Sort::Flat), bytes_max / 2);
    let mut elements: Vec<_> = open
        .iter()
        .map(|(place, size)| Element { live: size.live, bytes: size.bytes, places: vec![*place] })
        .chain(waiting)
        .collect();
    // Too many become fewer only by merging. Those that lose rows as fast as they are rebuilt would be
    // rebuilt one by one for ever, with the same number left, and flat rows would gather.
    let full = elements.len() + closed.len() > SEGMENTS_MAX.max(closed.len() + OPEN_MAX);
    let goes_first = |size: &Size| size.is_rotten() && (!full || size.live == 0);
    if let Some((rotten, _)) = graphs().find(|(_, size)| goes_first(size)) {
        return Some(vec![rotten]);
    }
    elements.sort_by_key(|element| element.live);
    let group = |least, ratio| largest_group(&elements, least, ratio, bytes_max);
    let count = match goal {
        Goal::Rest => group(2, REST_RATIO),
        Goal::Ingest => group(ALIKE, 1),
    };
    let count = count.or_else(|| full.then(|| group(2, 1).unwrap_or(2)));
    match count {
        Some(count) => {
            elements.truncate(count);
            Some(elements.into_iter().flat_map(|element| element.places).collect())
        }
        // The flat ones alone.
        None => elements
            .into_iter()
            .map(|element| element.places)
            .find(|places| places.iter().any(|place| is_flat(sizes, *place))),
    }
}

/// The flat segments to join into one flat segment, which is work for the disk alone: while there are few
/// of them, so is what a write looks through for its key.
pub(crate) fn due_flat(sizes: &[Size], bytes_max: u64) -> Option<Vec<usize>> {
    let flat = by_size(sizes, Sort::Flat);
    let element = |(place, size): &(usize, Size)| Element {
        live: size.live,
        bytes: size.bytes,
        places: vec![*place],
    };
    let open = flat.iter().filter(|(_, size)| size.bytes <= bytes_max / 4);
    let mut elements: Vec<_> = open.map(element).collect();
    let count = largest_group(&elements, ALIKE_FLAT, 1, bytes_max / 2)?;
    elements.truncate(count);
    Some(elements.into_iter().flat_map(|element| element.places).collect())
}

fn places(sizes: &[Size], sort: Sort) -> impl Iterator<Item = (usize, Size)> {
    sizes.iter().copied().enumerate().filter(move |(_, size)| size.sort == sort)
}

fn is_flat(sizes: &[Size], place: usize) -> bool {
    sizes.get(place).is_some_and(|size| size.sort == Sort::Flat)
}

fn by_size(sizes: &[Size], sort: Sort) -> Vec<(usize, Size)> {
    let mut sorted: Vec<_> = places(sizes, sort).collect();
    sorted.sort_by_key(|(_, size)| size.live);
    sorted
}

/// As many of the smallest as fit, at least one if there is one.
fn first_of(flat: &[(usize, Size)], bytes_max: u64) -> Option<Element> {
    let mut all: Option<Element> = None;
    for (place, size) in flat {
        let element = all.get_or_insert(Element { live: 0, bytes: 0, places: Vec::new() });
        if !element.places.is_empty() && element.bytes + size.bytes > bytes_max {
            break;
        }
        element.live += size.live;
        element.bytes += size.bytes;
        element.places.push(*place);
    }
    all
}

/// The most of the smallest whose largest is at most `ratio` times the others together, and that fit; at
/// least `least`.
fn largest_group(elements: &[Element], least: usize, ratio: u64, bytes_max: u64) -> Option<usize> {
    (least..=elements.len()).rev().find(|count| {
        let (smaller, rest) = elements.split_at(count - 1);
        let Some(largest) = rest.first() else { return false };
        let sum = |of: fn(&Element) -> u64| smaller.iter().map(of).sum::<u64>();
        largest.live <= ratio.saturating_mul(sum(|element| element.live))
            && largest.bytes + sum(|element| element.bytes) <= bytes_max
    })
}

#[cfg(test)]
mod tests;
