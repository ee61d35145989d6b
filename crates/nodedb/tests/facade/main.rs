//! The database as a program uses it, on real files.
#![expect(clippy::disallowed_methods, reason = "tests look at real files")]
#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

mod archive;
mod checkpoint;
mod crdt;
mod crdt_trace;
mod documents;
mod hostile;
mod indexes;
mod lifecycle;
mod limits;
mod log_tools;
mod quotas;
mod statistics;
mod tenants;
mod watch;
mod world;
