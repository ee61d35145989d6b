//! The files of a flush: a run of rows in ascending order, cut into parts of bounded size.
//!
//! The bytes are described in `docs/formats/vectors.md`.

use crate::layout::Run;
use bytes::Bytes;
use nodedb_engine::{EngineError, IoBudget, ManifestDir};
use nodedb_types::{ByteReader, DecodeError, IndexId, LogEpoch, Lsn, Stamp, limits, put_bytes};
use std::path::Path;

const MAGIC: [u8; 8] = *b"NDBVECT\x01";
const VERSION: u32 = 2;
/// A part is closed once its rows take this much, so that a merge holds one part of each run.
const PART_BYTES: usize = 16 << 20;
/// Least bytes of a row: index, key length, stamp, flag.
const ROW_BYTES_MIN: usize = 4 + 4 + 12 + 1;

/// One row of a file: a set vector or a removal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Row {
    pub(crate) index: IndexId,
    pub(crate) key: Bytes,
    pub(crate) stamp: Stamp,
    /// The numbers, little-endian, or `None` of a removal.
    pub(crate) numbers: Option<Bytes>,
}

impl Row {
    pub(crate) fn place(&self) -> (IndexId, &Bytes) {
        (self.index, &self.key)
    }

    /// The numbers, where the row sets some.
    pub(crate) fn vector(&self) -> Option<Vec<f32>> {
        let (numbers, _) = self.numbers.as_ref()?.as_chunks::<4>();
        Some(numbers.iter().map(|x| f32::from_le_bytes(*x)).collect())
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.index.get().to_le_bytes());
        put_bytes(out, &self.key);
        out.extend_from_slice(&self.stamp.epoch.get().to_le_bytes());
        out.extend_from_slice(&self.stamp.lsn.get().to_le_bytes());
        out.push(u8::from(self.numbers.is_some()));
        if let Some(numbers) = &self.numbers {
            put_bytes(out, numbers);
        }
    }

    fn decode(file: &Bytes, reader: &mut ByteReader<'_>) -> Result<Self, DecodeError> {
        let index = IndexId::new(reader.u32("index id")?);
        let key = file.slice_ref(reader.bytes("key")?);
        let stamp = Stamp {
            epoch: LogEpoch::new(reader.u32("stamp epoch")?),
            lsn: reader.lsn("stamp lsn")?,
        };
        let numbers = match reader.u8("vector flag")? {
            0 => None,
            1 => Some(file.slice_ref(numbers(reader)?)),
            other => return out_of_range("vector flag", u64::from(other)),
        };
        Ok(Self { index, key, stamp, numbers })
    }
}

fn numbers<'a>(reader: &mut ByteReader<'a>) -> Result<&'a [u8], DecodeError> {
    let numbers = reader.bytes("vector")?;
    let whole = !numbers.is_empty() && numbers.len().is_multiple_of(size_of::<f32>());
    if whole && numbers.len() / size_of::<f32>() <= limits::VECTOR_DIMENSIONS_MAX {
        Ok(numbers)
    } else {
        out_of_range("vector bytes", numbers.len() as u64)
    }
}

fn out_of_range<T>(field: &'static str, value: u64) -> Result<T, DecodeError> {
    Err(DecodeError::OutOfRange { field, value })
}

/// One file, decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    /// Last record that the run covers.
    pub(crate) watermark: Lsn,
    /// Its number within the run, from 0.
    pub(crate) number: u32,
    /// Strictly ascending by index and key.
    pub(crate) rows: Vec<Row>,
}

impl Part {
    /// Reads the bytes of the file at `path`.
    pub(crate) fn decode(path: &Path, bytes: Vec<u8>) -> Result<Self, EngineError> {
        let bytes = Bytes::from(bytes);
        let version = bytes.get(8..12).and_then(|field| field.try_into().ok());
        if bytes.starts_with(&MAGIC[..7])
            && let Some(found) = version.map(u32::from_le_bytes)
            && found > VERSION
        {
            return Err(EngineError::UnsupportedFormat {
                path: path.to_owned(),
                found,
                supported: VERSION,
            });
        }
        let Some((body, checksum)) = bytes.split_last_chunk::<4>() else {
            return Err(EngineError::corrupt(path, "shorter than its checksum"));
        };
        if crc32c::crc32c(body) != u32::from_le_bytes(*checksum) {
            return Err(EngineError::corrupt(path, "checksum does not match"));
        }
        Self::decode_body(&bytes, body)
            .map_err(|error| EngineError::corrupt(path, error.to_string()))
    }

