//! How fast maintenance may read and write.

use nodedb_env::Clock;
use parking_lot::{Condvar, Mutex};
use std::{sync::Arc, time::Duration};

/// Bytes per second that the maintenance threads of a database share: flushes, merges, images. The lower
/// of a limit that is fixed and of a pace that is set as the work goes.
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
    /// Bytes per second; `None` for no pace.
    pace: Option<u64>,
    /// How many press.
    presses: usize,
}

/// Somebody waits for maintenance to get on. While it lives, nobody waits for the budget.
#[derive(Debug)]
pub struct Hurry {
    budget: Arc<IoBudget>,
}

/// Memory fills faster than the pace empties it. While it lives, there is the limit only.
#[derive(Debug)]
pub struct Pressure {
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
        let account = Account { paid_at: clock.now(), hurries: 0, pace: None, presses: 0 };
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
        let mut account = self.account.lock();
        let Some(rate) = self.rate_of(&account) else {
            return;
        };
        let price = price(bytes, rate);
        let now = self.clock.now();
        let debt = account.paid_at.max(now.saturating_sub(BURST)).saturating_add(price);
        account.paid_at = debt.min(now.saturating_add(DEBT_MAX));
        let until = account.paid_at;
        // Whoever pays at a pace that is lifted meanwhile has paid.
        while account.hurries == 0 && self.rate_of(&account).is_some() && self.clock.now() < until {
            let left = until.saturating_sub(self.clock.now());
            self.hurried.wait_for(&mut account, left.min(LOOK));
        }
    }

    /// What is spent costs at least so much now.
    fn rate_of(&self, account: &Account) -> Option<u64> {
        let pace = account.pace.filter(|_| account.presses == 0);
        self.rate.into_iter().chain(pace).min()
    }

    /// Sets the pace in bytes per second, at least 1; `None` for none.
    pub fn pace(&self, bytes_per_second: Option<u64>) {
        self.account.lock().pace = bytes_per_second.map(|rate| rate.max(1));
        self.hurried.notify_all();
    }

    /// Lifts the pace until the answer is dropped.
    pub fn press(self: &Arc<Self>) -> Pressure {
        self.account.lock().presses += 1;
        self.hurried.notify_all();
        Pressure { budget: Arc::clone(self) }
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

impl Drop for Pressure {
    fn drop(&mut self) {
        self.budget.account.lock().presses -= 1;
    }
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
    fn the_pace_holds_below_the_limit_until_somebody_presses() {
        let (clock, budget) = ticking(Some(10_000_000));
        let spend = || {
            let before = elapsed(&clock);
            (0..10).for_each(|_| budget.spend(100_000));
            elapsed(&clock) - before
        };
        let ms = spend();
        assert!((10..200).contains(&ms), "by the limit: {ms} ms");
        budget.pace(Some(1_000_000));
        let ms = spend();
        assert!((900..1300).contains(&ms), "by the pace: {ms} ms");
        let pressure = budget.press();
        let ms = spend();
        assert!((90..200).contains(&ms), "the limit holds all the same: {ms} ms");
        drop(pressure);
        budget.pace(Some(u64::MAX));
        let ms = spend();
        assert!((90..200).contains(&ms), "a pace above the limit: {ms} ms");
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
