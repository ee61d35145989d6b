//! Counts what tenants take, for their limits.

use crate::{Error, schema::Schema, statistics::Question};
use nodedb_bridge::Priority;
use nodedb_control::{Shutdown, TenantBytes};
use nodedb_env::Clock;
use nodedb_types::TenantId;
use std::{sync::Arc, time::Duration};
use tokio::{task, time};

/// Counts the tenants that [`TenantBytes`] wants to know of, one at a time, in slices between the
/// requests of others.
#[derive(Debug)]
pub(crate) struct TenantCounter {
    pub(crate) bytes: Arc<TenantBytes>,
    pub(crate) schema: Arc<Schema>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Longest pause after a count, and the pause after one that failed.
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl TenantCounter {
    /// Counts until it is told to end.
    pub(crate) async fn run(self, mut shutdown: Shutdown) {
        loop {
            let tenant = tokio::select! {
                tenant = self.bytes.begin_count(|| self.clock.now()) => tenant,
                () = shutdown.requested() => return,
            };
            let began = self.clock.now();
            let schema = Arc::clone(&self.schema);
            // It blocks, and a thread of the runtime must not.
            let counted = task::spawn_blocking(move || count(&schema, tenant)).await;
            let counted = counted.unwrap_or_else(|error| Err(Error::internal(error.to_string())));
            let pause = match &counted {
                // As long as the count took: a tenant at its limit leaves the others half of the time.
                Ok(_) => self.clock.now().saturating_sub(began).min(PAUSE_MAX),
                Err(error) => {
                    let tenant = tenant.get();
                    tracing::warn!(error = %error, tenant, "counting the bytes of a tenant failed");
                    PAUSE_MAX
                }
            };
            self.bytes.end_count(tenant, counted.ok());
            if time::timeout(pause, shutdown.requested()).await.is_ok() {
                return;
            }
        }
    }
}

/// Bytes of the keys and values of a tenant.
fn count(schema: &Schema, tenant: TenantId) -> Result<u64, Error> {
    let question = Question { schema, priority: Priority::Background };
    let catalog = schema.sender.data.catalog();
    let bytes = |definition| {
        let counted = schema.sender.patiently(|| question.statistics(definition))?;
        Ok(counted.key_bytes + counted.value_bytes)
    };
    catalog.of(tenant).map(bytes).sum()
}
