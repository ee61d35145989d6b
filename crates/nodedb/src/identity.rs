//! Who a database is: the file `NODEDB`.

use crate::{Error, sealed_file::SealedFile};
use nodedb_env::{Env, FileIdentity, Files};
use nodedb_types::{
    ByteReader, DatabaseId, DecodeError, Durability, Incarnation, limits::VSHARDS_MAX,
};
use std::{path::Path, time::Duration};

const FILE: SealedFile = SealedFile { magic: *b"NODEDBID", version: 1 };

/// What is fixed when a database is created or restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    pub(crate) database: DatabaseId,
    /// Positions of another incarnation are refused as `WrongHistory`.
    pub(crate) incarnation: Incarnation,
    pub(crate) vshards: u16,
    pub(crate) durability: Durability,
    /// The `LOCK` file as it was at creation: a copy of the directory has another one.
    pub(crate) home: FileIdentity,
}

/// 16 random bytes, for ids and nonces.
pub(crate) fn random_id(env: &Env) -> Result<[u8; 16], Error> {
    env.random.id().map_err(Error::io("drawing", "random bytes"))
}

impl Identity {
    pub(crate) fn write(&self, files: &dyn Files, path: &Path) -> Result<(), Error> {
        let mut out = Vec::new();
        out.extend_from_slice(self.database.as_bytes());
        out.extend_from_slice(self.incarnation.as_bytes());
        out.extend_from_slice(&self.vshards.to_le_bytes());
        let (code, every) = match self.durability {
            Durability::Buffered => (2, Duration::ZERO),
            Durability::Periodic { every } => (3, every),
            Durability::Sync | _ => (1, Duration::ZERO),
        };
        out.push(code);
        let every_ms = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
        out.extend_from_slice(&every_ms.to_le_bytes());
        out.extend_from_slice(&self.home.file_system.to_le_bytes());
        out.extend_from_slice(&self.home.inode.to_le_bytes());
        out.extend_from_slice(&self.home.born_ns.to_le_bytes());
        FILE.write(files, path, &out)
    }

    pub(crate) fn read(files: &dyn Files, path: &Path) -> Result<Option<Self>, Error> {
        FILE.read(files, path, Self::decode)
    }

    fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let database = DatabaseId::from_bytes(reader.array("database id")?);
        let incarnation = Incarnation::from_bytes(reader.array("incarnation")?);
        let vshards = reader.u16("vshards")?;
        if vshards == 0 || vshards > VSHARDS_MAX {
            let value = u64::from(vshards);
            return Err(DecodeError::OutOfRange { field: "vshards", value });
        }
        let code = reader.u8("durability")?;
        let every = Duration::from_millis(reader.u64("period")?);
        let durability = match code {
            1 => Durability::Sync,
            2 => Durability::Buffered,
            3 => Durability::Periodic { every },
            other => {
                let value = u64::from(other);
                return Err(DecodeError::OutOfRange { field: "durability", value });
            }
        };
        let home = FileIdentity {
            file_system: reader.u64("file system")?,
            inode: reader.u64("inode")?,
            born_ns: reader.u64("birth time")?,
        };
        Ok(Self { database, incarnation, vshards, durability, home })
    }
}
