//! Records, and the chance that makes them.

use crate::Redo;
use nodedb_types::{LogEpoch, Lsn, Stamp, TenantId};

/// One record of the log.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// Its place.
    pub at: Stamp,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it says.
    pub redo: Redo,
}

impl Record {
    /// A record of the default tenant at the `number`-th place, counted from 1, in the first epoch.
    ///
    /// # Panics
    /// If the number is 0.
    #[expect(clippy::expect_used, reason = "this is test code")]
    pub fn new(number: u64, redo: Redo) -> Self {
        Self {
            at: Stamp {
                epoch: LogEpoch::new(1),
                lsn: Lsn::from_u64(number).expect("records are counted from 1"),
            },
            tenant: TenantId::DEFAULT,
            redo,
        }
    }
}

/// Numbers that look random and repeat with their seed.
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next number, evenly below `bound`.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        assert!(bound > 0, "some number lies below the bound");
        // SplitMix64: a counter, scrambled.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        u32::try_from(mixed % u64::from(bound)).unwrap_or_default()
    }
}
