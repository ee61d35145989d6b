//! The writers of an archive, and which records each of them contributes.

use crate::{
    ColdError,
    error::FormatError,
    layout::{BaseId, Layout},
    record::{EpochRecord, FormatRecord, RECORD_BYTES_MAX},
    store::ObjectStore,
    writer::WriterEpoch,
};
use nodedb_types::{DatabaseId, Lsn};

/// One history through all epochs.
#[derive(Clone, Debug)]
pub(crate) struct Lineage {
    pub(crate) layout: Layout,
    pub(crate) format: FormatRecord,
    spans: Vec<EpochSpan>,
}

/// The records of one epoch that are history: from its start to the start of the next epoch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EpochSpan {
    pub(crate) record: EpochRecord,
    pub(crate) end: Option<Lsn>,
}

impl EpochSpan {
    pub(crate) fn contains(&self, lsn: Lsn) -> bool {
        self.record.start_lsn <= lsn && self.end.is_none_or(|end| lsn < end)
    }
}

impl Lineage {
    pub(crate) async fn load(
        store: &dyn ObjectStore,
        database_id: DatabaseId,
    ) -> Result<Self, ColdError> {
        let layout = Layout::new(database_id);
        let key = layout.format();
        let Some(bytes) = store.get(&key, RECORD_BYTES_MAX).await? else {
            return Err(ColdError::NoArchive);
        };
        let format = FormatRecord::decode(&bytes).map_err(ColdError::corrupt(&key))?;
        if format.database_id != database_id {
            let problem = FormatError::Foreign { field: "database id" };
            return Err(ColdError::Corrupt { key, problem });
        }
        let mut spans: Vec<EpochSpan> = Vec::new();
        let mut next = Some(WriterEpoch::FIRST);
        while let Some(epoch) = next {
            let key = layout.epoch(epoch);
            let Some(bytes) = store.get(&key, RECORD_BYTES_MAX).await? else {
                break;
            };
            let record = EpochRecord::decode(&bytes).map_err(ColdError::corrupt(&key))?;
            let parent = spans.last_mut();
            check(&record, database_id, epoch, parent.as_deref())
                .map_err(ColdError::corrupt(&key))?;
            if let Some(parent) = parent {
                parent.end = Some(record.start_lsn);
            }
            spans.push(EpochSpan { record, end: None });
            next = epoch.next();
        }
        if spans.is_empty() {
            let key = layout.epoch(WriterEpoch::FIRST);
            return Err(ColdError::Missing { key });
        }
        Ok(Self { layout, format, spans })
    }

    pub(crate) fn spans(&self) -> &[EpochSpan] {
        &self.spans
    }

    /// The first record that the log of the archive can hold.
    pub(crate) fn start(&self) -> Lsn {
        self.spans.first().map_or(Lsn::FIRST, |span| span.record.start_lsn)
    }

    /// Which epoch contributes the record.
    pub(crate) fn span_of(&self, lsn: Lsn) -> Option<usize> {
        self.spans.iter().position(|span| span.contains(lsn))
    }

    /// Whether a base holds only what became history. Its highest record may also be the last
    /// before its writer's epoch, where an archive was attached to a database that existed.
    pub(crate) fn holds_base(&self, base: BaseId) -> bool {
        let of_epoch = |span: &&EpochSpan| span.record.writer.writer_epoch == base.writer_epoch;
        let span = self.spans.iter().find(of_epoch);
        span.is_some_and(|span| span.end.is_none_or(|end| base.ceiling_lsn < end))
    }
}

fn check(
    record: &EpochRecord,
    database_id: DatabaseId,
    epoch: WriterEpoch,
    parent: Option<&EpochSpan>,
) -> Result<(), FormatError> {
    let foreign = |field| Err(FormatError::Foreign { field });
    if record.writer.database_id != database_id {
        return foreign("database id");
    }
    if record.writer.writer_epoch != epoch {
        return foreign("writer epoch");
    }
    if record.parent != parent.map(|parent| parent.record.writer.writer_epoch) {
        return foreign("parent epoch");
    }
    if parent.is_some_and(|parent| record.start_lsn < parent.record.start_lsn) {
        return Err(FormatError::Field { field: "start lsn" });
    }
    Ok(())
}
