//! The compiled form of a filter and its evaluation.

use super::like::Pattern;
use crate::scalar::Scalar;
use std::cmp::Ordering;

/// What is compared.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Operand {
    /// A field, by its number.
    Field(usize),
    Literal(Scalar<'static>),
}

/// How two values are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A condition that is true, false or unknown.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Predicate {
    And(Vec<Predicate>),
    Or(Vec<Predicate>),
    Not(Box<Predicate>),
    /// A field or literal that is a boolean itself.
    Truth(Operand),
    Compare(Operand, Comparison, Operand),
    IsNull(Operand),
    /// Whether the condition has this truth value, `None` being unknown. Never unknown itself.
    Is(Box<Predicate>, Option<bool>),
    In(Operand, Vec<Operand>),
    Between(Operand, Operand, Operand),
    Like(Operand, Pattern),
}

impl Comparison {
    /// The one that is true where this one is false; both are unknown together.
    pub(crate) const fn negated(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::GreaterOrEqual,
            Self::LessOrEqual => Self::Greater,
            Self::Greater => Self::LessOrEqual,
            Self::GreaterOrEqual => Self::Less,
        }
    }

    /// The same one with its sides exchanged.
    pub(crate) const fn flipped(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
        }
    }

    pub(crate) fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

impl Operand {
    fn value<'a, 'd: 'a>(&'a self, fields: &'a [Scalar<'d>]) -> &'a Scalar<'d> {
        match self {
            Self::Field(number) => fields.get(*number).unwrap_or(&Scalar::Null),
            Self::Literal(value) => value,
        }
    }
}

impl Predicate {
    /// Its truth for these fields; `None` is unknown.
    pub(crate) fn truth(&self, fields: &[Scalar<'_>]) -> Option<bool> {
        match self {
            Self::And(all) => until(all.iter().map(|one| one.truth(fields)), false),
            Self::Or(any) => until(any.iter().map(|one| one.truth(fields)), true),
            Self::Not(predicate) => predicate.truth(fields).map(|truth| !truth),
            Self::Truth(operand) => operand.value(fields).truth(),
            Self::Compare(left, how, right) => compare(left, *how, right, fields),
            Self::IsNull(operand) => Some(*operand.value(fields) == Scalar::Null),
            Self::Is(predicate, wanted) => Some(predicate.truth(fields) == *wanted),
            Self::In(operand, list) => {
                let equal = |item| compare(operand, Comparison::Equal, item, fields);
                until(list.iter().map(equal), true)
            }
            Self::Between(operand, low, high) => {
                let low = compare(operand, Comparison::GreaterOrEqual, low, fields);
                let high = compare(operand, Comparison::LessOrEqual, high, fields);
                until([low, high].into_iter(), false)
            }
            Self::Like(operand, pattern) => {
                let text = operand.value(fields).text()?;
                Some(pattern.matches(text))
            }
        }
    }
}

fn compare(
    left: &Operand,
    how: Comparison,
    right: &Operand,
    fields: &[Scalar<'_>],
) -> Option<bool> {
    let order = left.value(fields).compare(right.value(fields))?;
    Some(how.holds(order))
}

/// AND and OR: the deciding value wins, else an unknown one makes all unknown.
fn until(truths: impl Iterator<Item = Option<bool>>, decides: bool) -> Option<bool> {
    let mut result = Some(!decides);
    for truth in truths {
        match truth {
            Some(truth) if truth == decides => return Some(decides),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}
