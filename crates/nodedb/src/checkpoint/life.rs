//! The lives of a vshard's owner.

/// One life of the core that owns a vshard. A later one starts from what the files prove, so a report
/// of an earlier one may rest on what no longer exists and counts for nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Life(u32);

impl Life {
    pub(crate) const fn new(number: u32) -> Self {
        Self(number)
    }
}
