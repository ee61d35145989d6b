//! How long the calls of one turn took.

use crate::{percentile, real};

/// What a call does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Put,
    Get,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Put, Self::Get];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
        }
    }

    /// The notes of a turn that are about this kind, and what each tells.
    const fn notes(self) -> [(&'static str, usize); 4] {
        match self {
            Self::Put => {
                [("put p50", 500), ("put p99", 990), ("put p99.9", 999), ("put max", 1000)]
            }
            Self::Get => {
                [("get p50", 500), ("get p99", 990), ("get p99.9", 999), ("get max", 1000)]
            }
        }
    }
}

/// Nanoseconds that each call took, by kind.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Latencies {
    pub(super) puts: Vec<u64>,
    pub(super) gets: Vec<u64>,
}

impl Latencies {
    pub(super) fn push(&mut self, kind: Kind, nanos: u64) {
        match kind {
            Kind::Put => self.puts.push(nanos),
            Kind::Get => self.gets.push(nanos),
        }
    }

    /// Percentiles in microseconds, each under its name; those of a kind that was not called are missing.
    pub(super) fn notes(mut self) -> Vec<(&'static str, f64)> {
        let mut notes = Vec::new();
        for (kind, nanos) in [(Kind::Put, &mut self.puts), (Kind::Get, &mut self.gets)] {
            nanos.sort_unstable();
            let told = kind.notes().into_iter();
            notes.extend(told.filter_map(|(name, per_mille)| {
                Some((name, real(percentile(nanos, per_mille)?) / 1e3))
            }));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_percentiles() {
        let mut latencies = Latencies::default();
        for nanos in (1..=1000).rev() {
            latencies.push(Kind::Put, nanos * 1_000);
        }
        let expected =
            [("put p50", 500.0), ("put p99", 990.0), ("put p99.9", 999.0), ("put max", 1000.0)];
        assert_eq!(latencies.clone().notes(), expected);
        latencies.push(Kind::Get, 7_000);
        assert_eq!(latencies.notes()[4..], Kind::Get.notes().map(|(name, _)| (name, 7.0)));
    }
}
