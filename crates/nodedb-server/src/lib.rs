#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod answer;
mod api;
mod error;
mod events;
mod guard;
mod health;
mod listener;
mod metrics;
mod options;
mod page;
mod refusal;
mod server;
mod state;

pub use error::ServeError;
pub use options::{ServeOptions, TOKEN_BYTES_MAX, TOKEN_BYTES_MIN};
pub use server::Server;
