//! The promises of the crate, through its public calls.
#![expect(clippy::expect_used, clippy::panic, reason = "shared steps of tests fail as tests do")]

mod answers;
mod deadlines;
mod ending;
mod fairness;
mod futures;
mod health;
mod idle;
mod ids;
mod limits;
mod load;
mod ping;
mod tenant_property;
mod tenants;
