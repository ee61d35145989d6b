//! The log on a simulated disk, and a little on a real one.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends by a panic")]

mod builder;
mod committing;
mod counted;
mod crashes;
mod executor;
mod golden;
mod handles;
mod pin_races;
mod pins;
mod reading;
mod recovery;
mod seeking;
mod space;
mod stress;
mod tailing;
mod tools;
mod watching;
mod world;
mod writing;
