//! The first batch of a segment: where the one before it ended.

use nodedb_types::{ByteReader, DecodeError, Lsn};

/// Why a segment was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reason {
    /// The log was created.
    Create,
    /// The one before was full.
    Rotate,
    /// The log was opened; what was found before is never appended to.
    Recovery,
}

/// Where the segment before ended. Written only after that one's sync returned, so its existence
/// proves everything up to `prev_last` durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentLink {
    /// Number of the segment before; 0 for none.
    pub(crate) prev_segment: u64,
    /// Last record before this segment.
    pub(crate) prev_last: Option<Lsn>,
    /// Where the valid part of the segment before ends.
    pub(crate) prev_end: u64,
    /// Byte position of this segment in the whole log.
    pub(crate) base_offset: u64,
    /// Chain crc of the last batch before this segment.
    pub(crate) prev_chain: u32,
    pub(crate) reason: Reason,
}

impl SegmentLink {
    /// The link of the first segment of a log whose first record follows `prev_last`.
    pub(crate) const fn first(prev_last: Option<Lsn>) -> Self {
        Self {
            prev_segment: 0,
            prev_last,
            prev_end: 0,
            base_offset: 0,
            prev_chain: 0,
            reason: Reason::Create,
        }
    }

    pub(crate) fn encode(&self, body: &mut Vec<u8>) {
        body.extend_from_slice(&self.prev_segment.to_le_bytes());
        body.extend_from_slice(&Lsn::encode(self.prev_last).to_le_bytes());
        body.extend_from_slice(&self.prev_end.to_le_bytes());
        body.extend_from_slice(&self.base_offset.to_le_bytes());
        body.extend_from_slice(&self.prev_chain.to_le_bytes());
        let reason = match self.reason {
            Reason::Create => 1,
            Reason::Rotate => 2,
            Reason::Recovery => 3_u8,
        };
        body.extend_from_slice(&[reason, 0, 0, 0]);
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(body);
        let prev_segment = reader.u64("previous segment")?;
        let prev_last = reader.position("previous last lsn")?;
        let prev_end = reader.u64("previous end")?;
        let base_offset = reader.u64("base offset")?;
        let prev_chain = reader.u32("previous chain crc")?;
        // So that what follows them can be counted.
        for (field, value) in [
            ("previous last lsn", Lsn::encode(prev_last)),
            ("previous end", prev_end),
            ("base offset", base_offset),
        ] {
            if value > u64::MAX / 4 {
                return Err(DecodeError::OutOfRange { field, value });
            }
        }
        let reason = match reader.u32("link reason")? {
            1 => Reason::Create,
            2 => Reason::Rotate,
            3 => Reason::Recovery,
            value => {
                return Err(DecodeError::OutOfRange {
                    field: "link reason",
                    value: u64::from(value),
                });
            }
        };
        reader.finish()?;
        Ok(Self { prev_segment, prev_last, prev_end, base_offset, prev_chain, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its bytes are only checksummed: a forged link must not end the process where it is added to.
    #[test]
    fn a_link_beyond_every_log_is_refused() {
        let sound = SegmentLink::first(Some(Lsn::FIRST));
        let last = Lsn::from_u64(u64::MAX);
        for forged in [
            SegmentLink { prev_last: last, ..sound },
            SegmentLink { prev_end: u64::MAX, ..sound },
            SegmentLink { base_offset: u64::MAX, ..sound },
        ] {
            let mut body = Vec::new();
            forged.encode(&mut body);
            assert!(SegmentLink::decode(&body).is_err(), "{forged:?}");
        }
        let mut body = Vec::new();
        sound.encode(&mut body);
        assert_eq!(SegmentLink::decode(&body).ok(), Some(sound));
    }
}
