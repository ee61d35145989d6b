//! Tables as one sorted map in one file: the reference that the real ones are compared with.

use super::{Row, Rows, SortedTables, TableStore, TableView, Verified};
use crate::{Direction, Dropped, row_range::Bounds};
use bytes::Bytes;
use nodedb_engine::{EngineError, IoBudget};
use nodedb_env::{Files, Open};
use nodedb_types::{ByteReader, DecodeError, put_bytes};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};
use xxhash_rust::xxh3::xxh3_128;

/// Tables that are one map, rewritten whole at each flush, all of its I/O through the file port. For
/// simulations and models; a real database would spend its life rewriting it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PlainTables;

type Map = BTreeMap<Bytes, Bytes>;

const FILE: &str = "rows";

#[derive(Debug)]
struct Plain {
    files: Arc<dyn Files>,
    path: PathBuf,
    rows: Arc<Map>,
    dropped: Dropped,
    /// After a failed rename or directory sync: a later sync would prove nothing of the names.
    in_doubt: bool,
}

impl TableStore for PlainTables {
    fn create(
        &self,
        files: &Arc<dyn Files>,
        dir: &Path,
    ) -> Result<Box<dyn SortedTables>, EngineError> {
        files.create_dir(dir).map_err(EngineError::io("creating", dir))?;
        let mut plain = Plain {
            files: Arc::clone(files),
            path: dir.join(FILE),
            rows: Arc::default(),
            dropped: Dropped::default(),
            in_doubt: false,
        };
        plain.write(&Arc::clone(&plain.rows))?;
        Ok(Box::new(plain))
    }

    fn exists(&self, files: &dyn Files, dir: &Path) -> Result<bool, EngineError> {
        let path = dir.join(FILE);
        let entry = files.entry(&path).map_err(EngineError::io("looking at", &path))?;
        Ok(entry.is_some())
    }

    fn open(
        &self,
        files: &Arc<dyn Files>,
        dir: &Path,
    ) -> Result<Box<dyn SortedTables>, EngineError> {
        let path = dir.join(FILE);
        let (rows, _) = read(&**files, &path)?;
        let mut plain = Plain {
            files: Arc::clone(files),
            path,
            rows: Arc::new(rows),
            dropped: Dropped::default(),
            in_doubt: false,
        };
        // Written again instead of synced: its temporary file may be there as well.
        plain.write(&Arc::clone(&plain.rows))?;
        Ok(Box::new(plain))
    }

    fn verify(&self, files: &dyn Files, dir: &Path) -> Result<Verified, EngineError> {
        let (_, bytes) = read(files, &dir.join(FILE))?;
        Ok(Verified { files: 1, bytes })
    }
}

impl Plain {
    /// Replaces the file. A failure before the rename leaves everything as it was.
    fn write(&mut self, rows: &Map) -> Result<(), EngineError> {
        if self.in_doubt {
            let path = self.path.clone();
            return Err(EngineError::InDoubt { path });
        }
        let mut out = Vec::new();
        for (key, value) in rows {
            put_bytes(&mut out, key);
            put_bytes(&mut out, value);
        }
        let digest = xxh3_128(&out);
        out.extend_from_slice(&digest.to_le_bytes());
        let temporary = self.path.with_extension("tmp");
        self.write_new(&temporary, &out).map_err(EngineError::io("writing", &temporary))?;
        let dir = self.path.parent().unwrap_or(&self.path);
        let renamed = self.files.rename(&temporary, &self.path);
        let named = renamed.and_then(|()| self.files.sync_dir(dir));
        self.in_doubt |= named.is_err();
        named.map_err(EngineError::io("renaming", &self.path))
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.files.entry(path)?.is_some() {
            self.files.remove_file(path)?;
        }
        let file = self.files.open(path, Open::CreateNew)?;
        file.write_all_at(bytes, 0)?;
        file.sync_data()
    }
}

fn read(files: &dyn Files, path: &Path) -> Result<(Map, u64), EngineError> {
    let bytes = files.read(path).map_err(EngineError::io("reading", path))?;
    let Some((body, digest)) = bytes.split_last_chunk::<16>() else {
        return Err(EngineError::corrupt(path, "shorter than its checksum"));
    };
    if xxh3_128(body).to_le_bytes() != *digest {
        return Err(EngineError::corrupt(path, "checksum does not match"));
    }
    let rows = decode(body).map_err(|error| EngineError::corrupt(path, error.to_string()))?;
    Ok((rows, bytes.len() as u64))
}

fn decode(body: &[u8]) -> Result<Map, DecodeError> {
    let mut reader = ByteReader::new(body);
    let mut rows = Map::new();
    while reader.left() > 0 {
        let key = Bytes::copy_from_slice(reader.bytes("row key")?);
        rows.insert(key, Bytes::copy_from_slice(reader.bytes("row")?));
    }
    Ok(rows)
}

impl SortedTables for Plain {
    fn ingest(&mut self, rows: &mut dyn Iterator<Item = Row>) -> Result<(), EngineError> {
        let mut next = Map::clone(&self.rows);
        for (key, value) in rows {
            match value {
                Some(value) => next.insert(key, value.into()),
                None => next.remove(&key),
            };
        }
        self.write(&next)?;
        self.rows = Arc::new(next);
        Ok(())
    }

    fn compact(&mut self, _: &Arc<IoBudget>) -> Result<bool, EngineError> {
        if !self.rows.keys().any(|key| self.dropped.has(key)) {
            return Ok(false);
        }
        let mut next = Map::clone(&self.rows);
        next.retain(|key, _| !self.dropped.has(key));
        self.write(&next)?;
        self.rows = Arc::new(next);
        Ok(true)
    }

    fn set_dropped(&mut self, dropped: &Dropped) {
        self.dropped.clone_from(dropped);
    }

    fn view(&self) -> Arc<dyn TableView> {
        Arc::new(PlainView(Arc::clone(&self.rows)))
    }
}

#[derive(Debug)]
struct PlainView(Arc<Map>);

impl TableView for PlainView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&self, bounds: Bounds<'_>, direction: Direction) -> Rows<'_> {
        let mut rows = self.0.range::<[u8], _>(bounds);
        let rows = std::iter::from_fn(move || direction.next(&mut rows));
        Box::new(rows.map(|(key, value)| Ok((key.clone(), Some(value.clone())))))
    }
}
