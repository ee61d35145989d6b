//! What a verification found.

use crate::{ColdError, store::ObjectKey};
use nodedb_types::LsnRange;
use std::fmt;

/// How deep a verification looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VerifyLevel {
    /// Names, lengths, headers and the chain of digests: everything is there. Reads little.
    Chain,
    /// Every byte: everything is there and undamaged.
    Content,
}

/// What kind of problem.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Records are missing from the log.
    Gap,
    /// An object is missing that another one names.
    Missing,
    /// An object is damaged.
    Corrupt,
    /// Two neighbouring objects do not belong to one history.
    BrokenChain,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gap => "gap",
            Self::Missing => "missing",
            Self::Corrupt => "corrupt",
            Self::BrokenChain => "broken chain",
        })
    }
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// What kind.
    pub kind: ProblemKind,
    /// The object, if it is about one.
    pub key: Option<ObjectKey>,
    /// The records that cannot be restored because of it, as far as they are known.
    pub range: Option<LsnRange>,
    /// For people.
    pub message: String,
}

/// What was looked at and what was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct VerifyReport {
    /// Objects looked at.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Records of the log that are there; at [`VerifyLevel::Content`] each was decoded.
    pub records: u64,
    /// What is wrong. Empty if all is well.
    pub problems: Vec<Problem>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// Notes what is wrong with the archive; what is wrong with the way to it is an error.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "an error of any other kind, also one to come, says nothing about the archive"
    )]
    pub(super) fn note(
        &mut self,
        error: ColdError,
        range: Option<LsnRange>,
    ) -> Result<(), ColdError> {
        let message = error.to_string();
        let (kind, key, range) = match error {
            ColdError::Gap { from, to } => (ProblemKind::Gap, None, Some(LsnRange::new(from, to))),
            ColdError::Missing { key } => (ProblemKind::Missing, Some(key), range),
            ColdError::Corrupt { key, .. } => (ProblemKind::Corrupt, Some(key), range),
            ColdError::BrokenChain { key, .. } => (ProblemKind::BrokenChain, Some(key), range),
            other => return Err(other),
        };
        self.problems.push(Problem { kind, key, range, message });
        Ok(())
    }
}
