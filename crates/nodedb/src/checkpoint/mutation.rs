//! Rules that the explorer breaks on purpose, to see that it would notice.

/// One broken rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Mutation {
    /// A vshard whose flush failed is left out of the minimum.
    SkipFailed,
    /// Only those who answered the round count.
    MinOverResponders,
    /// A report of an earlier life is believed.
    AcceptOldLife,
}
