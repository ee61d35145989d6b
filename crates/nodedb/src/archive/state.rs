//! What a database remembers of its archive: the file `ARCHIVE`.

use crate::{ArchivePolicy, Error, sealed_file::SealedFile};
use nodedb_cold::{Nonce, WriterEpoch, WriterIdentity};
use nodedb_env::Files;
use nodedb_types::{ByteReader, DatabaseId, DecodeError, Lsn, put_bytes};
use std::path::Path;

const FILE: SealedFile = SealedFile { magic: *b"NODEDBAR", version: 1 };

/// Where the archive is, as whom we write it, and how far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ArchiveState {
    pub(crate) url: String,
    pub(crate) policy: ArchivePolicy,
    pub(crate) writer: WriterIdentity,
    /// Everything up to here is in the archive, verified.
    pub(crate) archived: Option<Lsn>,
}

impl ArchiveState {
    /// Replaces the file. Durable on return: only then may the log below `archived` go.
    pub(crate) fn write(&self, files: &dyn Files, path: &Path) -> Result<(), Error> {
        let mut out = Vec::new();
        put_bytes(&mut out, self.url.as_bytes());
        out.push(match self.policy {
            ArchivePolicy::Required => 1,
            ArchivePolicy::Disabled => 2,
        });
        out.extend_from_slice(self.writer.database_id.as_bytes());
        out.extend_from_slice(&self.writer.writer_epoch.get().to_le_bytes());
        out.extend_from_slice(self.writer.nonce.as_bytes());
        out.extend_from_slice(&Lsn::encode(self.archived).to_le_bytes());
        FILE.write(files, path, &out)
    }

    pub(crate) fn read(files: &dyn Files, path: &Path) -> Result<Option<Self>, Error> {
        FILE.read(files, path, Self::decode)
    }

    fn decode(reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let url = reader.text("archive url")?.to_owned();
        let policy = match reader.u8("archive policy")? {
            1 => ArchivePolicy::Required,
            2 => ArchivePolicy::Disabled,
            other => {
                let value = u64::from(other);
                return Err(DecodeError::OutOfRange { field: "archive policy", value });
            }
        };
        let database_id = DatabaseId::from_bytes(reader.array("archived database id")?);
        let writer_epoch = WriterEpoch::from_u32(reader.u32("writer epoch")?)
            .ok_or(DecodeError::OutOfRange { field: "writer epoch", value: 0 })?;
        let nonce = Nonce::from_bytes(reader.array("nonce")?);
        Ok(Self {
            url,
            policy,
            writer: WriterIdentity { database_id, writer_epoch, nonce },
            archived: reader.position("archived")?,
        })
    }
}
