//! The log on file systems of the kernel that are really full, really read-only, and in a process that
//! really has no file handles left.

#![cfg(target_os = "linux")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test ends by a panic, and looks at real files"
)]

mod full_disk;
mod handles;
mod sandbox;
mod world;