    fn decode_body(file: &Bytes, body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(body);
        let magic: [u8; 8] = reader.array("magic")?;
        if magic != MAGIC {
            return out_of_range("magic", u64::from_le_bytes(magic));
        }
        let version = reader.u32("version")?;
        if version != VERSION {
            return out_of_range("version", u64::from(version));
        }
        let watermark = reader.lsn("watermark")?;
        let number = reader.u32("part number")?;
        let rows = (0..count(&mut reader, "row count", ROW_BYTES_MIN)?)
            .map(|_| Row::decode(file, &mut reader))
            .collect::<Result<Vec<_>, _>>()?;
        reader.finish()?;
        let ascending = rows.is_sorted_by(|a, b| a.place() < b.place());
        if !ascending {
            return out_of_range("row order", 0);
        }
        Ok(Self { watermark, number, rows })
    }
}

/// The length of a list, refused before anything is allocated if the input cannot hold it.
fn count(
    reader: &mut ByteReader<'_>,
    field: &'static str,
    entry_bytes: usize,
) -> Result<usize, DecodeError> {
    let value = reader.u32(field)?;
    match usize::try_from(value) {
        Ok(count) if count <= reader.left() / entry_bytes => Ok(count),
        _ => out_of_range(field, u64::from(value)),
    }
}

/// Writes a run. Nothing of it counts before the manifest names it.
#[derive(Debug)]
pub(crate) struct RunWriter<'a> {
    dir: &'a ManifestDir,
    budget: Option<&'a IoBudget>,
    /// Its name, without part and extension.
    name: String,
    watermark: Lsn,
    written: Run,
    /// Rows of the part in the making, encoded.
    body: Vec<u8>,
    count: u32,
}

impl<'a> RunWriter<'a> {
    pub(crate) fn new(dir: &'a ManifestDir, name: String, watermark: Lsn) -> Self {
        let written = Run { files: Vec::new(), rows: 0 };
        Self { dir, budget: None, name, watermark, written, body: Vec::new(), count: 0 }
    }

    /// The same, no faster than a budget allows.
    pub(crate) const fn paced(mut self, budget: Option<&'a IoBudget>) -> Self {
        self.budget = budget;
        self
    }

    /// Appends a row; rows come in strictly ascending order.
    pub(crate) fn push(&mut self, row: &Row) -> Result<(), EngineError> {
        row.encode(&mut self.body);
        self.count += 1;
        self.written.rows += 1;
        if self.body.len() >= PART_BYTES {
            self.write_part()?;
        }
        Ok(())
    }

    /// Writes the last part. A run that says nothing has no file.
    pub(crate) fn finish(mut self) -> Result<Run, EngineError> {
        if self.count > 0 {
            self.write_part()?;
        }
        Ok(self.written)
    }

    #[expect(clippy::expect_used, reason = "limits keep parts far below 4 billion")]
    fn write_part(&mut self) -> Result<(), EngineError> {
        let number = self.written.files.len();
        let mut out = Vec::with_capacity(self.body.len() + 64);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.watermark.get().to_le_bytes());
        let part = u32::try_from(number).expect("parts are fewer than 2^32");
        out.extend_from_slice(&part.to_le_bytes());
        out.extend_from_slice(&std::mem::take(&mut self.count).to_le_bytes());
        out.append(&mut self.body);
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        let name = format!("{}-{number:04}.ndb", self.name);
        self.written.files.push(self.dir.write_file(&name, &out)?);
        if let Some(budget) = self.budget {
            budget.spend(out.len() as u64);
        }
        Ok(())
    }
}
