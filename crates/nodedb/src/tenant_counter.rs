//! Counts what tenants take, for their limits.

use crate::{schema::Schema, tenant_count::TenantCount};
use nodedb_control::{Shutdown, TenantBytes};
use nodedb_env::Clock;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{task, time};

/// Counts the tenants that [`TenantBytes`] wants to know of: a slice of each in turn, so that nobody waits
/// for a larger neighbour, and between the requests of others.
#[derive(Debug)]
pub(crate) struct TenantCounter {
    pub(crate) bytes: Arc<TenantBytes>,
    pub(crate) schema: Arc<Schema>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Time that is counted on end.
const STRETCH: Duration = Duration::from_millis(4);
/// Longest pause after a stretch, and the pause of a count whose slice has failed.
const PAUSE_MAX: Duration = Duration::from_secs(1);

impl TenantCounter {
    /// Counts until it is told to end.
    pub(crate) async fn run(self, mut shutdown: Shutdown) {
        // At most one for each tenant: one that is being counted is not begun.
        let mut counts = VecDeque::new();
        let mut stretch = Duration::ZERO;
        loop {
            let now = self.clock.now();
            while let Some(tenant) = self.bytes.try_begin(now) {
                counts.push_back(TenantCount::begin(tenant, &self.schema, now));
            }
            let due = counts.iter().position(|count| count.due <= now);
            let Some(count) = due.and_then(|due| counts.remove(due)) else {
                let wait = counts.iter().map(|count| count.due.saturating_sub(now)).min();
                tokio::select! {
                    () = self.bytes.wanted() => {}
                    () = shutdown.requested() => return,
                    () = time::sleep(wait.unwrap_or(PAUSE_MAX)), if wait.is_some() => {}
                }
                continue;
            };
            let slice = tokio::select! {
                slice = self.slice(count) => slice,
                () = shutdown.requested() => return,
            };
            counts.extend(slice);
            // A tenant at its limit leaves the others half of the time.
            stretch += self.clock.now().saturating_sub(now).min(PAUSE_MAX);
            if stretch >= STRETCH {
                if time::timeout(stretch, shutdown.requested()).await.is_ok() {
                    return;
                }
                stretch = Duration::ZERO;
            }
        }
    }

    /// Counts a slice. Answers the count if it is to be gone on with.
    async fn slice(&self, mut count: TenantCount) -> Option<TenantCount> {
        let tenant = count.tenant;
        let schema = Arc::clone(&self.schema);
        // It blocks, and a thread of the runtime must not.
        let slice = task::spawn_blocking(move || (count.go_on(&schema), count)).await;
        match slice {
            Ok((Ok(None), count)) => Some(count),
            Ok((Ok(Some(bytes)), _)) => {
                self.bytes.end_count(tenant, Some(bytes));
                None
            }
            Ok((Err(error), mut count)) => {
                let tenant = tenant.get();
                tracing::warn!(%error, tenant, "counting a tenant's bytes is tried again in a second");
                count.due = self.clock.now() + PAUSE_MAX;
                Some(count)
            }
            Err(panicked) => {
                tracing::error!(error = %panicked, tenant = tenant.get(), "counting a tenant ended");
                time::sleep(PAUSE_MAX).await;
                self.bytes.end_count(tenant, None);
                None
            }
        }
    }
}
