//! The base images of an archive.

use crate::{
    ColdError,
    base::{BASE_BYTES_MAX, BaseManifest},
    error::FormatError,
    layout::BaseId,
    restore::ArchiveReader,
};

impl ArchiveReader {
    /// The completed base images on this history, newest first.
    ///
    /// # Errors
    /// [`ColdError::Store`].
    pub async fn bases(&self) -> Result<Vec<BaseId>, ColdError> {
        let folder = self.lineage.layout.bases();
        let names = self.store.list(&folder).await?.folders;
        let mut bases = Vec::new();
        for id in names.iter().filter_map(|name| BaseId::parse(name)) {
            if self.lineage.holds_base(id)
                && self.store.stat(&self.lineage.layout.base(id)).await?.is_some()
            {
                bases.push(id);
            }
        }
        bases.sort_unstable_by(|a, b| b.cmp(a));
        Ok(bases)
    }

    /// The manifest of a base image, verified.
    ///
    /// # Errors
    /// [`ColdError::Missing`] if it was not completed; [`ColdError::Corrupt`]; [`ColdError::Store`].
    pub async fn base(&self, id: BaseId) -> Result<BaseManifest, ColdError> {
        let key = self.lineage.layout.base(id);
        let Some(bytes) = self.store.get(&key, BASE_BYTES_MAX).await? else {
            return Err(ColdError::Missing { key });
        };
        let base = BaseManifest::decode(&bytes).map_err(ColdError::corrupt(&key))?;
        let format = &self.lineage.format;
        let expected = base.id() == id
            && base.database_id == format.database_id
            && base.incarnation == format.incarnation;
        if expected {
            Ok(base)
        } else {
            let problem = FormatError::Foreign { field: "identity" };
            Err(ColdError::Corrupt { key, problem })
        }
    }
}
