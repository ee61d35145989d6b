//! Where each object of a database stands.

use crate::{
    hash::ObjectHash,
    store::{Folder, ObjectKey},
    writer::WriterEpoch,
};
use nodedb_types::{DatabaseId, LogEpoch, Lsn, to_hex};

/// No log reaches this record. Positions above it in stored bytes are damage, so that counting on
/// from any position never overflows.
pub(crate) const LSN_MAX: u64 = 1 << 62;

/// The keys of one database: everything below `<h2>/<database id>/`, where `h2` are two digits of
/// the id's digest, which spread databases over the partitions of a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    root: Folder,
}

impl Layout {
    /// The keys of this database.
    pub fn new(database_id: DatabaseId) -> Self {
        let digest = ObjectHash::of(database_id.as_bytes());
        let root = Folder::root().folder(&two_digits(digest));
        Self { root: root.folder(&database_id.to_string()) }
    }

    /// Says that an archive is here, and whose.
    pub fn format(&self) -> ObjectKey {
        self.root.object("FORMAT")
    }

    /// Says who writes in that epoch.
    pub fn epoch(&self, epoch: WriterEpoch) -> ObjectKey {
        self.root.folder("epoch").object(&hex8(epoch.get()))
    }

    /// Says which open of the database has that number.
    pub fn nonce(&self, epoch: WriterEpoch, log_epoch: LogEpoch) -> ObjectKey {
        let name = format!("{}-{}", hex8(epoch.get()), hex8(log_epoch.get()));
        self.root.folder("nonce").object(&name)
    }

    /// The folder of an epoch's log objects.
    pub fn log_folder(&self, epoch: WriterEpoch) -> Folder {
        self.root.folder("wal").folder(&hex8(epoch.get()))
    }

    /// The log object that begins with `start`. The name of the next one is therefore known.
    pub fn log(&self, epoch: WriterEpoch, start: Lsn) -> ObjectKey {
        let name = format!("{:016x}.seg", start.get());
        self.log_folder(epoch).object(&name)
    }

    /// The folder of the base images.
    pub fn bases(&self) -> Folder {
        self.root.folder("base")
    }

    /// The manifest of a base image; it is complete when this exists.
    pub fn base(&self, base: BaseId) -> ObjectKey {
        self.bases().folder(&base.name()).object("BASE")
    }

    /// A part of a file of base images, shared by all bases.
    pub fn part(&self, hash: ObjectHash) -> ObjectKey {
        let folder = self.root.folder("part").folder(&two_digits(hash));
        folder.object(&format!("{hash}.blk"))
    }

    /// The first record of a log object, from the last segment of its key.
    pub(crate) fn log_start(name: &str) -> Option<Lsn> {
        position(name.strip_suffix(".seg")?)
    }
}

/// Which base image: the highest record in it, and who made it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BaseId {
    /// The highest record in it. It serves only targets at or above.
    pub ceiling_lsn: Lsn,
    /// The writer that made it.
    pub writer_epoch: WriterEpoch,
}

impl BaseId {
    fn name(self) -> String {
        let epoch = hex8(self.writer_epoch.get());
        format!("{:016x}-{epoch}", self.ceiling_lsn.get())
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (lsn, epoch) = name.split_once('-')?;
        let epoch = u32::from_str_radix(fixed(epoch, 8)?, 16).ok()?;
        Some(Self { ceiling_lsn: position(lsn)?, writer_epoch: WriterEpoch::from_u32(epoch)? })
    }
}

fn position(digits: &str) -> Option<Lsn> {
    let value = u64::from_str_radix(fixed(digits, 16)?, 16).ok()?;
    Lsn::from_u64(value).filter(|lsn| lsn.get() <= LSN_MAX)
}

fn hex8(value: u32) -> String {
    format!("{value:08x}")
}

fn two_digits(hash: ObjectHash) -> String {
    let [first, ..] = *hash.as_bytes();
    to_hex(&[first])
}

/// The text, if it has exactly that many lower-case digits: one number has one name.
fn fixed(text: &str, digits: usize) -> Option<&str> {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (text.len() == digits && text.bytes().all(digit)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_format_page() {
        let layout = Layout::new(DatabaseId::from_bytes([0xab; 16]));
        let root = layout.format().as_str().replace("/FORMAT", "");
        assert_eq!(root.len(), 2 + 1 + 32);
        assert!(root.ends_with(&"ab".repeat(16)));
        let start = Lsn::FIRST.advance(254);
        let log = layout.log(WriterEpoch::FIRST, start);
        assert_eq!(log.as_str(), format!("{root}/wal/00000001/00000000000000ff.seg"));
        assert_eq!(Layout::log_start(log.name()), Some(start));
        let base = BaseId { ceiling_lsn: start, writer_epoch: WriterEpoch::FIRST };
        let key = layout.base(base);
        assert_eq!(key.as_str(), format!("{root}/base/00000000000000ff-00000001/BASE"));
        assert_eq!(BaseId::parse("00000000000000ff-00000001"), Some(base));
        let nonce = layout.nonce(WriterEpoch::FIRST, LogEpoch::new(10));
        assert_eq!(nonce.as_str(), format!("{root}/nonce/00000001-0000000a"));
        let hash = ObjectHash::from_bytes([0x1f; 32]);
        assert_eq!(layout.part(hash).as_str(), format!("{root}/part/1f/{}.blk", "1f".repeat(32)));
    }

    #[test]
    fn one_number_has_one_name() {
        for bad in [
            "00000000000000FF.seg",
            "0000000000000000.seg",
            "+0000000000000ff.seg",
            "ff.seg",
            "00000000000000ff",
        ] {
            assert_eq!(Layout::log_start(bad), None, "{bad}");
        }
        for bad in ["00000000000000ff-0000001", "00000000000000ff-00000000", "00000000000000ff"] {
            assert_eq!(BaseId::parse(bad), None, "{bad}");
        }
    }
}
