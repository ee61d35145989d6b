//! How many bytes each tenant takes, as far as a limit needs to know.

use crate::AdmissionError;
use nodedb_types::TenantId;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::Notify;

/// Holds tenants to a limit of bytes without a counter on disk: what a tenant takes is counted now and
/// then by somebody else, and what it has written since is added, an upper bound.
///
/// A write is admitted only below the limit by that bound. Where the bound says no although a newer
/// count might say yes, the write is turned away as [`AdmissionError::TenantUncounted`], kind `Busy`, and
/// a count is wanted; [`AdmissionError::TenantFull`] is said only if nothing was answered since the last
/// count began, which is at most a minute ago. So a delete that was acknowledged makes room for the next
/// write, and what has expired does within a minute.
///
/// What a tenant takes never exceeds the limit, but for writes that were under way when a count began and
/// that their callers had given up waiting for: at most so many bytes, until the count after.
#[derive(Debug)]
pub struct TenantBytes {
    limit: Option<u64>,
    /// One for each tenant that has written.
    accounts: Mutex<BTreeMap<TenantId, Account>>,
    wanted: Notify,
}

/// Room that a write takes, or, with none, that it may have made. Dropped once the write is answered.
#[derive(Debug)]
pub struct TenantRoom {
    of: Arc<TenantBytes>,
    tenant: TenantId,
    bytes: u64,
}

#[derive(Debug, Default)]
struct Account {
    /// The last complete count.
    counted: Option<Count>,
    /// The count under way.
    counting: Option<Mark>,
    /// Whether somebody waits for a count.
    wanted: bool,
    /// Bytes admitted since the database was opened.
    admitted: u64,
    /// Of those, bytes whose writes are not answered: a count may see them or not.
    in_flight: u64,
    /// Grows with everything that may change what a count finds.
    events: u64,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    bytes: u64,
    since: Mark,
}

/// The moment at which a count began.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Everything admitted up to here was answered, so the count has seen it.
    admitted: u64,
    events: u64,
    at: Duration,
}

/// Age at which a count is doubted although nothing has happened that is known here: documents expire.
const COUNT_AGE_MAX: Duration = Duration::from_mins(1);

impl TenantBytes {
    /// The same limit for each tenant, in bytes of keys and stored values; `None` for no limit.
    pub fn new(limit: Option<u64>) -> Arc<Self> {
        Arc::new(Self { limit, accounts: Mutex::default(), wanted: Notify::new() })
    }

    /// Whether there is a limit at all.
    pub const fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Admits a write of so many bytes; one without any, such as a delete, always. `None` without a
    /// limit. `now` is a time of a clock that never goes back.
    ///
    /// # Errors
    /// [`AdmissionError::TenantFull`], [`AdmissionError::TenantUncounted`]: nothing was done.
    pub fn admit(
        self: &Arc<Self>,
        tenant: TenantId,
        bytes: u64,
        now: Duration,
    ) -> Result<Option<TenantRoom>, AdmissionError> {
        let Some(limit) = self.limit else {
            return Ok(None);
        };
        let mut accounts = self.accounts.lock();
        let account = accounts.entry(tenant).or_default();
        match account.check(bytes, limit, now) {
            Ok(()) => {}
            Err(Refusal::Full { used }) => {
                return Err(AdmissionError::TenantFull { tenant, used, bytes, limit });
            }
            Err(Refusal::Doubtful) => {
                account.wanted = true;
                self.wanted.notify_one();
                return Err(AdmissionError::TenantUncounted { tenant });
            }
        }
        account.admitted += bytes;
        account.in_flight += bytes;
        Ok(Some(TenantRoom { of: Arc::clone(self), tenant, bytes }))
    }

    /// Waits until somebody wants a tenant to be counted; [`TenantBytes::try_begin`] says whom.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Begins to count a tenant of whom it is wanted and who is not being counted, if there is one. The
    /// count must see everything that has been answered by now, and ends with [`TenantBytes::end_count`].
    /// `now` is a time of the clock of [`TenantBytes::admit`].
    pub fn try_begin(&self, now: Duration) -> Option<TenantId> {
        let mut accounts = self.accounts.lock();
        let wanted = |account: &Account| account.wanted && account.counting.is_none();
        let (tenant, account) = accounts.iter_mut().find(|(_, account)| wanted(account))?;
        account.wanted = false;
        let admitted = account.admitted - account.in_flight;
        account.counting = Some(Mark { admitted, events: account.events, at: now });
        Some(*tenant)
    }

    /// Ends a count with what it found, or without a result: then it is wanted again.
    pub fn end_count(&self, tenant: TenantId, bytes: Option<u64>) {
        let mut accounts = self.accounts.lock();
        let account = accounts.entry(tenant).or_default();
        let since = account.counting.take();
        if let Some((since, bytes)) = since.zip(bytes) {
            account.counted = Some(Count { bytes, since });
        } else {
            account.wanted = true;
            self.wanted.notify_one();
        }
    }
}

enum Refusal {
    Full { used: u64 },
    Doubtful,
}

