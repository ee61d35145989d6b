//! The verification as a whole.

use crate::{
    ColdError,
    restore::ArchiveReader,
    verify::{VerifyLevel, VerifyReport},
};

impl ArchiveReader {
    /// Looks at everything in the archive of this history. Changes no byte.
    ///
    /// # Errors
    /// Only if the store fails; what is wrong with the archive is in the report.
    pub async fn verify(&self, level: VerifyLevel) -> Result<VerifyReport, ColdError> {
        // FORMAT and the epochs were verified when the archive was opened.
        let mut report = VerifyReport {
            files: 1 + self.lineage.spans().len() as u64,
            ..VerifyReport::default()
        };
        self.verify_log(level, &mut report).await?;
        self.verify_bases(level, &mut report).await?;
        Ok(report)
    }
}
