//! Slots as positions in slices.

/// The position of a slot. Machines that index with fewer than 32 bits do not run this.
#[expect(clippy::expect_used, reason = "a position has at least 32 bits")]
pub(super) fn position(slot: u32) -> usize {
    usize::try_from(slot).expect("a slot is a position")
}
