//! What the model checker lacks.

use std::time::Duration;

/// Timers never fire in a model: what needs one to go on is found as a deadlock.
pub(crate) fn park_timeout(_: Duration) {
    shuttle::thread::park();
}
