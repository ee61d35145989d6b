//! Which databases have an archive in a store.

use crate::{
    ColdError,
    layout::Layout,
    store::{Folder, ObjectStore},
};
use nodedb_types::DatabaseId;

/// The databases that have an archive in this store, sorted.
///
/// # Errors
/// [`ColdError::Store`].
pub async fn list_databases(store: &dyn ObjectStore) -> Result<Vec<DatabaseId>, ColdError> {
    let root = Folder::root();
    let mut found = Vec::new();
    for spread in store.list(&root).await?.folders {
        let spread = root.folder(&spread);
        for name in store.list(&spread).await?.folders {
            let Some(database_id) = DatabaseId::parse(&name) else {
                continue;
            };
            let key = Layout::new(database_id).format();
            let here = *key.as_str() == format!("{spread}/{name}/FORMAT");
            if here && store.stat(&key).await?.is_some() {
                found.push(database_id);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}
