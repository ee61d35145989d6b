//! Log objects: a range of the log, compressed, as one immutable object.

mod batch;
mod builder;
mod decoded;
mod header;
mod trailer;

pub use batch::ArchivedBatch;
pub use builder::{LogObject, LogObjectBuilder};
pub use decoded::{Batches, DecodedLogObject, ExpectedIdentity};
pub(crate) use header::{HEADER_LEN, Header};
pub use trailer::ArchivedPoint;
pub(crate) use trailer::{TRAILER_LEN, Trailer, decode_points};

/// Most bytes of log in one object: the largest segment of a log.
pub const RAW_BYTES_MAX: u32 = 1 << 30;
/// Most bytes of log in one compressed block, which is what decoding holds at a time.
pub(crate) const BLOCK_BYTES_MAX: u32 = 1 << 20;
/// Most restore points in one object.
pub const POINTS_MAX: u32 = 4096;
/// Longest log object, in bytes: incompressible log, its index and its points.
pub(crate) const OBJECT_BYTES_MAX: u64 = RAW_BYTES_MAX as u64 + (16 << 20);
