//! Small files that are replaced whole: magic, version, length, payload, checksum.

use crate::Error;
use nodedb_env::Files;
use nodedb_types::{ByteReader, DecodeError};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

/// A kind of small file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SealedFile {
    /// First bytes, unlike those of any other file.
    pub(crate) magic: [u8; 8],
    /// Version of the payload.
    pub(crate) version: u32,
}

/// Largest sealed file that is read, in bytes.
const BYTES_MAX: u64 = 4 << 20;

impl SealedFile {
    /// Replaces the file durably and in one step.
    pub(crate) fn write(self, files: &dyn Files, path: &Path, payload: &[u8]) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(payload.len() + 28);
        bytes.extend_from_slice(&self.magic);
        bytes.extend_from_slice(&self.version.to_le_bytes());
        bytes.extend_from_slice(payload);
        let digest = xxh3_128(&bytes);
        bytes.extend_from_slice(&digest.to_le_bytes());
        assert!(bytes.len() as u64 <= BYTES_MAX, "a sealed file is small");
        files.replace(path, &bytes).map_err(Error::io("writing", path))
    }

    /// Reads and decodes the file; `None` if it is not there.
    pub(crate) fn read<T>(
        self,
        files: &dyn Files,
        path: &Path,
        decode: impl FnOnce(&mut ByteReader<'_>) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, Error> {
        let entry = files.entry(path).map_err(Error::io("looking at", path))?;
        let Some(entry) = entry else { return Ok(None) };
        if entry.len > BYTES_MAX {
            return Err(Error::corrupt(path, "longer than any file of its kind"));
        }
        let bytes = files.read(path).map_err(Error::io("reading", path))?;
        let payload = self.open(path, &bytes)?;
        let mut reader = ByteReader::new(payload);
        let decoded = decode(&mut reader).and_then(|value| reader.finish().map(|()| value));
        decoded.map(Some).map_err(|error| Error::corrupt(path, error.to_string()))
    }

    fn open<'a>(self, path: &Path, bytes: &'a [u8]) -> Result<&'a [u8], Error> {
        let Some((body, digest)) = bytes.split_last_chunk::<16>() else {
            return Err(Error::corrupt(path, "shorter than its checksum"));
        };
        let Some((magic, rest)) = body.split_first_chunk::<8>() else {
            return Err(Error::corrupt(path, "shorter than its header"));
        };
        let Some((version, payload)) = rest.split_first_chunk::<4>() else {
            return Err(Error::corrupt(path, "shorter than its header"));
        };
        if xxh3_128(body).to_le_bytes() != *digest {
            return Err(Error::corrupt(path, "checksum does not match"));
        }
        let version = u32::from_le_bytes(*version);
        if *magic != self.magic || version != self.version {
            return Err(Error::UnsupportedFormat {
                path: path.to_owned(),
                found: version,
                supported: self.version,
            });
        }
        Ok(payload)
    }
}
