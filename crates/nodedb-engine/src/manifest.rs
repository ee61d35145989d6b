//! What an engine's directory holds, in one small file.

use crate::{EngineError, EngineKind};
use nodedb_types::{ByteReader, DecodeError, Lsn, put_bytes};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

/// A file of an engine, written and synced; only [`crate::ManifestDir`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileRef {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) digest: u128,
}

impl FileRef {
    /// Its name within the engine's directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its length.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The contents of an engine's `MANIFEST`: floor, files, and a few bytes of the engine's own.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Manifest {
    /// Everything up to here is in the files.
    pub floor: Option<Lsn>,
    /// The files, in the engine's order.
    pub files: Vec<FileRef>,
    /// What else the engine needs to know at load.
    pub extra: Vec<u8>,
}

const MAGIC: [u8; 8] = *b"NDBMANI\x01";
const VERSION: u32 = 1;
/// Largest manifest that is read, in bytes.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 16 << 20;

impl Manifest {
    /// The bytes of the file; the table stands in `docs/formats/manifest.md`.
    pub(crate) fn encode(&self, kind: EngineKind) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.push(kind.code());
        out.extend_from_slice(&Lsn::encode(self.floor).to_le_bytes());
        crate::redo::put_count(&mut out, self.files.len());
        for file in &self.files {
            put_bytes(&mut out, file.name.as_bytes());
            out.extend_from_slice(&file.bytes.to_le_bytes());
            out.extend_from_slice(&file.digest.to_le_bytes());
        }
        put_bytes(&mut out, &self.extra);
        let digest = xxh3_128(&out);
        out.extend_from_slice(&digest.to_le_bytes());
        out
    }

    /// Reads the bytes of the file at `path`.
    pub(crate) fn decode(path: &Path, kind: EngineKind, bytes: &[u8]) -> Result<Self, EngineError> {
        let version = bytes.get(8..12).and_then(|field| field.try_into().ok());
        if bytes.starts_with(&MAGIC[..7])
            && let Some(found) = version.map(u32::from_le_bytes)
            && found > VERSION
        {
            let path = path.to_owned();
            return Err(EngineError::UnsupportedFormat { path, found, supported: VERSION });
        }
        let Some((body, digest)) = bytes.split_last_chunk::<16>() else {
            return Err(EngineError::corrupt(path, "shorter than its checksum"));
        };
        if xxh3_128(body).to_le_bytes() != *digest {
            return Err(EngineError::corrupt(path, "checksum does not match"));
        }
        Self::decode_body(kind, body).map_err(|error| EngineError::corrupt(path, error.to_string()))
    }

    fn decode_body(kind: EngineKind, body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(body);
        expect(&mut reader, "magic", &MAGIC)?;
        expect(&mut reader, "version", &VERSION.to_le_bytes())?;
        expect(&mut reader, "engine", &[kind.code()])?;
        let floor = reader.position("floor")?;
        let count = crate::redo::count(&mut reader, "file count", 28)?;
        let files = (0..count).map(|_| file(&mut reader)).collect::<Result<_, _>>()?;
        let extra = reader.bytes("extra")?.to_vec();
        reader.finish()?;
        Ok(Self { floor, files, extra })
    }
}

fn expect(
    reader: &mut ByteReader<'_>,
    field: &'static str,
    wanted: &[u8],
) -> Result<(), DecodeError> {
    let found = reader.take(field, wanted.len())?;
    let value = found.first().copied().map_or(0, u64::from);
    if found == wanted { Ok(()) } else { Err(DecodeError::OutOfRange { field, value }) }
}

fn file(reader: &mut ByteReader<'_>) -> Result<FileRef, DecodeError> {
    let name = reader.text("file name")?.to_owned();
    // One name within the directory: a forged manifest must not lead anywhere else.
    if Path::new(&name).file_name() != Some(name.as_ref()) {
        let value = name.len() as u64;
        let field = "file name";
        return Err(DecodeError::OutOfRange { field, value });
    }
    let bytes = reader.u64("file length")?;
    let digest = u128::from_le_bytes(reader.array("file digest")?);
    Ok(FileRef { name, bytes, digest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_names_a_file_elsewhere_is_refused() {
        let manifest = |name: &str| Manifest {
            files: vec![FileRef { name: name.to_owned(), bytes: 3, digest: 5 }],
            ..Manifest::default()
        };
        let read = |manifest: &Manifest| {
            let bytes = manifest.encode(EngineKind::Vectors);
            Manifest::decode(Path::new("MANIFEST"), EngineKind::Vectors, &bytes)
        };
        let sound = manifest("run-1.ndb");
        assert_eq!(read(&sound).ok(), Some(sound));
        for foreign in ["../other.ndb", "/etc/passwd", "sub/a.ndb", "..", ".", "", "a.ndb/"] {
            assert!(read(&manifest(foreign)).is_err(), "{foreign}");
        }
    }
}
