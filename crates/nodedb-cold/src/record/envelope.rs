//! The frame around a small object: what it is, which version, how long, and a digest of it all.

use crate::{error::FormatError, hash::ObjectHash};
use bytes::Bytes;
use nodedb_types::{ByteReader, put_bytes};

/// What a sealed object is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Envelope {
    pub(crate) magic: [u8; 8],
    pub(crate) version: u32,
}

/// `magic | version u32 | length u32 | body | blake3 of everything before`.
pub(crate) fn seal(envelope: Envelope, body: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(body.len() + 48);
    bytes.extend_from_slice(&envelope.magic);
    bytes.extend_from_slice(&envelope.version.to_le_bytes());
    put_bytes(&mut bytes, body);
    let hash = ObjectHash::of(&bytes);
    bytes.extend_from_slice(hash.as_bytes());
    bytes.into()
}

/// The body of a sealed object, once its digest has been found right.
pub(crate) fn open(envelope: Envelope, bytes: &[u8]) -> Result<&[u8], FormatError> {
    let mut reader = ByteReader::new(bytes);
    if reader.array("magic")? != envelope.magic {
        return Err(FormatError::Magic);
    }
    let version = reader.u32("version")?;
    let body = reader.bytes("body")?;
    let covered = bytes.len() - reader.left();
    let written = ObjectHash::from_bytes(reader.array("digest")?);
    reader.finish()?;
    let found = ObjectHash::of(bytes.get(..covered).unwrap_or_default());
    if written != found {
        return Err(FormatError::Digest { written, found });
    }
    // After the digest: a flipped bit is damage, not another version.
    if version != envelope.version {
        return Err(FormatError::Version { version });
    }
    Ok(body)
}
