//! Which entries of which indexes cover all documents that a filter can match.

use super::{
    RANGES_MAX,
    ranges::{Ranges, Side},
};
use crate::{
    Filter,
    filter::{Comparison, Operand, Pattern, Predicate},
    index::names,
    scalar::Scalar,
};
use nodedb_engine::FieldIndex;
use nodedb_types::IndexId;

/// Entries that cover every document for which a condition is true.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Those of one index.
    Probe(Probe),
    /// All of these together; nothing where there are none.
    Any(Vec<Self>),
    /// One of these, whichever is the smallest: each covers all.
    Best(Vec<Self>),
}

/// Ranges of one index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Probe {
    pub(crate) index: IndexId,
    pub(crate) path: String,
    pub(crate) ranges: Ranges,
}

impl Access {
    /// The entries that cover a filter; `None` if only looking at every document does.
    pub(crate) fn of(filter: &Filter, indexes: &[&FieldIndex]) -> Option<Self> {
        let over = |path: &Vec<String>| {
            let same = |index: &&&FieldIndex| names(&index.path).eq(path.iter());
            indexes.iter().find(same).copied()
        };
        let chooser = Chooser { indexes: filter.fields.iter().map(over).collect() };
        chooser.access(&filter.predicate, true)
    }

    /// How many ranges it consists of, alternatives counted.
    pub(crate) fn ranges(&self) -> usize {
        match self {
            Self::Probe(probe) => probe.ranges.len(),
            Self::Any(parts) | Self::Best(parts) => parts.iter().map(Self::ranges).sum(),
        }
    }

    fn is_nothing(&self) -> bool {
        match self {
            Self::Probe(probe) => probe.ranges.is_empty(),
            Self::Any(parts) => parts.iter().all(Self::is_nothing),
            Self::Best(parts) => parts.iter().any(Self::is_nothing),
        }
    }
}

/// Turns conditions into accesses.
struct Chooser<'i> {
    /// The index over each field of the filter.
    indexes: Vec<Option<&'i FieldIndex>>,
}

impl Chooser<'_> {
    /// What covers all documents for which the condition is true, or false: never those for which it is
    /// unknown, which match neither it nor its negation.
    fn access(&self, predicate: &Predicate, truth: bool) -> Option<Access> {
        match (predicate, truth) {
            (Predicate::And(parts), true) | (Predicate::Or(parts), false) => {
                all(parts.iter().map(|part| self.access(part, truth)))
            }
            (Predicate::Or(parts), true) | (Predicate::And(parts), false) => {
                any(parts.iter().map(|part| self.access(part, truth)))
            }
            (Predicate::Not(inner), truth) => self.access(inner, !truth),
            (Predicate::Truth(operand), truth) => {
                let literal = Operand::Literal(Scalar::Bool(truth));
                self.compare(operand, Comparison::Equal, &literal)
            }
            (Predicate::Compare(left, how, right), true) => self.compare(left, *how, right),
            (Predicate::Compare(left, how, right), false) => {
                self.compare(left, how.negated(), right)
            }
            (Predicate::Is(inner, Some(wanted)), true) => self.access(inner, *wanted),
            // Nothing that such a plan could use; its ranges alone would take long to make.
            (Predicate::In(_, list), _) if list.len() > RANGES_MAX => None,
            (Predicate::In(operand, list), true) => {
                any(list.iter().map(|item| self.compare(operand, Comparison::Equal, item)))
            }
            (Predicate::In(operand, list), false) => {
                all(list.iter().map(|item| self.compare(operand, Comparison::NotEqual, item)))
            }
            (Predicate::Between(operand, low, high), true) => all([
                self.compare(operand, Comparison::GreaterOrEqual, low),
                self.compare(operand, Comparison::LessOrEqual, high),
            ]
            .into_iter()),
            (Predicate::Between(operand, low, high), false) => any([
                self.compare(operand, Comparison::Less, low),
                self.compare(operand, Comparison::Greater, high),
            ]
            .into_iter()),
            (Predicate::Like(operand, pattern), true) => self.like(operand, pattern),
            // An absent field has no entry, and what is not like a pattern is no range.
            (Predicate::IsNull(_) | Predicate::Is(..) | Predicate::Like(..), _) => None,
        }
    }

    fn compare(&self, left: &Operand, how: Comparison, right: &Operand) -> Option<Access> {
        match (left, right) {
            (Operand::Field(field), Operand::Literal(literal)) => self.probe(*field, how, literal),
            (Operand::Literal(literal), Operand::Field(field)) => {
                self.probe(*field, how.flipped(), literal)
            }
            (Operand::Literal(left), Operand::Literal(right)) => {
                let holds = left.compare(right).is_some_and(|order| how.holds(order));
                (!holds).then(nothing)
            }
            (Operand::Field(_), Operand::Field(_)) => None,
        }
    }

    fn probe(&self, field: usize, how: Comparison, literal: &Scalar<'static>) -> Option<Access> {
        if *literal == Scalar::Null {
            return Some(nothing());
        }
        let side = match how {
            Comparison::Equal => Side::Equal,
            Comparison::NotEqual => Side::Unequal,
            Comparison::Less => Side::Below { itself: false },
            Comparison::LessOrEqual => Side::Below { itself: true },
            Comparison::Greater => Side::Above { itself: false },
            Comparison::GreaterOrEqual => Side::Above { itself: true },
        };
        self.over(field, || Ranges::of(side, literal))
    }

    fn like(&self, operand: &Operand, pattern: &Pattern) -> Option<Access> {
        let Operand::Field(field) = operand else {
            return None;
        };
        let (prefix, whole) = pattern.literal_prefix();
        self.over(*field, || {
            if whole {
                Ranges::of(Side::Equal, &Scalar::Text(prefix.into()))
            } else {
                Ranges::prefix(&prefix)
            }
        })
    }

    fn over(&self, field: usize, ranges: impl FnOnce() -> Ranges) -> Option<Access> {
        let index = (*self.indexes.get(field)?)?;
        let (index, path) = (index.id, index.path.clone());
        Some(Access::Probe(Probe { index, path, ranges: ranges() }))
    }
}

