//! The built binary, as scripts drive it: words, fields, exit codes, error kinds.
#![expect(clippy::disallowed_methods, reason = "tests look at real files and real time")]
#![expect(clippy::expect_used, clippy::panic, reason = "a test that fails panics")]

mod archive;
mod bulk;
mod catalog;
mod crdt;
mod documents;
mod full_data;
mod harness;
mod kills;
mod lifecycle;
mod quickstart;
mod search;
mod serve;
mod settings;
mod shell;
mod usage;
mod wal;
mod watch;
