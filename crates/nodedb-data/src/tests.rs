//! Behaviour of a whole data plane over a real log and real files.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test fails on every outcome but the one it expects"
)]

mod asks;
mod bounds;
mod build;
mod copies;
mod crdt;
mod durability;
mod expiry;
mod fields;
mod flush;
mod groups;
mod kill;
mod once;
mod reads;
mod start;
mod vectors;
mod world;
