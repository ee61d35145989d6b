//! The base images of an archive.

use crate::{
    ColdError,
    base::{BaseManifest, PartRef},
    error::FormatError,
    restore::ArchiveReader,
    verify::{VerifyLevel, VerifyReport},
};
use std::collections::BTreeSet;

impl ArchiveReader {
    pub(super) async fn verify_bases(
        &self,
        level: VerifyLevel,
        report: &mut VerifyReport,
    ) -> Result<(), ColdError> {
        let mut seen = BTreeSet::new();
        for id in self.bases().await? {
            report.files += 1;
            match self.base(id).await {
                Ok(base) => self.verify_parts(&base, level, &mut seen, report).await?,
                Err(error) => report.note(error, None)?,
            }
        }
        Ok(())
    }

    async fn verify_parts(
        &self,
        base: &BaseManifest,
        level: VerifyLevel,
        seen: &mut BTreeSet<crate::ObjectHash>,
        report: &mut VerifyReport,
    ) -> Result<(), ColdError> {
        for part in base.files.iter().flat_map(|file| &file.parts) {
            // Bases share parts; each is looked at once.
            if !seen.insert(part.hash()) {
                continue;
            }
            report.files += 1;
            let checked = match level {
                VerifyLevel::Chain => self.find_part(part).await,
                VerifyLevel::Content => {
                    report.bytes += u64::from(part.len());
                    self.fetch_part(part).await.map(drop)
                }
            };
            if let Err(error) = checked {
                report.note(error, None)?;
            }
        }
        Ok(())
    }

    async fn find_part(&self, part: &PartRef) -> Result<(), ColdError> {
        let key = self.lineage.layout.part(part.hash());
        match self.store.stat(&key).await? {
            Some(len) if len == u64::from(part.len()) => Ok(()),
            Some(_) => {
                let problem = FormatError::Field { field: "part length" };
                Err(ColdError::Corrupt { key, problem })
            }
            None => Err(ColdError::Missing { key }),
        }
    }
}
