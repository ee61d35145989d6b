//! The promises of the crate, through its public calls.
#![expect(clippy::expect_used, clippy::panic, reason = "shared steps of tests fail as tests do")]

mod answers;
mod ending;
mod fairness;
mod futures;
mod ids;
mod limits;
mod load;
mod ping;
