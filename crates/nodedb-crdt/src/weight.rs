//! About how much memory a document takes, by what its updates hold.
//!
//! Loro does not tell. The figures are measured with a counting allocator over documents of many shapes,
//! see `tests/memory.rs`, which holds the estimate to within twice and half of the truth.

use std::ops::AddAssign;

/// About how much memory some updates take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Weight {
    /// Bytes while the document was loaded from a snapshot and only read: loro keeps most of it encoded.
    pub(crate) read: u64,
    /// Bytes beside texts once it is unfolded, as the first import does.
    pub(crate) unfolded: u64,
    /// Bytes of the pieces of texts once they are unfolded. Packing joins operations that follow each
    /// other, but not the pieces that they made of a text.
    pub(crate) texts: u64,
}

/// What a document takes that has nothing in it.
const EMPTY_BYTES: u64 = 16 << 10;
/// A piece of a text.
const PIECE_BYTES: u64 = 150;
/// A value that a list or map holds.
const VALUE: Weight = Weight { read: 20, unfolded: 210, texts: 0 };
/// A change of another peer that a change builds on.
const JOIN: Weight = Weight { read: 10, unfolded: 1_900, texts: 0 };
/// A container that a block names.
const NAMED: Weight = Weight { read: 100, unfolded: 300, texts: 0 };

impl Weight {
    /// A value that an operation holds, or a value in it.
    pub(crate) const fn value() -> Self {
        VALUE
    }

    /// An operation of some kind with so many bytes of values, beside those that [`Weight::value`] counts.
    pub(crate) const fn operation(kind: u8, bytes: u64) -> Self {
        match kind {
            // A number: a counter.
            3 | 4 | 10 => Self { read: 10, unfolded: 80, texts: 0 },
            // Text, or bytes.
            5 | 6 => Self { read: 40 + 3 * bytes, unfolded: 40 + 4 * bytes, texts: PIECE_BYTES },
            // A container.
            7 => Self { read: 200, unfolded: 450, texts: 0 },
            // Values.
            11 | 15 => Self { read: 2 * bytes, unfolded: 50 + 4 * bytes, texts: 0 },
            // The start of a mark.
            12 => Self { read: 20, unfolded: 1_800, texts: 0 },
            // A tree node that is made or moved.
            13 | 16 => Self { read: 130, unfolded: 650, texts: 0 },
            // An item that is moved.
            14 => Self { read: 10, unfolded: 120, texts: 0 },
            _ => Self { read: 2, unfolded: 100, texts: 0 },
        }
    }

    /// What a block takes beside its operations: how many changes of others it builds on, and how many
    /// containers it names.
    pub(crate) const fn block(joins: u64, containers: u64) -> Self {
        Self {
            read: JOIN
                .read
                .saturating_mul(joins)
                .saturating_add(NAMED.read.saturating_mul(containers)),
            unfolded: JOIN
                .unfolded
                .saturating_mul(joins)
                .saturating_add(NAMED.unfolded.saturating_mul(containers)),
            texts: 0,
        }
    }

    /// Bytes as long as it is only read.
    pub(crate) const fn read_bytes(&self) -> u64 {
        EMPTY_BYTES.saturating_mul(2).saturating_add(self.read)
    }

    /// Bytes once it is unfolded.
    pub(crate) const fn unfolded_bytes(&self) -> u64 {
        EMPTY_BYTES.saturating_add(self.unfolded).saturating_add(self.texts)
    }

    /// What cannot be read, by its size.
    pub(crate) const fn unknown(bytes: u64) -> Self {
        Self { read: 8 * bytes, unfolded: 32 * bytes, texts: 0 }
    }

    /// The pieces of texts.
    pub(crate) const fn pieces(count: u64) -> u64 {
        PIECE_BYTES.saturating_mul(count)
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, other: Self) {
        self.read = self.read.saturating_add(other.read);
        self.unfolded = self.unfolded.saturating_add(other.unfolded);
        self.texts = self.texts.saturating_add(other.texts);
    }
}
