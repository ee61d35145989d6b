//! The opaque version of a stored value.

use crate::{Incarnation, LogEpoch, Lsn, Stamp, from_hex, to_hex};
use std::fmt;

/// Version of a stored value: incarnation, log epoch and LSN, opaque to callers.
///
/// Its text has 56 hexadecimal digits. A token of another history compares unequal by its
/// incarnation, so `expect` can never succeed over a value that its caller has not seen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Version {
    incarnation: Incarnation,
    stamp: Stamp,
}

/// A text that no version prints as.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a version: give the `version` of an earlier answer, 56 hexadecimal digits"
)]
pub struct VersionError {
    /// What was given, cut to 80 characters.
    pub text: String,
}

impl Version {
    /// The version of a value written at `stamp` in this history.
    pub const fn new(incarnation: Incarnation, stamp: Stamp) -> Self {
        Self { incarnation, stamp }
    }

    /// The history it belongs to.
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Which write.
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Reads what `Display` wrote.
    ///
    /// # Errors
    /// [`VersionError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, VersionError> {
        Self::decode(text).ok_or_else(|| VersionError { text: text.chars().take(80).collect() })
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; 28] = from_hex(text)?.try_into().ok()?;
        let (incarnation, rest) = bytes.split_first_chunk::<16>()?;
        let (epoch, rest) = rest.split_first_chunk::<4>()?;
        let lsn = rest.first_chunk::<8>()?;
        let stamp = Stamp {
            epoch: LogEpoch::new(u32::from_be_bytes(*epoch)),
            lsn: Lsn::from_u64(u64::from_be_bytes(*lsn))
                .filter(|lsn| lsn.get() <= u64::MAX >> 1)?,
        };
        Some(Self { incarnation: Incarnation::from_bytes(*incarnation), stamp })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 28];
        let (incarnation, rest) = bytes.split_at_mut(16);
        incarnation.copy_from_slice(self.incarnation.as_bytes());
        let (epoch, lsn) = rest.split_at_mut(4);
        epoch.copy_from_slice(&self.stamp.epoch.get().to_be_bytes());
        lsn.copy_from_slice(&self.stamp.lsn.get().to_be_bytes());
        f.write_str(&to_hex(&bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_prints_and_refuses_the_rest() {
        let stamp = Stamp { epoch: LogEpoch::new(7), lsn: Lsn::FIRST.advance(41) };
        let version = Version::new(Incarnation::from_bytes([9; 16]), stamp);
        assert_eq!(Version::parse(&version.to_string()), Ok(version));
        for bad in ["", "12", "absent", &"0".repeat(56), &"\u{e9}".repeat(28)] {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
    }
}
