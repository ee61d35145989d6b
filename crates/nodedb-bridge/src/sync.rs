//! The locks, words and sleeps of this crate, in one place: under `--cfg shuttle` they are those of a model
//! checker, which owns the scheduling of all threads. See `tests/model.rs`.

#[cfg(shuttle)]
mod model;

#[cfg(shuttle)]
pub(crate) use self::model::park_timeout;
#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::{Mutex, MutexGuard, atomic},
    thread::{Thread, current, park},
};
#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::{Mutex, MutexGuard, atomic},
    thread::{Thread, current, park, park_timeout},
};