impl Account {
    fn check(&self, bytes: u64, limit: u64, now: Duration) -> Result<(), Refusal> {
        if bytes == 0 {
            return Ok(());
        }
        let Some(Count { bytes: counted, since }) = self.counted else {
            return Err(Refusal::Doubtful);
        };
        assert!(since.admitted <= self.admitted, "what is admitted only grows");
        let used = counted + (self.admitted - since.admitted);
        if used.saturating_add(bytes) <= limit {
            return Ok(());
        }
        let doubtful = since.events != self.events || now >= since.at + COUNT_AGE_MAX;
        if doubtful && bytes <= limit {
            Err(Refusal::Doubtful)
        } else {
            Err(Refusal::Full { used })
        }
    }
}

impl Drop for TenantRoom {
    fn drop(&mut self) {
        let mut accounts = self.of.accounts.lock();
        let account = accounts.entry(self.tenant).or_default();
        assert!(account.in_flight >= self.bytes, "room is given back once");
        account.in_flight -= self.bytes;
        account.events += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId::new(7);
    const OTHER: TenantId = TenantId::new(8);
    const NOW: Duration = Duration::from_secs(5);

    fn limited(counted: u64) -> Arc<TenantBytes> {
        let bytes = TenantBytes::new(Some(100));
        count(&bytes, counted);
        bytes
    }

    /// A count that is asked for and done.
    fn count(of: &Arc<TenantBytes>, found: u64) {
        assert!(matches!(admit(of, 100), Err(AdmissionError::TenantUncounted { .. })));
        assert_eq!(of.try_begin(NOW), Some(TENANT));
        of.end_count(TENANT, Some(found));
    }

    fn admit(of: &Arc<TenantBytes>, bytes: u64) -> Result<Option<TenantRoom>, AdmissionError> {
        of.admit(TENANT, bytes, NOW)
    }

    fn is_full(of: &Arc<TenantBytes>, bytes: u64) -> bool {
        matches!(admit(of, bytes), Err(AdmissionError::TenantFull { .. }))
    }

    #[test]
    fn the_limit_is_reached_and_not_passed() {
        let bytes = limited(60);
        assert!(is_full(&bytes, 41), "60 were counted, and nothing has happened since");
        let room = admit(&bytes, 40).expect("exactly the limit");
        assert!(is_full(&bytes, 1), "it is under way, so the count could not say more");
        drop(room);
        assert!(matches!(admit(&bytes, 1), Err(AdmissionError::TenantUncounted { .. })));
        assert!(admit(&bytes, 0).is_ok(), "deletes are never refused");
        assert!(is_full(&bytes, 101), "it fits no count");
        let other = bytes.admit(OTHER, 1, NOW).expect_err("not counted yet");
        assert!(matches!(other, AdmissionError::TenantUncounted { tenant: OTHER }));
    }

    #[test]
    fn a_delete_makes_room_after_a_count() {
        let bytes = limited(100);
        assert!(is_full(&bytes, 1));
        drop(admit(&bytes, 0).expect("a delete"));
        assert!(matches!(admit(&bytes, 1), Err(AdmissionError::TenantUncounted { .. })));
        assert_eq!(bytes.try_begin(NOW), Some(TENANT));
        assert_eq!(bytes.try_begin(NOW), None, "one count at a time");
        bytes.end_count(TENANT, Some(90));
        assert!(admit(&bytes, 10).is_ok());
    }

    /// A count may miss what is under way while it begins, and see what is admitted meanwhile.
    #[test]
    fn what_is_under_way_during_a_count_is_counted_on_top() {
        let bytes = limited(0);
        let early = admit(&bytes, 30).expect("room");
        drop(admit(&bytes, 50).expect("room"));
        assert!(matches!(admit(&bytes, 30), Err(AdmissionError::TenantUncounted { .. })));
        assert_eq!(bytes.try_begin(NOW), Some(TENANT));
        let late = admit(&bytes, 20).expect("room by the count before");
        bytes.end_count(TENANT, Some(50));
        assert!(admit(&bytes, 1).is_err(), "50 counted, 30 and 20 perhaps not");
        drop((early, late));
        count(&bytes, 60);
        assert!(admit(&bytes, 40).is_ok());
    }

    #[test]
    fn an_old_count_is_doubted_and_a_failed_one_repeated() {
        let bytes = limited(100);
        let later = NOW + COUNT_AGE_MAX;
        let refused = bytes.admit(TENANT, 1, later).expect_err("it may have expired");
        assert!(matches!(refused, AdmissionError::TenantUncounted { tenant: TENANT }));
        assert_eq!(bytes.try_begin(later), Some(TENANT));
        bytes.end_count(TENANT, None);
        assert_eq!(bytes.try_begin(later), Some(TENANT));
        bytes.end_count(TENANT, Some(100));
        assert!(is_full(&bytes, 1));
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let bytes = TenantBytes::new(None);
        assert!(admit(&bytes, u64::MAX).expect("no limit").is_none());
        assert!(bytes.accounts.lock().is_empty());
    }
}
