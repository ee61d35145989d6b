//! The log on a simulated disk, and a little on a real one.

#![expect(clippy::expect_used, clippy::panic, reason = "a test ends by a panic")]

mod builder;
mod committing;
mod counted;
mod crashes;
mod cutting;
mod damage;
mod earlier_lives;
mod environment;
mod executor;
mod faults;
mod golden;
mod handles;
mod model;
mod pin_races;
mod pins;
mod reading;
mod recovery;
mod sample;
mod seeking;
mod space;
mod stress;
mod tailing;
mod timers;
mod tools;
mod tripwire;
mod waiter;
mod watching;
mod world;
mod writing;
