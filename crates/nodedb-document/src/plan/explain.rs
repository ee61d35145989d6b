//! What a plan does, in words.

use super::{
    Plan,
    access::Probe,
    entries::{Entries, MATCHES_MAX},
};
use crate::{DocumentEngine, DocumentError, ReadAt, ScanRange};

/// How a filter is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explain {
    /// `index`, or `scan` if every document is looked at.
    pub access: &'static str,
    /// The paths of the indexes, with commas between several of which a document may be in any.
    pub index: Option<String>,
    /// The entries that are read, as a condition. Documents outside of it are not looked at.
    pub range: Option<String>,
    /// Whether each document that is found so is checked against the whole filter, as all are.
    pub recheck: bool,
}

impl Explain {
    const SCAN: Self = Self { access: "scan", index: None, range: None, recheck: true };

    fn of(probes: &[&Probe]) -> Self {
        let mut paths: Vec<&str> = probes.iter().map(|probe| &*probe.path).collect();
        paths.sort_unstable();
        paths.dedup();
        let ranges = probes.iter().filter(|probe| !probe.ranges.is_empty());
        let ranges: Vec<_> = ranges.map(|probe| probe.ranges.describe(&probe.path)).collect();
        let range = if ranges.is_empty() { "FALSE".to_owned() } else { ranges.join(" OR ") };
        let index = (!paths.is_empty()).then(|| paths.join(", "));
        Self { access: "index", index, range: Some(range), recheck: true }
    }
}

impl DocumentEngine {
    /// How a filter is answered now, which may change with the number of entries.
    ///
    /// # Errors
    /// As [`DocumentEngine::get`].
    pub fn explain(
        &self,
        range: &ScanRange,
        plan: &Plan,
        at: ReadAt,
    ) -> Result<Explain, DocumentError> {
        let Some(access) = &plan.access else {
            return Ok(Explain::SCAN);
        };
        let entries = Entries { engine: self, range, at };
        let probes = entries.choose(access)?;
        // Ranges of values are read whole, unlike single values.
        let in_order = probes.iter().flat_map(|probe| probe.ranges.iter());
        let sorted = in_order.clone().any(|range| range.point().is_none());
        if sorted && entries.window(&probes, MATCHES_MAX)?.is_none() {
            return Ok(Explain::SCAN);
        }
        Ok(Explain::of(&probes))
    }
}