const fn nothing() -> Access {
    Access::Any(Vec::new())
}

/// All of the conditions hold: each part that is covered covers the whole.
fn all(parts: impl Iterator<Item = Option<Access>>) -> Option<Access> {
    let mut choices: Vec<Access> = Vec::new();
    for part in parts.flatten() {
        let parts = if let Access::Best(parts) = part { parts } else { vec![part] };
        for part in parts {
            match (probe_of(&mut choices, &part), &part) {
                (Some(known), Access::Probe(probe)) => {
                    // Each covers all by itself; many steps over many ranges would take a turn's time.
                    if known.ranges.len().max(probe.ranges.len()) <= RANGES_MAX {
                        known.ranges = known.ranges.intersection(&probe.ranges);
                    } else if probe.ranges.len() < known.ranges.len() {
                        known.ranges = probe.ranges.clone();
                    }
                }
                _ => choices.push(part),
            }
        }
    }
    if choices.iter().any(Access::is_nothing) {
        return Some(nothing());
    }
    if choices.len() > 1 { Some(Access::Best(choices)) } else { choices.pop() }
}

/// One of the conditions holds: all of them must be covered.
fn any(parts: impl Iterator<Item = Option<Access>>) -> Option<Access> {
    let mut together: Vec<Access> = Vec::new();
    for part in parts {
        let part = part?;
        let parts = if let Access::Any(parts) = part { parts } else { vec![part] };
        for part in parts {
            match (probe_of(&mut together, &part), part) {
                (Some(known), Access::Probe(probe)) => {
                    known.ranges.append(probe.ranges);
                }
                (_, part) => together.push(part),
            }
        }
    }
    for part in &mut together {
        if let Access::Probe(probe) = part {
            probe.ranges = std::mem::take(&mut probe.ranges).merged();
        }
    }
    if together.len() == 1 { together.pop() } else { Some(Access::Any(together)) }
}

/// The probe among them that is of the same index.
fn probe_of<'a>(parts: &'a mut [Access], of: &Access) -> Option<&'a mut Probe> {
    let Access::Probe(of) = of else {
        return None;
    };
    parts.iter_mut().find_map(|part| match part {
        Access::Probe(probe) if probe.index == of.index => Some(probe),
        Access::Probe(_) | Access::Any(_) | Access::Best(_) => None,
    })
}
