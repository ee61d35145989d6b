//! Named restore points: records of the log, which the archive lists.

use crate::{Database, Error, log::append_housekeeping, sealed_file::SealedFile};
use nodedb_engine::RecordKind;
use nodedb_types::{ByteReader, DecodeError, Lsn, Name, put_bytes};
use std::{collections::BTreeSet, path::Path};

const FILE: SealedFile = SealedFile { magic: *b"NODEDBPT", version: 1 };
/// Most restore points of a database.
const POINTS_MAX: usize = 10_000;

/// A named position of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RestorePoint {
    /// Its record. Restoring to the point restores everything up to here.
    pub lsn: Lsn,
    /// When it was made, in milliseconds since 1970 by the commit clock.
    pub time_ms: u64,
}

impl Database {
    /// Names the present position, so that `restore` can go back to it. Durable on return; in the
    /// archive with its next object, or after `checkpoint` with `wait_archive`.
    ///
    /// # Errors
    /// [`Error::RestorePointExists`], [`Error::Name`], [`Error::TooManyRestorePoints`];
    /// [`Error::Append`] and [`Error::Wait`] if the log fails.
    pub fn restore_point(&self, name: &str) -> Result<RestorePoint, Error> {
        let inner = &self.inner;
        inner.check_open()?;
        let name = Name::new(name)?;
        let _one_at_a_time = inner.points.lock();
        let path = inner.directory.points_path();
        let mut points = read_points(&*inner.env.files, &path)?;
        if points.contains(&name) {
            return Err(Error::RestorePointExists { name: name.to_string() });
        }
        if points.len() >= POINTS_MAX {
            return Err(Error::TooManyRestorePoints { limit: POINTS_MAX });
        }
        let wal = inner.log.wal();
        let payload = name.as_str().as_bytes();
        let lsn = append_housekeeping(wal, RecordKind::RestorePoint, payload)?;
        wal.wait_durable(lsn, inner.env.clock.now() + inner.options.request_deadline)?;
        let time_ms = wal.commit_time_ms();
        // The record first. After a crash in between the name can be given again; restore then takes
        // the newest of that name.
        points.insert(name);
        write_points(&*inner.env.files, &path, &points)?;
        Ok(RestorePoint { lsn, time_ms })
    }
}

pub(crate) fn read_points(
    files: &dyn nodedb_env::Files,
    path: &Path,
) -> Result<BTreeSet<Name>, Error> {
    Ok(FILE.read(files, path, decode)?.unwrap_or_default())
}

fn decode(reader: &mut ByteReader<'_>) -> Result<BTreeSet<Name>, DecodeError> {
    let mut points = BTreeSet::new();
    while reader.left() > 0 {
        let name = Name::new(reader.text("restore point")?);
        points.insert(name.or(Err(DecodeError::NotText { field: "restore point" }))?);
    }
    Ok(points)
}

fn write_points(
    files: &dyn nodedb_env::Files,
    path: &Path,
    points: &BTreeSet<Name>,
) -> Result<(), Error> {
    let mut out = Vec::new();
    for name in points {
        put_bytes(&mut out, name.as_str().as_bytes());
    }
    FILE.write(files, path, &out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nodedb_types::ErrorKind;

    /// Each point writes the file of all, so the test begins just below the limit.
    #[test]
    fn restore_points_up_to_the_limit_are_named_and_no_more() {
        let dir = tempfile::tempdir().expect("a directory");
        let database = Database::open(dir.path().join("db")).expect("opened");
        let name = |number: usize| Name::new(&format!("p{number}")).expect("a name");
        let points: BTreeSet<_> = (1..POINTS_MAX).map(name).collect();
        let path = database.inner.directory.points_path();
        write_points(&*database.inner.env.files, &path, &points).expect("written");
        database.restore_point("last").expect("at the limit");
        let durable = database.status().expect("a status").durable_lsn;
        let error = database.restore_point("one-more").expect_err("above the limit");
        assert!(matches!(error, Error::TooManyRestorePoints { limit: POINTS_MAX }), "{error}");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(database.status().expect("a status").durable_lsn, durable);
    }
}
