//! The locks of this crate, in one place: under `--cfg shuttle` they are those of a model checker, which
//! owns the scheduling of all threads. See `tests/model.rs`.

#[cfg(shuttle)]
mod model;

#[cfg(shuttle)]
pub(crate) use model::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(shuttle))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::atomic,
    thread::{ThreadId, current, yield_now},
};
#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::atomic,
    thread::{ThreadId, current, yield_now},
};
