//! How fast maintenance may read and write.

use nodedb_env::Clock;
use parking_lot::{Condvar, Mutex};
use std::{sync::Arc, time::Duration};

/// Bytes per second that the maintenance threads of a database share: flushes, merges, images.
///
/// A token bucket that may be overdrawn: whoever spends is let through first and then waits until the
/// debt is paid, so that a step of any size passes and the rate holds over time. While somebody is in a
/// hurry nobody waits, and what is spent meanwhile is a debt for later, of one second at most: work that
/// could not wait never stops the work behind it for long.
#[derive(Debug)]
pub struct IoBudget {
    clock: Arc<dyn Clock>,
    /// Bytes per second; `None` for no limit.
    rate: Option<u64>,
    account: Mutex<Account>,
    hurried: Condvar,
}

#[derive(Debug)]
struct Account {
    /// Until when what was spent is paid for, by the clock's `now`.
    paid_at: Duration,
    /// How many are in a hurry.
    hurries: usize,
}

/// Somebody waits for maintenance to get on. While it lives, nobody waits for the budget.
#[derive(Debug)]
pub struct Hurry {
    budget: Arc<IoBudget>,
}

/// The budget saved up while nothing was spent, and the debt that is ever kept, as time.
const BURST: Duration = Duration::from_millis(100);
const DEBT_MAX: Duration = Duration::from_secs(1);
/// How often a waiter looks at the clock, which need not be the machine's.
const LOOK: Duration = Duration::from_millis(10);

impl IoBudget {
    /// A budget of so many bytes per second, at least 1; `None` for no limit.
    pub fn new(clock: Arc<dyn Clock>, bytes_per_second: Option<u64>) -> Arc<Self> {
        let account = Account { paid_at: clock.now(), hurries: 0 };
        Arc::new(Self {
            clock,
            rate: bytes_per_second.map(|rate| rate.max(1)),
            account: Mutex::new(account),
            hurried: Condvar::new(),
        })
    }

    /// Spends bytes that were read or written, and waits until they are paid for, unless somebody is in
    /// a hurry. Waits a little more than a second at most.
    pub fn spend(&self, bytes: u64) {
        let Some(rate) = self.rate else {
            return;
        };
        let price = price(bytes, rate);
        let mut account = self.account.lock();
        let now = self.clock.now();
        let debt = account.paid_at.max(now.saturating_sub(BURST)).saturating_add(price);
        account.paid_at = debt.min(now.saturating_add(DEBT_MAX));
        let until = account.paid_at;
        while account.hurries == 0 && self.clock.now() < until {
            let left = until.saturating_sub(self.clock.now());
            self.hurried.wait_for(&mut account, left.min(LOOK));
        }
    }

    /// Lets everybody through until the answer is dropped.
    pub fn hurry(self: &Arc<Self>) -> Hurry {
        self.account.lock().hurries += 1;
        self.hurried.notify_all();
        Hurry { budget: Arc::clone(self) }
    }
}

/// Spends in steps what a long work reads or writes in small pieces.
#[derive(Debug)]
pub struct IoMeter {
    budget: Arc<IoBudget>,
    owed: u64,
}

/// Bytes that a meter lets pass before it spends them.
const STEP: u64 = 256 << 10;

impl IoMeter {
    /// A meter that stands at nothing.
    pub const fn new(budget: Arc<IoBudget>) -> Self {
        Self { budget, owed: 0 }
    }

    /// Counts bytes, and waits where [`IoBudget::spend`] does.
    pub fn add(&mut self, bytes: usize) {
        self.owed = self.owed.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.owed >= STEP {
            self.budget.spend(std::mem::take(&mut self.owed));
        }
    }
}

/// How long the rate takes for so many bytes.
fn price(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

impl Drop for Hurry {
    fn drop(&mut self) {
        self.budget.account.lock().hurries -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A clock that goes on by a millisecond whenever somebody looks at it.
    #[derive(Debug, Default)]
    struct Ticking(AtomicU64);

    impl Clock for Ticking {
        fn now(&self) -> Duration {
            Duration::from_millis(self.0.fetch_add(1, Ordering::SeqCst))
        }

        fn unix_ms(&self) -> u64 {
            0
        }
    }

    fn elapsed(clock: &Ticking) -> u64 {
        clock.0.load(Ordering::SeqCst)
    }

    fn ticking(rate: Option<u64>) -> (Arc<Ticking>, Arc<IoBudget>) {
        let clock = Arc::new(Ticking::default());
        let budget = IoBudget::new(Arc::<Ticking>::clone(&clock), rate);
        (clock, budget)
    }

    #[test]
    fn what_is_spent_is_paid_for_in_time() {
        let (clock, budget) = ticking(Some(1_000_000));
        for _ in 0..10 {
            budget.spend(100_000);
        }
        let ms = elapsed(&clock);
        assert!((990..1300).contains(&ms), "a megabyte in {ms} ms");
    }

    #[test]
    fn no_limit_means_no_look_at_the_clock() {
        let (clock, budget) = ticking(None);
        let before = elapsed(&clock);
        budget.spend(u64::MAX);
        assert_eq!(elapsed(&clock), before);
    }

    #[test]
    fn a_step_larger_than_the_budget_passes_and_is_paid_within_a_second() {
        let (clock, budget) = ticking(Some(1));
        budget.spend(u64::MAX);
        let ms = elapsed(&clock);
        assert!((1000..1010).contains(&ms), "{ms} ms");
    }

    #[test]
    fn nobody_waits_while_somebody_is_in_a_hurry() {
        let (clock, budget) = ticking(Some(1));
        let hurry = budget.hurry();
        for _ in 0..50 {
            budget.spend(1_000_000);
        }
        let ms = elapsed(&clock);
        assert!(ms < 200, "{ms} ms");
        drop(hurry);
        budget.spend(1);
        assert!(elapsed(&clock) >= 1000, "the debt is kept");
    }

    #[test]
    fn a_meter_spends_all_but_its_last_step() {
        let (clock, budget) = ticking(Some(10 << 20));
        let mut meter = IoMeter::new(budget);
        for _ in 0..10_000 {
            meter.add(1 << 10);
        }
        let ms = elapsed(&clock);
        assert!((850..1300).contains(&ms), "10 MB in {ms} ms");
    }

    #[test]
    fn a_hurry_ends_a_wait_under_way() {
        /// A clock that stands still: only the hurry can end the wait.
        #[derive(Debug)]
        struct Still;
        impl Clock for Still {
            fn now(&self) -> Duration {
                Duration::from_secs(5)
            }

            fn unix_ms(&self) -> u64 {
                0
            }
        }
        let budget = IoBudget::new(Arc::new(Still), Some(1));
        std::thread::scope(|scope| {
            let spender = scope.spawn(|| budget.spend(1000));
            let hurry = budget.hurry();
            spender.join().expect("let through");
            drop(hurry);
        });
    }
}
