//! Tests of the crate as a whole.

mod bases;
mod directory;
mod objects;
mod restore;
mod support;
mod uploads;
mod urls;
mod verify;
mod writers;
