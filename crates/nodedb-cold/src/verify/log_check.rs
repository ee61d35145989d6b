//! The log of an archive.

use crate::{
    ColdError,
    error::FormatError,
    hash::ObjectHash,
    log_object::{HEADER_LEN, TRAILER_LEN},
    restore::{ArchiveReader, LogWalk, PlannedObject},
    verify::{VerifyLevel, VerifyReport},
};

/// Digest of the object before and the position after it, while nothing lies between.
type Chain = Option<(ObjectHash, nodedb_types::Lsn)>;

impl ArchiveReader {
    pub(super) async fn verify_log(
        &self,
        level: VerifyLevel,
        report: &mut VerifyReport,
    ) -> Result<(), ColdError> {
        let start = self.lineage.start();
        let mut walk = LogWalk::begin(&*self.store, &self.lineage, start).await?;
        let first = self.lineage.spans().first();
        let mut chain: Chain = first.map(|span| (span.record.chain, start));
        loop {
            match walk.step().await {
                Ok(None) => return Ok(()),
                Ok(Some(object)) => {
                    let hash = self.verify_object(&object, chain, level, report).await?;
                    chain = hash.map(|hash| (hash, object.range.end()));
                }
                Err(error) => {
                    report.note(error, None)?;
                    chain = None;
                    if !walk.skip().await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The digest of the object, if it has one that can be relied on.
    async fn verify_object(
        &self,
        object: &PlannedObject,
        chain: Chain,
        level: VerifyLevel,
        report: &mut VerifyReport,
    ) -> Result<Option<ObjectHash>, ColdError> {
        report.files += 1;
        let hash = match level {
            VerifyLevel::Chain => {
                report.bytes += (HEADER_LEN + TRAILER_LEN) as u64;
                self.trailer(object).await.map(|trailer| trailer.hash)
            }
            VerifyLevel::Content => {
                report.bytes += object.bytes;
                self.verify_batches(object).await
            }
        };
        let hash = match hash {
            Ok(hash) => hash,
            Err(error) => {
                report.note(error, Some(object.range))?;
                return Ok(None);
            }
        };
        report.records += object.range.count();
        let follows = chain.filter(|(_, end)| *end == object.range.start());
        if let Some((found, _)) = follows.filter(|(found, _)| *found != object.previous) {
            let broken = ColdError::BrokenChain {
                key: object.key.clone(),
                expected: object.previous,
                found,
            };
            report.note(broken, Some(object.range))?;
        }
        Ok(Some(hash))
    }

    async fn verify_batches(&self, object: &PlannedObject) -> Result<ObjectHash, ColdError> {
        let decoded = self.fetch_log(object).await?;
        // The walk has judged the header that it read alone; both reads must agree.
        if decoded.previous() != object.previous {
            let problem = FormatError::Foreign { field: "previous digest" };
            let key = object.key.clone();
            return Err(ColdError::Corrupt { key, problem });
        }
        for batch in decoded.batches() {
            batch?;
        }
        Ok(decoded.hash())
    }
}
