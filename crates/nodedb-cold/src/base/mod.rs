//! Base images: the files of a checkpoint, in parts.

mod codec;
mod file;
mod floor;
mod manifest;

pub use file::{BaseFile, BasePath, PartRef};
pub use floor::BaseFloor;
pub use manifest::BaseManifest;

/// Longest part of a file, in bytes. Callers cut at any length up to it; 8 MiB serves well.
pub const PART_BYTES_MAX: u32 = 64 << 20;
/// Longest manifest, in bytes.
pub(crate) const BASE_BYTES_MAX: u64 = 256 << 20;
