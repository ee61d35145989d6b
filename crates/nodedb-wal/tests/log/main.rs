//! The log on a simulated disk, and a little on a real one.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends by a panic")]

mod builder;
mod committing;
mod crashes;
mod damage;
mod earlier_lives;
mod environment;
mod faults;
mod golden;
mod handles;
mod model;
mod reading;
mod recovery;
mod sample;
mod space;
mod tripwire;
mod waiter;
mod world;
mod writing;
