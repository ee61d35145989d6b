//! The server through real connections on loopback.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests; their functions are not marked as tests"
)]

mod access;
mod browser;
mod client;
mod data;
mod health;
mod limits;
mod page;
