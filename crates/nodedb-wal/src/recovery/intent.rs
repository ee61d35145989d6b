//! The mark of a lossy truncation that has begun: what it will leave, decided once.

use crate::{WalError, control::Control, format::EPOCH_MAX, segment::name::TRUNCATING};
use crc32c::crc32c;
use nodedb_env::Env;
use nodedb_types::{ByteReader, DecodeError, LogEpoch, Lsn, put_bytes};
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

const MAGIC: [u8; 8] = *b"KWALCUT\x01";
/// Far above the names of all files that a log can have.
const BYTES_MAX: u64 = 64 << 20;

/// A decided truncation. While the file that holds it is there, the log does not open: whatever the
/// steps between its first and its last byte leave, it is never taken for a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Intent {
    /// The record that was asked for.
    pub(crate) at: Lsn,
    /// The last record that stays, which ends an atomic group.
    pub(crate) kept: Option<Lsn>,
    /// The last record that was valid.
    pub(crate) last_valid: Option<Lsn>,
    /// Behind the last record that anything in the log names.
    pub(crate) dropped_end: Lsn,
    /// Whether more may go than that: a segment is missing, or tells nothing of itself.
    pub(crate) open_ended: bool,
    /// Bytes of recognisable batches that go.
    pub(crate) dropped_bytes: u64,
    /// The segment that the log will end in.
    pub(crate) segment: u64,
    /// The highest epoch of anything in the log, dropped parts included.
    pub(crate) epoch: LogEpoch,
    /// Where the copies are.
    pub(crate) copies: PathBuf,
    /// Names of the files that are changed or removed.
    pub(crate) files: Vec<OsString>,
}

impl Intent {
    /// Makes it durable. From here on the truncation is run to its end.
    pub(crate) fn write(&self, env: &Env, dir: &Path) -> Result<(), WalError> {
        let path = dir.join(TRUNCATING);
        env.files.replace(&path, &self.encode()).map_err(WalError::io("write", &path))
    }

    /// Takes it away, when all that it says is done and durable.
    pub(crate) fn clear(env: &Env, dir: &Path) -> Result<(), WalError> {
        let path = dir.join(TRUNCATING);
        env.files.remove_file(&path).map_err(WalError::io("remove", &path))?;
        env.files.sync_dir(dir).map_err(WalError::io("sync directory", dir))
    }

    /// Reads it; `None` if no truncation is under way.
    ///
    /// A mark of an earlier life than `control` names is none: the truncation had ended, for otherwise no
    /// life could have begun. It comes back where a failed sync lost its removal; run again, it would cut
    /// what was acknowledged since.
    ///
    /// # Errors
    /// `Damaged` or `Io`.
    pub(crate) fn pending(
        env: &Env,
        dir: &Path,
        control: &Control,
    ) -> Result<Option<Self>, WalError> {
        Ok(Self::read(env, dir)?.filter(|intent| intent.epoch >= control.epoch))
    }

    /// Takes a mark away that is none; see [`Intent::pending`].
    pub(crate) fn sweep(env: &Env, dir: &Path) -> Result<(), WalError> {
        let path = dir.join(TRUNCATING);
        match env.files.entry(&path).map_err(WalError::io("look at", &path))? {
            Some(_) => env.files.remove_file(&path).map_err(WalError::io("remove", &path)),
            None => Ok(()),
        }
    }

    fn read(env: &Env, dir: &Path) -> Result<Option<Self>, WalError> {
        let path = dir.join(TRUNCATING);
        let damaged = || WalError::Damaged {
            path: path.clone(),
            reason: "the mark of a lossy truncation does not check out",
        };
        match env.files.entry(&path).map_err(WalError::io("look at", &path))? {
            None => return Ok(None),
            Some(entry) if entry.len > BYTES_MAX => return Err(damaged()),
            Some(_) => {}
        }
        let bytes = env.files.read(&path).map_err(WalError::io("read", &path))?;
        let (covered, crc) = bytes.split_last_chunk::<4>().ok_or_else(damaged)?;
        if !covered.starts_with(&MAGIC) || u32::from_le_bytes(*crc) != crc32c(covered) {
            return Err(damaged());
        }
        Self::decode(covered).map(Some).map_err(|_malformed| damaged())
    }

