//! The restore points of an archive.

use crate::{
    ColdError,
    log_object::{ArchivedPoint, TRAILER_LEN, Trailer, decode_points},
    restore::{ArchiveReader, LogWalk, PlannedObject},
};
use nodedb_types::{Lsn, Name};

impl ArchiveReader {
    /// The restore points that can be reached, oldest first. Reads the ends of all log objects from
    /// the oldest base on.
    ///
    /// # Errors
    /// [`ColdError::Gap`] and [`ColdError::Corrupt`] where the log cannot be followed;
    /// [`ColdError::Store`].
    pub async fn points(&self) -> Result<Vec<ArchivedPoint>, ColdError> {
        let mut points = Vec::new();
        for (from, to) in self.stretches().await?.into_iter().rev() {
            points.extend(self.points_between(from, to).await?);
        }
        Ok(points)
    }

    /// The newest point of that name. Searched from the newest base on backwards, so that a hole in
    /// old log does not stand in the way of a new point.
    pub(super) async fn find_point(&self, name: &Name) -> Result<ArchivedPoint, ColdError> {
        for (from, to) in self.stretches().await? {
            let points = self.points_between(from, to).await?;
            if let Some(point) = points.into_iter().rfind(|point| point.name == *name) {
                return Ok(point);
            }
        }
        Err(ColdError::UnknownPoint { name: name.to_string() })
    }

    /// The log from each base's redo position to that of the next newer one, newest first.
    async fn stretches(&self) -> Result<Vec<(Lsn, Option<Lsn>)>, ColdError> {
        let mut stretches = Vec::new();
        let mut to = None;
        for id in self.bases().await? {
            // A damaged base restores nothing; its stretch belongs to the one below.
            let Ok(base) = self.base(id).await else {
                continue;
            };
            if to.is_none_or(|to| base.redo_lsn < to) {
                stretches.push((base.redo_lsn, to));
                to = Some(base.redo_lsn);
            }
        }
        let first = self.lineage.start();
        if first == Lsn::FIRST && to.is_none_or(|to| first < to) {
            stretches.push((first, to));
        }
        Ok(stretches)
    }

    async fn points_between(
        &self,
        from: Lsn,
        to: Option<Lsn>,
    ) -> Result<Vec<ArchivedPoint>, ColdError> {
        let mut points = Vec::new();
        let mut walk = LogWalk::begin(&*self.store, &self.lineage, from).await?;
        while to.is_none_or(|to| walk.next_lsn() < to)
            && let Some(object) = walk.step().await?
        {
            let inside = |point: &ArchivedPoint| {
                object.range.contains(point.lsn)
                    && from <= point.lsn
                    && to.is_none_or(|to| point.lsn < to)
            };
            let found = self.points_of(&object).await?;
            points.extend(found.into_iter().filter(inside));
        }
        Ok(points)
    }

    async fn points_of(&self, object: &PlannedObject) -> Result<Vec<ArchivedPoint>, ColdError> {
        let trailer = self.trailer(object).await?;
        if trailer.point_count == 0 {
            return Ok(Vec::new());
        }
        let (offset, len) = (trailer.points_offset, trailer.points_len());
        let bytes = self.store.get_range(&object.key, offset, len).await?;
        decode_points(&bytes.unwrap_or_default(), trailer.point_count)
            .map_err(ColdError::corrupt(&object.key))
    }

    /// The end of a log object. Its digest covers it only together with the whole object.
    pub(crate) async fn trailer(&self, object: &PlannedObject) -> Result<Trailer, ColdError> {
        let len = TRAILER_LEN as u64;
        let offset = object.bytes.saturating_sub(len);
        let bytes = self.store.get_range(&object.key, offset, len).await?;
        Trailer::decode(&bytes.unwrap_or_default(), object.bytes)
            .map_err(ColdError::corrupt(&object.key))
    }
}
