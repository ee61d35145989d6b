//! The locks of this crate, in one place: a model checker puts its own here.

pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
pub(crate) use std::thread::yield_now;