    /// The refusal of everything but the same truncation.
    pub(crate) fn unfinished(&self, dir: &Path) -> WalError {
        WalError::TruncationUnfinished { dir: dir.to_owned(), at: self.at }
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for field in [
            self.at.get(),
            Lsn::encode(self.kept),
            Lsn::encode(self.last_valid),
            self.dropped_end.get(),
            self.dropped_bytes,
            self.segment,
        ] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.epoch.get().to_le_bytes());
        out.push(u8::from(self.open_ended));
        put_bytes(&mut out, self.copies.as_os_str().as_bytes());
        for file in &self.files {
            put_bytes(&mut out, file.as_bytes());
        }
        let crc = crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(covered: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(covered);
        let _magic = reader.array::<8>("magic")?;
        let at = reader.lsn("truncation lsn")?;
        let kept = reader.position("last kept lsn")?;
        let last_valid = reader.position("last valid lsn")?;
        let dropped_end = reader.lsn("end of what is dropped")?;
        if Lsn::encode(kept) >= dropped_end.get() {
            let value = dropped_end.get();
            return Err(DecodeError::OutOfRange { field: "end of what is dropped", value });
        }
        let dropped_bytes = reader.u64("dropped bytes")?;
        let segment = reader.u64("segment")?;
        let epoch = LogEpoch::new(reader.u32("log epoch")?);
        // Both go into CONTROL, which takes no higher ones.
        for (field, value, most) in [
            ("segment", segment, u64::MAX / 2),
            ("log epoch", u64::from(epoch.get()), u64::from(EPOCH_MAX)),
        ] {
            if value > most {
                return Err(DecodeError::OutOfRange { field, value });
            }
        }
        let open_ended = reader.u8("open end")? != 0;
        let copies = PathBuf::from(OsStr::from_bytes(reader.bytes("copies")?));
        let mut files = Vec::new();
        while reader.left() > 0 {
            files.push(OsStr::from_bytes(reader.bytes("file name")?).to_owned());
        }
        Ok(Self {
            at,
            kept,
            last_valid,
            dropped_end,
            open_ended,
            dropped_bytes,
            segment,
            epoch,
            copies,
            files,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_testkit::SimFiles;

    #[test]
    fn it_reads_back_and_every_flipped_bit_is_damage() {
        let disk = SimFiles::new(1);
        let dir = Path::new("/wal");
        disk.plant_dir(dir);
        let env = disk.env();
        assert_eq!(Intent::read(&env, dir).expect("none"), None);
        let intent = Intent {
            at: Lsn::FIRST.advance(6),
            kept: Some(Lsn::FIRST.advance(4)),
            last_valid: Some(Lsn::FIRST.advance(9)),
            dropped_end: Lsn::FIRST.advance(11),
            open_ended: true,
            dropped_bytes: 1024,
            segment: 3,
            epoch: LogEpoch::new(5),
            copies: PathBuf::from("/copies/1"),
            files: vec![OsString::from("CONTROL"), OsString::from("wal-3.seg")],
        };
        intent.write(&env, dir).expect("no fault");
        assert_eq!(Intent::read(&env, dir).expect("sound"), Some(intent.clone()));
        for bit in 0..intent.encode().len() as u64 * 8 {
            let image = disk.crash_keeping_all();
            image.corrupt(dir.join(TRUNCATING), bit / 8, 1 << (bit % 8));
            let read = Intent::read(&image.env(), dir);
            assert!(matches!(read, Err(WalError::Damaged { .. })), "bit {bit}");
        }
        Intent::clear(&env, dir).expect("no fault");
        assert_eq!(Intent::read(&env, dir).expect("none"), None);
    }
}
